"""Labelled box crops, and how well the whole box reader does on them. Needs no TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omrgrade.classify import Classifier
from omrgrade.errors import DatasetError
from omrgrade.metrics import reliability, wilson
from omrgrade.records import BoxReading, Crop, Policy
from omrgrade.training.data import read_npz

BLANK, NOT_DIGIT = -1, -2
"""Labels beside the digits 0-9."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LabelledBoxes:
    """Crops of printed boxes with their truth."""

    images: NDArray[np.uint8]  # (N, h, w) grey, dark ink on light paper
    truth: NDArray[np.int64]  # (N,) 0-9 (with `numbers` any whole number), BLANK or NOT_DIGIT
    groups: NDArray[np.str_]  # (N,) the paper each crop is from; for numbers: one that one person filled in
    numbers: bool = False  # each crop is one wide box for a whole number

    def take(self, index: NDArray[np.int64]) -> LabelledBoxes:
        """The chosen boxes, in the order of `index`."""
        return LabelledBoxes(images=self.images[index], truth=self.truth[index], groups=self.groups[index])


def load_boxes(path: str | Path, *, numbers: bool = False) -> LabelledBoxes:
    """Read `x` uint8 (N, h, w), `y` int (N,) and `group` str (N,) from an npz, or say what is wrong."""
    arrays = read_npz(path, ("x", "y", "group"))
    x, y, group = arrays["x"], arrays["y"], arrays["group"]
    where = str(path)
    if x.ndim != 3 or x.dtype != np.uint8 or min(x.shape) == 0:
        raise DatasetError(
            "x must be uint8 (N, height, width)", where=where, received=(str(x.dtype), x.shape)
        )
    if y.shape != x.shape[:1] or y.dtype.kind not in "iu":
        raise DatasetError(f"y must be {len(x)} whole numbers", where=where, received=(str(y.dtype), y.shape))
    if group.shape != x.shape[:1] or group.dtype.kind != "U":
        raise DatasetError(
            f"group must be {len(x)} texts", where=where, received=(str(group.dtype), group.shape)
        )
    truth = y.astype(np.int64)
    highest = 9999 if numbers else 9
    if outside := sorted(set(truth[(truth < NOT_DIGIT) | (truth > highest)].tolist())):
        raise DatasetError(
            f"y must be 0-{highest}, -1 (empty) or -2 ({'no number' if numbers else 'not one digit'})",
            where=where,
            fix="numbers of several digits are read with --kind number" if not numbers else "",
            received=outside[:5],
        )
    return LabelledBoxes(
        images=x.astype(np.uint8), truth=truth, groups=group.astype(np.str_), numbers=numbers
    )


def read_all(boxes: LabelledBoxes, classifier: Classifier, policy: Policy | None = None) -> list[BoxReading]:
    """What the box reader makes of every crop, in order; those of one group are of one paper."""
    from omrgrade.pipeline import policy_for, read_boxes, read_numbers

    papers = boxes.groups.tolist()
    if boxes.numbers:
        crops = [Crop(pixels=image, margin=0) for image in boxes.images]
        return read_numbers(crops, classifier, policy or policy_for(classifier), papers)
    return read_boxes(boxes.images, classifier=classifier, policy=policy, papers=papers)


def score_boxes(boxes: LabelledBoxes, readings: Sequence[BoxReading]) -> dict[str, Any]:
    """The keys `evaluate --boxes --json` promises, over everything and by group.

    Rates are fractions of all digits, blanks or not-digits; null where there are none. A digit taken for an
    empty box is a substitution: it was accepted, and it is wrong. `accuracy` asks whether the value was
    right, also of those under review.
    """
    value = _values(readings)
    status = np.array([reading.status for reading in readings])
    scores = _rates(boxes.truth, value, status)
    scores["calibration_error"] = _calibration_error(boxes.truth, readings)
    scores["groups"] = {
        str(name): _rates(boxes.truth[own], value[own], status[own])
        for name in np.unique(boxes.groups)
        for own in [boxes.groups == name]
    }
    return scores


def _values(readings: Sequence[BoxReading]) -> NDArray[np.str_]:
    """What was read, (N,), numbers without leading zeros."""
    return np.array([reading.value and str(int(reading.value)) for reading in readings], np.str_)


def _rates(truth: NDArray[np.int64], value: NDArray[np.str_], status: NDArray[np.str_]) -> dict[str, Any]:
    digit, blank, other = truth >= 0, truth == BLANK, truth == NOT_DIGIT
    right = value == truth.astype(np.str_)
    read, review = status == "read", status == "review"

    def rate(hits: NDArray[np.bool_], among: NDArray[np.bool_]) -> float | None:
        return float(hits[among].mean()) if among.any() else None

    return {
        "digits": int(digit.sum()),
        "accuracy": rate(right, digit),
        "accepted_correct_rate": rate(read & right, digit),
        "substitution_rate": rate(~review & ~(read & right), digit),
        "reject_rate": rate(review, digit),
        "blanks": int(blank.sum()),
        "blank_correct_rate": rate(status == "blank", blank),
        "blank_as_digit_rate": rate(read, blank),
        "not_digits": int(other.sum()),
        "not_digit_accepted_rate": rate(read, other),
    }


def confidences(
    truth: NDArray[np.int64], readings: Sequence[BoxReading]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(confidence, right), each (M,), of the crops in which a digit was seen, whatever they hold.

    Empty boxes read as empty are left out: they would make any reader look well calibrated.
    """
    seen = np.array([reading.value != "" for reading in readings], bool)
    confidence = np.array([reading.confidence for reading in readings])[seen]
    value = _values(readings)[seen]
    return confidence, value == truth[seen].astype(np.str_)


def _calibration_error(truth: NDArray[np.int64], readings: Sequence[BoxReading]) -> float | None:
    confidence, right = confidences(truth, readings)
    return reliability(confidence, right).error if len(right) else None


_COLUMNS = (
    ("digits right", "accuracy", "digits"),
    ("accepted+right", "accepted_correct_rate", "digits"),
    ("substituted", "substitution_rate", "digits"),
    ("to review", "reject_rate", "digits"),
    ("empty as empty", "blank_correct_rate", "blanks"),
    ("empty as digit", "blank_as_digit_rate", "blanks"),
    ("other accepted", "not_digit_accepted_rate", "not_digits"),
)


def boxes_text(scores: dict[str, Any], *, what: str = "digits") -> str:
    """The scores as a table in percent with 95 % intervals (Wilson), a row a group; `what` the boxes hold."""
    rows = {**scores["groups"], "all": scores} if len(scores["groups"]) > 1 else {"all": scores}
    width = max(len("paper"), *map(len, rows))
    head = f"{'paper':<{width}} {what:>7} {'empty':>6} {'other':>6}"
    lines = [head + "".join(f" {name:>20}" for name, _, _ in _COLUMNS)]
    for name, row in rows.items():
        counts = f"{row['digits']:>7} {row['blanks']:>6} {row['not_digits']:>6}"
        cells = "".join(f" {_cell(row[key], row[total]):>20}" for _, key, total in _COLUMNS)
        lines.append(f"{name:<{width}} {counts}{cells}")
    return "\n".join(lines) + "\n"


def _cell(rate: float | None, total: int) -> str:
    if rate is None:
        return "-"
    low, high = wilson(round(rate * total), total)
    return f"{100 * rate:.2f} ({100 * low:.2f}-{100 * high:.2f})"
