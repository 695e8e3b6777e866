"""marks.csv: a row a sheet; of several pages a pupil one row for all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from omrgrade.grading import NOT_COUNTED
from omrgrade.outputs.csvtext import csv_chunks
from omrgrade.outputs.results import Cell, Results, scores_by_item

BEFORE = ("source", "page", "student_id", "status")
AFTER = ("total", "max", "percent", "to_review")


def columns(results: Results) -> tuple[str, ...]:
    """The header; an item named like a fixed column, e.g. ``total``, becomes ``item_total``."""
    items = results.scored_items()
    return (*BEFORE, *(f"item_{item}" if item in BEFORE + AFTER else item for item in items), *AFTER)


def rows(results: Results) -> Iterator[Sequence[Cell]]:
    """A sheet's points an item and their total; points stay empty while an answer awaits review.

    A sheet that lacks a page has no total.
    """
    items = results.scored_items()
    gaps = results.batch.gaps
    for sheet in results.batch.rows:
        scores = scores_by_item(sheet)
        points: list[Cell] = [
            None if item not in scores or scores[item].outcome == "unresolved" else scores[item].points
            for item in items
        ]
        counts = sheet.status not in NOT_COUNTED and (sheet.source, sheet.page) not in gaps
        scored = results.key is not None and counts
        total = (sheet.total, sheet.maximum, sheet.percent) if scored else (None, None, None)
        yield (sheet.source, sheet.page, sheet.student_id, sheet.status, *points, *total, sheet.to_review)


def render(results: Results) -> Iterator[tuple[str, Iterable[bytes]]]:
    """The file."""
    yield "marks.csv", csv_chunks(columns(results), rows(results), {"percent": ".1f"})
