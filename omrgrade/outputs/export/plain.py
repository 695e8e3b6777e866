"""A row a pupil, as CSV and as Parquet: marks, and who has none, and which marks are nobody's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import BytesIO

from omrgrade.outputs import items as item_tables
from omrgrade.outputs import readings
from omrgrade.outputs.arrow import parquet_parts
from omrgrade.outputs.csvtext import csv_bytes
from omrgrade.outputs.export.pupils import Marked
from omrgrade.outputs.frames import frame
from omrgrade.outputs.results import Cell, Results, scores_by_item
from omrgrade.records import SheetMarks

_TEXTS = ("student_id", "name", "status", "note")
BEFORE = ("student_id", "name", "points", "max", "percent", "status", "note")


def columns(results: Results) -> tuple[str, ...]:
    """The header; an item named like a fixed column, e.g. ``name``, becomes ``item_name``."""
    return (*BEFORE, *(f"item_{item}" if item in BEFORE else item for item in results.scored_items()))


def rows(results: Results, marked: Marked) -> Iterator[Sequence[Cell]]:
    """Pupils in roster order, then pupils without a mark, then marks without a pupil."""
    nothing: tuple[Cell, ...] = (None,) * len(results.scored_items())
    for mark in marked.marks:
        note = f"{mark.sheet.to_review} to review" if mark.sheet.to_review else None
        yield (
            mark.student_id, mark.name, mark.points, mark.sheet.maximum, mark.sheet.percent,
            mark.sheet.status, note, *_points(results, mark.sheet),
        )  # fmt: skip
    for pupil in marked.without_mark:
        yield pupil.student_id, pupil.name, None, None, None, "no_mark", pupil.reason, *nothing
    for stray in marked.without_pupil:
        sheet, note = stray.sheet, f"{stray.who}: {stray.reason}"
        if sheet is None or not sheet.scores:
            yield stray.student_id, None, None, None, None, "no_pupil", note, *nothing
        else:
            total = (sheet.total, sheet.maximum, sheet.percent)
            yield stray.student_id, None, *total, "no_pupil", note, *_points(results, sheet)


def _points(results: Results, sheet: SheetMarks) -> Iterator[Cell]:
    scores = scores_by_item(sheet)
    for item in results.scored_items():
        score = scores.get(item)
        yield None if score is None or score.outcome == "unresolved" else score.points


def csv_file(results: Results, marked: Marked) -> bytes:
    """The rows as CSV."""
    return csv_bytes(columns(results), rows(results, marked), {"percent": ".1f"})


def parquet_files(results: Results, marked: Marked) -> Iterator[tuple[str, Iterator[bytes]]]:
    """marks, readings, items and answers, a table each, with the columns of the CSV files.

    Each must be taken to its end before the next one. The readings come before what is worked out of all
    pages, as that is noted while these are gone through.
    """
    items = dict.fromkeys(columns(results), "float64") | dict.fromkeys(_TEXTS, "string")
    yield "marks.parquet", parquet_parts(columns(results), items, rows(results, marked))
    kinds = {"page": "int64", "confidence": "float64", "points": "float64", "max_points": "float64"}
    yield "readings.parquet", parquet_parts(readings.COLUMNS, kinds, readings.rows(results))
    found = item_tables.statistics(results)
    for name, header, lines in (
        ("items", item_tables.COLUMNS, item_tables.rows(found)),
        ("answers", item_tables.ANSWER_COLUMNS, item_tables.answer_rows(found)),
    ):
        stream = BytesIO()
        frame(header, lines).to_parquet(stream, engine="pyarrow", index=False)
        yield f"{name}.parquet", iter([stream.getvalue()])
