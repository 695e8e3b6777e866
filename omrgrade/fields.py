"""Box readings -> field readings. One function a kind of field; KINDS names them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from math import prod

from omrgrade.records import BoxReading, Field, FieldReading, Status

Boxes = Sequence[BoxReading]


def combine_digits(field: Field, boxes: Boxes) -> FieldReading:
    """A number written one digit a box: left- or right-aligned, but without a gap inside."""
    value = "".join(box.value for box in boxes)
    doubts = [f"box {n}: {box.reason}" for n, box in enumerate(boxes, 1) if box.status == "review"]
    written = [box.status != "blank" for box in boxes]
    if not doubts and True in written:
        first, last = written.index(True), len(written) - 1 - written[::-1].index(True)
        if not all(written[first : last + 1]):
            doubts = ["an empty box inside the number"]
        elif field.role == "identifier" and not all(written):
            doubts = ["not every box is filled"]
    return _reading(field, boxes, value, _joint(boxes), "; ".join(doubts), _runner_up(boxes))


def combine_number(field: Field, boxes: Boxes) -> FieldReading:
    """A whole number in one wide box, or one barcode, read as a whole."""
    (box,) = boxes
    return _reading(field, boxes, box.value, box.confidence, box.reason, box.runner_up)


def combine_choice(field: Field, boxes: Boxes) -> FieldReading:
    """One question's bubbles: none, one, or (where the template allows it) several."""
    marked = [box for box in boxes if box.status == "read"]
    doubtful = sorted((box for box in boxes if box.status == "review"), key=lambda box: -box.confidence)
    guess = list(marked)
    if field.multiple:
        guess += [box for box in doubtful if box.confidence >= 0.5]
    if not guess:
        guess = doubtful[:1]
    reasons = [f"{box.value}: {box.reason}" for box in boxes if box.status == "review"]
    if len(marked) > 1 and not field.multiple:
        reasons.append(f"several marks: {', '.join(box.value for box in marked)}")
    left_out = [box for box in doubtful if box not in guess]
    confidence = _joint([box for box in boxes if box not in left_out])
    confidence *= prod(1 - box.confidence for box in left_out)
    value = "+".join(box.value for box in boxes if box in guess)
    runner_up = left_out[0].value if left_out else ""
    return _reading(field, boxes, value, confidence, "; ".join(reasons), runner_up)


def combine_grid(field: Field, boxes: Boxes) -> FieldReading:
    """A number as columns of bubbles, one mark a column; where the field allows it, none."""
    left = iter(boxes)
    columns = [tuple(islice(left, len(labels))) for labels in field.bubble_columns]
    readings = [combine_choice(field, column) for column in columns]
    doubts = [f"column {n}: {reading.reason}" for n, reading in enumerate(readings, 1) if reading.reason]
    marks = [reading.value for reading in readings]
    if not doubts and (empty := _empty_columns(field, marks)):
        doubts = [f"no mark in column {', '.join(str(n) for n in empty)}"]
    value = "".join(f"[{mark}]" if "+" in mark else mark for mark in marks)
    confidence = prod(reading.confidence for reading in readings)
    return _reading(field, boxes, value, confidence, "; ".join(doubts), "")


def _empty_columns(field: Field, marks: Sequence[str]) -> list[int]:
    """The columns (from 1) that lack a mark they should have."""
    marked = [n for n, mark in enumerate(marks, 1) if mark]
    if not marked or field.empty == "any":
        return []
    inner = range(marked[0], marked[-1]) if field.empty == "ends" else range(1, len(marks) + 1)
    return [n for n in inner if n not in marked]


KINDS: dict[str, Callable[[Field, Boxes], FieldReading]] = {
    "digits": combine_digits,
    "number": combine_number,
    "choice": combine_choice,
    "grid": combine_grid,
    "barcode": combine_number,
}


def _joint(boxes: Boxes) -> float:
    """All boxes are right only if each is."""
    return prod(box.confidence for box in boxes)


def _runner_up(boxes: Boxes) -> str:
    """The number with its least sure digit replaced by that box's runner-up."""
    written = [n for n, box in enumerate(boxes) if box.runner_up]
    if not written:
        return ""
    weakest = min(written, key=lambda n: boxes[n].confidence)
    return "".join(box.runner_up if n == weakest else box.value for n, box in enumerate(boxes))


def _reading(
    field: Field, boxes: Boxes, value: str, confidence: float, reason: str, runner_up: str
) -> FieldReading:
    status: Status = "review" if reason else "read" if value else "blank"
    return FieldReading(
        field=field.id,
        kind=field.kind,
        value=value,
        confidence=confidence,
        status=status,
        reason=reason,
        runner_up=runner_up,
        boxes=tuple(boxes),
    )
