"""review.csv: what to look at first. Pages with a problem on top, then readings, least sure first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import cast

from omrgrade.grading import NOT_COUNTED
from omrgrade.outputs.csvtext import csv_chunks
from omrgrade.outputs.gathering import gathered
from omrgrade.outputs.results import Cell, Results

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
    for marks in results.batch.marks:
        if marks.doubt and marks.status not in NOT_COUNTED:
            yield (marks.source, marks.page, marks.student_id, None, None, None, None, marks.doubt)
    yield from sorted(gathered(results).doubts, key=_confidence)


def _confidence(row: Sequence[Cell]) -> float:
    return cast(float, row[COLUMNS.index("confidence")])


def render(results: Results) -> Iterator[tuple[str, Iterable[bytes]]]:
    """The file."""
    yield "review.csv", csv_chunks(COLUMNS, rows(results), {"confidence": ".4f"})
