"""Readings and a key become marks. A doubtful reading is never scored: it waits, neither right nor wrong."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

from omrgrade.grading.marker import NOT_COUNTED, Marker, claimed_twice
from omrgrade.grading.register import register_of
from omrgrade.grading.scoring import cross_check, score_field
from omrgrade.records import AnswerKey, FieldReading, PageReading, Pupil, Roster, SheetMarks, Template

__all__ = [
    "NOT_COUNTED",
    "absent_pupils",
    "confirm_pupils",
    "cross_check",
    "mark_sheets",
    "score_field",
    "suggest_pupils",
]


# ---------------------------------------------------------------- whose sheet it is


SURE = 0.999
"""A doubtful student number is accepted when, given the roster, it is the pupil's with this probability."""


def confirm_pupils(page: PageReading, template: Template, roster: Roster) -> PageReading:
    """The page with a student number accepted whose doubtful digits the roster leaves no doubt about.

    Only what was read is accepted, nothing is changed into a pupil's number. To be done before numbers are
    compared with one another: a contradiction is another doubt.
    """
    register = register_of(roster)
    named = _numbers(template)

    def confirmed(reading: FieldReading) -> FieldReading:
        if reading.field not in named or reading.status != "review" or reading.settled:
            return reading
        if not any(box.status == "review" for box in reading.boxes):
            return reading
        sureness = register.sureness(reading)
        if sureness < SURE:
            return reading
        return dataclasses.replace(reading, status="read", reason="", confidence=sureness)

    return dataclasses.replace(page, fields=tuple(confirmed(reading) for reading in page.fields))


def suggest_pupils(page: PageReading, template: Template, roster: Roster) -> PageReading:
    """The page with the roster's likeliest number beside each doubtful or unknown student number.

    Only the runner-up is set, never the value: what was written stays what was read.
    """
    register = register_of(roster)
    named = _numbers(template)

    def suggested(reading: FieldReading) -> FieldReading:
        if reading.field not in named or not reading.value:
            return reading
        if reading.status == "read" and register.find(reading.value):
            return reading
        nearest = [p.student_id for p in register.nearest(reading) if p.student_id != reading.value]
        return dataclasses.replace(reading, runner_up=nearest[0]) if nearest else reading

    return dataclasses.replace(page, fields=tuple(suggested(reading) for reading in page.fields))


def _numbers(template: Template) -> set[str]:
    """The fields that carry the whole student number; none if it is in several parts."""
    alone = [f for f in template.identifiers if f.kind != "choice" and not f.same_as]
    if len(alone) != 1:
        return set()
    return {alone[0].id, *(f.id for f in template.identifiers if f.same_as == alone[0].id)}


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
    markers = {name: Marker(used, key, register) for name, used in templates.items()}
    marks: list[SheetMarks] = []
    originals: dict[str, SheetMarks] = {}  # by their pixels
    for page in pages:
        checked = cross_check(page, templates.get(page.template, template))
        original = originals.get(page.digest) if page.digest and not page.aside else None
        marks.append(markers.get(page.template, markers[""]).mark(checked, original))
        if page.digest and not page.aside:
            originals.setdefault(page.digest, marks[-1])
    return claimed_twice(marks)


def absent_pupils(marks: Iterable[SheetMarks], roster: Roster | None) -> tuple[Pupil, ...]:
    """Pupils on the roster of whom no sheet is known, in roster order."""
    present = {sheet.student_id for sheet in marks if sheet.status not in NOT_COUNTED}
    return tuple(pupil for pupil in roster.pupils if pupil.student_id not in present) if roster else ()
