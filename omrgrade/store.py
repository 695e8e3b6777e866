"""A run as one SQLite file: pages, their fields, and the pictures that overlays are drawn on.

Readings are kept as the machine made them. What people correct later belongs in a table of its own, keyed by
page and field, so that both stay visible. SQLite's default journal is kept, not WAL: that needs shared
memory, which network folders (where schools keep such files) do not have.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from omrgrade.errors import OutputError
from omrgrade.records import BoxReading, FieldReading, PageReading, Registration

FORMAT = 1
"""Version of the tables; a file of another one is refused."""
APPLICATION = 0x6F6D7267  # "omrg": what `file` and SQLite tools know the file by

_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE pages (
    id INTEGER PRIMARY KEY,
    position INTEGER NOT NULL UNIQUE,
    source TEXT NOT NULL,
    page INTEGER NOT NULL,
    problem TEXT NOT NULL,
    digest TEXT NOT NULL,
    registration TEXT,
    UNIQUE (source, page)
);
CREATE TABLE fields (
    page_id INTEGER NOT NULL REFERENCES pages (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    field TEXT NOT NULL,
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    confidence REAL NOT NULL,
    status TEXT NOT NULL,
    reason TEXT NOT NULL,
    runner_up TEXT NOT NULL,
    boxes TEXT NOT NULL,
    PRIMARY KEY (page_id, position)
) WITHOUT ROWID;
CREATE TABLE previews (
    page_id INTEGER PRIMARY KEY REFERENCES pages (id) ON DELETE CASCADE,
    jpeg BLOB NOT NULL
);
"""


class Store:
    """A run's file. Use `create` or `open`, and as a context manager."""

    def __init__(self, path: Path, database: sqlite3.Connection) -> None:
        self.path = path
        self._database = database

    @classmethod
    def create(cls, path: str | Path) -> Store:
        """Start a run in a new file; a previous run there is replaced. Missing folders are made."""
        path = Path(path)
        with _reported(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            for stale in (path, path.with_name(path.name + "-journal")):
                stale.unlink(missing_ok=True)
            store = cls(path, _connect(path))
            store._database.executescript(
                f"BEGIN; PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {FORMAT};"
                f"{_TABLES} COMMIT;"
            )
        return store

    @classmethod
    def open(cls, path: str | Path) -> Store:
        """Open the file of a run; `OutputError` if it is none."""
        path = Path(path)
        if not path.is_file():
            raise OutputError("no run here", where=str(path), fix="grade something first")
        with _reported(path):
            store = cls(path, _connect(path))
            application, version = (
                store._database.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("application_id", "user_version")
            )
        if (application, version) != (APPLICATION, FORMAT):
            store.close()
            raise OutputError(
                f"not a run that this version (format {FORMAT}) can read",
                where=str(path),
                received=f"format {version}" if application == APPLICATION else "another file",
            )
        return store

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

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

    def add_pages(self, readings: Sequence[PageReading]) -> None:
        """Append pages, in input order, in one transaction: after a crash all of them are there or none."""
        with self._writing() as database:
            (position,) = database.execute("SELECT coalesce(max(position) + 1, 0) FROM pages").fetchone()
            for offset, reading in enumerate(readings):
                _insert(database, position + offset, reading)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with _reported(self.path), self._database:
            self._database.execute("BEGIN IMMEDIATE")
            yield self._database

    # ------------------------------------------------------------ reading

    def meta(self) -> dict[str, str]:
        """Facts about the run."""
        with _reported(self.path):
            return dict(self._database.execute("SELECT key, value FROM meta ORDER BY key"))

    def __len__(self) -> int:
        with _reported(self.path):
            return int(self._database.execute("SELECT count(*) FROM pages").fetchone()[0])

    def pages(self, *, previews: bool = False) -> Iterator[PageReading]:
        """All pages in input order, one at a time; with their pictures only if asked."""
        query = """
            SELECT p.id, source, page, problem, digest, registration, CASE WHEN ? THEN jpeg END
            FROM pages p LEFT JOIN previews v ON v.page_id = p.id ORDER BY p.position"""
        with _reported(self.path):
            for row in self._database.execute(query, (previews,)):
                yield self._page(*row)

    def preview(self, source: str, page: int) -> bytes:
        """A page's picture (JPEG), empty if there is none."""
        query = """
            SELECT jpeg FROM previews JOIN pages ON id = page_id WHERE source = ? AND page = ?"""
        with _reported(self.path):
            row = self._database.execute(query, (_storable(source), page)).fetchone()
        return bytes(row[0]) if row else b""

    def _page(
        self,
        row_id: int,
        source: str,
        page: int,
        problem: str,
        digest: str,
        registration: str | None,
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
            registration=None if registration is None else _registration(registration),
            fields=tuple(_field(*row) for row in self._database.execute(query, (row_id,))),
            preview=preview or b"",
        )


def _connect(path: Path) -> sqlite3.Connection:
    # isolation_level None: transactions begin where the code says so, not where sqlite3 guesses.
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA foreign_keys = ON")
    return database


@contextmanager
def _reported(path: Path) -> Iterator[None]:
    """A full disk, a missing permission or a damaged file becomes an error the user can act on."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise OutputError(
            "the run cannot be kept or read",
            where=str(path),
            fix="check the folder and the disk",
            received=reason,
        ) from error


def _insert(database: sqlite3.Connection, position: int, reading: PageReading) -> None:
    registration = None if reading.registration is None else json.dumps(asdict(reading.registration))
    row_id = database.execute(
        "INSERT INTO pages (position, source, page, problem, digest, registration) VALUES (?, ?, ?, ?, ?, ?)",
        (position, _storable(reading.source), reading.page, reading.problem, reading.digest, registration),
    ).lastrowid
    rows = (
        (row_id, n, f.field, f.kind, f.value, float(f.confidence), f.status, f.reason, f.runner_up,
         _boxes_text(f.boxes))
        for n, f in enumerate(reading.fields)
    )  # fmt: skip
    database.executemany("INSERT INTO fields VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    if reading.preview:
        database.execute("INSERT INTO previews VALUES (?, ?)", (row_id, reading.preview))


def _storable(path: str) -> str:
    """A file name whose bytes are no UTF-8 reaches Python as lone surrogates, which SQLite cannot hold."""
    return path.encode("utf-8", "backslashreplace").decode()


def _boxes_text(boxes: Sequence[BoxReading]) -> str:
    rows = [[b.value, b.confidence, b.status, b.reason, b.runner_up, b.probabilities] for b in boxes]
    return json.dumps(rows, default=float)  # NumPy's numbers are not JSON's


def _field(
    field: str, kind: str, value: str, confidence: float, status: Any, reason: str, runner_up: str, boxes: str
) -> FieldReading:
    return FieldReading(
        field=field, kind=kind, value=value, confidence=confidence, status=status, reason=reason,
        runner_up=runner_up, boxes=tuple(_box(*values) for values in json.loads(boxes)),
    )  # fmt: skip


def _box(
    value: str, confidence: float, status: Any, reason: str, runner_up: str, probabilities: Sequence[float]
) -> BoxReading:
    return BoxReading(
        value=value, confidence=confidence, status=status, reason=reason, runner_up=runner_up,
        probabilities=tuple(probabilities),
    )  # fmt: skip


def _registration(text: str) -> Registration:
    values = json.loads(text)
    values["page_to_scan"] = tuple(tuple(row) for row in values["page_to_scan"])
    return Registration(**values)
