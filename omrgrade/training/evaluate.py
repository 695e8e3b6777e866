"""Measure a classifier on digits, and the whole box reader on labelled crops. Needs no TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omrgrade.classify import DIGITS, Classifier
from omrgrade.metrics import class_scores, confusion_matrix, log_loss, matrix_text, report_text
from omrgrade.training.data import Labelled


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class DigitScore:
    """A classifier on images of digits."""

    accuracy: float  # the likeliest of the ten digits is right, whatever "not a digit" got
    loss: float  # mean cross-entropy of the calibrated probabilities over all classes, nats
    matrix: NDArray[np.int64]  # (10, 10), row = true digit
    confidence: NDArray[np.float64]  # (N,) probability of the likeliest digit
    correct: NDArray[np.bool_]  # (N,)

    def text(self) -> str:
        """Classification report and confusion matrix, as a person reads them."""
        return f"{report_text(self.matrix, DIGITS)}\n{matrix_text(self.matrix, DIGITS)}"

    def as_dict(self, parameters: int) -> dict[str, Any]:
        """The keys `evaluate --json` promises."""
        per_class = {
            digit: {"precision": s.precision, "recall": s.recall, "f1": s.f1, "support": s.support}
            for digit, s in zip(DIGITS, class_scores(self.matrix), strict=True)
        }
        return {
            "accuracy": self.accuracy,
            "loss": self.loss,
            "per_class": per_class,
            "confusion_matrix": self.matrix.tolist(),
            "parameters": parameters,
        }


def score_digits(classifier: Classifier, part: Labelled) -> DigitScore:
    """Run the classifier over labelled digits (0-9)."""
    probabilities = classifier.probabilities(part.images)
    digits = probabilities[:, :10]
    predicted = digits.argmax(axis=1)
    correct = predicted == part.labels
    return DigitScore(
        accuracy=float(correct.mean()),
        loss=log_loss(probabilities, part.labels),
        matrix=confusion_matrix(part.labels, predicted, 10),
        confidence=digits.max(axis=1).astype(np.float64),
        correct=correct,
    )
