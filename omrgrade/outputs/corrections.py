"""corrections.csv: who changed what and when, a row a decision; nothing is left out, taken back or not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from omrgrade.corrections import standing
from omrgrade.outputs.csvtext import csv_bytes
from omrgrade.outputs.results import Cell, Results
from omrgrade.store import storable

COLUMNS = (
    "number", "time", "who", "source", "page", "student_id", "field", "box", "action", "old", "new", "undoes",
    "stands",
)  # fmt: skip


def rows(results: Results) -> Iterator[Sequence[Cell]]:
    """The log, oldest first. `student_id`: whose sheet it is now; `stands`: 0 once taken back."""
    owners = {(storable(sheet.source), sheet.page): sheet.student_id for sheet in results.batch.marks}
    stand = {entry.id for entry in standing(results.corrections)}
    for entry in results.corrections:
        owner = owners.get((entry.source, entry.page), "")
        yield (
            entry.id, entry.time, entry.who, entry.source, entry.page, owner, entry.field or None,
            entry.box or None, entry.action, entry.old, entry.value, entry.undoes or None,
            None if entry.undoes else int(entry.id in stand),
        )  # fmt: skip


def render(results: Results) -> Iterator[tuple[str, bytes | None]]:
    """The file, or none as long as nobody has corrected anything."""
    yield "corrections.csv", csv_bytes(COLUMNS, rows(results), {}) if results.corrections else None
