"""Where chunks of pages run: in this process, in a pool of processes, or (see `cluster`) on a Dask cluster.

All engines give the same results in the order of the chunks. A page that kills its worker, takes too long or
raises what nobody foresaw costs only itself: its chunk is read again page by page, and the page that fails
alone is returned as a reading with its problem.
"""

from __future__ import annotations

import gc
import math
import multiprocessing
import os
import queue
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from itertools import chain
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Protocol

from omrgrade.errors import OmrgradeError, PageError
from omrgrade.records import Limits, PageReading, PageRef

Chunk = Sequence[PageRef]
Reader = Callable[[Chunk], list[PageReading]]
Work = Callable[[], Reader]
"""Called once in every process; loads what reading needs (template, model) and returns the reader of chunks.

It travels to the workers, so it must be picklable: a module's function or a frozen record, not a lambda.
"""

WINDOW = 3
"""Chunks per worker that may be in flight or wait for an earlier one: bounds memory."""
MEMORY = 3 << 29
"""Bytes that reading may take in a process: a page of 170 million pixels with transparency needs 1.0 GB, of
1,000 million 4.7, while some PDFs of a few bytes take all there is."""
MEMORY_PER_PIXEL = 6
"""Bytes by which `memory_for` goes up for larger pages."""
PATIENCE = 5.0
"""Seconds that a thread is given to end by itself."""
FEW_PAGES = 16
"""Up to so many are read before a second process is ready and has caught up."""
CHUNK_TIMEOUTS = 2
"""A chunk is given up after so many times the seconds of a page: ordinary pages take a small part of them."""


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


def memory_for(limits: Limits | None) -> int:
    """Bytes that reading may take in a process: `MEMORY`, or more if larger pages than usual are allowed."""
    more = limits.megapixels - Limits().megapixels if limits else 0.0
    return MEMORY + max(0, round(more * 1e6)) * MEMORY_PER_PIXEL


def default_jobs(pages: int) -> int:
    """Processes worth starting for so many pages: each takes about a second to load."""
    return 1 if pages < FEW_PAGES else available_cores()


def available_cores() -> int:
    """Cores this process may use, which in a container are fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


# ---------------------------------------------------------------- in this process


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
                yield from (_read(reader, chunk) for chunk in chunks)
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


def read_in_time(reader: Reader, chunk: Chunk, seconds: float | None) -> list[PageReading]:
    """Read a chunk; `TimeoutError` when it is not done in time, and then the reading goes on regardless."""
    return _read(reader, chunk) if seconds is None else _Begun(reader, chunk, seconds).result()


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
            self._answers.put(_read(reader, self.chunk))
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


def _read(reader: Reader, chunk: Chunk) -> list[PageReading]:
    """Read a chunk; if that fails, page by page, so that a failure is laid at the right door."""
    try:
        readings = reader(chunk)
    except Exception as error:
        if isinstance(error, OmrgradeError) and not isinstance(error, PageError):
            raise
        if len(chunk) == 1:
            problem = error.reason if isinstance(error, PageError) else f"{type(error).__name__}: {error}"
            return [failed(chunk[0], problem)]
        return [reading for ref in chunk for reading in _read(reader, [ref])]
    if len(readings) != len(chunk):
        raise RuntimeError(f"{len(chunk)} pages gave {len(readings)} readings")
    return readings


def failed(ref: PageRef, problem: str) -> PageReading:
    """A page that could not be read, without a content: the next run tries it again."""
    return PageReading(source=ref.path, page=ref.page, problem=problem)


# ---------------------------------------------------------------- a pool of processes


@dataclass(eq=False)
class Task:
    """Part of a chunk: all of it, or, after it killed a worker, one page."""

    index: int  # of the chunk
    first: int  # of its first page in the chunk
    pages: Chunk
    alone: bool = False  # the page was in a chunk that killed its worker, or took too long


@dataclass(eq=False)
class _Worker:
    process: BaseProcess
    pipe: Connection
    task: Task | None = None
    ready: bool = False
    late: float = math.inf  # when its task will have taken too long, on the monotonic clock


@dataclass
class Pending:
    """A chunk whose readings are not all there."""

    readings: list[PageReading | None]
    left: int = field(init=False)

    def __post_init__(self) -> None:
        self.left = len(self.readings)

    def keep(self, first: int, readings: Sequence[PageReading]) -> None:
        """Readings of pages from the `first` on have come."""
        self.readings[first : first + len(readings)] = readings
        self.left -= len(readings)


def one_by_one(task: Task) -> Iterator[Task]:
    """A task's pages, each to be read again alone."""
    for place, ref in enumerate(task.pages):
        yield Task(index=task.index, first=task.first + place, pages=[ref], alone=True)


