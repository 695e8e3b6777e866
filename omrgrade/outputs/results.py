"""What every output is made from, and what their rows have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from omrgrade.records import (
    AnswerKey,
    Batch,
    Correction,
    ItemScore,
    PageReading,
    Roster,
    RunInfo,
    SheetMarks,
    Template,
)
from omrgrade.store import storable

Cell = str | float | int | None
"""A cell of a table: text, a number, or nothing."""


def own_preview(page: PageReading) -> bytes:
    """The preview that a page carries itself, for batches small enough to keep them."""
    return page.preview


@dataclass(frozen=True, kw_only=True, slots=True)
class Results:
    """A graded batch with all that its outputs need."""

    batch: Batch
    template: Template
    key: AnswerKey | None = None
    roster: Roster | None = None
    run: RunInfo = field(default_factory=RunInfo)
    preview: Callable[[PageReading], bytes] = own_preview  # JPEG of a page, asked for one page at a time
    corrections: tuple[Correction, ...] = ()  # the run's log, oldest first
    others: Mapping[str, Template] = field(default_factory=dict)  # by name, of pages read with another one
    redraw: frozenset[tuple[str, int]] | None = None  # (source, page) of the overlays wanted; None: all
    memo: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)
    """What several outputs need and is worked out once; `dataclasses.replace` begins a new one."""

    def template_of(self, page: PageReading) -> Template:
        """The template that a page was read with."""
        return self.others.get(page.template, self.template)

    def sheets(self) -> Iterator[tuple[PageReading, SheetMarks]]:
        """Every page with its marks, in page order."""
        return zip(self.batch.pages, self.batch.marks, strict=True)

    def scored_items(self) -> tuple[str, ...]:
        """Ids of the items that the key gives points for, in sheet order."""
        keyed = {item.item for item in self.key.items} if self.key else set()
        return tuple(f.id for f in self.template.fields if f.id in keyed)


def scores_by_item(marks: SheetMarks) -> dict[str, ItemScore]:
    """A sheet's scores by the id of their item."""
    return {score.item: score for score in marks.scores}


def doubtful_pages(batch: Batch) -> frozenset[tuple[str, int]]:
    """(source, page), as they are stored, of the pages with readings under review or in doubt otherwise."""
    return frozenset(
        (storable(marks.source), marks.page)
        for marks in batch.marks
        if marks.status != "ok" or marks.to_review or marks.doubt
    )
