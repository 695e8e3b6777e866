"""How far a test's totals would repeat themselves: KR-20 or alpha, its interval, the error of measurement."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from omrgrade.itemstats.variance import f_quantile

Reals = NDArray[np.float64]

CONFIDENCE = 0.95
"""Of the interval of the reliability (0-1)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reliability:
    """How far the totals would repeat themselves, from the sheets on which everything is settled."""

    coefficient: Literal["KR-20", "alpha"]  # the same formula; KR-20 where every item is all or nothing
    value: float  # at most 1; below 0 when items contradict one another
    low: float  # bounds of the 95 % interval
    high: float
    sem: float  # standard error of measurement, points
    sheets: int
    items: int
    version: str = ""  # of the test, where there are several


def reliability(points: Reals, maxima: Reals) -> Reliability | None:
    """KR-20 or Cronbach's alpha with Feldt's interval, and the standard error of measurement.

    points: (sheets, items), NaN where not settled; maxima: (items,), points. None unless at least two sheets
    are complete, there are two items, and totals differ.
    """
    whole = points[~np.isnan(points).any(axis=1)]
    n, k = whole.shape
    if n < 2 or k < 2:
        return None
    variance = float(whole.sum(axis=1).var(ddof=1))
    if variance <= 1e-12:
        return None
    value = k / (k - 1) * (1 - float(whole.var(axis=0, ddof=1).sum()) / variance)
    low, high = feldt_interval(value, sheets=n, items=k)
    return Reliability(
        coefficient="KR-20" if _all_or_nothing(whole, maxima) else "alpha",
        value=value,
        low=low,
        high=high,
        sem=math.sqrt(variance * max(0.0, 1 - value)),
        sheets=n,
        items=k,
    )


def _all_or_nothing(points: Reals, maxima: Reals) -> bool:
    """Whether every item is worth the same and right or wrong only: what KR-20 is defined for."""
    return bool(((points == 0) | (points == maxima)).all() and np.ptp(maxima) == 0)


def feldt_interval(alpha: float, *, sheets: int, items: int) -> tuple[float, float]:
    """The interval (low, high) that holds the true reliability with `CONFIDENCE`.

    (1 - true alpha) / (1 - sample alpha) follows F with n - 1 and (n - 1)(k - 1) degrees of freedom
    (Feldt 1965).
    """
    tail, degrees = (1 - CONFIDENCE) / 2, (sheets - 1, (sheets - 1) * (items - 1))
    low, high = (1 - (1 - alpha) * f_quantile(q, *degrees) for q in (1 - tail, tail))
    return low, high
