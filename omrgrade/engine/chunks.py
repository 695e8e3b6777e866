"""What engines hand out, and how a chunk is read whatever happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from omrgrade.errors import OmrgradeError, PageError
from omrgrade.records import PageReading, PageRef

Chunk = Sequence[PageRef]
Reader = Callable[[Chunk], list[PageReading]]
Work = Callable[[], Reader]
"""Called once in every process; loads what reading needs (template, model) and returns the reader of chunks.

It travels to the workers, so it must be picklable: a module's function or a frozen record, not a lambda.
"""

WINDOW = 3
"""Chunks per worker that may be in flight or wait for an earlier one: bounds memory."""
CHUNK_TIMEOUTS = 2
"""A chunk is given up after so many times the seconds of a page: ordinary pages take a small part of them."""


@dataclass(eq=False)
class Task:
    """Part of a chunk: all of it, or, after it killed a worker, one page."""

    index: int  # of the chunk
    first: int  # of its first page in the chunk
    pages: Chunk
    alone: bool = False  # the page was in a chunk that killed its worker, or took too long


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


def read_chunk(reader: Reader, chunk: Chunk) -> list[PageReading]:
    """Read a chunk; if that fails, page by page, so that a failure is laid at the right door."""
    try:
        readings = reader(chunk)
    except Exception as error:
        if isinstance(error, OmrgradeError) and not isinstance(error, PageError):
            raise
        if len(chunk) == 1:
            problem = error.reason if isinstance(error, PageError) else f"{type(error).__name__}: {error}"
            return [failed(chunk[0], problem)]
        return [reading for ref in chunk for reading in read_chunk(reader, [ref])]
    if len(readings) != len(chunk):
        raise RuntimeError(f"{len(chunk)} pages gave {len(readings)} readings")
    return readings


def failed(ref: PageRef, problem: str) -> PageReading:
    """A page that could not be read, without a content: the next run tries it again."""
    return PageReading(source=ref.path, page=ref.page, problem=problem)
