"""One page's marks: what its items earn, and whose it is."""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from omrgrade.grading.register import Register
from omrgrade.grading.scoring import agreed, score_field
from omrgrade.records import (
    AnswerKey,
    FieldReading,
    ItemScore,
    KeyItem,
    PageReading,
    SheetMarks,
    Template,
)

NOT_COUNTED = frozenset({"unreadable", "duplicate_page", "set_aside"})
"""Statuses of pages that earn no marks and do not enter a mean."""


class Marker:
    """What marking one page needs, worked out once a batch."""

    def __init__(self, template: Template, key: AnswerKey | None, register: Register | None) -> None:
        self._register = register
        self._known: dict[tuple[str, str, str, str, str], ItemScore] = {}
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

    def mark(self, page: PageReading, copy_of: SheetMarks | None, version: str | None = None) -> SheetMarks:
        """The page's row; `copy_of` is the row of the earlier page with the same pixels.

        version: of the sheet, as another page of it says, "" if that is not known; None: this page says it.
        """
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
            doubt=page.registration.doubt if page.registration else "",
        )
        if page.aside:
            problem = f"set aside by hand: {page.problem}" if page.problem else "set aside by hand"
            return dataclasses.replace(row, status="set_aside", problem=problem)
        if page.problem:
            return row
        if copy_of:
            problem = f"the same page as {place(copy_of)}, not counted"
            return dataclasses.replace(row, status="duplicate_page", problem=problem)
        fields = {reading.field: reading for reading in page.fields}
        scores = tuple(self._scores(fields, version))
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

    def left_out(self, version: str) -> tuple[ItemScore, ...]:
        """What the items earn of a page that a pupil did not hand in: nothing."""
        items = self._items.get(version) or self._items[(self._versions or ("",))[0]]
        return tuple(score_field(_NOT_THERE, item) for item in items)

    def _scores(self, fields: Mapping[str, FieldReading], version: str | None) -> Iterator[ItemScore]:
        """What the items earn; all that the versions tell apart waits while the sheet's is not known."""
        if not self._versions:
            version = ""
        elif version is None:
            said = self._agreed(fields, self._version_field)
            version = said.value if said.status == "read" else ""
        known = version in self._items
        for item in self._items[version if known else self._versions[0]]:
            yield self._score(
                self._agreed(fields, item.item) if known or not item.version else _NOT_READ, item
            )

    def _score(self, reading: FieldReading, item: KeyItem) -> ItemScore:
        """What a reading earns, worked out once: a hundred thousand sheets give the same few answers."""
        said = (item.item, item.version, reading.kind, reading.status, reading.value)
        if said not in self._known:
            self._known[said] = score_field(reading, item)
        return self._known[said]

    def _agreed(self, fields: Mapping[str, FieldReading], field_id: str) -> FieldReading:
        """What a field and those carrying the same value say; in doubt if the page has none of them."""
        readings = [fields[twin] for twin in self._twins[field_id] if twin in fields]
        if len(readings) == 1:  # nearly all
            return readings[0]
        return agreed(readings) if readings else dataclasses.replace(_NOT_READ, field=field_id)

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
_NOT_THERE = FieldReading(field="", kind="", value="", confidence=1.0, status="blank")


def claimed_twice(rows: Sequence[SheetMarks]) -> tuple[SheetMarks, ...]:
    """The rows, those of one student number flagged where there are several that count."""
    owners = defaultdict(list)
    for row in rows:
        if row.student_id and row.status not in NOT_COUNTED:
            owners[row.student_id].append(row)
    return tuple(_flagged(row, owners[row.student_id]) for row in rows)


def _flagged(row: SheetMarks, owners: Sequence[SheetMarks]) -> SheetMarks:
    if row.status in NOT_COUNTED or len(owners) < 2:
        return row
    others = [place(other) for other in owners if other is not row]
    more = f" and {len(others) - 3} more" if len(others) > 3 else ""
    problem = f"student number {row.student_id} also stands on {', '.join(others[:3])}{more}"
    if row.status == "unknown_student":
        return dataclasses.replace(row, problem=f"{row.problem}; {problem}")
    return dataclasses.replace(row, status="duplicate_student", problem=problem)


def place(page: PageReading | SheetMarks) -> str:
    """Where a page is, in words."""
    return f"{page.source} page {page.page}"
