"""Where a box's printed outline lies in its crop: found, removed, and let through where ink crosses it.

All lengths are pixels of the normaliser's working copy. Each side is looked at with itself on top.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]

RIM = 0.26  # an outline is looked for in this outer share of the crop
LINE_COVER = 0.80  # a printed line runs along this share of its side; digits rarely do
ALONG = 0.10  # a stroke that hides under a line does so for this share of its length; crossing ones for less
SLACK = 6  # px: an outline lies this near to where the template says, or is not found

_ROWS = np.arange(512)[:, None]
_COLUMNS = np.arange(512)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Line:
    """A printed line along one side, seen with that side on top, px."""

    left: float  # first row below the line at its left end
    right: float  # and at its right end
    thickness: float


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Outline:
    """Where a box's writing may be."""

    inside: Grey  # (h, w), 1 inside the printed lines
    uncut: Grey | None = None  # the same if the line found is no print but ink
    restored: Grey | None = None  # the same with what seems to hide under a line
    lines: int  # sides on which a line was found, 0-4


def find_outline(dark: Grey, floor: float, margin: int) -> Outline:
    """Find the printed outline in a working copy.

    dark: (h, w) grey levels over the paper; changed in place where strokes cross the outline. floor: grey
    levels from which a line is seen. margin: px outside the outline; 0: unknown.
    """
    uncut: Grey | None = None
    alone = True  # nothing but paper round the outline
    if margin:
        lines = _find_lines(dark, floor, depth=margin + SLACK, inset=margin + 2, rules=1)
        unseen = _Line(left=margin + 2, right=margin + 2, thickness=2)  # where the template says it is
        lines = [line or unseen for line in lines]
    else:
        depth = round(RIM * min(dark.shape))
        lines = _find_lines(dark, floor, depth, inset=0, rules=3)  # a grid's run through to the edges
        alone = _count(lines) < 2
        if alone:
            frame = _find_lines(dark, floor, depth, inset=depth, rules=1)
            corners = _inked_corners(dark > floor, frame)
            lines = frame if corners > 0.1 else lines
            if _count(lines) in (1, 3) or 0.1 < corners < 0.5:
                uncut = np.ones(dark.shape, np.uint8)
        elif _count(lines) == 2:
            uncut = np.ones(dark.shape, np.uint8)
    if alone:
        lines = _equally_thick(lines)
    inside = np.ones(dark.shape, np.uint8)
    hidden: Grey | None = None
    reach = [0 if line is None else int(max(line.left, line.right)) + 2 for line in lines]
    for turn, line in enumerate(lines):
        if line is not None:
            keep, side = _turned(inside, turn), _turned(dark, turn)
            ends = reach[turn - 1], keep.shape[1] - reach[(turn + 1) % 4]
            inner = np.ceil(_ramp(line.left, line.right, keep.shape[1])).astype(np.intp)
            band = _straightened(side, inner, int(line.thickness) + 4, 4) if alone else None
            beyond = _ROWS[: len(keep)] < inner
            keep[beyond] = 0
            if band is not None and (columns := _ink_under(band, floor, ends)) is not None:
                hidden = np.zeros(dark.shape, np.uint8) if hidden is None else hidden
                _turned(hidden, turn)[beyond & columns] = 1
            if band is not None and margin:
                _let_through(side, keep, band, inner, floor, ends)
    restored = None if hidden is None else inside | hidden
    return Outline(inside=inside, uncut=uncut, restored=restored, lines=_count(lines))


def _equally_thick(lines: list[_Line | None]) -> list[_Line | None]:
    """A box is printed with one pen: a side that is thicker has a stroke drawn along it, which is to stay."""
    usual = float(np.median([line.thickness for line in lines if line is not None] or [0]))
    return [
        line
        if line is None or line.thickness < usual + 1.5
        else _Line(
            left=line.left - (line.thickness - usual),
            right=line.right - (line.thickness - usual),
            thickness=usual,
        )
        for line in lines
    ]


