"""Crop of one wide box -> the pieces of ink that may each be a digit of the number written there.

Nobody says where one digit ends and the next begins: strokes touch, one digit may fall apart in two. So the
ink is cut where it might be (between connected components, and through them where a thin way leads from top
to bottom), and every run of neighbouring pieces that may be one digit is offered, made as MNIST was. Which of
them are digits is the classifier's to say (over-segmentation, Fujisawa, Nakano & Kurino 1992).
"""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from omrgrade.normalize import NOISE_FACTOR, WORK_SIDE, working_copy
from omrgrade.normalize.cutting import Piece, find_pieces, stroke_width
from omrgrade.normalize.ink import EDGE, NEAR, thicken, to_mnist
from omrgrade.normalize.paper import MIN_CONTRAST
from omrgrade.normalize.single import components, find_outline, flatten, noise, quantile, runs_through
from omrgrade.records import Crop, NumberInk, Span

Grey = NDArray[np.uint8]

MOST_PIECES = 12  # more is no number of four digits
MOST_JOINED = 3  # pieces of one digit
WIDEST = 1.7  # width over the writing's height; wider ink is never offered as one digit
TALL = 0.4  # of the tallest component's height: what is smaller is a dot or a splinter, not a digit
ALONG = 0.3  # share of a component that lies on the outline's inner edge if it may be print,
SLIVER = 0.6  # and if it is no broader than so many of the writing's stroke widths, it is


