"""omrgrade train: from MNIST to an installed model, or nothing."""

from __future__ import annotations

import importlib.util
import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from omrgrade.errors import MissingExtraError, ModelError
from omrgrade.resources import bundled

if TYPE_CHECKING:
    from omrgrade.training.fit import Settings
    from omrgrade.training.release import Release


@click.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="MNIST as .npz; default: the bundled one, else downloaded.",
)
@click.option(
    "--network",
    type=click.Choice(["paper", "seed"]),
    default="paper",
    show_default=True,
    help="The strong one for paper, or the textbook one.",
)
@click.option(
    "--epochs", type=click.IntRange(1), help="Rounds through the data.  [default: 15; with --extra 4]"
)
@click.option("--batch-size", type=click.IntRange(1), default=128, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option(
    "--learning-rate",
    type=click.FloatRange(0, min_open=True),
    help="Of Adam.  [default: 0.001; with --extra 0.0003]",
)
@click.option(
    "--validation-split",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.1,
    show_default=True,
    help="Share of the training digits held out for early stopping and calibration.",
)
@click.option(
    "--min-accuracy",
    type=click.FloatRange(0, 1),
    default=0.98,
    show_default=True,
    help="Below this accuracy on the MNIST test set nothing is installed, and the exit code is 3.",
)
@click.option("--limit", type=click.IntRange(20), help="Train on the first N digits only, for a quick trial.")
@click.option(
    "--extra",
    type=click.Path(path_type=Path),
    metavar="BOXES.npz",
    help="Labelled boxes of your own paper to learn from as well (omrgrade export --format boxes).",
)
@click.option(
    "--from",
    "start",
    type=click.Path(path_type=Path),
    metavar="DIGITS.keras",
    help="Go on from this network; with --extra the default is the bundled one.",
)
@click.option(
    "--average",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="DIGITS.keras",
    help="Do not train: average the weights of networks fine-tuned (--from) from the same one. Repeat it.",
)
@click.option(
    "--teacher",
    "teachers",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="DIGITS.onnx",
    help="Learn from what this network sees as well (its card beside it). Repeat it: several know more.",
)
@click.option(
    "--without",
    multiple=True,
    metavar="SOURCE",
    help="Leave a source of training images out, to see what it brings; may be repeated.",
)
@click.option(
    "--bits",
    type=click.Choice(["8", "32"]),
    default="8",
    show_default=True,
    help="Of the exported network's weights: 8 read three times as fast, 32 as they were trained.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the model, its card and figures; default: models.",
)
@click.option("-v", "--verbose", is_flag=True, help="A line per epoch on stderr.")
def command(
    data: Path | None,
    network: str,
    epochs: int | None,
    batch_size: int,
    seed: int,
    learning_rate: float | None,
    validation_split: float,
    min_accuracy: float,
    limit: int | None,
    extra: Path | None,
    start: Path | None,
    average: tuple[Path, ...],
    teachers: tuple[Path, ...],
    without: tuple[str, ...],
    bits: str,
    output: Path | None,
    verbose: bool,
) -> None:
    """Train the digit network on MNIST, export it to ONNX and put it in place with its card.

    The MNIST test set is used once, at the end; it chooses nothing.
    """
    if importlib.util.find_spec("keras") is None or importlib.util.find_spec("tensorflow") is None:
        raise MissingExtraError("training", "train")
    if verbose:
        logging.basicConfig(level=logging.INFO, format="%(message)s")
    from omrgrade.training.fit import Settings

    settings = Settings(
        network=network,
        epochs=epochs or (4 if extra else 15),
        batch_size=batch_size,
        seed=seed,
        learning_rate=learning_rate or (0.0003 if extra else 0.001),
        validation_split=validation_split,
        without=without,
        teachers=teachers,
        bits=int(bits),
    )
    if average and (extra or start or teachers):
        raise click.UsageError("--average trains nothing: it goes with none of --extra, --from, --teacher")
    folder = output or _default_folder()
    if extra:
        _learn_own_paper(extra, start, data, settings, limit, min_accuracy, folder)
    else:
        _train(start, average, data, settings, limit, min_accuracy, folder)


def _train(
    start: Path | None, average: tuple[Path, ...], data: Path | None, settings: Settings, limit: int | None,
    bar: float, folder: Path,
) -> None:  # fmt: skip
    from omrgrade.training.data import load_mnist
    from omrgrade.training.release import make_release

    release = make_release(load_mnist(data), settings, limit=limit, start=start, averaged=average)
    _check(release, bar, folder)
    _install(release, folder)


def _learn_own_paper(
    extra: Path, start: Path | None, data: Path | None, settings: Settings, limit: int | None, bar: float,
    folder: Path,
) -> None:  # fmt: skip
    from omrgrade.classify import OnnxClassifier, load_classifier
    from omrgrade.pipeline import policy_for
    from omrgrade.training.boxes import load_boxes
    from omrgrade.training.data import load_mnist
    from omrgrade.training.evaluate import score_digits
    from omrgrade.training.extra import check_better, comparison, measured, own_paper
    from omrgrade.training.release import make_release

    start = start or bundled("models", "digits.keras")
    if not start.is_file():
        raise ModelError(
            "the network to go on from is not here: an installed package leaves it out",
            where=str(start),
            fix="give the digits.keras of a checkout with --from",
            received="no such file",
        )
    own = own_paper(load_boxes(extra), str(extra))
    mnist = load_mnist(data)
    old = load_classifier(start.with_name("digits.onnx"))
    policy = policy_for(old)
    before = measured(own, old, policy)
    release = make_release(mnist, settings, limit=limit, start=start, own=own)
    after = measured(own, OnnxClassifier(release.onnx, release.card), policy)
    release = replace(release, card=replace(release.card, thresholds=old.card.thresholds))
    accuracies = score_digits(old, mnist.test).accuracy, release.score.accuracy
    click.echo(comparison(before, after, accuracies), nl=False)
    _check(release, bar, folder)
    check_better(before, after)
    _install(release, folder)


def _check(release: Release, bar: float, folder: Path) -> None:
    """Print the report; the gate."""
    click.echo(release.score.text())
    if release.score.accuracy < bar:
        raise ModelError(
            f"accuracy on the MNIST test set is below the bar of {bar}; "
            f"nothing was installed, what {folder} holds is untouched",
            fix="train longer, or lower --min-accuracy",
            received=release.score.accuracy,
        )


def _install(release: Release, folder: Path) -> None:
    from omrgrade.training.export import install
    from omrgrade.training.release import draw_release

    install(folder, release.model, release.onnx, release.card)
    draw_release(folder, release)
    click.echo(
        f"accuracy {release.score.accuracy:.4f}, {release.card.parameters} parameters, installed in {folder}"
    )


def _default_folder() -> Path:
    """The checkout's models folder; ./models when installed, since packages are not to be written to."""
    folder = bundled("models")
    return Path("models") if folder.parent.name == "_bundled" else folder
