"""Printed marks of one shape: finding what may be one, and telling exactly where one is.

What may be a mark is any dark blob that keeps to itself. How large blobs of the shape look, and where their
middle is, is measured on a picture of the mark, so squares, crosses and targets are treated alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import hypot, log

import cv2
import numpy as np
from numpy.typing import NDArray

from omrgrade.records import Fiducials, Rect
from omrgrade.registration.geometry import Array, percentile, project
from omrgrade.registration.nearby import Near

Grey = NDArray[np.uint8]

PX = 10.0
"""px per mm at which marks are compared with their picture."""
LIKE = 0.6
"""Correlation (0-1) with its picture above which a blob is the mark."""
PARTLY = 0.4
"""The same for one that is scribbled on or half covered."""

_LONG_SIDE = 1600  # px of the copy that is searched: a mark of 3 mm is then 8 px or more
_CROSS = 0.18  # thickness of a cross's arms in parts of its size
_MOST = 2500  # blobs that are compared with the mark


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Blobs:
    """Dark blobs of a scan."""

    centres: Array  # (n, 2) scan px, of their convex hulls
    sizes: Array  # (n,) scan px, the square root of their hulls' areas
    like: Array  # (n,) correlation (0-1) with the mark, however turned

    def likest(self, count: int, least: float) -> Blobs:
        """At most so many of the blobs, most like the mark first, none less like it than `least`."""
        order = np.argsort(-self.like, kind="stable")[:count]
        chosen = order[self.like[order] > least]
        return Blobs(centres=self.centres[chosen], sizes=self.sizes[chosen], like=self.like[chosen])


# ---------------------------------------------------------------- what a mark looks like


@lru_cache(maxsize=8)
def mark_picture(fiducials: Fiducials) -> Grey:
    """One mark, filling (h, w) grey at `PX`, dark on white."""
    box = fiducials.boxes[0]
    width, height = max(round(box.width * PX), 3), max(round(box.height * PX), 3)
    if fiducials.picture:
        picture = cv2.imdecode(np.frombuffer(fiducials.picture, np.uint8), cv2.IMREAD_GRAYSCALE)
        return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    picture = np.full((height, width), 0 if fiducials.marker not in ("circle", "cross") else 255, np.uint8)
    if fiducials.marker == "circle":
        centre = (round((width - 1) * 8), round((height - 1) * 8))
        cv2.ellipse(picture, centre, (width * 8, height * 8), 0, 0, 360, 0, -1, cv2.LINE_AA, 4)
    elif fiducials.marker == "cross":
        across, down = round(_CROSS * width / 2), round(_CROSS * height / 2)
        picture[:, width // 2 - across : width // 2 + across + 1] = 0
        picture[height // 2 - down : height // 2 + down + 1] = 0
    return picture


@lru_cache(maxsize=8)
def mark_hull(fiducials: Fiducials) -> tuple[float, tuple[float, float]]:
    """A mark's hull: its size (square root of its area) and its middle from the mark's corner, mm."""
    picture = cv2.copyMakeBorder(mark_picture(fiducials), 8, 8, 8, 8, cv2.BORDER_CONSTANT, value=255)
    points = np.argwhere(picture < 128)[:, ::-1].astype(np.int32)
    if len(points) < 3:
        box = fiducials.boxes[0]
        return float(np.sqrt(box.width * box.height)), (box.width / 2, box.height / 2)
    hull = cv2.convexHull(points)
    moments = cv2.moments(hull)
    middle = moments["m10"] / moments["m00"], moments["m01"] / moments["m00"]
    return (
        float(np.sqrt(moments["m00"]) / PX),
        ((middle[0] - 7.5) / PX, (middle[1] - 7.5) / PX),
    )


@lru_cache(maxsize=8)
def _fullness(fiducials: Fiducials) -> float:
    """Which part of a mark's hull its outer contour encloses, 0-1."""
    picture = cv2.copyMakeBorder(mark_picture(fiducials), 8, 8, 8, 8, cv2.BORDER_CONSTANT, value=255)
    mask = (picture < 128).astype(np.uint8)
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    largest = max((cv2.contourArea(contour) for contour in contours), default=1.0)
    return float(min(largest / (mark_hull(fiducials)[0] * PX) ** 2, 1.0))


# ---------------------------------------------------------------- finding blobs