def segment(crop: Crop) -> NumberInk:
    """Cut the ink of a wide box into what may be its digits. `crop.margin` as for `normalize`."""
    grey, scale = working_copy(crop.pixels)
    dark = flatten(grey)
    grain = noise(dark)
    margin = min(round(crop.margin * scale), WORK_SIDE // 4)
    floor = max(MIN_CONTRAST, NOISE_FACTOR * grain)
    outline = find_outline(dark, max(5.0, 3 * grain), margin)
    inside = _with_strokes(dark, outline.inside, floor)
    dark = dark * inside
    peak = quantile(dark, 0.995)
    low = max(floor, 0.28 * peak)
    mask = cv2.compare(dark, low, cv2.CMP_GT)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    keep = components(labels, stats, inside, margin > 0) if count > 1 else np.zeros(1, bool)
    kept, print_like = _ink_and_print(labels, stats, keep, outline.inside)
    ink = cv2.convertScaleAbs(cv2.subtract(dark, 0.3 * low), alpha=255 / max(1.0, peak - 0.3 * low))
    pieces = find_pieces(labels, stats, kept, print_like) if kept else []
    return NumberInk(
        spans=tuple(_spans(pieces, ink)) if 0 < len(pieces) <= MOST_PIECES else (),
        pieces=len(pieces),
        contrast=peak,
        noise=grain,
        lines=outline.lines,
        width=(max(p.right for p in pieces) - min(p.left for p in pieces)) / WORK_SIDE if pieces else 0.0,
        height=(max(p.bottom for p in pieces) - min(p.top for p in pieces)) / WORK_SIDE if pieces else 0.0,
        through=margin > 0 and bool(keep.any()) and runs_through(stats[keep], dark.shape),
        faint=bool(pieces) and peak > 2 * floor and _fainter_ink(dark, floor, pieces, inside),
    )


def _with_strokes(dark: Grey, inside: Grey, floor: float) -> Grey:
    """`inside` with upright strokes given back that were taken for a part of the left or right line.

    A 1 beside the outline is as straight as print. The line itself is what covers most of its column; ink
    between it and the inside that paper parts from it, or that makes it thicker than the other side's line,
    but not over its whole length, is writing.
    """
    rows = np.flatnonzero(inside[:, inside.shape[1] // 2])
    if len(rows) < 16:
        return inside
    whole = slice(int(rows[0]), int(rows[-1]) + 1)
    views = [dark[whole] > floor, dark[whole, ::-1] > floor]
    kept = [inside[whole], inside[whole, ::-1]]
    reach = [_reach(own) for own in kept]
    lines = [_upright_line(view[:, :end]) for view, end in zip(views, reach, strict=True)]
    result = inside.copy()
    for side, (view, line) in enumerate(zip(views, lines, strict=True)):
        if line is None:
            continue
        start, stop = line
        other = lines[1 - side]
        thick = other[1] - other[0] if other else stop - start
        beyond = view[:, start + thick + 1 : stop]
        if beyond.shape[1] > 1 and beyond.mean() < 0.97:
            stop = start + thick + 1
        if view[:, stop : reach[side]].mean(axis=0).max(initial=0) > 0.35:
            (result[whole, ::-1] if side else result[whole])[:, stop : reach[side]] = 1
    return result


def _reach(own: Grey) -> int:
    """How many columns are cut off at the left, px; those that the upper and lower lines do not reach."""
    trim = len(own) // 6
    free = own[trim : len(own) - trim].min(axis=0)
    return int(free.argmax()) if free.any() else 0


def _upright_line(ink: NDArray[np.bool_]) -> tuple[int, int] | None:
    """First column of a printed line and the one after its last; None without one."""
    if not ink.shape[1]:
        return None
    covered = ink.mean(axis=0)
    best = int(covered.argmax())
    if covered[best] < 0.5:
        return None
    gaps = np.flatnonzero(covered < 0.3)
    before, after = gaps[gaps < best], gaps[gaps > best]
    return int(before[-1]) + 1 if len(before) else 0, int(after[0]) if len(after) else ink.shape[1]


def _ink_and_print(
    labels: NDArray[np.int32], stats: NDArray[np.int32], keep: NDArray[np.bool_], inside: Grey
) -> tuple[list[int], set[int]]:
    """Components that are writing, and those among them that may as well be remains of the outline."""
    if not keep.any():
        return [], set()
    area, height = stats[:, cv2.CC_STAT_AREA], stats[:, cv2.CC_STAT_HEIGHT]
    rim = cv2.erode(inside, EDGE, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    touches = np.bincount(labels[rim == 0], minlength=len(area))
    tall = height >= TALL * height[keep].max()
    tall[0] = False
    dropped = tall & ~keep & (area >= 0.04 * area[keep].max())
    doubtful = dropped | (keep & (touches > ALONG * area))
    print_only = _slivers(labels, doubtful, keep & ~doubtful)
    written = (keep | dropped) & ~print_only
    return np.flatnonzero(written).tolist(), set(np.flatnonzero(doubtful & written).tolist())


def _slivers(
    labels: NDArray[np.int32], doubtful: NDArray[np.bool_], writing: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Which of the doubtful components are far too thin for the pen that wrote the rest."""
    found = np.zeros_like(doubtful)
    if doubtful.any() and writing.any():
        pen = stroke_width(writing[labels])
        for n in np.flatnonzero(doubtful):
            found[n] = stroke_width(labels == n) < SLIVER * pen
    return found


def _fainter_ink(dark: Grey, floor: float, pieces: list[Piece], inside: Grey) -> bool:
    """Whether ink as tall as a digit stands beside the pieces, too faint beside them to be seen."""
    seen = np.zeros_like(dark)
    for piece in pieces:
        seen |= piece.mask
    rest = cv2.compare(dark, floor, cv2.CMP_GT)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(rest, connectivity=8)
    tall = TALL * max(piece.bottom - piece.top for piece in pieces)
    edge = cv2.erode(inside, EDGE, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    area = stats[:, cv2.CC_STAT_AREA]
    own = np.bincount(labels[seen > 0], minlength=count) > 0
    rim = np.bincount(labels[edge == 0], minlength=count) > ALONG * area
    large = (stats[:, cv2.CC_STAT_HEIGHT] >= tall) & (area >= 2 * tall)
    large[0] = False
    return bool((large & ~own & ~rim).any())


def _spans(pieces: list[Piece], ink: Grey) -> list[Span]:
    """Every run of neighbouring pieces that may be one digit."""
    sure = [piece for piece in pieces if not piece.print_like] or pieces
    tall = max(piece.bottom - piece.top for piece in sure)
    spans = []
    for start in range(len(pieces)):
        for stop in range(start + 1, min(start + MOST_JOINED, len(pieces)) + 1):
            run = pieces[start:stop]
            width = max(p.right for p in run) - min(p.left for p in run)
            height = max(p.bottom for p in run) - min(p.top for p in run)
            if stop - start > 1 and width > WIDEST * tall:
                break
            mask = run[0].mask
            for piece in run[1:]:
                mask = cv2.bitwise_or(mask, piece.mask)
            others = [p.mask for n, p in enumerate(pieces) if not start <= n < stop]
            near = cv2.dilate(mask, NEAR)
            for other in others:
                near = cv2.subtract(near, other)
            image = to_mnist(thicken(cv2.copyTo(ink, near), cv2.bitwise_and(mask, near)))
            spans.append(
                Span(
                    start=start,
                    stop=stop,
                    image=image,
                    joints=sum(not p.cut for p in run[1:]),
                    gap=_gap(run) / tall,
                    cut=run[0].cut,
                    print_like=len(run) == 1 and run[0].print_like,
                    height=height / tall,
                    width=width / tall,
                )
            )
    return spans


def _gap(run: list[Piece]) -> float:
    """Widest paper between neighbours that were never one component, px across; negative: they overlap."""
    return max([float(two.left - one.right) for one, two in pairwise(run) if not two.cut] or [0.0])
