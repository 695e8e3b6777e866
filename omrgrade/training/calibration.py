"""What a confidence is worth: labelled boxes through the whole reader, and the errors at each threshold.

The default set is cut out of simulated scans, written with digits held out from training, with some
boxes that hold other ink and some that are empty. Who has labelled boxes of their own paper uses these.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omrgrade.classify import NOT_DIGIT as NOT_DIGIT_NAME
from omrgrade.classify import Classifier, OnnxClassifier
from omrgrade.metrics import fit_temperature, reliability, risk_table
from omrgrade.normalize import normalize_all, to_mnist
from omrgrade.records import BoxReading, Crop
from omrgrade.training.boxes import BLANK, NOT_DIGIT, confidences
from omrgrade.training.data import Labelled
from omrgrade.training.not_digits import draw
from omrgrade.training.paper import write_box
from omrgrade.training.scanned import scanned_boxes

OTHER_INK = 0.03  # boxes with ink that is no digit, per box with one: about what pupils leave
TEMPERATURE, RISK = 5, 6
"""Seeds of two sets: what the temperature is fitted on measures nothing."""


def simulated_boxes(
    digits: Labelled, number: int, *, seed: int = RISK
) -> tuple[list[Crop], NDArray[np.int64]]:
    """`number` boxes or a few more with these digits, empty ones and other ink; their truth (N,)."""
    rng = np.random.default_rng((seed, 1))
    crops, truth = scanned_boxes(digits, number, seed=seed)
    other = round(OTHER_INK * number)
    crops += [write_box(to_mnist(draw(digits, rng)), rng).crop for _ in range(other)]
    return crops, np.append(truth, np.full(other, NOT_DIGIT))


def temperature_on(crops: list[Crop], truth: NDArray[np.int64], classifier: OnnxClassifier) -> float:
    """The temperature that makes the classifier's confidence on these boxes true (Guo et al. 2017)."""
    inks = normalize_all(crops)
    classes = classifier.card.classes
    known = (truth != BLANK) & ((truth != NOT_DIGIT) | (NOT_DIGIT_NAME in classes))
    kept = [n for n, ink in enumerate(inks) if known[n] and not ink.empty]
    labels = np.where(truth[kept] == NOT_DIGIT, len(classes) - 1, truth[kept])
    return fit_temperature(classifier.logits(np.stack([inks[n].image for n in kept])), labels)


def calibration(
    crops: list[Crop], truth: NDArray[np.int64], classifier: Classifier, source: str
) -> dict[str, Any]:
    """The card's `calibration`: what each threshold accepts of these boxes, and how much of it is wrong."""
    return calibration_of(read_open_handed(crops, classifier), truth, source)


def read_open_handed(crops: list[Crop], classifier: Classifier) -> list[BoxReading]:
    """Read with `Policy.accept` 0: every digit that is seen counts as read, with its confidence."""
    from omrgrade.pipeline import policy_for, read_crops

    return read_crops(crops, classifier, replace(policy_for(classifier), accept=0.0))


def calibration_of(readings: list[BoxReading], truth: NDArray[np.int64], source: str) -> dict[str, Any]:
    """The same from the readings of `read_open_handed`."""
    shown = [reading for reading in readings if reading.status == "read"]
    kept = np.array([reading.status == "read" for reading in readings], bool)
    confidence, right = confidences(truth[kept], shown)
    return {
        "source": source,
        "boxes": len(truth),
        "calibration_error": round(reliability(confidence, right).error, 5) if len(right) else None,
        **risk_table(confidence, right),
    }