class ProcessEngine:
    """Reads in `jobs` spawned processes, each with one OpenCV thread.

    Not a `ProcessPoolExecutor`: there one dead worker breaks the pool and fails every chunk in flight, and
    nobody can say which page it was on.

    copied: the processes are copies of this one, which have loaded already what it has, if it has no other
    threads then: of these a copy would have the locks, but not who lets go of them.
    """

    def __init__(
        self, jobs: int, page_timeout: float | None = None, *, memory: int = MEMORY, copied: bool = False
    ) -> None:
        self.jobs = jobs
        self.page_timeout = page_timeout
        self.memory = memory
        self.copied = copied
        self._early: list[_Worker] = []

    def start(self, module: str) -> None:
        """Start all workers before there is work; meanwhile they import `module`, which they will need.

        Copies are made when there is work: until then this process goes on loading.
        """
        if not self.copied:
            missing = range(self.jobs - len(self._early))
            self._early += [_start_worker(None, self.memory, module) for _ in missing]

    def stop(self) -> None:
        """End the workers that were started and never given work."""
        _end(self._early)

    def map(self, work: Work, chunks: Iterable[Chunk]) -> Iterator[list[PageReading]]:
        """See `Engine.map`. Closing the iterator, or Ctrl-C, ends the workers; what was yielded stays."""
        run = _Run(work, iter(chunks), self)
        try:
            yield from run.results()
        finally:
            run.stop()


class _Run:
    """One call of `ProcessEngine.map`: the workers, what they do, and what waits for its turn."""

    def __init__(self, work: Work, chunks: Iterator[Chunk], engine: ProcessEngine) -> None:
        self._work = work
        self._early = engine._early  # workers that were started already and wait for work; taken from there
        self._copied = engine.copied
        self._memory = engine.memory
        self._page_timeout = engine.page_timeout or math.inf
        self._chunks = enumerate(chunks)
        self._jobs = engine.jobs
        self._again: deque[Task] = deque()
        self._pending: dict[int, Pending] = {}
        self._workers: list[_Worker] = []
        self._started = 0  # chunks handed out
        self._next = 0  # the chunk to yield next

    def results(self) -> Iterator[list[PageReading]]:
        while True:
            self._hand_out()
            while self._next in self._pending and not self._pending[self._next].left:
                done = self._pending.pop(self._next)
                self._next += 1
                yield [reading for reading in done.readings if reading is not None]
                self._hand_out()
            if not self._pending:
                return
            self._listen()

    def stop(self) -> None:
        self._workers += self._early
        self._early.clear()
        _end(self._workers)

    def _hand_out(self) -> None:
        """Give every idle worker a task; workers are started only when there is something for them to do."""
        while task := self._take_task():
            worker = next((w for w in self._workers if w.task is None), None) or self._start()
            worker.task = task
            self._set_clock(worker)
            try:
                worker.pipe.send(task.pages)
            except OSError:
                self._bury(worker)

    def _take_task(self) -> Task | None:
        if all(w.task for w in self._workers) and len(self._workers) >= self._jobs:
            return None
        if self._again:
            return self._again.popleft()
        if self._started - self._next >= WINDOW * self._jobs:
            return None
        index, chunk = next(self._chunks, (-1, ()))
        if index < 0:
            return None
        self._started = index + 1
        self._pending[index] = Pending([None] * len(chunk))
        return Task(index=index, first=0, pages=list(chunk)) if chunk else self._take_task()

    def _start(self) -> _Worker:
        if self._early:
            worker = self._early.pop()
            with suppress(OSError):  # a worker that died already is noticed when it gets its task
                worker.pipe.send(self._work)
        else:
            worker = _start_worker(self._work, self._memory, copied=self._copied and _has_one_thread())
        self._workers.append(worker)
        return worker

    def _set_clock(self, worker: _Worker) -> None:
        """A task's time begins when there is a task, and a worker that has loaded what it needs."""
        if worker.task and worker.ready:
            share = 1 if worker.task.alone else CHUNK_TIMEOUTS
            worker.late = time.monotonic() + share * self._page_timeout

    def _listen(self) -> None:
        """Wait until a worker says something, dies, or takes too long."""
        by_pipe = {worker.pipe: worker for worker in self._workers}
        late = min(worker.late for worker in self._workers)
        patience = None if late == math.inf else max(0.0, late - time.monotonic())
        spoken = wait(list(by_pipe), patience)
        for worker in [w for w in self._workers if w.late <= time.monotonic() and w.pipe not in spoken]:
            worker.process.kill()
            self._bury(worker, f"reading this page took longer than --page-timeout {self._page_timeout:g} s")
        for pipe in spoken:
            worker = by_pipe[pipe]  # type: ignore[index]
            try:
                answer = worker.pipe.recv()
            except (EOFError, OSError):
                self._bury(worker)
                continue
            if isinstance(answer, BaseException):
                raise answer
            if answer == _READY:
                worker.ready = True
                self._set_clock(worker)
            elif worker.task is not None:
                self._pending[worker.task.index].keep(worker.task.first, answer)
                worker.task, worker.late = None, math.inf

    def _bury(self, worker: _Worker, problem: str = "") -> None:
        """A worker died: have its pages read again, each alone; a page that was alone is given up."""
        worker.pipe.close()
        worker.process.join(5)
        self._workers.remove(worker)
        task = worker.task
        if not worker.ready:
            raise OmrgradeError(
                "a worker process could not be started",
                fix="use one job; in a script, call this under: if __name__ == '__main__'",
                received=f"exit code {worker.process.exitcode}",
            )
        if task is None:
            return
        if task.alone:
            code = worker.process.exitcode
            problem = problem or f"reading this page crashed its worker process (exit code {code})"
            self._pending[task.index].keep(task.first, [failed(task.pages[0], problem)])
        else:
            self._again.extend(one_by_one(task))


