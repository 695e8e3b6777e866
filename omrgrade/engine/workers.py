"""The processes of a pool: how they begin, what they do, how they end."""

from __future__ import annotations

import gc
import math
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from omrgrade.engine.chunks import Task, Work, read_chunk
from omrgrade.engine.memory import bounded_memory

READY = "ready"
"""What a worker says when it has loaded what it needs."""


@dataclass(eq=False)
class Worker:
    """A process that reads, as its parent knows it."""

    process: BaseProcess
    pipe: Connection
    task: Task | None = None
    then: Task | None = None  # it has been sent this already, and begins it without waiting for this process
    ready: bool = False
    late: float = math.inf  # when its task will have taken too long, on the monotonic clock


def has_one_thread() -> bool:
    """Whether this process may be copied; asks the system, as the threads of native libraries count, too."""
    return len(list(Path("/proc/self/task").iterdir())) == 1


def start_worker(
    work: Work | None, memory: int, modules: Sequence[str] = (), *, copied: bool = False
) -> Worker:
    """A process that reads; without work it imports `modules` and waits to be told."""
    context: Any = multiprocessing.get_context("fork" if copied else "spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, work, memory, modules, copied), daemon=True)
    with _interrupts_ignored():  # inherited, so that Ctrl-C does not hit a worker while it still loads
        process.start()
    theirs.close()
    return Worker(process, ours)


def end_workers(workers: list[Worker]) -> None:
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


def _serve(pipe: Connection, work: Work | None, memory: int, modules: Sequence[str], copied: bool) -> None:
    """A worker's life: load what the work needs, then read chunks until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    if copied:
        _let_go_of_files(pipe.fileno())
    import cv2

    cv2.setNumThreads(1)  # as many processes as cores: threads of their own would only get in their way
    try:
        if work is None:
            for module in modules:
                import_module(module)
            work = pipe.recv()
        reader = work()
        gc.freeze()  # all this stays: it need not be searched for garbage again and again
        pipe.send(READY)
        with bounded_memory(memory):
            while True:
                pipe.send(read_chunk(reader, pipe.recv()))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass  # the parent has gone, or has no more work
    except Exception as error:
        pipe.send(error)
