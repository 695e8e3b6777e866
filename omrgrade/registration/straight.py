"""Outlines of sheets put together from straight edges, where paper cannot be told from its ground as a whole.

A thumb or a further sheet over an edge, wood grain or a shadow's border breaks an outline, but most of each
side is still a straight edge. Edges that lie in line are joined; every four lines that a sheet could have as
its sides make a quad, and those whose sides are edges for most of their length come first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import cv2
import numpy as np
from numpy.typing import NDArray

from omrgrade.registration.geometry import Array

Grey = NDArray[np.uint8]

_LONG_SIDE = 700  # px of the copy that is searched
_LINES = 16  # the longest ones, of which quads are made
_IN_LINE = 5.0  # px by which parts of one edge may be off a line: paper is bowed
_ANGLE = np.radians(4)  # by which they may be turned
_SHORT = 0.06  # of the long side: edges that are shorter are not looked at
_PARALLEL, _ACROSS = np.radians(35), np.radians(55)  # at most between opposite, at least between other sides
_LEAST = 0.1  # share of the picture that a sheet fills
_OUTSIDE = 0.15  # of the picture's size by which a corner may be outside of it
_EDGED = 0.4  # share of a quad's sides that must be edges
_ONE_LESS = 0.15  # of that share: what a side that is not seen counts
_ALIKE = 0.03  # quads whose corners are nearer, in parts of the picture, are the same


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Line:
    normal: Array  # (3,): what `normal @ (x, y, 1)` is 0 for lies on it; the distance in px for others
    angle: float  # 0 to pi
    edges: NDArray[np.int64]  # which of the segments lie on it
    length: float  # px, of its edges together


def straight_quads(pixels: Grey) -> Iterator[Array]:
    """Quads (4, 2) scan px, clockwise from the top left, that straight edges make, likeliest first."""
    shrink = max(max(pixels.shape) / _LONG_SIDE, 1.0)
    size = np.array([max(round(side / shrink), 8) for side in pixels.shape[::-1]])
    small = np.asarray(cv2.resize(pixels, size.tolist(), interpolation=cv2.INTER_AREA), np.uint8)
    segments = _segments(small)
    lines = _lines(segments, size)
    found = [(_edged(quad, sides, segments), quad) for quad, sides in _quads(lines, segments, size)]
    kept: list[Array] = []
    for share, quad in sorted(found, key=lambda one: -one[0]):
        if share < _EDGED:
            break
        if all(np.abs(quad - other).max() > _ALIKE * size.max() for other in kept):
            kept.append(quad)
            yield (quad + 0.5) * (np.array(pixels.shape[::-1]) / size) - 0.5


def _segments(small: Grey) -> Array:
    """Straight edges (n, 4): x, y of both ends. Print is taken away first."""
    clean = cv2.medianBlur(cv2.morphologyEx(small, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8)), 5)
    found = cv2.createLineSegmentDetector().detect(clean)[0]
    return np.zeros((0, 4)) if found is None else np.asarray(found, np.float64).reshape(-1, 4)


def _lines(segments: Array, size: NDArray[np.int64]) -> list[_Line]:
    """The lines on which most edges lie, longest first."""
    delta = segments[:, 2:] - segments[:, :2]
    length = np.hypot(*delta.T)
    angles = np.arctan2(delta[:, 1], delta[:, 0])
    ends = np.concatenate([segments.reshape(-1, 2, 2), np.ones((len(segments), 2, 1))], axis=2)
    short = _SHORT * float(size.max())
    free = length > short / 3
    result = []
    for n in np.argsort(-length):
        if not free[n] or length[n] < short:
            continue
        own, normal = np.array([n]), _normal(segments[[n]])
        for _ in range(3):  # what has grown tells better what else is in line
            near = np.abs(ends @ normal).max(axis=1) < _IN_LINE
            turned = _between(angles, float(np.arctan2(-normal[0], normal[1])))
            grown = np.flatnonzero(free & near & (turned < _ANGLE))
            if not len(grown):
                break
            own, normal = grown, _normal(segments[grown])
        free[own] = free[n] = False
        angle = float(np.arctan2(-normal[0], normal[1]) % np.pi)
        result.append(_Line(normal=normal, angle=angle, edges=own, length=float(length[own].sum())))
    return sorted(result, key=lambda line: -line.length)[:_LINES]


def _normal(segments: Array) -> Array:
    """The line through these edges (n, 4), as in `_Line`."""
    ends = segments.reshape(-1, 2).astype(np.float32)
    vx, vy, x, y = (float(v) for v in cv2.fitLine(ends, cv2.DIST_L2, 0, 0.01, 0.01).ravel())
    return np.array([-vy, vx, vy * x - vx * y])


def _between(angle: Array | float, other: float) -> Array:
    """The angle, 0 to pi / 2, between lines of these angles."""
    return np.abs((np.asarray(angle) - other + np.pi / 2) % np.pi - np.pi / 2)


def _quads(
    lines: list[_Line], segments: Array, size: NDArray[np.int64]
) -> Iterator[tuple[Array, list[_Line | None]]]:
    """Quads (4, 2), clockwise from the top left, that a sheet could be, and its sides' lines in order.

    One of them may be None: the side of a sheet on another one is hardly seen, but its neighbours end there.
    """
    opposite = [(a, b) for a, b in combinations(lines, 2) if _between(a.angle, b.angle) < _PARALLEL]
    for (a, b), (c, d) in combinations(opposite, 2):
        if min(_between(p.angle, q.angle) for p in (a, b) for q in (c, d)) > _ACROSS:
            corners = [_crossing(d, a), _crossing(a, c), _crossing(c, b), _crossing(b, d)]
            yield from _ordered(corners, [a, c, b, d], size)
    for a, b in opposite:
        for c in lines:
            if min(_between(a.angle, c.angle), _between(b.angle, c.angle)) > _ACROSS:
                near, far = _crossing(a, c), _crossing(c, b)
                ends = [_far_end(line, corner, segments) for line, corner in ((a, near), (b, far))]
                yield from _ordered([ends[0], near, far, ends[1]], [a, c, b, None], size)


def _crossing(one: _Line, other: _Line) -> Array:
    """Where two lines meet, (2,) px: far away if they are parallel."""
    x, y, scale = np.cross(one.normal, other.normal)
    return np.array([x, y]) / (scale if abs(scale) > 1e-9 else 1e-9)


def _far_end(line: _Line, corner: Array, segments: Array) -> Array:
    """The end of a line's edges that is farther from one corner, (2,) px."""
    ends = segments[line.edges].reshape(-1, 2)
    return np.asarray(ends[np.hypot(*(ends - corner).T).argmax()])


