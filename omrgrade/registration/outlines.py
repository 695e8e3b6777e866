"""Printed outlines as landmarks: how far each one lies from where a homography puts it.

Darkness is sampled along short lines across an outline and averaged along it (a one-dimensional edge profile,
as in SDAPS and in scikit-image's `profile_line`), so the shift is found to a fraction of a pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from omrgrade.records import Rect, Template
from omrgrade.registration.geometry import Array, Landmarks, Pose

STEP = 0.08  # mm between samples of a profile: one px at 300 dpi
LINE = 2  # samples: half the width of a printed line (0.3 mm), over which darkness is averaged
FLANK = 6  # samples from a line's centre to the paper beside it, clear of blur
MIN_CONTRAST = 0.12
"""Of the contrast between paper and print: lines whose two sides together stand out less are none."""
FILLED = 0.3
"""Of the contrast between paper and print: a box whose inside is darker than its surroundings by this."""
ROUND_KINDS = frozenset({"choice", "grid"})  # printed as ellipses; all others as rectangles


@dataclass(frozen=True, kw_only=True, slots=True)
class Outline:
    """A printed rectangle, or the ellipse inscribed in it."""

    rect: Rect  # mm; the line is centred on it
    round: bool


def outlines(template: Template) -> list[Outline]:
    """Every printed box of a template."""
    return [
        Outline(rect=box, round=field.kind in ROUND_KINDS and not field.square)
        for field in template.fields
        for box in (field.boxes if field.kind != "barcode" else ())  # nothing is printed round these
    ]


def spread(boxes: Sequence[Outline], count: int) -> list[Outline]:
    """At most `count` of the boxes, each the farthest from those before it: the first few span the page."""
    if not boxes:
        return []
    centres = np.array([box.rect.centre for box in boxes])
    distance = np.full(len(boxes), np.inf)
    chosen: list[int] = []
    nearest = int(centres.sum(axis=1).argmin())
    while len(chosen) < min(count, len(boxes)):
        chosen.append(nearest)
        distance = np.minimum(distance, np.hypot(*(centres - centres[nearest]).T))
        distance[nearest] = -1
        nearest = int(distance.argmax())
    return [boxes[i] for i in chosen]


def box_landmarks(
    pixels: NDArray[np.uint8], pose: Pose, boxes: Sequence[Outline], *, reach: float, contrast: float
) -> Landmarks:
    """Look for each box's outline within `reach` mm of where `pose` puts it.

    pixels: (h, w) uint8 grey. contrast: grey levels between paper and print. Each axis stands for itself: its
    two opposite sides are looked for together, since one alone may be a neighbour's or a stroke. Returns the
    boxes' centres with shifts in mm, nan where nothing stands out (a filled bubble hides its outline).
    """
    centres = np.array([box.rect.centre for box in boxes], dtype=np.float64).reshape(-1, 2)
    sides = np.stack([centres[:, None, None] + _sides(boxes, axis) for axis in (0, 1)])
    along = np.repeat(np.eye(2), 2 * len(boxes), axis=0)
    profiles = _profiles(pixels, pose, sides.reshape(-1, 11, 2), along, reach)
    response = _line_response(profiles).reshape(2 * len(boxes), 2, -1).sum(axis=1)
    shifts = _peak(response, reach, MIN_CONTRAST * contrast)
    return Landmarks(points=centres, shifts=shifts.reshape(2, -1).T)


def filled(
    pixels: NDArray[np.uint8], pose: Pose, boxes: Sequence[Outline], *, contrast: float
) -> NDArray[np.bool_]:
    """Which boxes (n,) are so dark inside that they hide their outline, as a filled bubble does."""
    t = np.linspace(-1.4, 1.4, 11)
    grid = np.stack(np.meshgrid(t, t), axis=-1).reshape(-1, 2)  # in half widths from the centre
    inner, outer = np.hypot(*grid.T) < 0.7, np.abs(grid).max(axis=1) > 1.3
    centre = np.array([box.rect.centre for box in boxes])[:, None]
    half = np.array([(box.rect.width / 2, box.rect.height / 2) for box in boxes])[:, None]
    where = pose(centre + half * grid).astype(np.float32)
    grey = cv2.remap(pixels, where, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    darker = np.median(grey[:, outer], axis=1) - grey[:, inner].mean(axis=1)
    return np.asarray(darker > FILLED * contrast)


def _sides(boxes: Sequence[Outline], axis: int) -> Array:
    """Points along each box's two sides across `axis` (0 x, 1 y): (n, 2, 11, 2) mm from its centre."""
    half = np.array([(box.rect.width, box.rect.height) for box in boxes]).reshape(-1, 2) / 2
    curved = np.array([box.round for box in boxes])[:, None]
    t = np.linspace(-1, 1, 11)
    angle = np.radians(22) * t  # flat enough that a shift along the side hardly matters
    out = half[:, axis, None] * np.where(curved, np.cos(angle), 1.0)
    offset = np.empty((len(boxes), 2, 11, 2))
    offset[..., axis] = np.stack([-out, out], axis=1)
    offset[..., 1 - axis] = (half[:, 1 - axis, None] * np.where(curved, np.sin(angle), 0.75 * t))[:, None]
    return offset


