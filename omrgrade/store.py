"""A run as one SQLite file: pages, their fields, and the pictures that overlays are drawn on.

Readings are kept as the machine made them. What people correct later belongs in a table of its own, keyed by
page and field, so that both stay visible. SQLite's default journal is kept, not WAL: that needs shared
memory, which network folders (where schools keep such files) do not have.

A page's `position` is its place in the present run; a page that the present run does not name, or has not
read again yet, has none: it is kept, in case a later run names it, but not shown. `content` is the sha256 of
the page's file, `work` that of what it was read with.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any

from omrgrade.database import APPLICATION, FORMAT, TABLES, UPGRADES, connect, reported
from omrgrade.errors import OutputError
from omrgrade.lock import Lock
from omrgrade.records import PageReading, PageRef
from omrgrade.rows import field_reading, field_row, registration_of, registration_text


class Store:
    """A run's file. Use `create` or `open`, and as a context manager."""

    def __init__(self, path: Path, database: sqlite3.Connection) -> None:
        self.path = path
        self._database = database
        self._lock: Lock | None = None

    @classmethod
    def create(cls, path: str | Path) -> Store:
        """Start a run in a new file; a previous run there is replaced. Missing folders are made."""
        path = Path(path)
        with reported(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            for stale in (path, path.with_name(path.name + "-journal")):
                stale.unlink(missing_ok=True)
            store = cls(path, connect(path))
            store._database.executescript(
                f"BEGIN; PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {FORMAT};"
                f"{TABLES} COMMIT;"
            )
        return store

    @classmethod
    def resume(cls, path: str | Path) -> Store:
        """Go on with the run in this file, or start one, for as long as nobody else does.

        `OutputError` when another process is at it, or when the file is none of ours: nothing is overwritten.
        """
        path = Path(path)
        with reported(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        lock = Lock(path.with_suffix(".lock"))
        try:
            # An empty file is one that lost its power before anything was kept.
            new = not path.exists() or not path.stat().st_size
            store = cls.create(path) if new else cls.open(path)
        except BaseException:
            lock.release()
            raise
        store._lock = lock
        return store

    @classmethod
    def open(cls, path: str | Path) -> Store:
        """Open the file of a run; `OutputError` if it is none."""
        path = Path(path)
        if not path.is_file():
            raise OutputError("no run here", where=str(path), fix="grade something first")
        with reported(path):
            store = cls(path, connect(path))
            application, version = (
                store._database.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("application_id", "user_version")
            )
            if application == APPLICATION and version in UPGRADES:
                store._upgrade(version)
                version = FORMAT
        if (application, version) != (APPLICATION, FORMAT):
            store.close()
            raise OutputError(
                f"not a run that this version (format {FORMAT}) can read",
                where=str(path),
                received=f"format {version}" if application == APPLICATION else "another file",
            )
        return store

    def _upgrade(self, version: int) -> None:
        """Make a file of an earlier version one of this; another process may just have done so."""
        with self._writing() as database:
            if database.execute("PRAGMA user_version").fetchone()[0] == version:
                database.execute(UPGRADES[version])
                database.execute(f"PRAGMA user_version = {version + 1}")

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()
        if self._lock:
            self._lock.release()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ------------------------------------------------------------ writing

    def set_meta(self, values: Mapping[str, str]) -> None:
        """Keep facts about the run (versions, hashes, settings), replacing those of the same key."""
        with self._writing() as database:
            database.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", values.items())

    def add_pages(self, readings: Sequence[PageReading], positions: Sequence[int] = ()) -> None:
        """Keep pages in one transaction: after a crash all of them are there or none.

        positions: their places in the run; after the last one if not given. A page that is kept already, but
        is not part of the run yet, is replaced.
        """
        with self._writing() as database:
            (end,) = database.execute("SELECT coalesce(max(position) + 1, 0) FROM pages").fetchone()
            for position, reading in zip(positions or count(end), readings, strict=bool(positions)):
                _insert(database, position, reading)

    def note_reading(self, refs: Sequence[PageRef]) -> None:
        """Say which pages this process is about to read itself: should it die, the next run is told."""
        if self._lock:
            self._lock.reading([(storable(ref.path), ref.page) for ref in refs])

    @property
    def left_behind(self) -> tuple[tuple[str, int], ...]:
        """Pages, by `storable` source and number, that the last run was reading itself when it died."""
        return self._lock.left_behind if self._lock else ()

    def arrange(self, places: Iterable[tuple[int, PageRef]]) -> None:
        """Begin a run of kept pages at their (position, page); all others are no part of it until added."""
        with self._writing() as database:
            database.execute("UPDATE pages SET position = NULL")
            database.executemany(
                "UPDATE pages SET position = ? WHERE source = ? AND page = ?",
                ((position, storable(ref.path), ref.page) for position, ref in places),
            )

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction for those who keep tables of their own here, e.g. `corrections`."""
        with self._writing() as database:
            yield database

    def rows(self, query: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """What a query finds, for those who keep tables of their own here."""
        with reported(self.path):
            return self._database.execute(query, values).fetchall()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with reported(self.path), self._database:
            self._database.execute("BEGIN IMMEDIATE")
            yield self._database

    # ------------------------------------------------------------ reading

    def meta(self) -> dict[str, str]:
        """Facts about the run."""
        with reported(self.path):
            return dict(self._database.execute("SELECT key, value FROM meta ORDER BY key"))

    def __len__(self) -> int:
        with reported(self.path):
            return int(self._database.execute("SELECT count(position) FROM pages").fetchone()[0])

    def contents(self, work: str) -> dict[tuple[str, int], str]:
        """The content of every page kept that was read by this work, by its `storable` source and number."""
        query = "SELECT source, page, content FROM pages WHERE work = ? AND content != ''"
        with reported(self.path):
            return {
                (source, page): content for source, page, content in self._database.execute(query, (work,))
            }

    def pages(self, *, previews: bool = False) -> Iterator[PageReading]:
        """All pages of the run in input order, one at a time; with their pictures only if asked."""
        query = """
            SELECT p.id, source, page, problem, digest, content, work, registration, template,
                CASE WHEN ? THEN jpeg END
            FROM pages p LEFT JOIN previews v ON v.page_id = p.id
            WHERE p.position IS NOT NULL ORDER BY p.position"""
        with reported(self.path):
            for row in self._database.execute(query, (previews,)):
                yield self._page(*row)

    def preview(self, source: str, page: int) -> bytes:
        """A page's picture (JPEG), empty if there is none."""
        query = """
            SELECT jpeg FROM previews JOIN pages ON id = page_id WHERE source = ? AND page = ?"""
        with reported(self.path):
            row = self._database.execute(query, (storable(source), page)).fetchone()
        return bytes(row[0]) if row else b""

    def page(self, source: str, page: int) -> PageReading | None:
        """One page of the run, without its pictures; None if there is no such page."""
        query = """
            SELECT id, source, page, problem, digest, content, work, registration, template, NULL FROM pages
            WHERE source = ? AND page = ? AND position IS NOT NULL"""
        with reported(self.path):
            row = self._database.execute(query, (storable(source), page)).fetchone()
            return self._page(*row) if row else None

    def crop(self, source: str, page: int, field: str, template: str = "") -> bytes:
        """The picture (JPEG, see `snapshots.field_picture`) of a field that was doubtful; else empty.

        template: see `PageReading.template`; the picture is none of a page that was read with another one.
        """
        query = """
            SELECT jpeg FROM crops JOIN pages ON id = page_id
            WHERE source = ? AND page = ? AND field = ? AND template = ?"""
        with reported(self.path):
            row = self._database.execute(query, (storable(source), page, field, template)).fetchone()
        return bytes(row[0]) if row else b""

    def _page(
        self,
        row_id: int,
        source: str,
        page: int,
        problem: str,
        digest: str,
        content: str,
        work: str,
        registration: str | None,
        template: str,
        preview: bytes | None,
    ) -> PageReading:
        query = """
            SELECT field, kind, value, confidence, status, reason, runner_up, boxes
            FROM fields WHERE page_id = ? ORDER BY position"""
        return PageReading(
            source=source,
            page=page,
            problem=problem,
            digest=digest,
            content=content,
            work=work,
            registration=registration_of(registration),
            template=template,
            fields=tuple(field_reading(*row) for row in self._database.execute(query, (row_id,))),
            preview=preview or b"",
        )


def _insert(database: sqlite3.Connection, position: int, reading: PageReading) -> None:
    place = (storable(reading.source), reading.page)
    database.execute("DELETE FROM pages WHERE (source, page) = (?, ?) AND position IS NULL", place)
    row_id = database.execute(
        """
        INSERT INTO pages (position, source, page, problem, digest, content, work, registration, template)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        (
            position,
            *place,
            reading.problem,
            reading.digest,
            reading.content,
            reading.work,
            registration_text(reading.registration),
            reading.template,
        ),
    ).lastrowid
    rows = ((row_id, n, *field_row(f)) for n, f in enumerate(reading.fields))
    database.executemany("INSERT INTO fields VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    if reading.preview:
        database.execute("INSERT INTO previews VALUES (?, ?)", (row_id, reading.preview))
    crops = ((row_id, field, jpeg) for field, jpeg in reading.crops)
    database.executemany("INSERT INTO crops VALUES (?, ?, ?)", crops)


def storable(path: str) -> str:
    """A path as the store knows it: SQLite cannot hold the surrogates that stand for bytes of no UTF-8."""
    return path.encode("utf-8", "backslashreplace").decode()
