"""What of an earlier run still holds: which pages need not be read again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

from omrgrade.engine import available_cores
from omrgrade.records import PageRef
from omrgrade.store import Store, storable

Place = tuple[int, PageRef]
"""A page and its position in the run."""


def page_content(ref: PageRef) -> str:
    """What tells whether a page's file has changed: its digest, or at a URL the version that was listed."""
    return ref.version or file_digest(ref.path)


def file_digest(path: str | Path) -> str:
    """Sha256 (hex) of a file's bytes; "" when it cannot be read."""
    try:
        status = Path(path).stat()
        return _digest(str(path), status.st_size, status.st_mtime_ns, status.st_ino)
    except (OSError, ValueError):  # ValueError: a NUL in the path
        return ""


@lru_cache(maxsize=16)  # the pages of one PDF come one after the other
def _digest(path: str, size: int, changed: int, inode: int) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def unread(store: Store, refs: Sequence[PageRef], work: str) -> list[Place]:
    """Begin the run of `refs` in `store`: pages that still hold get their places, the others are returned.

    A page holds if the same work (a digest of template, model, settings) read it from a file of the same
    content.
    """
    known = store.contents(work)
    fresh = _contents(ref for ref in refs if page_key(ref) in known)
    places = list(enumerate(refs))
    held = [
        (n, ref) for n, ref in places if page_key(ref) in known and fresh[ref.path] == known[page_key(ref)]
    ]
    store.arrange(held)
    positions = {position for position, _ in held}
    return [place for place in places if place[0] not in positions]


def page_key(ref: PageRef) -> tuple[str, int]:
    """A page as the store knows it."""
    return storable(ref.path), ref.page


def _contents(refs: Iterable[PageRef]) -> dict[str, str]:
    """The content of every file, by its path, on all cores: hashing lets go of the interpreter's lock."""
    distinct = {ref.path: ref for ref in refs}
    with ThreadPoolExecutor(available_cores()) as pool:
        return dict(zip(distinct, pool.map(page_content, distinct.values()), strict=True))
