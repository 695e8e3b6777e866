"""review.csv: what to look at first. Pages with a problem on top, then readings, least sure first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from omrgrade.grading import NOT_COUNTED
from omrgrade.outputs.csvtext import csv_bytes
from omrgrade.outputs.results import Cell, Results, in_doubt, page_doubt

COLUMNS = ("source", "page", "student_id", "field", "value", "confidence", "runner_up", "reason")
_WORST_FIRST = (
    "unreadable", "unknown_student", "duplicate_student", "missing_page", "double_page", "out_of_order",
    "duplicate_page",
)  # fmt: skip


def rows(results: Results) -> Iterator[Sequence[Cell]]:
    """Problems and doubts of whole pages (no field), then doubtful readings of the pages that count."""
    troubled = [sheet for sheet in results.batch.rows if sheet.status in _WORST_FIRST]
    for sheet in sorted(troubled, key=lambda sheet: _WORST_FIRST.index(sheet.status)):
        yield (sheet.source, sheet.page, sheet.student_id, None, None, None, None, sheet.problem)
    doubts: list[tuple[float, Sequence[Cell]]] = []  # not the pages themselves, which may not fit in memory
    for page, marks in results.sheets():
        if marks.status in NOT_COUNTED:
            continue
        if doubt := page_doubt(page):
            yield (page.source, page.page, marks.student_id, None, None, None, None, doubt)
        for reading in in_doubt(page):
            said = (reading.field, reading.value, reading.confidence, reading.runner_up, reading.reason)
            doubts.append((reading.confidence, (page.source, page.page, marks.student_id, *said)))
    yield from (row for _, row in sorted(doubts, key=lambda entry: entry[0]))


def render(results: Results) -> Iterator[tuple[str, bytes]]:
    """The file."""
    yield "review.csv", csv_bytes(COLUMNS, rows(results), {"confidence": ".4f"})
