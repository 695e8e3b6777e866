"""What one field earns, and what fields that carry the same value say together."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache

from omrgrade.grading.register import without_zeros
from omrgrade.records import FieldReading, ItemScore, KeyItem, Outcome, PageReading, Template

PRINTED = "barcode"
"""Kind of the fields that were printed with the pupil's number: they decide, whatever is written."""

# ---------------------------------------------------------------- one item


def score_field(reading: FieldReading, item: KeyItem) -> ItemScore:
    """What a reading earns: review and blank earn 0, the penalty is for wrong answers only.

    Choices are compared as sets of marks, everything else as numbers where both sides are numbers (007 = 7).
    """
    outcome: Outcome
    if reading.status == "review":
        outcome, points = "unresolved", 0.0
    elif reading.status == "blank":
        outcome, points = "omitted", 0.0
    elif any(_is_right(reading, answer, item.tolerance) for answer in item.answers):
        outcome, points = "correct", item.points
    else:
        outcome, points = "incorrect", 0.0 - item.penalty
    return ItemScore(
        item=item.item,
        outcome=outcome,
        points=points,
        max_points=item.points,
        answer="|".join(item.answers),
    )


def _is_right(reading: FieldReading, answer: str, tolerance: float) -> bool:
    if reading.value.casefold() == answer.casefold():
        return True
    if reading.kind == "choice":
        return _marks(reading.value) == _marks(answer)
    value, right = _number(reading.value), _number(answer)
    # str first: Fraction(0.1) is not 0.1, and a difference of just 0.1 must count as within 0.1
    return value is not None and right is not None and abs(value - right) <= Fraction(str(tolerance))


def _marks(text: str) -> frozenset[str]:
    """The set of bubbles in ``A+C``."""
    return frozenset(label.casefold() for label in text.split("+"))


@lru_cache(maxsize=10_000)  # a class gives the same few answers
def _number(text: str) -> Fraction | None:
    """A whole number, one with a decimal point, or a fraction such as 3/4."""
    if len(text.casefold().partition("e")[2]) > 3:  # 1e999999999 would fill the memory
        return None
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        return None


# ---------------------------------------------------------------- fields that say the same thing twice


_NO_VERSION = "which version of the sheet this is, is not marked"


def cross_check(page: PageReading, template: Template) -> PageReading:
    """The page with every pair of contradicting fields (`Field.same_as`) put under review, both values shown.

    Doing it twice changes nothing more.
    """
    fields = {reading.field: reading for reading in page.fields}
    for field in template.fields:
        said = fields.get(field.id)
        if field.version and said and said.status == "blank" and not said.settled:
            fields[field.id] = dataclasses.replace(said, status="review", reason=_NO_VERSION, confidence=0.0)
        one, two = fields.get(field.same_as), fields.get(field.id)
        if one is None or two is None or two.status != "read":
            continue
        if one.status == "read" and not _same(one.value, two.value):
            fields[one.field] = _contradicted(one, two)
            if two.kind != PRINTED:
                fields[two.field] = _contradicted(two, one)
        elif one.status == "review" and two.kind == PRINTED and _same(one.value, two.value):
            fields[one.field] = dataclasses.replace(one, status="read", reason="", runner_up="")
    if all(fields[reading.field] is reading for reading in page.fields):
        return page
    return dataclasses.replace(page, fields=tuple(fields[reading.field] for reading in page.fields))


def _contradicted(reading: FieldReading, other: FieldReading) -> FieldReading:
    """Only one of the two can be right: the probability is shared between them."""
    certainty = reading.confidence + other.confidence
    return dataclasses.replace(
        reading,
        status="review",
        reason=f"{reading.field} says {reading.value}, {other.field} says {other.value}",
        runner_up=other.value,
        confidence=reading.confidence / certainty if certainty else 0.0,
    )


def _same(one: str, two: str) -> bool:
    return one == two or without_zeros(one) == without_zeros(two) or _marks(one) == _marks(two)


def agreed(readings: Sequence[FieldReading]) -> FieldReading:
    """What fields carrying the same value say together.

    A blank one adds nothing. A doubtful one leaves the whole in doubt, unless its best guess is just what the
    other says for certain. A barcode that was read decides; one that was not leaves it to the others.
    """
    printed = [reading for reading in readings if reading.kind == PRINTED]
    if certain := [reading for reading in printed if reading.status == "read"]:
        return certain[0]
    readings = [r for r in readings if r.kind != PRINTED and r.status != "blank"] or readings
    written = [reading for reading in readings if reading.status != "blank"]
    certain = [reading for reading in written if reading.status == "read"]
    if certain and all(_same(reading.value, certain[0].value) for reading in written):
        return certain[0]
    doubtful = [reading for reading in written if reading.status == "review"]
    return (doubtful or written or readings)[0]
