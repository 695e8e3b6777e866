"""pages.csv: of several pages a pupil, which scan is which page of whom, and which are missing or double."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from omrgrade.grading import NOT_COUNTED
from omrgrade.outputs.csvtext import csv_bytes
from omrgrade.outputs.results import Cell, Results
from omrgrade.records import Sheet

COLUMNS = ("student_id", "name", "template", "status", "source", "page", "problem")
_OF_ALL = ("unknown_student", "duplicate_student", "out_of_order")
"""Statuses of a sheet that are those of each of its pages."""


def rows(results: Results) -> Iterator[Sequence[Cell]]:
    """A row a page of each sheet, also one that is missing; then scans that are no page of anybody's.

    Status: ok, missing, double, left_out (somebody said so), unassigned (in doubt whose), the sheet's own
    where it is that of all its pages, or the scan's own, e.g. unreadable.
    """
    names = {pupil.student_id: pupil.name for pupil in results.roster.pupils} if results.roster else {}
    strays = []
    for sheet in results.batch.sheets:
        whose = (sheet.marks.student_id, names.get(sheet.marks.student_id, ""))
        if sheet.marks.status in NOT_COUNTED or not (sheet.marks.student_id or len(sheet.pages) > 1):
            strays.append(sheet)
            continue
        for name, status, scan in _of_sheet(results, sheet):
            marks = results.batch.marks[scan] if scan is not None else None
            where: tuple[Cell, Cell] = (marks.source, marks.page) if marks else (None, None)
            problem = "" if status == "ok" else sheet.marks.problem
            yield (*whose, name, status, *where, problem)
    for sheet in strays:
        marks = sheet.marks
        status = marks.status if marks.status in NOT_COUNTED else "unassigned"
        problem = marks.problem or "whose page this is, is in doubt"
        yield (marks.student_id, "", sheet.templates[0], status, marks.source, marks.page, problem)


def _of_sheet(results: Results, sheet: Sheet) -> Iterator[tuple[str, str, int | None]]:
    """(template, status, place of the scan) of every page that a sheet has or should have."""
    read = dict(zip(sheet.pages, sheet.templates, strict=True))
    for page in results.template.pages:
        scans = [scan for scan in sheet.pages if read[scan] == page.name]
        if not scans:
            yield page.name, "left_out" if sheet.complete else "missing", None
        for scan in scans:
            odd = sheet.marks.status if sheet.marks.status in _OF_ALL else "ok"
            yield page.name, "double" if len(scans) > 1 else odd, scan


def render(results: Results) -> Iterator[tuple[str, bytes | None]]:
    """The file; none where every page is a sheet of its own, not even an older one."""
    yield "pages.csv", csv_bytes(COLUMNS, rows(results)) if results.template.pages else None
