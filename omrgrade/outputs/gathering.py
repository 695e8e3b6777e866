"""What outputs need to know of all pages, found in one going through them.

A long run's pages do not fit in memory, and going through them reads the run's file. So whoever needs every
page, as the tables of readings do, goes `through` them, and what the others need is noted by the way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import cast

from omrgrade.grading import NOT_COUNTED
from omrgrade.itemstats import Analysis
from omrgrade.outputs.quality import Quality
from omrgrade.outputs.results import Cell, Results
from omrgrade.records import Batch, FieldReading, PageReading, SheetMarks

Taker = Callable[[PageReading, SheetMarks], None]
_NAME = "gathered"  # in `Results.memo`


class Gathered:
    """What is noted of the pages."""

    def __init__(self, results: Results) -> None:
        self.quality = Quality()
        self.doubts: list[tuple[Cell, ...]] = []  # rows of review.csv, a doubtful reading each, in page order
        self.analysis = _analysis(results)
        self._whole = _WholeSheets(results.batch, self.analysis.add)

    def add(self, page: PageReading, marks: SheetMarks) -> None:
        """The next page."""
        self._whole.add(page, marks)
        self.quality.add(page, marks)
        if marks.to_review and marks.status not in NOT_COUNTED:
            self.doubts += (_doubt(page, marks, r) for r in page.fields if r.status == "review")


def through(results: Results) -> Iterator[tuple[PageReading, SheetMarks]]:
    """Every page with its marks, in page order; the first to come to the end leaves `gathered` behind."""
    if _NAME in results.memo:
        yield from results.sheets()
        return
    found = Gathered(results)
    for page, marks in results.sheets():
        found.add(page, marks)
        yield page, marks
    results.memo[_NAME] = found


def gathered(results: Results) -> Gathered:
    """What there is to know of all pages; they are gone through now if nobody has yet."""
    if _NAME not in results.memo:
        for _ in through(results):
            pass
    return cast(Gathered, results.memo[_NAME])


def _doubt(page: PageReading, marks: SheetMarks, reading: FieldReading) -> tuple[Cell, ...]:
    said = (reading.field, reading.value, reading.confidence, reading.runner_up, reading.reason)
    return (page.source, page.page, marks.student_id, *said)


def _analysis(results: Results) -> Analysis:
    options = {f.id: f.options for f in results.template.fields if f.kind == "choice" and not f.multiple}
    versions = results.key.versions if results.key else ()
    names = {f.id for f in results.template.fields if f.version}

    def version(page: PageReading) -> str:
        said = next((r for r in page.fields if r.field in names), None) if versions else None
        return said.value if said and said.status == "read" else ""

    return Analysis(options=options, version=version)


class _WholeSheets:
    """Hands on whole sheets, of several pages a pupil as if they were one; without those that have gaps."""

    def __init__(self, batch: Batch, take: Taker) -> None:
        self._take = take
        self._batch = batch
        self._due = iter([sheet for sheet in batch.sheets if sheet.complete])
        self._next = next(self._due, None)
        self._wanted = {n for sheet in batch.sheets if sheet.complete for n in sheet.pages}
        self._held: dict[int, PageReading] = {}  # pages of sheets that are due, by their place
        self._seen = 0

    def add(self, page: PageReading, marks: SheetMarks) -> None:
        """The next page; hands on its sheet, if that has come to its end, in the order of the sheets."""
        if not self._batch.sheets:
            self._take(page, marks)
            return
        if self._seen in self._wanted:
            fields = tuple(replace(reading, boxes=()) for reading in page.fields)
            self._held[self._seen] = replace(page, fields=fields)
        self._seen += 1
        while self._next and all(n in self._held for n in self._next.pages):
            pages = [self._held.pop(n) for n in self._next.pages]
            together = replace(pages[0], fields=tuple(f for one in pages for f in one.fields))
            self._take(together, self._next.marks)
            self._next = next(self._due, None)
