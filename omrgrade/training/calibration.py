"""What a confidence is worth: labelled boxes through the whole reader, and the errors at each threshold.

The default set is made of digits held out from training, each written once into a box on paper, with some
boxes that hold other ink and some that are empty. Who has labelled boxes of their own paper uses these.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omrgrade.classify import Classifier
from omrgrade.metrics import reliability, risk_table
from omrgrade.normalize import to_mnist
from omrgrade.records import BoxReading, Crop
from omrgrade.training.boxes import BLANK, NOT_DIGIT, confidences
from omrgrade.training.data import Labelled
from omrgrade.training.not_digits import draw
from omrgrade.training.paper import write_box

OTHER_INK = 0.05  # boxes with ink that is no digit, per digit: about what pupils leave
EMPTY = 0.05  # empty boxes per digit
SEED = 5


def simulated_boxes(digits: Labelled) -> tuple[list[Crop], NDArray[np.int64]]:
    """Boxes of every digit once, of other ink, and empty ones; their truth (N,) 0-9, BLANK, NOT_DIGIT."""
    rng = np.random.default_rng(SEED)
    nothing = np.zeros((28, 28), np.uint8)
    nothing[13:15, 13:15] = 1  # too faint to be seen: the box is drawn, its ink is not
    inks = [(image, int(label)) for image, label in zip(digits.images, digits.labels, strict=True)]
    inks += [(to_mnist(draw(digits, rng)), NOT_DIGIT) for _ in range(round(OTHER_INK * len(digits)))]
    inks += [(nothing, BLANK)] * round(EMPTY * len(digits))
    crops = [write_box(ink, rng).crop for ink, _ in inks]
    return crops, np.array([label for _, label in inks], np.int64)


def calibration(
    crops: list[Crop], truth: NDArray[np.int64], classifier: Classifier, source: str
) -> dict[str, Any]:
    """The card's `calibration`: what each threshold accepts of these boxes, and how much of it is wrong."""
    from omrgrade.pipeline import policy_for, read_crops

    open_handed = replace(policy_for(classifier), accept=0.0)
    readings = read_crops(crops, classifier, open_handed)
    return calibration_of(readings, truth, source)


def calibration_of(readings: list[BoxReading], truth: NDArray[np.int64], source: str) -> dict[str, Any]:
    """The same from readings made with `Policy.accept` 0."""
    shown = [reading for reading in readings if reading.status == "read"]
    kept = np.array([reading.status == "read" for reading in readings], bool)
    confidence, right = confidences(truth[kept], shown)
    return {
        "source": source,
        "boxes": len(truth),
        "calibration_error": round(reliability(confidence, right).error, 5) if len(right) else None,
        **risk_table(confidence, right),
    }
