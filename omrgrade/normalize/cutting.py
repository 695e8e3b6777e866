"""Ink of a wide box -> its pieces, each a digit or a part of one: components, cut where digits may touch."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from omrgrade.normalize.ink import NEAR

Grey = NDArray[np.uint8]
Real = NDArray[np.float32]

CUTTABLE = 0.7  # width over the writing's height from which a component may hold two digits
THICKEST = 1.8  # stroke widths that a cut may go through
SIDESTEP = 0.35  # px of ink that a cut's step aside is worth: cuts are rather straight
STRAIGHT = 0.13  # width over length (as standard deviations) up to which a component is a single stroke


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """A connected component, or a part of one between cuts."""

    mask: Grey  # (h, w) of the working copy, 255 where its ink is
    left: int
    right: int  # first column after it
    top: int
    bottom: int
    cut: bool  # it was cut from the piece before it
    print_like: bool  # it may be what is left of the outline


def _piece(mask: Grey, *, cut: bool, print_like: bool = False) -> Piece:
    x, y, w, h = cv2.boundingRect(mask)
    return Piece(mask, x, x + w, y, y + h, cut, print_like)


def find_pieces(
    labels: NDArray[np.int32], stats: NDArray[np.int32], kept: list[int], print_like: set[int]
) -> list[Piece]:
    """All components in reading order, the wide ones cut."""
    tall = int(stats[[n for n in kept if n not in print_like] or kept, cv2.CC_STAT_HEIGHT].max())
    kept = sorted(kept, key=lambda n: stats[n, cv2.CC_STAT_LEFT] + stats[n, cv2.CC_STAT_WIDTH] / 2)
    pieces: list[Piece] = []
    for n in kept:
        mask = np.where(labels == n, 255, 0).astype(np.uint8)
        if stats[n, cv2.CC_STAT_WIDTH] >= CUTTABLE * tall and not _is_one_line(mask):
            pieces += _cut(mask)
        else:
            pieces.append(_piece(mask, cut=False, print_like=n in print_like))
    return pieces


def _cut(mask: Grey) -> list[Piece]:
    """A component at every place where it may be two digits that touch, left to right."""
    x, y, w, h = cv2.boundingRect(mask)
    part = mask[y : y + h, x : x + w] > 0
    stroke = stroke_width(part)
    ways = _ways(part, THICKEST * stroke, apart=max(4, round(1.2 * stroke)))
    ends = [np.full(h, -1), *ways, np.full(h, w)]
    columns = np.arange(w)
    pieces: list[Piece] = []
    for before, after in pairwise(ends):
        own = part & (columns > before[:, None]) & (columns <= after[:, None])
        full = np.zeros_like(mask)
        full[y : y + h, x : x + w][own] = 255
        if own.any():
            pieces.append(_piece(full, cut=bool(pieces)))
    return pieces


def _is_one_line(mask: Grey) -> bool:
    """Whether ink is a straight stroke, however slanted: half of a 1 looks like a 1, but is none."""
    narrow, long = np.linalg.eigvalsh(np.cov(np.nonzero(mask)))
    return bool(narrow < (STRAIGHT**2) * long)


def stroke_width(part: NDArray[np.bool_]) -> float:
    """Usual width of the pen's line, px."""
    padded = np.pad(part, 1).astype(np.uint8)
    rim = padded - cv2.erode(padded, NEAR)
    return 2 * float(padded.sum()) / max(1.0, float(rim.sum()))


def _ways(part: NDArray[np.bool_], most: float, apart: int) -> list[NDArray[np.intp]]:
    """Ways from top to bottom through at most `most` px of ink: (h,) columns each, left to right.

    part: (h, w), ink true. The cheapest way through every place of the middle row, by dynamic programming
    from above and from below; of these the local minima, no two nearer than `apart` px.
    """
    cost = part.astype(np.float32)
    height, width = cost.shape
    middle = height // 2
    above, from_above = _cheapest(cost[: middle + 1])
    below, from_below = _cheapest(cost[middle:][::-1])
    total = above + below - cost[middle]
    weight = np.cumsum(part.sum(axis=0)) / part.sum()
    places = [
        n
        for n in range(1, width - 1)
        if total[n] <= most
        and total[n] == total[max(0, n - apart) : n + apart + 1].min()
        and 0.1 < weight[n] < 0.9
    ]
    ways: list[NDArray[np.intp]] = []
    for place in places:
        if ways and place - ways[-1][middle] < apart:
            continue
        way = np.empty(height, np.intp)
        way[: middle + 1] = _back(from_above, place)
        way[middle:] = _back(from_below, place)[::-1]
        if ways:
            way = np.maximum(way, ways[-1])
        ways.append(way)
    return ways


def _cheapest(cost: Real) -> tuple[Real, NDArray[np.int8]]:
    """Cost of the cheapest way from the first row to each place of the last; each step's side (-1, 0, 1)."""
    steps = np.zeros(cost.shape, np.int8)
    total = cost[0].copy()
    infinite = np.float32(1e9)
    for row in range(1, len(cost)):
        left = np.concatenate(([infinite], total[:-1])) + SIDESTEP
        right = np.concatenate((total[1:], [infinite])) + SIDESTEP
        best = np.stack((total, left, right))
        chosen = best.argmin(axis=0)
        steps[row] = np.array((0, -1, 1), np.int8)[chosen]
        total = (np.take_along_axis(best, chosen[None], 0)[0] + cost[row]).astype(np.float32)
    return total, steps


def _back(steps: NDArray[np.int8], place: int) -> NDArray[np.intp]:
    """The columns, first row to last, of the way that ends at `place`."""
    way = np.empty(len(steps), np.intp)
    for row in range(len(steps) - 1, -1, -1):
        way[row] = place
        place += int(steps[row, place])
    return way
