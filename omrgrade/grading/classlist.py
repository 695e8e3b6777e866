"""A class list's page: each row's value belongs to a pupil of the roster, by place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from omrgrade.records import FieldReading, PageReading, Pupil, Roster, Template


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One row of a class list."""

    row: int  # on its page, from 1
    pupil: Pupil | None  # None: nobody knows
    reading: FieldReading
    problem: str = ""  # why nobody knows the pupil


def is_class_list(template: Template) -> bool:
    """Whether the sheet has a row a pupil."""
    return any(field.row for field in template.fields)


def class_rows(page: PageReading, template: Template, roster: Roster | None) -> Iterator[Row]:
    """The rows of a page that was read, in sheet order, those without a pupil and a mark left out."""
    readings = {reading.field: reading for reading in page.fields}
    count = max((field.row for field in template.fields), default=0)
    first, problem = _first(readings, template, roster, count)
    for field in template.fields:
        if not field.row or field.id not in readings:
            continue
        place = None if first is None or roster is None else first + field.row - 1
        pupil = roster.pupils[place] if roster and place is not None and place < len(roster.pupils) else None
        if pupil is None and readings[field.id].status == "blank":
            continue
        reason = problem or ("" if pupil or roster is None else "the roster has no pupil for this row")
        yield Row(row=field.row, pupil=pupil, reading=readings[field.id], problem=reason)


def absent_from_list(pages: Iterable[PageReading], template: Template, roster: Roster) -> tuple[Pupil, ...]:
    """Pupils of whom no row says anything, in roster order."""
    present = {
        row.pupil.student_id
        for page in pages
        for row in class_rows(page, template, roster)
        if row.pupil and row.reading.status != "blank"
    }
    return tuple(pupil for pupil in roster.pupils if pupil.student_id not in present)


def _first(
    readings: dict[str, FieldReading], template: Template, roster: Roster | None, count: int
) -> tuple[int | None, str]:
    """Place on the roster of a page's first row, from 0; None with the reason where that is not known."""
    if roster is None:
        return None, ""
    part = next((field for field in template.fields if field.part), None)
    if part is None:
        return 0, ""
    reading = readings.get(part.id)
    if reading and reading.status == "read" and reading.value in part.options:
        return part.options.index(reading.value) * count, ""
    if len(roster.pupils) <= count:
        return 0, ""
    return None, f"which part of the list this is, is not clear in {part.id!r}"
