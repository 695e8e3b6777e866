"""Where chunks of pages run: in this process, in a pool of processes, or (see `cluster`) on a Dask cluster.

All engines give the same results in the order of the chunks. A page that kills its worker, takes too long or
raises what nobody foresaw costs only itself: its chunk is read again page by page, and the page that fails
alone is returned as a reading with its problem.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from typing import Protocol

from omrgrade.engine.chunks import WINDOW, Chunk, Reader, Work
from omrgrade.engine.memory import MEMORY, bounded_memory, memory_for
from omrgrade.engine.pool import ProcessEngine
from omrgrade.engine.serial import SerialEngine
from omrgrade.errors import OmrgradeError
from omrgrade.records import PageReading

__all__ = [
    "MEMORY", "WINDOW", "Chunk", "Engine", "ProcessEngine", "Reader", "SerialEngine", "Work",
    "available_cores", "bounded_memory", "default_jobs", "make_engine", "memory_for",
]  # fmt: skip

FEW_PAGES = 16
"""Up to so many are read before a second process is ready and has caught up."""


class Engine(Protocol):
    """Runs work over chunks."""

    def map(self, work: Work, chunks: Iterable[Chunk]) -> Iterator[list[PageReading]]:
        """The readings of each chunk, in the order of the chunks, one a page."""
        ...


def make_engine(
    jobs: int | None = None,
    *,
    page_timeout: float | None = None,
    cluster: str | None = None,
    memory: int = MEMORY,
    apart: bool = False,
) -> Engine:
    """An engine of that many processes; None: as many as there are cores for this process.

    cluster: address of a Dask scheduler whose workers are to read instead, or "local". page_timeout: seconds
    that a page may take before it is given up; None: as long as it likes. memory: bytes that reading may take
    in a process. apart: let one job, too, read in a process of its own, so that a crash costs a page and not
    the program, where that costs no time: on Linux, where processes are then copies of this one and need not
    load what it has.
    """
    if jobs is not None and jobs < 1:
        raise OmrgradeError("the number of jobs must be at least 1", received=jobs)
    if cluster:
        from omrgrade.cluster import DaskEngine

        return DaskEngine(cluster, jobs, page_timeout)
    jobs = jobs or available_cores()
    copied = apart and sys.platform.startswith("linux")
    if jobs > 1 or copied:
        return ProcessEngine(jobs, page_timeout, memory=memory, copied=copied)
    return SerialEngine(page_timeout, memory=memory)


def default_jobs(pages: int) -> int:
    """Processes worth starting for so many pages: each takes about a second to load."""
    return 1 if pages < FEW_PAGES else available_cores()


def available_cores() -> int:
    """Cores this process may use, which in a container are fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
