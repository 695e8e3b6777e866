"""Histograms as the report draws them: bins with labels and heights, from plain numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from omrgrade.outputs.csvtext import number_text


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """One bar in two parts: what is settled, and above it what awaits review."""

    label: str
    settled: int
    doubtful: int = 0
    settled_height: float  # of the tallest bar, 0-1
    doubtful_height: float


def bars(labels: Sequence[str], settled: Sequence[int], doubtful: Sequence[int] = ()) -> tuple[Bar, ...]:
    """Bars scaled to the tallest."""
    doubtful = doubtful or [0] * len(labels)
    top = max((a + b for a, b in zip(settled, doubtful, strict=True)), default=0) or 1
    return tuple(
        Bar(label=label, settled=a, doubtful=b, settled_height=a / top, doubtful_height=b / top)
        for label, a, b in zip(labels, settled, doubtful, strict=True)
    )


def totals_histogram(totals: Sequence[tuple[float, bool]], maximum: float) -> tuple[Bar, ...]:
    """How many sheets have how many points; (points, whether something on the sheet awaits review).

    At most some 25 bars, each of a round number of points; the last holds the maximum. Between 2-4 and 4-6,
    4 points are in the second.
    """
    if not totals or maximum <= 0:
        return ()
    width = _round_step(maximum / 25)
    whole = all(float(points).is_integer() for points in (maximum, *(points for points, _ in totals)))
    count = math.floor(maximum / width) + 1 if whole else max(1, math.ceil(maximum / width - 1e-9))
    settled, doubtful = [0] * count, [0] * count
    for points, doubt in totals:
        (doubtful if doubt else settled)[min(count - 1, int(points / width + 1e-9))] += 1
    starts = [n * width for n in range(count)]
    last = [start + width - 1 if whole else start + width for start in starts]
    return bars([_span(a, min(b, maximum)) for a, b in zip(starts, last, strict=True)], settled, doubtful)


def _span(first: float, last: float) -> str:
    return number_text(first) if first == last else f"{number_text(first)}-{number_text(last)}"


def _round_step(least: float) -> float:
    """1, 2, 5, 10, 20 ... points, not less than `least`."""
    if least <= 1:
        return 1.0
    power = 10.0 ** math.floor(math.log10(least))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= least - 1e-9)


CONFIDENCE_EDGES = (0.0, 0.5, 0.8, 0.9, 0.95, 0.99, 0.999, 1.0)
"""Borders of the confidence histogram: finer where readings crowd."""


def confidence_histogram(settled: Sequence[float], doubtful: Sequence[float]) -> tuple[Bar, ...]:
    """How sure the readings were, 0-1: those that are settled, and those that await review."""
    labels = [f"{100 * a:g}-{100 * b:g}" for a, b in pairwise(CONFIDENCE_EDGES)]
    return bars(labels, _counts(settled), _counts(doubtful))


def _counts(confidences: Sequence[float]) -> list[int]:
    counts, _ = np.histogram(np.asarray(confidences, np.float64), CONFIDENCE_EDGES)
    return [int(count) for count in counts]


def residual_histogram(residuals: Sequence[float], refused: float) -> tuple[Bar, ...]:
    """How far off the printed boxes were found, mm, in tenths up to the limit at which a page is refused."""
    count = max(1, math.ceil(refused * 10 - 1e-9))
    pages = [0] * count
    for residual in residuals:
        pages[min(count - 1, int(residual * 10))] += 1
    return bars([f"{n / 10:.1f}" for n in range(count)], pages)
