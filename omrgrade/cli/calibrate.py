"""``omrgrade calibrate``: what a model's confidence is worth on one's own paper."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click


@click.command("calibrate")
@click.argument("boxes", type=click.Path(path_type=Path))
@click.option("--model", type=click.Path(path_type=Path), help="Model (.onnx); default: the bundled one.")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder for the model and its new card.",
)
def command(boxes: Path, model: Path | None, output: Path) -> None:
    """Calibrate a model on BOXES, labelled crops of your own paper (.npz with x, y, group).

    The model stays as it is; its new card carries the errors that each confidence stands for on these boxes,
    from which `omrgrade grade --model OUTPUT/digits.onnx --max-error E` takes its threshold.
    """
    from omrgrade.classify import card_to_json, load_classifier
    from omrgrade.metrics import promised_threshold
    from omrgrade.records import Crop
    from omrgrade.resources import bundled
    from omrgrade.staging import staged
    from omrgrade.training.boxes import load_boxes
    from omrgrade.training.calibration import calibration

    labelled = load_boxes(boxes)
    classifier = load_classifier(model)
    crops = [Crop(pixels=image, margin=0) for image in labelled.images]
    table = calibration(crops, labelled.truth, classifier, boxes.name)
    card = replace(classifier.card, calibration=table)
    source = model or bundled("models", "digits.onnx")
    with staged(output) as staging:
        staging.write("digits.onnx", source.read_bytes())
        staging.write("digits.json", card_to_json(card).encode())
        staging.publish(output)
    for error in (0.01, 0.005, 0.002, 0.001, 0.0005):
        threshold = promised_threshold(table, error)
        said = "cannot be promised from so few boxes" if threshold is None else f"accept from {threshold}"
        click.echo(f"--max-error {error}: {said}")
