"""omrgrade evaluate: measure a model on MNIST, or the whole box reader on labelled crops."""

from __future__ import annotations

import json
from pathlib import Path

import click

from omrgrade.errors import ModelError


@click.command()
@click.argument("model", required=False, type=click.Path(path_type=Path))
@click.option("--data", type=click.Path(path_type=Path), help="MNIST as .npz; default: the bundled one.")
@click.option(
    "--boxes",
    type=click.Path(path_type=Path),
    help="Labelled box crops (.npz with x, y, group: the paper each is from) instead of MNIST.",
)
@click.option(
    "--kind",
    type=click.Choice(["digit", "number"]),
    default="digit",
    show_default=True,
    help="What a crop of --boxes holds: one digit, or a whole number (y is the number).",
)
@click.option(
    "--min-accuracy",
    type=click.FloatRange(0, 1),
    default=0.98,
    show_default=True,
    help="Exit with 3 below this accuracy on MNIST.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
@click.option(
    "--plots",
    type=click.Path(path_type=Path),
    help="Folder for figures: reliability, risk against coverage, confusion matrix.",
)
def command(
    model: Path | None,
    data: Path | None,
    boxes: Path | None,
    kind: str,
    min_accuracy: float,
    as_json: bool,
    plots: Path | None,
) -> None:
    """Measure MODEL (an .onnx file with its card beside it; default: the bundled one).

    On the MNIST test set: classification report, confusion matrix, accuracy and loss. With --boxes: how many
    digits the whole box reader accepts, how many of these are wrong, and what it makes of empty boxes and of
    ink that is not a digit, by paper, with 95 % intervals.
    """
    if data and boxes:
        raise click.UsageError("--data is for MNIST, --boxes for labelled crops: give one of them")
    if boxes:
        _boxes(model, boxes, as_json, plots, numbers=kind == "number")
    else:
        _mnist(model, data, min_accuracy, as_json, plots)


def _mnist(model: Path | None, data: Path | None, bar: float, as_json: bool, plots: Path | None) -> None:
    from omrgrade.classify import DIGITS, load_classifier
    from omrgrade.training.data import load_mnist
    from omrgrade.training.evaluate import score_digits

    classifier = load_classifier(model)
    score = score_digits(classifier, load_mnist(data).test)
    if as_json:
        click.echo(json.dumps(score.as_dict(classifier.card.parameters), indent=2))
    else:
        click.echo(score.text())
        click.echo(
            f"accuracy {score.accuracy:.4f}, loss {score.loss:.4f}, parameters {classifier.card.parameters}"
        )
    if plots:
        from omrgrade.training.plots import draw_confusion_matrix, draw_reliability, draw_risk_coverage

        draw_confusion_matrix(score.matrix, DIGITS, plots / "confusion_matrix.png")
        draw_reliability(score.confidence, score.correct, plots / "reliability.png")
        draw_risk_coverage(score.confidence, score.correct, plots / "risk_coverage.png")
    if score.accuracy < bar:
        raise ModelError(
            f"accuracy is below the bar of {bar}",
            fix="train again or lower --min-accuracy",
            received=score.accuracy,
        )


def _boxes(model: Path | None, path: Path, as_json: bool, plots: Path | None, *, numbers: bool) -> None:
    from omrgrade.classify import load_classifier
    from omrgrade.training.boxes import boxes_text, confidences, load_boxes, read_all, score_boxes

    labelled = load_boxes(path, numbers=numbers)
    readings = read_all(labelled, load_classifier(model))
    scores = score_boxes(labelled, readings)
    text = boxes_text(scores, what="numbers" if numbers else "digits")
    click.echo(json.dumps(scores, indent=2) if as_json else text, nl=as_json)
    if plots:
        from omrgrade.training.plots import draw_reliability, draw_risk_coverage

        confidence, right = confidences(labelled.truth, readings)
        draw_reliability(confidence, right, plots / "reliability.png")
        draw_risk_coverage(confidence, right, plots / "risk_coverage.png")
