"""Marked sheets, reduced as they go by to what an analysis needs: their pages need not fit in memory."""

from __future__ import annotations

import math
import sys
from array import array
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from omrgrade.records import ItemScore, PageReading, SheetMarks

Reals = NDArray[np.float64]


@dataclass(slots=True, eq=False)
class Column:
    """One item, over the n sheets that have it."""

    rows: array[int] = field(default_factory=lambda: array("q"))  # numbers of these sheets
    values: list[str] = field(default_factory=list)  # as read
    scores: list[ItemScore] = field(default_factory=list)

    @property
    def maximum(self) -> float:
        """Points that it is worth."""
        return max(score.max_points for score in self.scores)

    @property
    def points(self) -> Reals:
        """(n,) points earned; NaN where the answer awaits review."""
        earned = [math.nan if score.outcome == "unresolved" else score.points for score in self.scores]
        return np.array(earned, np.float64)


@dataclass(slots=True, eq=False)
class Gathered:
    """Sheets that have the same questions."""

    sheets: int = 0
    items: dict[str, Column] = field(default_factory=dict)  # in the order in which they were first seen

    def add(self, page: PageReading, marks: SheetMarks) -> None:
        """One sheet more."""
        values = {reading.field: reading.value for reading in page.fields}
        for score in marks.scores:
            column = self.items.setdefault(score.item, Column())
            column.rows.append(self.sheets)
            column.values.append(sys.intern(values.get(score.item, "")))  # most answers are given often
            column.scores.append(score)
        self.sheets += 1

    def points(self) -> Reals:
        """(sheets, items) points earned; NaN where an answer awaits review or a sheet has no such item."""
        points = np.full((self.sheets, len(self.items)), math.nan)
        for n, column in enumerate(self.items.values()):
            points[column.rows, n] = column.points
        return points
