"""Classical item analysis: how hard each question was, how well it told pupils apart, what a total is worth.

An answer under review is neither right nor wrong, so it is left out, never counted as 0. What needs a whole
row of answers (reliability, SEM) is computed over the sheets on which nothing awaits review; what needs a
measure of the pupil beside one item takes the share of the points of the *other* settled items. Once the
review is done both are the textbook figures.

Sources: Kuder & Richardson 1937 and Cronbach 1951 (reliability); Feldt 1965 (its interval); Kelley 1939 (the
upper and lower 27 %).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

import numpy as np
from numpy.typing import NDArray

from omrgrade.itemstats.answers import (
    OMITTED,
    OTHER,
    AnswerStatistics,
    Suspicion,
    answer_statistics,
    correlation,
    suspicion,
)
from omrgrade.itemstats.gathering import Column, Gathered
from omrgrade.itemstats.reliability import CONFIDENCE, Reliability, feldt_interval, reliability
from omrgrade.records import ItemScore, PageReading, SheetMarks

__all__ = [
    "CONFIDENCE",
    "TAIL",
    "Analysis",
    "AnswerStatistics",
    "ItemStatistics",
    "Reliability",
    "TestStatistics",
    "analyse",
    "feldt_interval",
    "reliability",
]

Reals = NDArray[np.float64]
Sheet = tuple[PageReading, SheetMarks]

TAIL = 0.27
"""Share (0-1) of the sheets in the upper and in the lower group: Kelley's optimum for normal totals."""
SETTLED = 0.5
"""A pupil is placed by the other items only when at least this share (0-1) of their points is settled."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ItemStatistics:
    """One item. None: cannot be told (too few sheets, or all alike)."""

    item: str
    answer: str  # the right ones, joined with "|"
    max_points: float
    correct: int
    incorrect: int
    omitted: int
    to_review: int
    difficulty: float | None  # mean share of the points earned on settled sheets: 1 easy .. 0 hard
    item_rest: float | None  # corrected item-total correlation, -1..1
    upper: float | None  # difficulty in the upper 27 %
    lower: float | None  # difficulty in the lower 27 %
    answers: tuple[AnswerStatistics, ...]  # options in their order; else the commonest first
    suspicion: Suspicion  # that the key is wrong
    hint: str  # why, in words
    version: str = ""  # of the sheets that it is from, where the key has several

    @property
    def label(self) -> str:
        """What it is called: its id, and the version where there are several."""
        return f"{self.item} ({self.version})" if self.version else self.item

    @property
    def settled(self) -> int:
        """Sheets on which it is scored."""
        return self.correct + self.incorrect + self.omitted

    @property
    def lures(self) -> tuple[str, ...]:
        """Wrong answers that several of the better pupils give, and rather than the right one."""
        right = max((a.point_biserial or 0.0 for a in self.answers if a.right), default=0.0)
        return tuple(
            a.value
            for a in self.answers
            if not a.right and a.value not in (OTHER, OMITTED) and a.count >= 3
            if (a.point_biserial or 0.0) > max(0.1, right)
        )

    @property
    def discrimination(self) -> float | None:
        """Difficulty in the upper group less that in the lower, -1..1."""
        return None if self.upper is None or self.lower is None else self.upper - self.lower


@dataclass(frozen=True, kw_only=True, slots=True)
class TestStatistics:
    """A whole test."""

    __test__ = False  # no test of ours, whatever pytest makes of its name

    sheets: int  # that count
    complete: int  # of them, those without any item under review
    maximum: float  # points
    totals: tuple[float, ...]  # of the counted sheets, points, as they are now
    reliability: Reliability | None
    items: tuple[ItemStatistics, ...]  # in sheet order

    @property
    def mean(self) -> float | None:
        """Mean total, points."""
        return math.fsum(self.totals) / len(self.totals) if self.totals else None

    @property
    def sd(self) -> float | None:
        """Standard deviation of the totals (of a sample: n - 1), points."""
        return float(np.std(self.totals, ddof=1)) if len(self.totals) > 1 else None

    @property
    def median(self) -> float | None:
        """Median total, points."""
        return float(median(self.totals)) if self.totals else None


def analyse(
    sheets: Iterable[Sheet],
    *,
    options: Mapping[str, Sequence[str]] | None = None,
    version: Callable[[PageReading], str] = lambda page: "",
) -> TestStatistics:
    """Statistics of marked sheets, gone through once; pages without scores (unreadable, ...) are passed over.

    options, version: see `Analysis`.
    """
    analysis = Analysis(options=options, version=version)
    for page, marks in sheets:
        analysis.add(page, marks)
    return analysis.statistics()


class Analysis:
    """Takes marked sheets one by one, and tells their statistics in the end.

    options: the labels of an item's bubbles, so that one nobody chose is listed too; other items list the
    commonest answers. version: which one of the test a sheet is; question 1 of A and of B are two items, and
    the reliability is that of the version with the most complete sheets.
    """

    def __init__(
        self,
        *,
        options: Mapping[str, Sequence[str]] | None = None,
        version: Callable[[PageReading], str] = lambda page: "",
    ) -> None:
        self._options = options or {}
        self._version = version
        self._groups: dict[str, Gathered] = {}
        self._totals: list[float] = []
        self._complete = 0
        self._maximum = 0.0

    def add(self, page: PageReading, marks: SheetMarks) -> None:
        """One sheet more; one without scores (unreadable, ...) is passed over."""
        if not marks.scores:
            return
        self._groups.setdefault(self._version(page), Gathered()).add(page, marks)
        self._totals.append(marks.total)
        self._complete += all(score.outcome != "unresolved" for score in marks.scores)
        self._maximum = max(self._maximum, marks.maximum)

    def statistics(self) -> TestStatistics:
        """Those of the sheets so far."""
        groups = self._groups
        if len(groups) > 1:  # nobody knows yet which questions the sheets without a version had
            groups = {name: group for name, group in groups.items() if name}
        found = [_analyse_version(group, self._options, name) for name, group in sorted(groups.items())]
        reliabilities = [told for told, _ in found if told]
        return TestStatistics(
            sheets=len(self._totals),
            complete=self._complete,
            maximum=self._maximum,
            totals=tuple(self._totals),
            reliability=max(reliabilities, key=lambda told: told.sheets, default=None),
            items=tuple(item for _, items in found for item in items),
        )


def _analyse_version(
    gathered: Gathered, options: Mapping[str, Sequence[str]], version: str
) -> tuple[Reliability | None, list[ItemStatistics]]:
    """Reliability and items of sheets that have the same questions."""
    points = gathered.points()
    maxima = np.array([column.maximum for column in gathered.items.values()])
    items = [
        _item(column, points[column.rows, n], _rest(points, maxima, n)[column.rows], options.get(name, ()))
        for n, (name, column) in enumerate(gathered.items.items())
    ]
    told = reliability(points, maxima)
    return told and replace(told, version=version), [replace(item, version=version) for item in items]


def _rest(points: Reals, maxima: Reals, column: int) -> Reals:
    """(sheets,) share of the other settled points that each pupil earned; NaN where too few are settled."""
    others, worth = np.delete(points, column, axis=1), np.delete(maxima, column)
    possible = np.where(np.isnan(others), 0.0, worth).sum(axis=1)
    known = (possible > 0) & (possible >= SETTLED * worth.sum())
    return np.where(known, np.nansum(others, axis=1) / np.where(possible > 0, possible, 1.0), math.nan)


def _item(column: Column, points: Reals, rest: Reals, options: Sequence[str]) -> ItemStatistics:
    """Statistics of one item over the n sheets that have it; `points` and `rest`: (n,)."""
    scores, top = column.scores, column.maximum
    share = points / top if top else np.full(len(points), math.nan)
    outcomes = Counter(score.outcome for score in scores)
    earned = np.clip(share[~np.isnan(share)], 0, 1)
    item_rest = correlation(share, rest)
    upper, lower = _tails(share, rest)
    given = [_given(value, score) for value, score in zip(column.values, scores, strict=True)]
    right = {
        value for value, score in zip(given, scores, strict=True) if value and score.outcome == "correct"
    }
    right.update(scores[0].answer.split("|"))
    answers = answer_statistics(given, right, options, rest)
    pairs = int((~np.isnan(share + rest)).sum())
    suspect, hint = suspicion(answers, correct=outcomes["correct"], item_rest=item_rest, pairs=pairs)
    return ItemStatistics(
        item=scores[0].item,
        answer=scores[0].answer,
        max_points=top,
        correct=outcomes["correct"],
        incorrect=outcomes["incorrect"],
        omitted=outcomes["omitted"],
        to_review=outcomes["unresolved"],
        difficulty=float(earned.mean()) if len(earned) else None,
        item_rest=item_rest,
        upper=upper,
        lower=lower,
        answers=answers,
        suspicion=suspect,
        hint=hint,
    )


def _given(value: str, score: ItemScore) -> str | None:
    """The answer on a sheet as read; None while it awaits review."""
    if score.outcome == "unresolved":
        return None
    return (value if score.outcome != "omitted" else "") or OMITTED


def _tails(share: Reals, rest: Reals) -> tuple[float | None, float | None]:
    """Mean share of the points in the upper and the lower 27 % by `rest`; None for fewer than two sheets."""
    both = ~np.isnan(share) & ~np.isnan(rest)
    values, order = np.clip(share[both], 0, 1), rest[both]
    size = round(TAIL * len(values))
    if size < 2:
        return None, None
    return _head_mean(values, order, size), _head_mean(values, -order, size)


def _head_mean(values: Reals, order: Reals, size: int) -> float:
    """Mean of the `size` values of highest `order`; the last places are shared by all who tie for them."""
    border = np.sort(order)[-size]
    above, level = order > border, order == border
    places = size - int(above.sum())
    return float((values[above].sum() + values[level].mean() * places) / size)
