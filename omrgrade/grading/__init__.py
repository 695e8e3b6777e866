"""Readings and a key become marks. A doubtful reading is never scored: it waits, neither right nor wrong."""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

from omrgrade.grading.register import Register, register_of, without_zeros
from omrgrade.records import (
    AnswerKey,
    FieldReading,
    ItemScore,
    KeyItem,
    Outcome,
    PageReading,
    Pupil,
    Roster,
    SheetMarks,
    Template,
)

NOT_COUNTED = frozenset({"unreadable", "duplicate_page", "set_aside"})
"""Statuses of pages that earn no marks and do not enter a mean."""


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


def _agreed(readings: Sequence[FieldReading]) -> FieldReading:
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


# ---------------------------------------------------------------- whose sheet it is


def suggest_pupils(page: PageReading, template: Template, roster: Roster) -> PageReading:
    """The page with the roster's likeliest number beside each doubtful or unknown student number.

    Only the runner-up is set, never the value: what was written stays what was read.
    """
    register = register_of(roster)
    alone = [f for f in template.identifiers if f.kind != "choice" and not f.same_as]
    if len(alone) != 1:
        return page  # a number in several parts is not one of the roster's
    named = {alone[0].id, *(f.id for f in template.identifiers if f.same_as == alone[0].id)}

    def suggested(reading: FieldReading) -> FieldReading:
        if reading.field not in named or not reading.value:
            return reading
        if reading.status == "read" and register.find(reading.value):
            return reading
        nearest = [p.student_id for p in register.nearest(reading) if p.student_id != reading.value]
        return dataclasses.replace(reading, runner_up=nearest[0]) if nearest else reading

    return dataclasses.replace(page, fields=tuple(suggested(reading) for reading in page.fields))


# ---------------------------------------------------------------- sheets


def mark_sheets(
    pages: Iterable[PageReading],
    template: Template,
    key: AnswerKey | None = None,
    roster: Roster | None = None,
    others: Mapping[str, Template] | None = None,
) -> tuple[SheetMarks, ...]:
    """One row of marks a page, in page order. Nothing is dropped: what is wrong with a page is its status.

    A total never falls below 0, however many penalties. A page whose pixels were seen before is not counted.
    others: templates by name, for pages read with another one (`PageReading.template`).
    """
    templates = {"": template, **(others or {})}
    register = register_of(roster) if roster else None
    markers = {name: _Marker(used, key, register) for name, used in templates.items()}
    marks: list[SheetMarks] = []
    originals: dict[str, SheetMarks] = {}  # by their pixels
    for page in pages:
        checked = cross_check(page, templates.get(page.template, template))
        original = originals.get(page.digest) if page.digest and not page.aside else None
        marks.append(markers.get(page.template, markers[""]).mark(checked, original))
        if page.digest and not page.aside:
            originals.setdefault(page.digest, marks[-1])
    owners = defaultdict(list)
    for sheet in marks:
        if sheet.student_id and sheet.status not in NOT_COUNTED:
            owners[sheet.student_id].append(sheet)
    return tuple(
        _claimed_twice(sheet, owners[sheet.student_id]) if len(owners[sheet.student_id]) > 1 else sheet
        for sheet in marks
    )


def absent_pupils(marks: Iterable[SheetMarks], roster: Roster | None) -> tuple[Pupil, ...]:
    """Pupils on the roster of whom no sheet is known, in roster order."""
    present = {sheet.student_id for sheet in marks if sheet.status not in NOT_COUNTED}
    return tuple(pupil for pupil in roster.pupils if pupil.student_id not in present) if roster else ()


