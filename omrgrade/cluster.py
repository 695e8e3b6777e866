"""Chunks of pages on a Dask cluster: references go out, readings come back, pixels stay with the workers.

The results are those of the other engines, in the same order. A chunk whose worker is lost is given to
another by Dask itself; one that keeps losing its workers, or takes too long, is read again page by page, and
the page that fails alone is listed.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from omrgrade.engine import available_cores
from omrgrade.engine.chunks import (
    CHUNK_TIMEOUTS,
    WINDOW,
    Chunk,
    Pending,
    Reader,
    Task,
    Work,
    failed,
    one_by_one,
)
from omrgrade.engine.serial import read_in_time
from omrgrade.errors import MissingExtraError, OmrgradeError
from omrgrade.records import PageReading

LOCAL = "local"
"""The address of a cluster on this computer, started for the run: to try it."""
FAILURES = 1
"""So many workers of a local cluster may be lost on a chunk before it is read page by page."""


class DaskEngine:
    """Reads on the workers of a Dask scheduler at `address`, e.g. ``tcp://host:8786``; `LOCAL` starts one."""

    def __init__(self, address: str, jobs: int | None = None, page_timeout: float | None = None) -> None:
        self.address = address
        self.jobs = jobs
        self.page_timeout = page_timeout

    def map(self, work: Work, chunks: Iterable[Chunk]) -> Iterator[list[PageReading]]:
        """See `Engine.map`. Closing the iterator, or Ctrl-C, drops what is still to be read."""
        with _client(self.address, self.jobs) as client:
            run = _Run(client, work, iter(chunks), self.page_timeout)
            try:
                yield from run.results()
            finally:
                run.stop()


@contextmanager
def _client(address: str, jobs: int | None) -> Iterator[Any]:
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError:
        raise MissingExtraError("--cluster", "cluster") from None
    logging.getLogger("distributed.client").setLevel(logging.ERROR)  # a lost worker is no news
    try:
        if address != LOCAL:
            with Client(address, timeout=20, set_as_default=False) as client:
                yield client
            return
        with (
            dask.config.set({"distributed.scheduler.allowed-failures": FAILURES}),
            LocalCluster(
                n_workers=jobs or available_cores(), threads_per_worker=1, dashboard_address=None,
                silence_logs=50,
            ) as cluster,
            Client(cluster, set_as_default=False) as client,
        ):  # fmt: skip
            yield client
    except (OSError, ValueError, TimeoutError) as error:
        raise OmrgradeError(
            "the cluster cannot be reached",
            where=address,
            fix="give the scheduler's address, e.g. tcp://host:8786, or: local",
            received=str(error)[:200],
        ) from error


@dataclass(frozen=True, slots=True)
class _Late:
    """What a worker answers when a page takes too long: the thread cannot be stopped, the worker can."""

    worker: str


class _Run:
    """One call of `DaskEngine.map`: what is in flight, and what waits for its turn."""

    def __init__(self, client: Any, work: Work, chunks: Iterator[Chunk], page_timeout: float | None) -> None:
        self._client = client
        # A task of its own, not data: should its worker be lost, the scheduler makes it again elsewhere.
        self._work = client.submit(_hold, work, pure=False)
        self._chunks = enumerate(chunks)
        self._page_timeout = page_timeout
        self._flying: dict[Any, Task] = {}
        self._again: deque[Task] = deque()
        self._pending: dict[int, Pending] = {}
        self._next = 0  # the chunk whose turn it is
        self._started = 0

    def results(self) -> Iterator[list[PageReading]]:
        """The readings of each chunk, in order."""
        from distributed import as_completed

        landed = as_completed(loop=self._client.loop, with_results=False)
        while True:
            self._hand_out(landed)
            while self._next in self._pending and not self._pending[self._next].left:
                done = self._pending.pop(self._next)
                self._next += 1
                yield [reading for reading in done.readings if reading is not None]
                self._hand_out(landed)
            if not self._pending:
                return
            self._take_in(next(landed))

    def stop(self) -> None:
        """Drop what has not been read."""
        self._client.cancel([*self._flying, self._work], force=True)

    def _hand_out(self, landed: Any) -> None:
        """Keep every worker busy, and no more than that in flight: memory stays bounded."""
        room = WINDOW * max(1, sum(self._client.nthreads().values()))
        while len(self._flying) < room and (task := self._take_task(room)):
            share = 1 if task.alone else CHUNK_TIMEOUTS
            seconds = self._page_timeout and share * self._page_timeout
            pages = [replace(ref, path=_everywhere(ref.path)) for ref in task.pages]
            future = self._client.submit(_read_chunk, self._work, pages, seconds, pure=False)
            self._flying[future] = task
            landed.add(future)

    def _take_task(self, room: int) -> Task | None:
        """The next task, if there is one and it may fly now.

        A page tried again flies alone: a worker that dies takes everything with it that it was given.
        """
        if self._again:
            return None if self._flying else self._again.popleft()
        if any(task.alone for task in self._flying.values()):
            return None
        if self._started - self._next >= room:
            return None
        for index, chunk in self._chunks:
            self._started = index + 1
            self._pending[index] = Pending([None] * len(chunk))
            if chunk:
                return Task(index=index, first=0, pages=list(chunk))
        return None

    def _take_in(self, future: Any) -> None:
        from distributed import KilledWorker

        task = self._flying.pop(future)
        if future.status == "cancelled":
            raise OmrgradeError(
                "the cluster dropped the run",
                fix="give the same command again: it goes on; is it dropped again, install the same Dask "
                "everywhere",
            )
        error = future.exception() if future.status == "error" else None
        answer = None if error else future.result()
        if isinstance(answer, list):
            named = [replace(page, source=ref.path) for page, ref in zip(answer, task.pages, strict=True)]
            self._pending[task.index].keep(task.first, named)
            return
        if isinstance(answer, _Late):
            problem = f"reading this page took longer than --page-timeout {self._page_timeout:g} s"
            self._client.restart_workers([answer.worker], raise_for_error=False)
        elif isinstance(error, KilledWorker):
            problem = "reading this page crashed its worker process"
        elif isinstance(error, OmrgradeError):
            raise error
        else:
            raise OmrgradeError(
                "the workers cannot read",
                fix="install the same omrgrade on all of them",
                received=f"{type(error).__name__}: {error}"[:300],
            ) from error
        if task.alone:
            self._pending[task.index].keep(task.first, [failed(task.pages[0], problem)])
        else:
            self._again.extend(one_by_one(task))


def _everywhere(path: str) -> str:
    """A path as workers in another folder can use it."""
    return path if "://" in path else str(Path(path).absolute())


# ---------------------------------------------------------------- in the workers

_lock = threading.Lock()  # a worker may have several threads; PDFium can do with one
_readers: dict[int, tuple[Work, Reader]] = {}


def _hold(work: Work) -> Work:
    return work


def _read_chunk(work: Work, chunk: Chunk, seconds: float | None) -> list[PageReading] | _Late:
    """Read a chunk on a worker, loading what that needs the first time."""
    from distributed import get_worker

    with _lock:
        if id(work) not in _readers:
            import cv2

            cv2.setNumThreads(1)
            _readers.clear()
            _readers[id(work)] = work, work()  # the work is kept, so that no other gets its id
        try:
            return read_in_time(_readers[id(work)][1], chunk, seconds)
        except TimeoutError:
            return _Late(get_worker().address)
