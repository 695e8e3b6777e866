"""What was answered to an item, right and wrong, by whom, and whether that makes its key look wrong."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]
Suspicion = Literal["", "weak", "strong"]

LISTED = 8
"""Different answers listed an item, its options among them; the rarer wrong ones are counted together."""
OTHER, OMITTED = "(other)", "(omitted)"
"""What the rarer answers and the empty ones are called among the answers of an item."""
ALMOST_ALL = 0.5
"""When nobody is right and at least this share (0-1) gives one answer, the key is wrong, not the class."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AnswerStatistics:
    """One answer that was given to an item, right or wrong."""

    value: str  # as read; OTHER and OMITTED in brackets
    right: bool
    count: int
    share: float  # of the settled sheets, 0-1
    point_biserial: float | None  # giving it against the share of the other items' points, -1..1


def correlation(one: Reals, two: Reals) -> float | None:
    """Pearson's r over the pairs without NaN; None for fewer than three, or where one side does not vary."""
    both = ~np.isnan(one) & ~np.isnan(two)
    x, y = one[both], two[both]
    if len(x) < 3 or np.ptp(x) < 1e-12 or np.ptp(y) < 1e-12:
        return None
    return float(np.clip(np.corrcoef(x, y)[0, 1], -1, 1))


def answer_statistics(
    given: Sequence[str | None], right: set[str], options: Sequence[str], rest: Reals
) -> tuple[AnswerStatistics, ...]:
    """Every option, or the commonest answers, then the rarer ones together, then those who gave none.

    `given`: a sheet each, as read, OMITTED, or None while under review; `rest`: (sheets,) the share of the
    other items' points.
    """
    counts = Counter(value for value in given if value not in (None, OMITTED, *options))
    commonest = [value for value, _ in sorted(counts.items(), key=lambda entry: (-entry[1], str(entry[0])))]
    wrong = [value for value in commonest if value not in right][: max(0, LISTED - len(options))]
    listed = [*options, *(value for value in commonest if value in right or value in wrong)]
    named = [value if value in (None, OMITTED, *listed) else OTHER for value in given]
    told = [*(str(value) for value in listed), *(value for value in (OTHER, OMITTED) if value in named)]
    codes = {value: n for n, value in enumerate(told)}
    code = np.array([-1 if name is None else codes[name] for name in named], np.int64)
    settled = int((code >= 0).sum())

    def of(value: str) -> AnswerStatistics:
        gave = code == codes[value]
        count = int(gave.sum())
        return AnswerStatistics(
            value=value,
            right=value in right,
            count=count,
            share=count / settled if settled else 0.0,
            point_biserial=correlation(np.where(code < 0, math.nan, gave), rest),
        )

    return tuple(map(of, told))


def suspicion(
    answers: Sequence[AnswerStatistics], *, correct: int, item_rest: float | None, pairs: int
) -> tuple[Suspicion, str]:
    """Whether the key looks wrong, and why.

    Strong: pupils who are better at the rest do worse here, by more than chance (one-sided 5 %, Fisher's z),
    or nobody is right and most agree on another answer. Weak: worse, but it may be chance. `pairs`: sheets
    that `item_rest` is from.
    """
    wrong = [a for a in answers if not a.right and a.value not in (OTHER, OMITTED)]
    favourite = max(wrong, key=lambda a: a.count, default=None)
    if not correct and favourite and favourite.count >= 3 and favourite.share >= ALMOST_ALL:
        return "strong", f"nobody was right; {favourite.count} answered {favourite.value}"
    if item_rest is None or item_rest > -1e-9:  # 0 but for rounding is not negative
        return "", ""
    strong = pairs > 3 and math.atanh(max(item_rest, -0.999999)) * math.sqrt(pairs - 3) < -1.645
    hint = "pupils who did better on the rest did worse here"
    better = max(wrong, key=lambda a: a.point_biserial or -2.0, default=None)
    if better and better.count > 1 and (better.point_biserial or 0) > 0:
        hint += f"; they tend to answer {better.value}"
    return ("strong" if strong else "weak"), hint
