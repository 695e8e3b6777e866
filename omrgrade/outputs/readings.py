"""readings.csv: a row a field of every page that was read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from omrgrade.outputs.csvtext import csv_chunks
from omrgrade.outputs.gathering import through
from omrgrade.outputs.results import Cell, Results, scores_by_item

COLUMNS = (
    "source",
    "page",
    "student_id",
    "field",
    "kind",
    "value",
    "confidence",
    "status",
    "reason",
    "answer",
    "outcome",
    "points",
    "max_points",
)


def rows(results: Results) -> Iterator[Sequence[Cell]]:
    """What each field says, with its score if it has one. Status: a person's, where one has settled it."""
    for page, marks in through(results):
        scores = scores_by_item(marks)
        for reading in page.fields:
            score = scores.get(reading.field)
            yield (
                page.source,
                page.page,
                marks.student_id,
                reading.field,
                reading.kind,
                reading.value,
                reading.confidence,
                reading.settled or reading.status,
                reading.reason,
                *((score.answer, score.outcome, score.points, score.max_points) if score else (None,) * 4),
            )


def render(results: Results) -> Iterator[tuple[str, Iterable[bytes]]]:
    """The file."""
    yield "readings.csv", csv_chunks(COLUMNS, rows(results), {"confidence": ".4f"})
