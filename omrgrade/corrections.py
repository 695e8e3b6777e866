"""What people decided about a run's readings: a log in the run's file.

The log only grows: taking a decision back is an entry too. The machine's readings stay as they were made, and
corrected ones are worked out from both (see `corrected`). Nobody overwrites what he has not seen: a decision
says which entry about its field (or page) was the last when it was made, and is refused if that is no longer
the last one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from sqlite3 import Connection

from omrgrade.codec import from_text, to_text
from omrgrade.errors import OutputError
from omrgrade.records import Action, Correction, PageReading, Template
from omrgrade.store import Store, storable

_TABLE = """
CREATE TABLE IF NOT EXISTS corrections (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    time TEXT NOT NULL,
    who TEXT NOT NULL,
    source TEXT NOT NULL,
    page INTEGER NOT NULL,
    digest TEXT NOT NULL,
    field TEXT NOT NULL,
    box INTEGER NOT NULL,
    action TEXT NOT NULL,
    value TEXT NOT NULL,
    old TEXT NOT NULL,
    undoes INTEGER NOT NULL,
    batch INTEGER NOT NULL,
    reading TEXT,
    preview BLOB
);
CREATE INDEX IF NOT EXISTS corrections_by_place ON corrections (source, page, field);
"""
_COLUMNS = "id, time, who, source, page, digest, field, box, action, value, old, undoes, batch"


class ConflictError(OutputError):
    """Somebody else has decided about the same thing in the meantime."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rereading:
    """A page that was read again, its place on the scan or its template shown by a person."""

    page: PageReading  # with its preview; without it when it comes from the log
    template: Template


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """What a person wants; see `Correction` for the fields."""

    source: str
    page: int
    digest: str
    action: Action
    version: int  # the last entry about this field or page that the person has seen; 0 for none
    field: str = ""
    box: int = 0
    value: str = ""
    old: str = ""
    again: Rereading | None = None  # for "reread"


def page_digest(page: PageReading, template: Template) -> str:
    """What a correction holds for: these pixels, read with this template."""
    return f"{page.digest[:32]}.{template.digest[:32]}"


class Corrections:
    """The log of a run. Every call is a transaction of its own."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._there = False  # the table, which is made with the first decision

    def _exists(self) -> bool:
        query = "SELECT 1 FROM sqlite_master WHERE name = 'corrections'"
        self._there = self._there or bool(self._store.rows(query))
        return self._there

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self._store.writing() as database:
            for statement in () if self._exists() else _TABLE.split(";"):
                database.execute(statement)
            yield database

    def entries(self, *, after: int = 0, page: tuple[str, int] | None = None) -> tuple[Correction, ...]:
        """All entries, those later than `after`, or those about one page (source, number), oldest first."""
        if not self._exists():
            return ()
        query, values = f"SELECT {_COLUMNS} FROM corrections WHERE id > ?", [str(after)]
        if page is not None:
            query, values = f"{query} AND source = ? AND page = ?", [*values, storable(page[0]), str(page[1])]
        rows = self._store.rows(f"{query} ORDER BY id", values)
        return tuple(_correction(*row) for row in rows)

    def versions(self) -> dict[tuple[str, int, str], int]:
        """The last entry about each (source, page, field) that anything was decided about."""
        return {(entry.source, entry.page, entry.field): entry.id for entry in self.entries()}

    def rereading(self, entry: int) -> Rereading:
        """What a page said when it was read again."""
        for (text,) in self._store.rows("SELECT reading FROM corrections WHERE id = ?", (entry,)):
            return Rereading(**from_text(text, where=str(self._store.path)))
        raise OutputError("no such entry", where=str(self._store.path), received=entry)

    def preview(self, entry: int) -> bytes:
        """The picture (JPEG) that belongs to `rereading`."""
        for (jpeg,) in self._store.rows("SELECT preview FROM corrections WHERE id = ?", (entry,)):
            return bytes(jpeg or b"")
        return b""

    def decide(self, decisions: Sequence[Decision], who: str) -> tuple[Correction, ...]:
        """Keep decisions, all of them or none; `ConflictError` if one was made on an outdated view."""
        with self._writing() as database:
            for decision in decisions:
                place = (storable(decision.source), decision.page, decision.field)
                self._check_version(place, decision.version)
            made = []
            for d in decisions:
                reading = None if d.again is None else _reading_text(d.again)
                row = (_now(), who, storable(d.source), d.page, d.digest, d.field, d.box, d.action, d.value,
                       d.old, 0, 0, reading, d.again.page.preview if d.again else None)  # fmt: skip
                made.append(_insert(database, row))
            _at_one_stroke(database, made)
        return self._made(made)

    def undo(self, entry: int, who: str, *, whole: bool = False) -> tuple[Correction, ...]:
        """Take back the last standing decision about a field or page, or all made at one stroke with it.

        `ConflictError` if it has been taken back, or if something else has been decided there since.
        """
        with self._writing() as database:
            stand = standing(self.entries())
            found = next((e for e in stand if e.id == entry), None)
            if found is None:
                raise ConflictError("this decision has been taken back already")
            made = []
            for one in reversed([e for e in stand if e.id == entry or (whole and e.batch == found.batch)]):
                place = (one.source, one.page, one.field)
                later = standing(self.entries(after=one.id))
                if any((e.source, e.page, e.field) == place for e in later):
                    raise ConflictError("something else has been decided there since")
                row = (_now(), who, *place[:2], one.digest, one.field, one.box, "undo", one.old,
                       one.value or one.action, one.id, 0, None, None)  # fmt: skip
                made.append(_insert(database, row))
            _at_one_stroke(database, made)
        return self._made(made)

    def _made(self, ids: Sequence[int]) -> tuple[Correction, ...]:
        found = self.entries(after=min(ids) - 1) if ids else ()
        return tuple(entry for entry in found if entry.id in ids)

    def _check_version(self, place: tuple[str, int, str], version: int) -> None:
        query = "SELECT coalesce(max(id), 0) FROM corrections WHERE (source, page, field) = (?, ?, ?)"
        ((latest,),) = self._store.rows(query, place)
        if latest != version:
            raise ConflictError("somebody else, or another tab, has changed this since you saw it")


def _reading_text(again: Rereading) -> str:
    page = replace(again.page, preview=b"", crops=())
    return to_text({"page": page, "template": again.template})


def _insert(database: Connection, row: tuple[object, ...]) -> int:
    marks = ", ".join("?" * len(row))
    names = f"{_COLUMNS.removeprefix('id, ')}, reading, preview"
    cursor = database.execute(f"INSERT INTO corrections ({names}) VALUES ({marks})", row)
    return int(cursor.lastrowid or 0)


def _at_one_stroke(database: Connection, ids: Sequence[int]) -> None:
    """Note that these belong together: they are the newest."""
    if ids:
        database.execute("UPDATE corrections SET batch = ? WHERE id >= ?", (min(ids), min(ids)))


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")


def _correction(
    id: int, time: str, who: str, source: str, page: int, digest: str, field: str, box: int, action: Action,
    value: str, old: str, undoes: int, batch: int,
) -> Correction:  # fmt: skip
    return Correction(
        id=id, time=time, who=who, source=source, page=page, digest=digest, field=field, box=box,
        action=action, value=value, old=old, undoes=undoes, batch=batch,
    )  # fmt: skip


def standing(entries: Iterable[Correction]) -> list[Correction]:
    """The decisions that nobody has taken back, oldest first."""
    entries = list(entries)
    undone = {entry.undoes for entry in entries}
    return [entry for entry in entries if not entry.undoes and entry.id not in undone]
