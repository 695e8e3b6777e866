"""What a changed key changed for whom, as a plain table for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from omrgrade.outputs.csvtext import number_text
from omrgrade.outputs.summary import plain_table
from omrgrade.records import SheetMarks
from omrgrade.rescoring import Change

_HEADER = ("source", "page", "student_id", "name", "before", "after", "difference", "items")
_TO_THE_RIGHT = frozenset({"page", "before", "after", "difference"})


def changes_table(changes: Sequence[Change], names: Mapping[str, str]) -> str:
    """A row a sheet whose marks changed, in page order; names: pupils' names by their number."""
    rows = [
        (
            change.after.source,
            str(change.after.page),
            change.after.student_id,
            names.get(change.after.student_id, ""),
            _total(change.before),
            _total(change.after),
            _signed(change.after.total - change.before.total),
            " ".join(change.items),
        )
        for change in changes
    ]
    return plain_table(_HEADER, rows, _TO_THE_RIGHT)


def _total(marks: SheetMarks) -> str:
    return f"{number_text(marks.total)}/{number_text(marks.maximum)}" if marks.scores else ""


def _signed(points: float) -> str:
    points = round(points, 9)
    return f"+{number_text(points)}" if points > 0 else number_text(points)