def _ordered(
    corners: list[Array], sides: list[_Line | None], size: NDArray[np.int64]
) -> Iterator[tuple[Array, list[_Line | None]]]:
    """The quad with these corners, of which each side starts at its own, if it may be a sheet's."""
    quad = np.array(corners)
    if (quad < -_OUTSIDE * size).any() or (quad > (1 + _OUTSIDE) * size).any():
        return
    outline = quad.astype(np.float32)
    if not cv2.isContourConvex(outline) or cv2.contourArea(outline) < _LEAST * size.prod():
        return
    if cv2.contourArea(outline, True) < 0:
        quad, sides = quad[::-1], [sides[n] for n in (2, 1, 0, 3)]
    first = int(quad.sum(axis=1).argmin())
    yield np.roll(quad, -first, axis=0), sides[first:] + sides[:first]


def _edged(quad: Array, sides: list[_Line | None], segments: Array) -> float:
    """Which share of a quad's sides is edges: half of it the mean, half the worst; less if one is unseen."""
    shares = []
    for n, line in enumerate(sides):
        if line is None:
            continue
        start, end = quad[n], quad[(n + 1) % 4]
        along = (end - start) / max(float((end - start) @ (end - start)), 1e-9)
        places = np.sort(np.clip((segments[line.edges].reshape(-1, 2, 2) - start) @ along, 0, 1), axis=1)
        covered = np.zeros(50, bool)
        for low, high in places:
            covered[int(low * 50) : int(np.ceil(high * 50))] = True
        shares.append(float(covered.mean()))
    return (float(np.mean(shares)) + min(shares)) / 2 - _ONE_LESS * (len(shares) < len(sides))
