"""Reading in a pool of processes, of which any may die."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib import import_module
from multiprocessing.connection import wait

from omrgrade.engine.chunks import CHUNK_TIMEOUTS, WINDOW, Chunk, Pending, Task, Work, failed, one_by_one
from omrgrade.engine.memory import MEMORY
from omrgrade.engine.workers import READY, Worker, end_workers, has_one_thread, start_worker
from omrgrade.errors import OmrgradeError
from omrgrade.records import PageReading


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
        self._early: list[Worker] = []

    def start(self, *modules: str) -> None:
        """Start all workers before there is work; meanwhile they import these modules, which they will need.

        Copies are made once this process has imported the first one, which they then need not do.
        """
        if self.copied:
            import_module(modules[0])
        copied = self.copied and has_one_thread()
        missing = range(self.jobs - len(self._early))
        self._early += [start_worker(None, self.memory, modules, copied=copied) for _ in missing]

    def stop(self) -> None:
        """End the workers that were started and never given work."""
        end_workers(self._early)

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
        self._workers: list[Worker] = []
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
        end_workers(self._workers)

    def _hand_out(self) -> None:
        """Give every worker a task, and one for after it, as this process may wait for the disk by then.

        Workers are started only when there is something for them to do.
        """
        while self._room() and (task := self._take_task()):
            worker = next((w for w in self._workers if w.task is None), None)
            if worker is None and len(self._workers) < self._jobs:
                worker = self._start()
            if worker is None:
                worker = next(w for w in self._workers if w.ready and w.then is None)
                worker.then = task
            else:
                worker.task = task
                self._set_clock(worker)
            try:
                worker.pipe.send(task.pages)
            except OSError:
                self._bury(worker)

    def _room(self) -> bool:
        """Whether a task could be handed out."""
        return len(self._workers) < self._jobs or any(
            w.task is None or (w.ready and w.then is None) for w in self._workers
        )

    def _take_task(self) -> Task | None:
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

    def _start(self) -> Worker:
        if self._early:
            worker = self._early.pop()
            with suppress(OSError):  # a worker that died already is noticed when it gets its task
                worker.pipe.send(self._work)
        else:
            worker = start_worker(self._work, self._memory, copied=self._copied and has_one_thread())
        self._workers.append(worker)
        return worker

    def _set_clock(self, worker: Worker) -> None:
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
            if answer == READY:
                worker.ready = True
                self._set_clock(worker)
            elif worker.task is not None:
                self._pending[worker.task.index].keep(worker.task.first, answer)
                worker.task, worker.then, worker.late = worker.then, None, math.inf
                self._set_clock(worker)

    def _bury(self, worker: Worker, problem: str = "") -> None:
        """A worker died: have its pages read again, each alone; a page that was alone is given up."""
        worker.pipe.close()
        worker.process.join(5)
        self._workers.remove(worker)
        task = worker.task
        if worker.then is not None:
            self._again.append(worker.then)
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
