"""The tables of a run's file, and how it is opened."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from omrgrade.errors import OutputError

FORMAT = 3
"""Version of the tables; a file of another one is refused, but for those of `UPGRADES`."""
APPLICATION = 0x6F6D7267  # "omrg": what `file` and SQLite tools know the file by

TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE pages (
    id INTEGER PRIMARY KEY,
    position INTEGER UNIQUE,
    source TEXT NOT NULL,
    page INTEGER NOT NULL,
    problem TEXT NOT NULL,
    digest TEXT NOT NULL,
    content TEXT NOT NULL,
    work TEXT NOT NULL,
    registration TEXT,
    template TEXT NOT NULL DEFAULT '',
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
CREATE TABLE crops (
    page_id INTEGER NOT NULL REFERENCES pages (id) ON DELETE CASCADE,
    field TEXT NOT NULL,
    jpeg BLOB NOT NULL,
    PRIMARY KEY (page_id, field)
) WITHOUT ROWID;
"""

UPGRADES = {2: "ALTER TABLE pages ADD COLUMN template TEXT NOT NULL DEFAULT ''"}
"""What makes a file of an earlier version one of the next."""


def connect(path: Path) -> sqlite3.Connection:
    """The file as a database; nothing is written to it yet."""
    # isolation_level None: transactions begin where the code says so, not where sqlite3 guesses.
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA foreign_keys = ON")
    return database


@contextmanager
def reported(path: Path) -> Iterator[None]:
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