def find_blobs(
    pixels: Grey,
    fiducials: Fiducials,
    *,
    solid: bool,
    sizes: tuple[float, float],
    elongation: float,
    near: Near | None = None,
) -> Blobs:
    """Dark blobs whose hulls have a size (square root of area) between `sizes`, scan px.

    solid: whether they must fill their hull. elongation: the most that they may be longer than wide. near:
    where alone to look, and for blobs that nothing touches.
    """
    factor = max(round(max(pixels.shape) / _LONG_SIDE), 1)
    even = pixels[: pixels.shape[0] // factor * factor, : pixels.shape[1] // factor * factor]
    size = (max(even.shape[1] // factor, 1), max(even.shape[0] // factor, 1))
    small = cv2.resize(even, size, interpolation=cv2.INTER_AREA) if factor > 1 else even
    small = cv2.GaussianBlur(small, (0, 0), 0.8)
    low, high = (size / factor for size in (near.sizes if near else sizes))
    found: list[tuple[float, float, float, float]] = []
    dark = _dark(np.asarray(small, np.uint8), sizes[1] / factor)
    dark = near.only(dark, factor) if near else dark
    for width in (0, 3, 5, 7) if solid and not near else (0,):
        if width:  # a pen's line that touches a mark is thinner than the mark
            kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
            mask = cv2.morphologyEx(dark, cv2.MORPH_OPEN, kernel)
        else:
            mask = dark if solid else cv2.morphologyEx(dark, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
        found += _blobs(mask, low, high, 0.72 if solid else 0.15, elongation)
    rows = np.array(found, dtype=np.float64).reshape(-1, 4)
    rows = rows[np.argsort(np.abs(rows[:, 3] - _fullness(fiducials)), kind="stable")]
    kept = _without_doubles(rows)[:_MOST]
    centres, own = (kept[:, :2] + 0.5) * factor - 0.5, kept[:, 2] * factor
    return Blobs(centres=centres, sizes=own, like=_likeness(pixels, centres, own, fiducials))


def _dark(small: Grey, largest: float) -> Grey:
    """255 where a copy is much darker than the paper round it, whatever the light."""
    reach = int(largest * 0.8) | 1
    paper = cv2.resize(small, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    kernel = np.ones((max(reach // 4, 3) | 1,) * 2, np.uint8)
    paper = cv2.blur(cv2.dilate(paper, kernel), (9, 9))
    paper = cv2.resize(paper, small.shape[::-1])
    return np.asarray(np.where(small < 0.62 * paper.astype(np.float32), 255, 0), np.uint8)


def _blobs(
    mask: Grey, low: float, high: float, filled: float, elongation: float
) -> list[tuple[float, float, float, float]]:
    """x, y, size and fullness of the blobs in a mask."""
    contours, levels = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    result = []
    for n, contour in enumerate(contours):
        if levels[0, n, 3] >= 0:  # a hole
            continue
        if len(contour) < 4 or not low**2 * 0.3 < cv2.contourArea(contour) + len(contour) < high**2 * 1.5:
            continue
        hull = cv2.convexHull(contour)
        moments = cv2.moments(hull)
        # A contour runs through the middle of the rim's pixels: half a pixel is missing all round.
        area = moments["m00"] + cv2.arcLength(hull, True) / 2 + 1
        if not low**2 < area < high**2 or moments["m00"] <= 0:
            continue
        (_, (width, height), _) = cv2.minAreaRect(hull)
        full = (cv2.contourArea(contour) + cv2.arcLength(contour, True) / 2 + 1) / area
        if full < filled or max(width, height) + 1 > elongation * (min(width, height) + 1):
            continue
        centre = moments["m10"] / moments["m00"], moments["m01"] / moments["m00"]
        result.append((*centre, float(np.sqrt(area)), full))
    return result


def _without_doubles(found: Array) -> Array:
    """The first of each blob that several openings show; rows x, y, size, fullness."""
    kept: list[int] = []
    side = max(0.2 * float(found[:, 2].max(initial=0.0)), 1.0)
    cells: dict[tuple[int, int], list[tuple[float, float, float]]] = {}  # what is kept, by where it is
    for n, (x, y, size, _) in enumerate(found.tolist()):
        column, row = int(x / side), int(y / side)
        near = (cells.get((column + k, row + m), ()) for k in (-1, 0, 1) for m in (-1, 0, 1))
        if not any(
            hypot(own[0] - x, own[1] - y) < 0.2 * size and abs(log(own[2] / size)) < 0.12
            for cell in near
            for own in cell
        ):
            kept.append(n)
            cells.setdefault((column, row), []).append((x, y, size))
    return found[kept]


# ---------------------------------------------------------------- what a blob looks like

_SIDE = 24  # px of blobs as they are compared
_ROOM = 1.9  # side of what is compared, in parts of the hull's size: the mark and paper round it
_TURNS = 24


def _likeness(pixels: Grey, centres: Array, sizes: Array, fiducials: Fiducials) -> Array:
    """How like the mark each blob is, at any turn: correlations (n,)."""
    if not len(sizes):
        return np.zeros(0)
    looks = np.stack([_look(pixels, c, s, 0.0) for c, s in zip(centres, sizes, strict=True)])
    wanted = _turned_mark(fiducials)
    return np.asarray((_standard(looks) @ wanted.T).max(axis=1))


@lru_cache(maxsize=8)
def _turned_mark(fiducials: Fiducials) -> Array:
    size, (x, y) = mark_hull(fiducials)
    rim = round(size * PX)
    picture = cv2.copyMakeBorder(mark_picture(fiducials), *(rim,) * 4, cv2.BORDER_CONSTANT, value=255)
    centre = np.array([x * PX - 0.5 + rim, y * PX - 0.5 + rim])
    angles = np.arange(_TURNS) * (2 * np.pi / _TURNS)
    return _standard(np.stack([_look(picture, centre, size * PX, angle) for angle in angles]))


def _look(pixels: Grey, centre: Array, size: float, angle: float) -> Array:
    """The surroundings of a point, turned: (_SIDE * _SIDE,)."""
    scale = _ROOM * size / _SIDE
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    middle = (_SIDE - 1) / 2
    place = np.array([[c, -s, centre[0] - (c - s) * middle], [s, c, centre[1] - (s + c) * middle]])
    if scale > 1.5:  # taken from a smaller copy, or it would be sampled too thinly
        reach = int(np.ceil(_ROOM * size))
        left, top = (int(v) - reach for v in centre)
        part = pixels[max(top, 0) : top + 2 * reach, max(left, 0) : left + 2 * reach]
        blurred = cv2.blur(part, (round(scale), round(scale)))
        place[:, 2] -= (max(left, 0), max(top, 0))
    else:
        blurred = pixels
    look = cv2.warpAffine(
        blurred, place, (_SIDE, _SIDE), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    return np.asarray(look, np.float64).ravel()


def _standard(looks: Array) -> Array:
    """Rows with mean 0 and length 1."""
    centred = looks - looks.mean(axis=1, keepdims=True)
    return np.asarray(centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-9))


# ---------------------------------------------------------------- where a mark is

_COARSE = 0.5  # scan px a px of a mark's picture: coarser scans show no more at half of its size
_LARGE = 60  # px of a mark's picture from which on there is room for that,
_MIDDLING = 25  # and room enough to find about where it is


def seek_mark(
    pixels: Grey, matrix: Array, picture: Grey, box: Rect, reach: float, *, roughly: bool
) -> tuple[tuple[float, float], float, float]:
    """Look for a mark within `reach` mm of where `matrix` (3, 3), page mm -> scan px, puts it.

    picture: the mark at `PX`, filling `box`. roughly: to 0.1 mm is enough. Returns its shift (x, y) in mm,
    its correlation with the picture, and its contrast in grey levels.
    """
    x, y = box.centre
    first, right, below = project(matrix, np.array([(x, y), (x + 1 / PX, y), (x, y + 1 / PX)]))
    density = float(np.sqrt(abs(np.linalg.det(np.stack([right - first, below - first])))))  # scan px a px
    large = min(picture.shape) > (_MIDDLING if roughly else _LARGE)
    finer = 2 if large and (roughly or density < _COARSE) else 1
    px, picture = PX / finer, picture if finer == 1 else _halved(picture)
    rim = round(min(0.35 * min(box.width, box.height), 2.0) * px)
    template = cv2.copyMakeBorder(picture, rim, rim, rim, rim, cv2.BORDER_CONSTANT, value=255)
    height, width = template.shape
    around = round(reach * px)
    left, top = box.x + (0.5 - rim - around) / px, box.y + (0.5 - rim - around) / px
    area = cv2.warpPerspective(
        pixels, matrix @ np.array([[1 / px, 0, left], [0, 1 / px, top], [0, 0, 1]]),
        (width + 2 * around, height + 2 * around),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    blur = max(1.2, 0.5 / max(density, 0.05)) / finer  # as coarse as the scan
    area = cv2.GaussianBlur(area, (0, 0), 1.2 / finer)
    template = cv2.GaussianBlur(template, (0, 0), blur)
    like = cv2.matchTemplate(area, template, cv2.TM_CCOEFF_NORMED)
    row, column = np.unravel_index(int(like.argmax()), like.shape)
    there = area[row : row + height, column : column + width]
    contrast = percentile(there, 95) - percentile(there, 8)
    shift = ((column + _vertex(like[row], int(column)) - around) / px,
             (row + _vertex(like[:, column], int(row)) - around) / px)  # fmt: skip
    return shift, float(like[row, column]) if contrast > 15 else 0.0, contrast


def _halved(picture: Grey) -> Grey:
    rows, columns = (side // 2 for side in picture.shape)
    return np.asarray(cv2.resize(picture, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)


def _vertex(values: NDArray[np.float32], at: int) -> float:
    """Where a parabola through the peak `at` and its neighbours peaks, in steps from it."""
    if not 0 < at < len(values) - 1:
        return 0.0
    before, peak, after = (float(values[at + k]) for k in (-1, 0, 1))
    curve = 2 * peak - before - after
    return float(np.clip((after - before) / (2 * curve), -1, 1)) if curve > 1e-9 else 0.0