def edge_landmarks(
    pixels: NDArray[np.uint8], pose: Pose | Array, squares: Sequence[Rect], *, reach: float, contrast: float
) -> Landmarks:
    """Look for the edges of solid dark squares, each half side by itself; else like `box_landmarks`."""
    pose = pose if isinstance(pose, Pose) else Pose(matrix=pose)
    sides, along = _edges(tuple(squares))
    profiles = _profiles(pixels, pose, sides, along, reach)
    found = _peak(_edge_response(profiles), reach, 0.35 * contrast)
    shifts = np.where(along != 0, along * found[:, None], np.nan)
    return Landmarks(points=sides.mean(axis=1), shifts=shifts)


@lru_cache(maxsize=64)
def _edges(squares: tuple[Rect, ...]) -> tuple[Array, Array]:
    """Points along each half side of each square, (n, 11, 2) mm, and which way is out of it, (n, 2)."""
    starts, ends, outward = [], [], []
    for square in squares:
        corners = np.array(
            [
                (square.x, square.y),
                (square.right, square.y),
                (square.right, square.bottom),
                (square.x, square.bottom),
            ]
        )
        for i, normal in enumerate(((0, -1), (1, 0), (0, 1), (-1, 0))):
            a, b = corners[i], corners[(i + 1) % 4]
            starts += [a + 0.1 * (b - a), a + 0.5 * (b - a)]
            ends += [a + 0.5 * (b - a), a + 0.9 * (b - a)]
            outward += [normal, normal]
    along = np.array(outward, dtype=np.float64).reshape(-1, 2)
    sides = np.linspace(np.array(starts).reshape(-1, 2), np.array(ends).reshape(-1, 2), 11, axis=1)
    return np.asarray(sides, np.float64), along


def _profiles(pixels: NDArray[np.uint8], pose: Pose, sides: Array, along: Array, reach: float) -> Array:
    """Mean grey (n, samples) across n sides (n, 11, 2) in mm, from -reach to reach and a flank beyond."""
    count = 2 * (round(reach / STEP) + FLANK + LINE) + 1
    distance = np.asarray((np.arange(count) - count // 2) * STEP, np.float64)
    middle = pose.shifted(sides.mean(axis=1))  # a bend hardly changes along a side
    total = np.empty((len(sides), count), np.float32)
    most = 30_000 // sides.shape[1]  # OpenCV's remap takes at most 32,767 rows
    for first in range(0, len(sides), most):
        part = slice(first, first + most)
        x, y = _project_lines(pose.matrix, sides[part] + middle[part, None], along[part], distance)
        grey = cv2.remap(pixels, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        lines = np.asarray(grey).reshape(sides.shape[1], -1)
        total[part] = cv2.reduce(lines, 0, cv2.REDUCE_SUM, dtype=cv2.CV_32F).reshape(-1, count)
    return total / sides.shape[1]


def _project_lines(
    matrix: Array, starts: Array, along: Array, distance: Array
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """About what `project` makes of starts (n, m, 2) + distance (k,) * along (n, 2), m-th points first.

    x and y, (m * n, k) each. Along a line points are evenly spaced, as in the middle of all that belong
    together: over two mm the perspective of a page photographed at a slant moves them by less than 0.02 mm.
    """
    begin = starts @ matrix[:, :2].T + matrix[:, 2]
    scale = 1 / begin[..., 2:]
    begin = begin[..., :2] * scale
    way = along @ matrix[:, :2].T
    middle = starts.shape[1] // 2
    step = (way[:, :2] - begin[:, middle] * way[:, 2:]) * scale[:, middle]  # px a mm
    from_begin = (step.T[..., None] * distance).astype(np.float32)
    where = begin.T.astype(np.float32)[..., None] + from_begin[:, None]
    x, y = where.reshape(2, -1, len(distance))
    return x, y


def _line_response(profiles: Array) -> Array:
    """How far a line's centre is darker than both its flanks; 0 or more."""
    width = 2 * LINE + 1
    total = _sums(profiles)
    mean = (total[:, width:] - total[:, :-width]) / width
    centre, left, right = mean[:, FLANK:-FLANK], mean[:, : -2 * FLANK], mean[:, 2 * FLANK :]
    return np.maximum(np.minimum(left, right) - centre, 0)


def _edge_response(profiles: Array) -> Array:
    """How much lighter the outer flank is than the inner one."""
    total = _sums(profiles)
    n = FLANK
    inner, outer = total[:, n:-n] - total[:, : -2 * n], total[:, 2 * n :] - total[:, n:-n]
    return np.maximum((outer - inner) / n, 0)[:, LINE:-LINE]


def _sums(profiles: Array) -> Array:
    """(n, samples + 1): the sum of all samples before each place."""
    total = np.zeros((len(profiles), profiles.shape[1] + 1))
    np.cumsum(profiles, axis=1, out=total[:, 1:])
    return total


def _peak(response: Array, reach: float, floor: float) -> Array:
    """Where each response (n, samples) peaks: mm from the middle, nan below `floor` or at the very end."""
    rows = np.arange(len(response))
    best = response.argmax(axis=1)
    inside = np.clip(best, 1, response.shape[1] - 2)
    before, peak, after = (response[rows, inside + k] for k in (-1, 0, 1))
    curve = 2 * peak - before - after
    delta = np.where(curve > 0, (after - before) / (2 * np.where(curve > 0, curve, 1)), 0)
    shift = (inside - response.shape[1] // 2 + np.clip(delta, -1, 1)) * STEP
    return np.where((peak >= floor) & (best == inside), shift, np.nan)
