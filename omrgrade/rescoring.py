"""What a changed key changes: two ways of marking the same readings, compared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from omrgrade.records import Batch, ItemScore, SheetMarks


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """A sheet whose marks are not what they were."""

    before: SheetMarks
    after: SheetMarks
    items: tuple[str, ...]  # whose points, or whether they are right, have changed, in sheet order


def changes(before: Batch, after: Batch) -> Iterator[Change]:
    """Sheets with another total, maximum or outcome, in page order. Both batches have the same pages."""
    for old, new in zip(before.rows, after.rows, strict=True):
        one, two = _by_item(old), _by_item(new)
        items = tuple(item for item in dict.fromkeys([*two, *one]) if one.get(item) != two.get(item))
        same = (old.total, old.maximum, old.student_id, old.status)
        if items or same != (new.total, new.maximum, new.student_id, new.status):
            yield Change(before=old, after=new, items=items)


def _by_item(marks: SheetMarks) -> dict[str, tuple[str, float, float]]:
    """What counts of an item's score: two spellings of a right answer are no change."""

    def essence(score: ItemScore) -> tuple[str, float, float]:
        return score.outcome, score.points, score.max_points

    return {score.item: essence(score) for score in marks.scores}
