"""marklist.csv: a row a pupil, from a class list."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from omrgrade.grading import NOT_COUNTED
from omrgrade.grading.classlist import class_rows, is_class_list
from omrgrade.outputs.csvtext import csv_bytes
from omrgrade.outputs.results import Cell, Results

COLUMNS = ("source", "page", "row", "student_id", "name", "field", "value", "confidence", "status", "reason")


def rows(results: Results) -> Iterator[Sequence[Cell]]:
    """Each row of each page that counts; a value under review has a reason and is not to be taken over."""
    for page, marks in results.sheets():
        if marks.status in NOT_COUNTED:
            continue
        for row in class_rows(page, results.template, results.roster):
            reading, pupil = row.reading, row.pupil
            status = "review" if row.problem else reading.status
            yield (
                page.source,
                page.page,
                row.row,
                pupil.student_id if pupil else "",
                pupil.name if pupil else "",
                reading.field,
                reading.value,
                reading.confidence,
                status,
                "; ".join(filter(None, (row.problem, reading.reason))),
            )


def render(results: Results) -> Iterator[tuple[str, bytes | None]]:
    """The file; none for other sheets, not even an older one."""
    listed = is_class_list(results.template)
    yield "marklist.csv", csv_bytes(COLUMNS, rows(results), {"confidence": ".4f"}) if listed else None
