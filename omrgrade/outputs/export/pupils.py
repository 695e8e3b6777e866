"""Who gets which mark; pupils without one and marks without a pupil are listed with the reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from omrgrade.grading import NOT_COUNTED
from omrgrade.outputs.results import Results
from omrgrade.records import SheetMarks

_SURE = frozenset({"ok", "review"})
"""Statuses of sheets whose pupil is known."""
_GAPS = ("missing_page", "double_page", "out_of_order")
"""Statuses of sheets of which a page is not there, or not surely."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PupilMark:
    """One pupil's mark."""

    student_id: str
    name: str
    sheet: SheetMarks

    @property
    def points(self) -> float:
        """Points earned; while answers await review, at least so many."""
        return self.sheet.total


@dataclass(frozen=True, kw_only=True, slots=True)
class Unmatched:
    """A pupil without a mark, or a mark without a pupil, and why."""

    who: str  # a pupil's number and name, or a page
    reason: str
    student_id: str = ""  # as it stands on the roster or was read
    name: str = ""
    sheet: SheetMarks | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Marked:
    """A class with its marks."""

    marks: tuple[PupilMark, ...]  # in roster order; without a roster in page order
    without_mark: tuple[Unmatched, ...]
    without_pupil: tuple[Unmatched, ...]
    maximum: float

    def by_id(self) -> Mapping[str, PupilMark]:
        """Marks by student number."""
        return {mark.student_id: mark for mark in self.marks}


def marked(results: Results) -> Marked:
    """Every pupil's mark. A pupil with two sheets has none until somebody has said which one counts."""
    sure = {m.student_id: m for m in results.batch.rows if m.status in _SURE and m.student_id}
    pupils = results.roster.pupils if results.roster else ()
    names = {pupil.student_id: pupil.name for pupil in pupils}
    order = [p.student_id for p in pupils if p.student_id in sure] or list(sure)
    return Marked(
        marks=tuple(PupilMark(student_id=n, name=names.get(n, ""), sheet=sure[n]) for n in order),
        without_mark=tuple(_without_mark(results, sure)),
        without_pupil=tuple(_without_pupil(results)),
        maximum=max((m.maximum for m in results.batch.rows), default=0.0),
    )


def _without_mark(results: Results, sure: Mapping[str, SheetMarks]) -> Iterator[Unmatched]:
    claimed = {m.student_id: m for m in results.batch.rows if m.status in ("duplicate_student", *_GAPS)}
    for pupil in results.roster.pupils if results.roster else ():
        if pupil.student_id not in sure:
            sheet = claimed.get(pupil.student_id)
            why = sheet.problem if sheet and sheet.status in _GAPS else "several sheets bear this number"
            yield Unmatched(
                who=f"{pupil.student_id} {pupil.name}".strip(),
                reason=why if sheet else "no sheet",
                student_id=pupil.student_id,
                name=pupil.name,
            )


def _without_pupil(results: Results) -> Iterator[Unmatched]:
    gaps = results.batch.gaps
    pupils = {pupil.student_id for pupil in results.roster.pupils} if results.roster else set()
    for sheet in results.batch.rows:
        if sheet.status in _GAPS and sheet.student_id in pupils:
            continue  # its pupil is listed, with the reason
        unread = sheet.status == "unreadable"
        if (sheet.status in NOT_COUNTED and not unread) or (sheet.status in _SURE and sheet.student_id):
            continue
        yield Unmatched(
            who=f"{sheet.source} page {sheet.page}",
            reason=sheet.problem or "the student number is in doubt",
            student_id=sheet.student_id,
            sheet=None if (sheet.source, sheet.page) in gaps else sheet,
        )