class _Marker:
    """What marking one page needs, worked out once a batch."""

    def __init__(self, template: Template, key: AnswerKey | None, register: Register | None) -> None:
        self._register = register
        self._known: dict[ItemScore, ItemScore] = {}
        self._identifiers = [f for f in template.identifiers if not f.same_as and f.kind != "choice"]
        self._versions = key.versions if key else ()
        self._version_field = next((f.id for f in template.fields if f.version), "")
        self._items = {
            version: _in_sheet_order(key.of_version(version), template) if key else []
            for version in self._versions or ("",)
        }
        self._maximum = round(key.total, 9) if key else 0.0
        groups: dict[str, list[str]] = defaultdict(list)
        for field in template.fields:
            groups[field.same_as or field.id].append(field.id)
        self._twins = {field.id: groups[field.same_as or field.id] for field in template.fields}

    def mark(self, page: PageReading, copy_of: SheetMarks | None) -> SheetMarks:
        """The page's row; `copy_of` is the row of the earlier page with the same pixels."""
        row = SheetMarks(
            source=page.source,
            page=page.page,
            student_id="",
            status="unreadable",
            problem=page.problem,
            scores=(),
            total=0.0,
            maximum=self._maximum,
            to_review=0,
        )
        if page.aside:
            problem = f"set aside by hand: {page.problem}" if page.problem else "set aside by hand"
            return dataclasses.replace(row, status="set_aside", problem=problem)
        if page.problem:
            return row
        if copy_of:
            problem = f"the same page as {_place(copy_of)}, not counted"
            return dataclasses.replace(row, status="duplicate_page", problem=problem)
        fields = {reading.field: reading for reading in page.fields}
        # An item has a handful of outcomes: a hundred thousand sheets share them.
        scores = tuple(self._known.setdefault(score, score) for score in self._scores(fields))
        to_review = sum(reading.status == "review" for reading in page.fields)
        student_id, problem = self._identify(fields)
        return dataclasses.replace(
            row,
            student_id=student_id,
            status="unknown_student" if problem else "review" if to_review else "ok",
            problem=problem,
            scores=scores,
            # fsum and rounding: thirty times 0.1 is 3
            total=min(max(round(math.fsum(score.points for score in scores), 9), 0.0), self._maximum),
            to_review=to_review,
        )

    def _scores(self, fields: Mapping[str, FieldReading]) -> tuple[ItemScore, ...]:
        """What the items earn; all that the versions tell apart waits while the sheet's is not known."""
        version = ""
        if self._versions:
            said = self._agreed(fields, self._version_field)
            version = said.value if said.status == "read" else ""
        if version in self._items:
            return tuple(score_field(self._agreed(fields, i.item), i) for i in self._items[version])
        return tuple(
            score_field(self._agreed(fields, item.item) if not item.version else _NOT_READ, item)
            for item in self._items[self._versions[0]]
        )

    def _agreed(self, fields: Mapping[str, FieldReading], field_id: str) -> FieldReading:
        """What a field and those carrying the same value say; in doubt if the page has none of them."""
        readings = [fields[twin] for twin in self._twins[field_id] if twin in fields]
        return _agreed(readings) if readings else dataclasses.replace(_NOT_READ, field=field_id)

    def _identify(self, fields: Mapping[str, FieldReading]) -> tuple[str, str]:
        """(student id, problem in words); no id and no problem when the number is in doubt.

        Several identifiers (class and number) are joined by a hyphen, in sheet order; choices (a version)
        are no part of it.
        """
        parts = [self._agreed(fields, field.id) for field in self._identifiers]
        if not parts or any(part.status == "review" for part in parts):
            return "", ""
        number = "-".join(part.value for part in parts if part.value)
        if not number:
            return "", "no student number on the sheet"
        if self._register is None:
            return number, ""
        if known := self._register.find(number):
            return known, ""
        problem = f"student number {number} is not on the roster"
        if len(parts) == 1 and (nearest := self._register.nearest(parts[0])):
            problem += f"; nearest: {', '.join(f'{p.student_id} {p.name}'.strip() for p in nearest)}"
        return number, problem


def _in_sheet_order(items: Sequence[KeyItem], template: Template) -> list[KeyItem]:
    keyed = {item.item: item for item in items}
    return [keyed[field.id] for field in template.fields if field.id in keyed]


_NOT_READ = FieldReading(field="", kind="", value="", confidence=0.0, status="review", reason="not read")


def _claimed_twice(sheet: SheetMarks, owners: Sequence[SheetMarks]) -> SheetMarks:
    if sheet.status in NOT_COUNTED:
        return sheet
    others = [_place(other) for other in owners if other is not sheet]
    more = f" and {len(others) - 3} more" if len(others) > 3 else ""
    problem = f"student number {sheet.student_id} also stands on {', '.join(others[:3])}{more}"
    if sheet.status == "unknown_student":
        return dataclasses.replace(sheet, problem=f"{sheet.problem}; {problem}")
    return dataclasses.replace(sheet, status="duplicate_student", problem=problem)


def _place(page: PageReading | SheetMarks) -> str:
    return f"{page.source} page {page.page}"