def _has_one_thread() -> bool:
    """Whether this process may be copied; asks the system, as the threads of native libraries count, too."""
    return len(list(Path("/proc/self/task").iterdir())) == 1


def _start_worker(work: Work | None, memory: int, module: str = "", *, copied: bool = False) -> _Worker:
    """A process that reads; without work it imports `module` and waits to be told."""
    context: Any = multiprocessing.get_context("fork" if copied else "spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, work, memory, module, copied), daemon=True)
    with _interrupts_ignored():  # inherited, so that Ctrl-C does not hit a worker while it still loads
        process.start()
    theirs.close()
    return _Worker(process, ours)


def _end(workers: list[_Worker]) -> None:
    """End processes and forget them."""
    for worker in workers:
        worker.pipe.close()
        worker.process.terminate()
    for worker in workers:
        worker.process.join(5)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
    workers.clear()


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set signal handlers, and only it gets Ctrl-C
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _let_go_of_files(kept: int) -> None:
    """Close all open files that a copy has from its parent, but for `kept` and the standard streams.

    Were the parent's own end of the pipe still open here, nobody would notice when the parent dies; were the
    lock of its results, nobody could take it then.
    """
    for file in [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]:
        if file > 2 and file != kept:
            with suppress(OSError):  # the list itself was one of them
                os.close(file)


_READY = "ready"


def _serve(pipe: Connection, work: Work | None, memory: int, module: str, copied: bool) -> None:
    """A worker's life: load what the work needs, then read chunks until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    if copied:
        _let_go_of_files(pipe.fileno())
    import cv2

    cv2.setNumThreads(1)  # as many processes as cores: threads of their own would only get in their way
    try:
        if work is None:
            import_module(module)
            work = pipe.recv()
        reader = work()
        gc.freeze()  # all this stays: it need not be searched for garbage again and again
        pipe.send(_READY)
        with bounded_memory(memory):
            while True:
                pipe.send(_read(reader, pipe.recv()))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass  # the parent has gone, or has no more work
    except Exception as error:
        pipe.send(error)
