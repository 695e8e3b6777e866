"""absent.csv: pupils on the roster of whom no sheet is known."""

from __future__ import annotations

from collections.abc import Iterator

from omrgrade.outputs.csvtext import csv_bytes
from omrgrade.outputs.results import Results

COLUMNS = ("student_id", "name")


def render(results: Results) -> Iterator[tuple[str, bytes | None]]:
    """The file; without a roster nobody can be absent: then there is none, not even an older one."""
    pupils = ((pupil.student_id, pupil.name) for pupil in results.batch.absent)
    yield "absent.csv", csv_bytes(COLUMNS, pupils) if results.roster else None
