"""Printed lines along the sides of many boxes at once: where they run and how thick they are.

A batch is looked at side by side, each side with itself on top, because NumPy's cost is a call's and not an
element's at this size. Boxes that need a second look are picked out and looked at together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]
Bools = NDArray[np.bool_]
Ints = NDArray[np.intp]
Reals = NDArray[np.float64]

LINE_COVER = 0.80  # a printed line runs along this share of its side; digits rarely do
SHORTEST = 10  # px: what is left of a shorter side says nothing

ROWS = np.arange(512)[:, None]
COLUMNS = np.arange(512)
ROW_CODES = np.repeat(np.arange(256, dtype=np.uint8), 512).reshape(256, 512)


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """The lines of N boxes: top, right, bottom, left, each seen with its side on top; px."""

    seen: Bools  # (N, 4)
    left: Reals  # (N, 4) first row below the line at its left end
    right: Reals  # (N, 4) and at its right end
    thickness: Reals  # (N, 4)

    @classmethod
    def none(cls, count: int) -> Lines:
        """No lines yet for `count` boxes."""
        return cls(np.zeros((count, 4), bool), *np.zeros((3, count, 4)))

    @property
    def count(self) -> Ints:
        """(N,) sides with a line, 0-4."""
        return self.seen.sum(axis=1)

    def some(self, which: Bools) -> Lines:
        """Those of some of the boxes."""
        return Lines(self.seen[which], self.left[which], self.right[which], self.thickness[which])

    def replace(self, where: Ints, others: Lines) -> None:
        """Put `others` in the place of the boxes at `where`."""
        for name in ("seen", "left", "right", "thickness"):
            getattr(self, name)[where] = getattr(others, name)


def turned(images: NDArray[Any], turn: int) -> NDArray[Any]:
    """Images (..., h, w) turned counter-clockwise by quarter turns, as a view."""
    if turn == 0:
        return images
    if turn == 1:
        return images[..., ::-1].swapaxes(-1, -2)
    return images[..., ::-1, ::-1] if turn == 2 else images[..., ::-1, :].swapaxes(-1, -2)


def ramp(start: Reals, end: Reals, count: Ints | int, columns: Ints) -> Reals:
    """(N, w): the values at `columns` of straight lines from `start` to `end`, (N,), over `count` columns."""
    return start[:, None] + np.asarray((end - start) / (count - 1))[:, None] * columns


def find_lines(dark: Grey, floor: Reals, depth: int, inset: int, rules: int) -> Lines:
    """The printed line within `depth` px of each side of each box, where there is one.

    dark: (N, h, w); floor: (N,) grey levels from which a line is seen; inset: px at both ends of a side that
    are not looked at. rules: how many lines a side may have: a grid's thick rule, its shadow and a
    neighbour's rule; for a box one, a second would be the bar of a 7.
    """
    lines = Lines.none(len(dark))
    if not depth:
        return lines
    bands = [np.ascontiguousarray(turned(dark, turn)[:, :depth]) for turn in range(4)]
    reach = np.full((len(dark), 4), inset)  # what the sides cut off each other, px
    looked = np.full((len(dark), 4, 2), -1)
    for turn in (
        0,
        1,
        2,
        3,
        0,
        1,
        2,
        3,
    ):  # a side may show its line only once its neighbours' are gone
        width = bands[turn].shape[2]
        # turning is counter-clockwise: the last side's cut is at the left, the next one's at the right
        ends = np.stack([reach[:, turn - 1], width - reach[:, (turn + 1) % 4]], axis=1)
        todo = np.flatnonzero(~lines.seen[:, turn] & (ends != looked[:, turn]).any(axis=1))
        if not len(todo):
            continue
        looked[todo, turn] = ends[todo]
        first, end = ends[todo].T
        found = _line_edges(bands[turn][todo], first, end, floor[todo], rules)
        hit = todo[found.seen]
        left, right, thickness = (part[found.seen] for part in (found.left, found.right, found.thickness))
        first, end = first[found.seen], end[found.seen]
        slope = (right - left) / (end - first - 1)
        lines.seen[hit, turn] = True
        lines.left[hit, turn] = left - slope * first
        lines.right[hit, turn] = right + slope * (width - end)
        lines.thickness[hit, turn] = thickness
        reach[hit, turn] = np.maximum(inset, np.ceil(np.maximum(left, right)))
    return lines


@dataclass(frozen=True, slots=True, eq=False)
class _Edges:
    """The line of one side of n boxes."""

    seen: Bools  # (n,)
    left: Reals  # (n,) first row below the line at the first column looked at
    right: Reals  # (n,) and at the last
    thickness: Reals  # (n,)


def _line_edges(band: Grey, first: Ints, end: Ints, floor: Reals, rules: int) -> _Edges:
    """First row below the printed line(s) in bands (n, depth, w) between columns `first` and `end`, (n,)."""
    count, depth, width = band.shape
    columns = COLUMNS[:width]
    result = _Edges(np.zeros(count, bool), *np.zeros((3, count)))
    left_out = (columns < first[:, None]) | (columns >= end[:, None])
    if left_out.any():
        band = band * ~left_out[:, None]
    todo = np.flatnonzero(end - first >= SHORTEST)
    if not len(todo):
        return result
    if len(todo) < count:
        band, first, end, floor = band[todo], first[todo], end[todo], floor[todo]
    for rule in range(rules):
        total = cv2.reduce(band.reshape(-1, width), 1, cv2.REDUCE_SUM, dtype=cv2.CV_32F)
        mean = total.reshape(-1, depth) * (1 / (end - first)).astype(np.float32)[:, None]
        strength = mean.max(axis=1).astype(np.float64)
        live = band > np.minimum(np.maximum(floor, 0.5 * strength), 255).astype(np.uint8)[:, None, None]
        keep = np.flatnonzero((strength >= 0.5 * floor) & _covered(live, first, end))
        if not len(keep):
            break
        fit = _fit_lines(live[keep], first[keep], end[keep], box=rules == 1)
        keep = keep[fit.seen]
        hit, left, right = todo[keep], fit.left[fit.seen], fit.right[fit.seen]
        result.seen[hit] = True
        result.left[hit], result.right[hit] = left, right
        result.thickness[hit] = fit.thickness[fit.seen]
        if rule == rules - 1 or not len(keep):
            break
        todo, band, first, end, floor = (
            todo[keep],
            band[keep],
            first[keep],
            end[keep],
            floor[keep],
        )
        below = ramp(left, right, end - first, columns - first[:, None])
        band = band * (ROWS[:depth] >= below[:, None])
    return result


def _covered(live: Bools, first: Ints, end: Ints) -> Bools:
    """Whether the ink in bands (n, depth, w) goes along them, and into both ends."""
    seen: Bools = np.asarray(live.any(axis=1))
    width, corner = end - first, (end - first) // 10
    at = np.concatenate([np.zeros((len(seen), 1), np.intp), seen.cumsum(axis=1)], axis=1)
    rows = np.arange(len(seen))
    left, right = (
        at[rows, first + corner] - at[rows, first],
        at[rows, end] - at[rows, end - corner],
    )
    enough: Bools = (at[:, -1] >= LINE_COVER * width) & (2 * np.minimum(left, right) >= corner)
    return enough


def _fit_lines(live: Bools, first: Ints, end: Ints, *, box: bool) -> _Edges:
    """The line that runs through the ink of each band (n, depth, w).

    A box has paper outside, so that its line's upper edge is sure, and its thickness is that of its thinner
    parts: the rest has a stroke along it. A grid's line is fitted by its lower edge, whatever lies outside.
    """
    depth = live.shape[1]
    columns = COLUMNS[: live.shape[2]]
    codes = ROW_CODES[:depth, : live.shape[2]]
    seen = live.any(axis=1)
    top = ((live.view(np.uint8) - np.uint8(1)) | codes).min(axis=1)  # 255 where there is no ink
    after = ~live & (codes > top[:, None])
    bottom = np.minimum(((after.view(np.uint8) - np.uint8(1)) | codes).min(axis=1), depth - 1)
    edge = (top if box else bottom).astype(np.int16)
    width, third = end - first, (end - first) // 3
    left = _medians(edge, seen & (columns < (first + third)[:, None]))
    right = _medians(edge, seen & (columns >= (end - third)[:, None]))
    step = ramp(
        np.full(len(live), -0.5),
        np.full(len(live), 0.5),
        width,
        columns - first[:, None],
    )
    fit = ((left + right) / 2)[:, None] + ((right - left) * 1.5)[:, None] * step
    good = seen & (abs(edge - fit) <= 1.6)
    thickness = _medians(bottom.astype(np.int16) - top, good, 0.3 if box else 0.5)
    if box:
        fit = (
            fit + thickness[:, None] + 1
        )  # a thin line's blur reaches a pixel further than half its darkness
    rows = np.arange(len(live))
    left, right = fit[rows, first], fit[rows, end - 1]
    sure = good.sum(axis=1) >= 0.6 * width
    sure &= (np.maximum(left, right) <= depth) & (thickness <= 0.7 * depth)
    return _Edges(sure, left + 1, right + 1, thickness)


def _medians(values: NDArray[np.int16], among: Bools, share: float = 0.5) -> Reals:
    """(n,): the value that `share` (0-1) of the values (n, w) at `among` lie below; 0 without values."""
    ordered = np.sort(np.where(among, values, np.int16(32767)), axis=1)
    count = among.sum(axis=1)
    place = (count * share).astype(np.intp)
    picked = ordered[np.arange(len(values)), np.minimum(place, ordered.shape[1] - 1)]
    return np.where(count > 0, picked, 0).astype(np.float64)
