"""Which column of a gradebook is the assignment: by title or id, never by likeness."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from omrgrade.errors import OutputError
from omrgrade.outputs.export.rawcsv import RawTable

_LISTED = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """A column that could be filled."""

    place: int
    heading: str  # as it stands in the file
    title: str
    id: str = ""


def choose(table: RawTable, columns: Sequence[Column], wanted: str, title: str) -> int:
    """The place of the column wanted; without a wish, of the only one, or of the one called `title`."""
    if not wanted:
        found = list(columns) if len(columns) == 1 else [c for c in columns if _same(c.title, title)]
    else:
        found = [c for c in columns if _same(c.heading, wanted) or c.id == wanted.strip()]
        found = found or [c for c in columns if _same(c.title, wanted)]
    if len(found) == 1:
        return found[0].place
    headings = ", ".join(repr(column.heading) for column in columns[:_LISTED])
    more = f" and {len(columns) - _LISTED} more" if len(columns) > _LISTED else ""
    raise OutputError(
        "several columns have this name" if found else "it is not clear which column the marks belong in",
        where=table.where,
        fix=f"name it with --assignment: {headings}{more}" if columns else "make the assignment there first",
        received=wanted or title,
    )


def _same(one: str, two: str) -> bool:
    return _plain(one) == _plain(two)


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())