def _straightened(dark: Grey, inner: NDArray[np.intp], above: int, below: int) -> Grey:
    """The rows along a line, (above + below, w), row `above` being the first inside; repeated past the crop.

    dark: (h, w) seen with the line on top; inner: (w,) first row inside the line.
    """
    height, width = dark.shape
    first = int(inner[0]) - above
    if inner[0] == inner[-1] and first >= 0 and first + above + below <= height:
        return dark[first : first + above + below]
    rows = inner + np.arange(-above, below)[:, None]
    return dark[np.minimum(np.maximum(rows, 0), height - 1), _COLUMNS[:width]]


def _ink_under(band: Grey, floor: float, ends: tuple[int, int]) -> NDArray[np.bool_] | None:
    """Columns (w,) where a stroke seems to run along a line and under it; None without any.

    There the line is darker or wider than elsewhere, and nothing shows inside of it: the bar of a 7 on the
    outline would be cut off with it, and leave a 1. band: (n, w), rows along the line, the last 4 inside.
    ends: the columns between which it runs free of the lines at its ends.
    """
    width = band.shape[1]
    mass = band[:-3].sum(axis=0, dtype=np.int32)
    usual = int(np.sort(mass)[width // 2])
    hides = mass > max(1.35 * usual, usual + 3 * floor)
    hides[: ends[0]] = hides[ends[1] :] = False
    if np.count_nonzero(hides) < ALONG * width:
        return None
    hides &= band[-2:].max(axis=0) <= 1.5 * floor
    edges = np.flatnonzero(np.diff(np.concatenate(([False], hides, [False])).astype(np.int8)))
    for start, end in edges.reshape(-1, 2):
        if end - start < ALONG * width:
            hides[start:end] = False
    if not hides.any():
        return None
    return np.convolve(hides, np.ones(5), "same") > 0  # up to where it comes out from under the line


def _let_through(
    side: Grey, keep: Grey, band: Grey, inner: NDArray[np.intp], floor: float, ends: tuple[int, int]
) -> None:
    """Keep what a stroke has left outside of the box: ink on both sides of the line, seen with it on top.

    side, keep: (h, w), changed in place; band: (n, w), rows along the line, the last 4 inside of it and the
    second beyond its blur; inner: (w,) first row inside; ends: as in `_ink_under`.
    """
    inside, outside = band[-4], band[1]
    print_edge = int(np.sort(outside)[len(outside) // 2])  # the line's own blur may reach that far out
    crosses = (inside > 2 * floor) & (outside > print_edge + 2 * floor) & (inner > len(band) - 5)
    crosses[: ends[0]] = crosses[ends[1] :] = False
    if not crosses.any():
        return
    rows = _ROWS[: len(side)]
    on_line = (rows < inner) & crosses
    np.copyto(side, np.minimum(side, inside), where=on_line)  # no darker than the stroke that crosses
    near = np.convolve(crosses, np.ones(7), "same") > 0  # strokes run on aslant
    keep[on_line | (rows <= inner - len(band) + 5) & near & (side > print_edge + 2 * floor)] = 1


def _count(lines: list[_Line | None]) -> int:
    return sum(line is not None for line in lines)


def _find_lines(dark: Grey, floor: float, depth: int, inset: int, rules: int) -> list[_Line | None]:
    """The printed line within `depth` px of each side: top, right, bottom, left; None where there is none.

    inset: px at both ends of a side that are not looked at. rules: how many lines a side may have: a grid's
    thick rule, its shadow and a neighbour's rule; for a box one, a second would be the bar of a 7.
    """
    lines: list[_Line | None] = [None] * 4
    reach = [inset] * 4  # what the sides cut off each other, px
    for turn in (0, 1, 2, 3, 0, 1, 2, 3):  # a side may show its line only once its neighbours' are gone
        if lines[turn] is not None or not depth:
            continue
        side = _turned(dark, turn)
        width = side.shape[1]
        # rot90 turns counter-clockwise: the last side's cut is at the left, the next one's at the right
        left, right = reach[turn - 1], width - reach[(turn + 1) % 4]
        found = _line_edge(side[:depth, left:right], floor, rules)
        if found is not None:
            slope = (found.right - found.left) / (right - left - 1)
            lines[turn] = _Line(
                left=found.left - slope * left,
                right=found.right + slope * (width - right),
                thickness=found.thickness,
            )
            reach[turn] = max(inset, int(np.ceil(max(found.left, found.right))))
    return lines


def _inked_corners(ink: NDArray[np.bool_], lines: list[_Line | None]) -> float:
    """Ink (0-1) where three or four lines meet, at the worst of these corners; 0 with fewer lines.

    A printed box has all its corners; the curves of a 0, straight as they may be, have none.
    """
    if _count(lines) < 3:
        return 0.0
    worst = 1.0
    for turn in range(4):
        top, left = lines[turn], lines[turn - 1]
        if top is None or left is None:
            continue
        # the left side's line, seen with the top up, has its right end there; look at the outer corner
        x, y = (round(end - 0.75 * line.thickness - 1) for end, line in ((left.right, left), (top.left, top)))
        corner = _turned(ink, turn)[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2]
        worst = min(worst, float(corner.mean())) if corner.size else 0.0
    return worst


def _line_edge(band: Grey, floor: float, rules: int) -> _Line | None:
    """First row below the printed line(s) in a band, at its left and right end; None without a line."""
    depth, width = band.shape
    found: _Line | None = None
    for _ in range(rules):
        strength = float(cv2.reduce(band, 1, cv2.REDUCE_AVG, dtype=cv2.CV_32F).max())
        if strength < 0.5 * floor:
            break
        ends = _fit_line(band > max(floor, 0.5 * strength), box=rules == 1)
        if ends is None:
            break
        found = ends
        band = np.where(_ROWS[:depth] >= _ramp(ends.left, ends.right, width), band, np.uint8(0))
    return found


def _fit_line(live: NDArray[np.bool_], *, box: bool) -> _Line | None:
    """The line that runs through a band's ink (depth, w).

    A box has paper outside, so that its line's upper edge is sure, and its thickness is that of its thinner
    parts: the rest has a stroke along it. A grid's line is fitted by its lower edge, whatever lies outside.
    """
    depth, width = live.shape
    seen = np.asarray(live.any(axis=0))
    corner = width // 10
    if np.count_nonzero(seen) < LINE_COVER * width:
        return None
    if 2 * min(np.count_nonzero(seen[:corner]), np.count_nonzero(seen[-corner:])) < corner:
        return None
    first = np.asarray(live.argmax(axis=0))
    after = np.logical_not(live)
    after &= _ROWS[:depth] > first
    after[-1] = True
    end = np.asarray(after.argmax(axis=0))
    third = width // 3
    edge = first if box else end
    left, right = _median(edge[:third][seen[:third]]), _median(edge[-third:][seen[-third:]])
    fit = (left + right) / 2 + (right - left) * 1.5 * _ramp(-0.5, 0.5, width)
    good = seen & (abs(edge - fit) <= 1.6)
    thickness = _median((end - first)[good], 0.3 if box else 0.5)
    if box:
        fit = fit + thickness + 1  # a thin line's blur reaches a pixel further than half its darkness
    if np.count_nonzero(good) < 0.6 * width or max(fit[0], fit[-1]) > depth or thickness > 0.7 * depth:
        return None
    return _Line(left=float(fit[0]) + 1, right=float(fit[-1]) + 1, thickness=thickness)


def _median(values: NDArray[np.intp], share: float = 0.5) -> float:
    """The value that `share` (0-1) of the values lie below; 0 without values."""
    ordered = np.sort(values)
    return float(ordered[int(len(ordered) * share)]) if len(ordered) else 0.0


def _turned(image: NDArray[Any], turn: int) -> NDArray[Any]:
    """The image turned counter-clockwise by quarter turns, as a view: `np.rot90` without its overhead."""
    if turn == 0:
        return image
    if turn == 1:
        return image[:, ::-1].T
    return image[::-1, ::-1] if turn == 2 else image[::-1].T


def _ramp(start: float, end: float, count: int) -> NDArray[np.float64]:
    """`np.linspace` without its overhead."""
    return np.asarray(start + (end - start) / (count - 1) * _COLUMNS[:count], np.float64)
