"""Box readings -> field readings. One function a kind of field; KINDS names them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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


def combine_choice(field: Field, boxes: Boxes) -> FieldReading:
    """One question's bubbles: none, one, or (where the template allows it) several."""
    marked = [box.value for box in boxes if box.status == "read"]
    partly = [box.value for box in boxes if box.status == "review"]
    reason = ""
    if partly:
        reason = f"partly filled: {', '.join(partly)}"
    elif len(marked) > 1 and not field.multiple:
        reason = f"several marks: {', '.join(marked)}"
    value = "+".join(box.value for box in boxes if box.value)
    if partly and marked and not field.multiple:
        value = "+".join(marked)  # the best guess leaves the fainter marks out
    return _reading(field, boxes, value, _joint(boxes), reason, _likeliest(partly, marked))


def combine_grid(field: Field, boxes: Boxes) -> FieldReading:
    """A number as columns of bubbles, one mark a column."""
    size = len(field.options)
    columns = [boxes[start : start + size] for start in range(0, len(boxes), size)]
    readings = [combine_choice(field, column) for column in columns]
    doubts = [f"column {n}: {reading.reason}" for n, reading in enumerate(readings, 1) if reading.reason]
    marks = [reading.value for reading in readings]
    if not doubts and any(marks) and not all(marks):
        empty = [str(n) for n, mark in enumerate(marks, 1) if not mark]
        doubts = [f"no mark in column {', '.join(empty)}"]
    value = "".join(mark if len(mark) < 2 else f"[{mark}]" for mark in marks)
    return _reading(field, boxes, value, _joint(boxes), "; ".join(doubts), "")


KINDS: dict[str, Callable[[Field, Boxes], FieldReading]] = {
    "digits": combine_digits,
    "choice": combine_choice,
    "grid": combine_grid,
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


def _likeliest(partly: list[str], marked: list[str]) -> str:
    return partly[0] if partly and marked else ""


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
