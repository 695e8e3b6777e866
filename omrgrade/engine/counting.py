"""Counting the pages of PDFs in another process: some of a few bytes take all time and memory there is."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from omrgrade.engine.chunks import Chunk, Reader
from omrgrade.engine.memory import memory_for
from omrgrade.engine.pool import ProcessEngine
from omrgrade.images import Counted, count_pages
from omrgrade.records import Limits, PageReading, PageRef

FILES = 16  # that are counted at once: an answer of the process takes as long as counting does


@dataclass(frozen=True, kw_only=True, slots=True)
class CountingApart:
    """Counts for `find_pages` with the bounds that reading has; a file that crosses them is refused.

    A process is started only when there is something to count. On Linux it is a copy of this one, if that has
    one thread, which takes some milliseconds; else it takes a quarter of a second.
    """

    limits: Limits
    page_timeout: float | None = None  # seconds for a file

    def __call__(self, files: Sequence[PageRef]) -> Iterator[Counted]:
        """How many pages each file has."""
        copied = sys.platform.startswith("linux")
        if copied and any(PurePath(ref.path).suffix.lower() == ".pdf" for ref in files):
            import pypdfium2  # noqa: F401 - once for this copy and those that will read
        engine = ProcessEngine(1, self.page_timeout, memory=memory_for(self.limits), copied=copied)
        chunks = (files[start : start + FILES] for start in range(0, len(files), FILES))
        for answers in engine.map(_CountWork(self.limits), chunks):
            yield from (Counted(answer.page, answer.problem) for answer in answers)


@dataclass(frozen=True, slots=True)
class _CountWork:
    """What an engine's process is to do. It answers with a file's last page, of which nothing is read."""

    limits: Limits

    def __call__(self) -> Reader:
        return self._count

    def _count(self, files: Chunk) -> list[PageReading]:
        counted = zip(files, count_pages(files, self.limits), strict=True)
        return [PageReading(source=ref.path, page=n, problem=problem) for ref, (n, problem) in counted]
