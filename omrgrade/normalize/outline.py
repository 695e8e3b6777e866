"""Where boxes' printed outlines lie in their crops: found, removed, and let through where ink crosses them.

All lengths are pixels of the normaliser's working copies. Each side is looked at with itself on top.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import cv2
import numpy as np
from numpy.typing import NDArray

from omrgrade.normalize.lines import (
    COLUMNS,
    ROW_CODES,
    ROWS,
    Bools,
    Grey,
    Ints,
    Lines,
    Reals,
    find_lines,
    ramp,
    turned,
)

RIM = 0.26  # an outline is looked for in this outer share of the crop
ALONG = 0.10  # a stroke that hides under a line does so for this share of its length; crossing ones for less
BESIDE = 0.16  # of a side's length: strokes that only cross a line, or end on it, darken less of it
SLACK = 6  # px: an outline lies this near to where the template says, or is not found
EDGE = 9  # px: two lines that meet so near to the crop's edge, and nothing inside, are no digit
INNER = 4  # rows inside a line that are looked at beside it
_OUT = np.ones((1, 5), np.uint8)  # up to where a stroke comes out from under its line


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Outlines:
    """Where the writing of N boxes may be."""

    inside: Grey  # (N, h, w), 1 inside the printed lines
    uncut: dict[int, Grey]  # by box: the same, (h, w), if the line found is no print but ink
    restored: dict[int, Grey]  # by box: the same with what seems to hide under a line
    along: dict[int, Grey]  # by box: the same with the part of a line along which ink runs
    lines: Ints  # (N,) sides on which a line was found, 0-4
    meeting: Bools  # (N,) nothing but two lines that meet near a corner of the crop


def find_outlines(dark: Grey, floor: Reals, margin: int) -> Outlines:
    """Find the printed outlines in working copies of one size.

    dark: (N, h, w) grey levels over the paper; changed in place where strokes cross the outline. floor: (N,)
    grey levels from which a line is seen. margin: px outside the outline; 0: unknown.
    """
    uncut: dict[int, Grey] = {}
    alone = np.ones(len(dark), bool)  # nothing but paper round the outline
    if margin:
        lines = find_lines(dark, floor, depth=margin + SLACK, inset=margin + 2, rules=1)
        unseen = ~lines.seen  # where the template says it is
        lines.left[unseen] = lines.right[unseen] = margin + 2
        lines.thickness[unseen] = 2
        lines.seen[:] = True
    else:
        depth = round(RIM * min(dark.shape[1:]))
        lines = find_lines(dark, floor, depth, inset=0, rules=3)  # a grid's run through to the edges
        alone, doubtful = _look_for_frames(dark, floor, depth, lines)
        uncut = {int(n): np.ones(dark.shape[1:], np.uint8) for n in np.flatnonzero(doubtful)}
    _make_equally_thick(lines, alone)
    inside, hidden, beside = _cut(dark, floor, lines, alone, margin)
    return Outlines(
        inside=inside,
        uncut=uncut,
        restored={n: inside[n] | under for n, under in hidden.items()},
        along={n: inside[n] | under for n, under in beside.items()},
        lines=lines.count,
        meeting=_meeting(lines),
    )


def _look_for_frames(dark: Grey, floor: Reals, depth: int, lines: Lines) -> tuple[Bools, Bools]:
    """Where no grid's lines were found, look for a box's, and put them in `lines`.

    Returns, (N,) each, whether a box stands alone, and whether what was found may be ink.
    """
    alone = lines.count < 2
    doubtful = lines.count == 2
    for n in np.flatnonzero(
        lines.count >= 3
    ):  # three or four curves of a 0 that fills the crop have no corners
        doubtful[n] = _inked_corners(dark[n] > floor[n], lines, int(n)) < 0.5
    where = np.flatnonzero(alone)
    if not len(where):
        return alone, doubtful
    frames = find_lines(dark[where], floor[where], depth, inset=depth, rules=1)
    inked = np.zeros(len(where))
    for n in np.flatnonzero(frames.count >= 3):
        inked[n] = _inked_corners(dark[where[n]] > floor[where[n]], frames, int(n))
    better = inked > 0.1
    lines.replace(where[better], frames.some(better))
    found = lines.count[where]
    doubtful[where] = (found == 1) | (found == 3) | (inked > 0.1) & (inked < 0.5)
    return alone, doubtful


def _meeting(lines: Lines) -> Bools:
    """(N,) whether there are two lines, on adjacent sides, both near the edge of the crop."""
    edge = lines.seen & (np.maximum(lines.left, lines.right) <= EDGE)
    return np.asarray((lines.count == 2) & (edge & np.roll(edge, 1, axis=1)).any(axis=1))


def _make_equally_thick(lines: Lines, alone: Bools) -> None:
    """A box is printed with one pen: a side that is thicker has a stroke drawn along it, which is to stay."""
    ordered = np.sort(np.where(lines.seen, lines.thickness, np.inf), axis=1)
    rows, count = np.arange(len(ordered)), lines.count
    low, high = (
        ordered[rows, np.maximum(count - 1, 0) // 2],
        ordered[rows, np.minimum(count // 2, 3)],
    )
    usual = np.where(count > 0, (low + high) / 2, 0)[:, None]
    thicker = lines.seen & alone[:, None] & (lines.thickness >= usual + 1.5)
    excess = np.where(thicker, lines.thickness - usual, 0)
    lines.left[:] -= excess
    lines.right[:] -= excess
    lines.thickness[:] -= excess


def _cut(
    dark: Grey, floor: Reals, lines: Lines, alone: Bools, margin: int
) -> tuple[Grey, dict[int, Grey], dict[int, Grey]]:
    """What lies inside of the lines, (N, h, w), 1 or 0.

    And by box, (h, w) each, what seems to hide under them, and where ink runs along them.
    """
    inside = np.ones(dark.shape, np.uint8)
    hidden: dict[int, Grey] = {}
    beside: dict[int, Grey] = {}
    reach = np.where(lines.seen, np.maximum(lines.left, lines.right).astype(np.intp) + 2, 0)
    for turn in range(4):
        if not lines.seen[:, turn].any():
            continue
        side, keep = turned(dark, turn), turned(inside, turn)
        width = side.shape[2]
        inner = np.ceil(ramp(lines.left[:, turn], lines.right[:, turn], width, COLUMNS[:width]))
        inner = np.where(lines.seen[:, turn, None], inner, 0).astype(np.intp)  # (N, w) first row inside
        last = min(max(int(inner.max()), 0), side.shape[1])
        keep[:, :last] &= ROW_CODES[:last, :width] >= inner.clip(0, 255).astype(np.uint8)[:, None]
        ends = reach[:, turn - 1], width - reach[:, (turn + 1) % 4]
        bands = _Bands(side, inner, lines.thickness[:, turn].astype(np.intp) + 4, floor, ends)
        marked = (lines.seen[:, turn] & alone)[:, None]
        hides: Bools = np.asarray(bands.hiding() & marked)
        some = np.flatnonzero(np.count_nonzero(hides, axis=1) >= ALONG * width)
        if len(some):
            columns = _ink_under(hides[some], bands.just_inside(some), floor[some])
            under: Bools = np.asarray(columns.any(axis=1))
            columns[~under] = _ink_beside(hides[some[~under]])
            for at in np.flatnonzero(columns.any(axis=1)).tolist():
                box = int(some[at])
                mask = (hidden if under[at] else beside).setdefault(box, np.zeros(dark.shape[1:], np.uint8))
                turned(mask, turn)[(ROWS[: side.shape[1]] < inner[box]) & columns[at]] = 1
        if margin:
            crosses, edge = bands.crossing()
            crosses &= marked
            for n in np.flatnonzero(crosses.any(axis=1)):
                seen = edge[n] + 2 * floor[n]
                _let_through(side[n], keep[n], bands.of(n), inner[n], crosses[n], seen)
    return inside, hidden, beside


class _Bands:
    """The rows along one side's lines, straightened, of all boxes, and a first look at what is in them."""

    def __init__(
        self,
        side: Grey,
        inner: Ints,
        above: Ints,
        floor: Reals,
        ends: tuple[Ints, Ints],
    ) -> None:
        """side: (N, h, w) with the line on top; inner: (N, w) first row inside; above: (N,) rows outside.

        ends: (N,) each, the columns between which the line runs free of the lines at its ends.
        """
        self.inner, self.above, self.floor = inner, above, floor
        self._most = most = int(above.max())
        padded, before = _padded(side, most - min(int(inner.min()), 0), max(int(inner.max()), 0) + INNER)
        count, height, width = padded.shape
        columns = COLUMNS[:width]
        first = (inner + np.arange(before, count * height, height)[:, None]) * width + columns
        steps = np.arange(-most * width, INNER * width, width)
        self._rows = np.take(padded.ravel(), first[:, None] + steps[:, None])
        self._free = (columns >= ends[0][:, None]) & (columns < ends[1][:, None])

    def of(self, n: np.intp) -> Grey:
        """One box's rows, (above + INNER, w), row `above` being the first inside; repeated past the crop."""
        return self._rows[n, self._most - self.above[n] :]

    def just_inside(self, some: Ints) -> Grey:
        """(n, w): the darker one of the third and fourth row inside the line, of some boxes."""
        return np.asarray(self._rows[some, -2:].max(axis=1))

    def mass(self) -> NDArray[np.uint16]:
        """(N, w) grey levels added up across the line and its blur, one row inside of it included."""
        across = self._rows[:, : self._most + 1]
        if (self.above < self._most).any():
            own = np.arange(self._most + 1) >= (self._most - self.above)[:, None]
            across = across * own[:, :, None]
        return across.sum(axis=1, dtype=np.uint16)

    def hiding(self) -> Bools:
        """(N, w) where the line is darker or wider than elsewhere."""
        mass = self.mass()
        usual = np.sort(mass, axis=1)[:, mass.shape[1] // 2]
        much = np.maximum(1.35 * usual, usual + 3 * self.floor)
        return (mass > much[:, None]) & self._free

    def crossing(self) -> tuple[Bools, NDArray[np.int16]]:
        """(N, w) where there is ink on both sides of the line, and (N,) how dark its own blur is outside."""
        inside = self._rows[:, self._most]
        outside = self._rows[np.arange(len(self.inner)), self._most - self.above + 1]
        edge = np.sort(outside.astype(np.int16), axis=1)[:, outside.shape[1] // 2]
        ink = 2 * self.floor[:, None]
        crosses = (inside > ink) & (outside > edge[:, None] + ink) & (self.inner > self.above[:, None] - 1)
        return crosses & self._free, edge


def _padded(side: Grey, above: int, end: int) -> tuple[Grey, int]:
    """The sides' rows up to `end`, their first one repeated `above` times, their last as often as needed."""
    count, height, width = side.shape
    padded = np.empty((count, above + end, width), np.uint8)
    padded[:, :above] = side[:, :1]
    padded[:, above:] = side[:, :end] if end <= height else side[:, np.minimum(np.arange(end), height - 1)]
    return padded, above


def _ink_under(hides: Bools, within: Grey, floor: Reals) -> Bools:
    """Columns (n, w) where a stroke seems to run along a line and under it.

    There the line is darker or wider than elsewhere (`hides`), and nothing shows inside of it: the bar of a 7
    on the outline would be cut off with it, and leave a 1. within: (n, w), its darkness inside; floor: (n,).
    """
    hidden = (hides & (within <= 1.5 * floor[:, None])).view(np.uint8)
    run = np.ones((1, ceil(ALONG * hides.shape[1])), np.uint8)  # a shorter one only crosses the line
    starts = cv2.erode(hidden, run, anchor=(0, 0), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    whole = cv2.dilate(starts, run, anchor=(run.size - 1, 0))
    return cv2.dilate(whole, _OUT).astype(bool)


def _ink_beside(hides: Bools) -> Bools:
    """Columns (n, w) of lines along which visible ink runs, or that two of its strokes end on.

    What lies on the line itself is lost with it: the bar of a 7, the side that closes an 8 or a 9.
    """
    between = np.logical_or.accumulate(hides, axis=1)
    between &= np.logical_or.accumulate(hides[:, ::-1], axis=1)[:, ::-1]
    much = np.count_nonzero(hides, axis=1) >= BESIDE * hides.shape[1]
    return np.asarray(between & much[:, None])


def _let_through(side: Grey, keep: Grey, band: Grey, inner: Ints, crosses: Bools, seen: float) -> None:
    """Keep what a stroke has left outside of the box: ink on both sides of the line, seen with it on top.

    side, keep: (h, w), changed in place; band: (n, w), rows along the line, the last 4 inside of it; inner:
    (w,) first row inside; crosses: (w,) where strokes cross; seen: grey levels above which ink is seen there.
    """
    rows = ROWS[: len(side)]
    on_line = (rows < inner) & crosses
    np.copyto(side, np.minimum(side, band[-INNER]), where=on_line)  # no darker than the stroke that crosses
    near = np.convolve(crosses, np.ones(7), "same") > 0  # strokes run on aslant
    keep[on_line | (rows <= inner - len(band) + 5) & near & (side > seen)] = 1


def _inked_corners(ink: Bools, lines: Lines, n: int) -> float:
    """Ink (0-1) where three or four lines of box `n` meet, at the worst of these corners.

    A printed box has all its corners; the curves of a 0, straight as they may be, have none.
    """
    worst = 1.0
    for turn in range(4):
        if not lines.seen[n, turn] or not lines.seen[n, turn - 1]:
            continue
        # the left side's line, seen with the top up, has its right end there; look at the outer corner
        left, top = float(lines.right[n, turn - 1]), float(lines.left[n, turn])
        x = round(left - 0.75 * float(lines.thickness[n, turn - 1]) - 1)
        y = round(top - 0.75 * float(lines.thickness[n, turn]) - 1)
        corner = turned(ink, turn)[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2]
        worst = min(worst, float(corner.mean())) if corner.size else 0.0
    return worst
