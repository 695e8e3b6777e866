"""The pages of runs past memory: gone through one at a time, from the run's file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import overload

from omrgrade.corrected import corrected_pages
from omrgrade.records import PageReading, Template
from omrgrade.store import Store

MANY = 5000
"""Runs of more pages are not held in memory: a page of fifty questions takes some 50 kB there."""


def run_pages(store: Store, template: Template) -> Sequence[PageReading]:
    """A run's pages with everything that people decided: in memory, or, if they are many, in its file."""
    if len(store) > MANY:
        return StoredPages(store.path, template)
    return tuple(corrected_pages(store, template))


class StoredPages(Sequence[PageReading]):
    """A sequence that reads the run's file anew whenever it is gone through."""

    def __init__(
        self, path: Path, template: Template, change: Callable[[PageReading], PageReading] = lambda page: page
    ) -> None:
        self._path = path
        self._template = template
        self._change = change
        with Store.open(path) as store:
            self._length = len(store)

    def changed(self, change: Callable[[PageReading], PageReading]) -> StoredPages:
        """The same pages, each with a change more."""
        return StoredPages(self._path, self._template, lambda page: change(self._change(page)))

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[PageReading]:
        with Store.open(self._path) as store:
            for page in corrected_pages(store, self._template):
                yield self._change(page)

    @overload
    def __getitem__(self, index: int) -> PageReading: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[PageReading, ...]: ...
    def __getitem__(self, index: int | slice) -> PageReading | tuple[PageReading, ...]:
        places = range(self._length)[index]
        if isinstance(places, int):
            return next(islice(self, places, None))
        wanted = set(places)
        found = {n: page for n, page in enumerate(self) if n in wanted}
        return tuple(found[n] for n in places)
