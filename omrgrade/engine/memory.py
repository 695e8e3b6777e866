"""What reading a page may take of a process's memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

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
    """Let this process have so many bytes of memory: more is a `MemoryError`, or the end of a worker."""
    try:
        import resource
    except ImportError:  # Windows
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_DATA)
    hard = before[1]
    resource.setrlimit(resource.RLIMIT_DATA, (most if hard < 0 else min(most, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)
