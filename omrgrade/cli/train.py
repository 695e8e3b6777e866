"""omrgrade train: from MNIST to an installed model, or nothing."""

from __future__ import annotations

import importlib.util
import logging
from pathlib import Path

import click

from omrgrade.errors import MissingExtraError, ModelError
from omrgrade.resources import bundled


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
@click.option("--epochs", type=click.IntRange(1), default=15, show_default=True)
@click.option("--batch-size", type=click.IntRange(1), default=128, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--learning-rate", type=click.FloatRange(0, min_open=True), default=0.001, show_default=True)
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
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the model, its card and figures; default: models.",
)
@click.option("-v", "--verbose", is_flag=True, help="A line per epoch on stderr.")
def command(
    data: Path | None,
    network: str,
    epochs: int,
    batch_size: int,
    seed: int,
    learning_rate: float,
    validation_split: float,
    min_accuracy: float,
    limit: int | None,
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
    from omrgrade.training.data import load_mnist
    from omrgrade.training.export import install
    from omrgrade.training.fit import Settings
    from omrgrade.training.release import draw_release, make_release

    folder = output or _default_folder()
    settings = Settings(
        network=network,
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        learning_rate=learning_rate,
        validation_split=validation_split,
    )
    release = make_release(load_mnist(data), settings, limit=limit)
    click.echo(release.score.text())
    if release.score.accuracy < min_accuracy:
        raise ModelError(
            f"accuracy on the MNIST test set is below the bar of {min_accuracy}; "
            f"nothing was installed, what {folder} holds is untouched",
            fix="train longer, or lower --min-accuracy",
            received=release.score.accuracy,
        )
    install(folder, release.model, release.onnx, release.card)
    draw_release(folder, release)
    click.echo(
        f"accuracy {release.score.accuracy:.4f}, {release.card.parameters} parameters, installed in {folder}"
    )


def _default_folder() -> Path:
    """The checkout's models folder; ./models when installed, since packages are not to be written to."""
    folder = bundled("models")
    return Path("models") if folder.parent.name == "_bundled" else folder
