"""Reading in this process."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain

from omrgrade.engine.chunks import CHUNK_TIMEOUTS, Chunk, Reader, Work, read_chunk
from omrgrade.engine.memory import MEMORY, bounded_memory
from omrgrade.engine.pool import ProcessEngine
from omrgrade.records import PageReading

PATIENCE = 5.0
"""Seconds that a thread is given to end by itself."""


class SerialEngine:
    """Reads in this process, one chunk after the other.

    With a `page_timeout` (seconds) it reads in a thread. A thread cannot be stopped: if a page takes too long
    it is left behind, and that page and all later ones are read in a process of their own, which can.
    """

    def __init__(self, page_timeout: float | None = None, *, memory: int = MEMORY) -> None:
        self.page_timeout = page_timeout
        self.memory = memory

    def map(self, work: Work, chunks: Iterable[Chunk]) -> Iterator[list[PageReading]]:
        """See `Engine.map`."""
        with _one_thread():
            if self.page_timeout is None:
                reader = work()
                yield from (read_chunk(reader, chunk) for chunk in chunks)
            else:
                with bounded_memory(self.memory):
                    yield from self._in_time(work, iter(chunks), self.page_timeout)

    def _in_time(self, work: Work, chunks: Iterator[Chunk], timeout: float) -> Iterator[list[PageReading]]:
        """One chunk is read ahead: the caller keeps readings on disk, which is mostly waiting."""
        reader, seconds = work(), CHUNK_TIMEOUTS * timeout
        begun = _begin(reader, chunks, seconds)
        try:
            while begun:
                try:
                    readings = begun.result()
                except TimeoutError:
                    apart = ProcessEngine(1, timeout, memory=self.memory)
                    yield from apart.map(work, chain([begun.chunk], chunks))
                    return
                begun = _begin(reader, chunks, seconds)
                yield readings
        finally:
            if begun:  # Ctrl-C: a thread must not be in the midst of a page when the program ends
                begun.thread.join(PATIENCE)


@contextmanager
def _one_thread() -> Iterator[None]:
    """OpenCV without threads of its own: for pictures as small as boxes, they cost more than they save."""
    import cv2

    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def read_in_time(reader: Reader, chunk: Chunk, seconds: float | None) -> list[PageReading]:
    """Read a chunk; `TimeoutError` when it is not done in time, and then the reading goes on regardless."""
    return read_chunk(reader, chunk) if seconds is None else _Begun(reader, chunk, seconds).result()


class _Begun:
    """A chunk that is being read in a thread."""

    def __init__(self, reader: Reader, chunk: Chunk, seconds: float) -> None:
        self.chunk = chunk
        self.thread = threading.Thread(target=self._run, args=(reader,), daemon=True)
        self._late = time.monotonic() + seconds
        self._answers: queue.SimpleQueue[list[PageReading] | BaseException] = queue.SimpleQueue()
        self.thread.start()

    def _run(self, reader: Reader) -> None:
        try:
            self._answers.put(read_chunk(reader, self.chunk))
        except BaseException as error:
            self._answers.put(error)

    def result(self) -> list[PageReading]:
        """The readings, or what reading raised; `TimeoutError` once it has taken too long."""
        try:
            answer = self._answers.get(timeout=max(0.0, self._late - time.monotonic()))
        except queue.Empty:
            raise TimeoutError from None
        if isinstance(answer, BaseException):
            raise answer
        return answer


def _begin(reader: Reader, chunks: Iterator[Chunk], seconds: float) -> _Begun | None:
    """Begin to read the next chunk, if there is one."""
    chunk = next(chunks, None)
    return None if chunk is None else _Begun(reader, chunk, seconds)
