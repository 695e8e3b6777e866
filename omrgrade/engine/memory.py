"""What reading a page may take of a process's memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from omrgrade.records import Limits

MEMORY = 3 << 29
"""Bytes that reading may take in a process: a page of 170 million pixels with transparency needs 1.0 GB, of
1,000 million 4.7, while some PDFs of a few bytes take all there is."""
MEMORY_PER_PIXEL = 6
"""Bytes by which `memory_for` goes up for larger pages."""


def memory_for(limits: Limits | None) -> int:
    """Bytes that reading may take in a process: `MEMORY`, or more if larger pages than usual are allowed."""
    more = limits.megapixels - Limits().megapixels if limits else 0.0
    return MEMORY + max(0, round(more * 1e6)) * MEMORY_PER_PIXEL


@contextmanager
def bounded_memory(most: int) -> Iterator[None]:
    """Let this process have so many bytes of memory beside what it has: more is a `MemoryError`, or its end.

    Whoever calls from a program that has loaded much already could else not even start a thread.
    """
    try:
        import resource
    except ImportError:  # Windows
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_DATA)
    hard, most = before[1], most + _in_use()
    resource.setrlimit(resource.RLIMIT_DATA, (most if hard < 0 else min(most, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def _in_use() -> int:
    """Bytes of data that this process has, as the limit counts them; 0 where that is not known."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[5])
    except (OSError, IndexError, ValueError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
