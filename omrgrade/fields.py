"""Box readings -> field readings. One function a kind of field; KINDS names them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from math import prod

from omrgrade.records import BoxReading, Field, FieldReading, Status

Boxes = Sequence[BoxReading]


def combine_digits(field: Field, boxes: Boxes) -> FieldReading:
    """A number written one digit a box: left- or right-aligned, but without a gap inside."""
    if field.parts or field.decimals:
        return _combine_decimal(field, boxes)
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


def _combine_decimal(field: Field, boxes: Boxes) -> FieldReading:
    """A number with a sign or a decimal point, that in its own box or printed before the last boxes."""
    parts = field.parts or ("digit",) * len(boxes)
    doubts = [f"box {n}: {box.reason}" for n, box in enumerate(boxes, 1) if box.status == "review"]
    sign = "".join(b.value for b, part in zip(boxes, parts, strict=True) if part == "sign").replace("+", "")
    points = [b for b, part in zip(boxes, parts, strict=True) if part == "point"]
    digits = [b for b, part in zip(boxes, parts, strict=True) if part == "digit"]
    whole, behind = digits[: len(digits) - field.decimals], digits[len(digits) - field.decimals :]
    before, after = "".join(b.value for b in whole), "".join(b.value for b in behind)
    if not doubts:
        for group, where in ((whole, "before"), (behind, "behind")):
            written = [b.status != "blank" for b in group]
            if True in written and not all(written[written.index(True) : _last(written) + 1]):
                doubts.append(f"an empty box among the digits {where} the point")
        if after and behind[0].status == "blank":
            doubts.append("an empty box just behind the point")
        if points and bool(points[0].value) != bool(after):
            doubts.append("no point before the decimals" if after else "nothing behind the point")
        if sign and not before + after:
            doubts.append("a sign without a number")
    value = sign + (before or ("0" if after else "")) + (f".{after}" if after else "")
    return _reading(field, boxes, value, _joint(boxes), "; ".join(doubts), "")


def _last(written: Sequence[bool]) -> int:
    return len(written) - 1 - list(reversed(written)).index(True)


def combine_fraction(field: Field, boxes: Boxes) -> FieldReading:
    """A fraction, digit boxes over and under a bar; without anything under it, a whole number."""
    halves = boxes[: field.over], boxes[field.over :]
    plain = replace(field, kind="digits", role="item", over=0)
    above, below = (combine_digits(plain, half) for half in halves)
    places = (("over the bar", above), ("under it", below))
    doubts = [f"{where}: {half.reason}" for where, half in places if half.reason]
    if not doubts and below.value and not above.value:
        doubts = ["nothing over the bar"]
    if not doubts and below.value and not int(below.value):
        doubts = ["a zero under the bar"]
    value = f"{above.value}/{below.value}" if below.value else above.value
    runner_up = ""
    if above.runner_up or below.runner_up:
        first = above.confidence <= below.confidence and bool(above.runner_up)
        pair = (above.runner_up, below.value) if first else (above.value, below.runner_up or below.value)
        runner_up = "/".join(filter(None, pair))
    return _reading(field, boxes, value, _joint(boxes), "; ".join(doubts), runner_up)


def keep_picture(field: Field, boxes: Boxes) -> FieldReading:
    """An area that is not read: its picture is kept for people."""
    return _reading(field, (), "", 1.0, "", "")


def spread(field: Field, value: str, *, right: bool = False) -> tuple[str, ...]:
    """What is written in each box of a "digits" or "fraction" field for a value; "" for nothing.

    right: numbers shorter than their boxes end in the last one. Digits that have no box are left out.
    """
    if field.kind == "fraction":
        above, _, below = value.partition("/")
        under = len(field.boxes) - field.over
        return _aligned(above, field.over, right=right) + _aligned(below, under, right=right)
    parts = field.parts or ("digit",) * len(field.boxes)
    before, _, after = value.removeprefix("-").partition(".")
    count = parts.count("digit")
    figures = iter(
        _aligned(before, count - field.decimals, right=right or bool(field.decimals))
        + _aligned(after, field.decimals, right=False)
    )
    other = {"sign": "-" if value.startswith("-") else "", "point": "." if after else ""}
    return tuple(next(figures) if part == "digit" else other[part] for part in parts)


def _aligned(text: str, count: int, *, right: bool) -> tuple[str, ...]:
    blank = [""] * max(0, count - len(text))
    return tuple([*blank, *text] if right else [*text, *blank])[:count]


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
    "fraction": combine_fraction,
    "picture": keep_picture,
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
