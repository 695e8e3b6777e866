"""Boxes as landmarks whatever they look like: what an empty one looks like is learned from the page itself.

Templates written for other programs say where a bubble is, but not its exact size, and print may be pale,
thick or have letters in it. The median of all boxes shows an empty one, as most are; the two lines that stand
in it symmetrically say where its middle is; and each box is then compared with it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from omrgrade.registration.geometry import Array, Landmarks, Pose
from omrgrade.registration.outlines import Outline

PX = 8.0
"""px per mm of the boxes' pictures: a printed line is 1 to 2 px wide."""
LIKE = 0.45
"""Correlation (0-1) with an empty box above which a box is one."""
FEWEST = 8
"""Boxes of one size: of fewer there is no telling what an empty one looks like."""

_BLUR = 0.13  # mm
_LINE = 0.008  # of the contrast: lines of an empty box that stand out less are none
_FLANK = 0.45  # mm from the middle of a line to the paper beside it;
_THICK = 0.06  # of the side, if that is more: large bubbles are drawn with thick lines
_SAMPLE = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
_COMPARED = cv2.TM_CCOEFF_NORMED
_LARGE = 80  # px of a look's side from which on it is first looked for at a quarter, not half, of its size
_STEP = 1 / 16  # mm between places of a middle that are tried
_SIZES = np.linspace(0.65, 1.35, 29)  # of what the template says

Floats = NDArray[np.float32]
Size = tuple[float, float]
"""Width and height of boxes, mm."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Look:
    """What an empty box looks like."""

    picture: Floats  # (h, w) at `PX`: 0 paper .. 1 print
    middle: tuple[float, float]  # mm (x, y) from the picture's middle to the box's


Looks = Mapping[Size, Look]


def learned_landmarks(
    pixels: NDArray[np.uint8], pose: Pose, boxes: Sequence[Outline], *, reach: float, contrast: float
) -> tuple[Landmarks, Looks]:
    """Look for boxes within `reach` mm of where `pose` puts them, like `box_landmarks`; and their looks.

    All axes of a box stand together: shifts are nan where it does not look like an empty one.
    """
    shifts, looks = np.full((len(boxes), 2), np.nan), {}
    for size, own in _by_size(boxes).items():
        if len(own) >= FEWEST:
            pictures = _pictures(pixels, pose, _centres([boxes[n] for n in own]), size, reach, contrast)
            look = _learned(pictures, size, reach)
            if look is not None:
                looks[size], shifts[own] = look, _shifts(pictures, look)
    return Landmarks(points=_centres(boxes), shifts=shifts), looks


def look_landmarks(
    pixels: NDArray[np.uint8],
    pose: Pose,
    boxes: Sequence[Outline],
    looks: Looks,
    *,
    reach: float,
    contrast: float,
) -> Landmarks:
    """Look for boxes that look like these within `reach` mm of where `pose` puts them."""
    shifts = np.full((len(boxes), 2), np.nan)
    for size, own in _by_size(boxes).items():
        if size in looks:
            pictures = _pictures(pixels, pose, _centres([boxes[n] for n in own]), size, reach, contrast)
            shifts[own] = _shifts(pictures, looks[size])
    return Landmarks(points=_centres(boxes), shifts=shifts)


def _by_size(boxes: Sequence[Outline]) -> dict[Size, list[int]]:
    """The numbers of boxes of each size."""
    result: dict[Size, list[int]] = defaultdict(list)
    for n, box in enumerate(boxes):
        result[round(box.rect.width, 1), round(box.rect.height, 1)].append(n)
    return result


def _centres(boxes: Sequence[Outline]) -> Array:
    return np.array([box.rect.centre for box in boxes], dtype=np.float64).reshape(-1, 2)


def _around(size: Size) -> Array:
    """mm from a box's middle to the rim of its look, which its surroundings belong to."""
    return np.array(size) / 2 + 0.35 * min(size) + 0.3


# ---------------------------------------------------------------- learning a look


def _learned(pictures: Floats, size: Size, reach: float) -> Look | None:
    """What an empty box looks like, of pictures (n, h, w) in which one is within `reach` mm of the middle."""
    look = _cut(_median(pictures), size, reach)
    if look is None:
        return None
    shifts = _shifts(pictures, look) * PX
    sure = np.flatnonzero(np.isfinite(shifts[:, 0]))
    if len(sure) < FEWEST / 2:
        return None
    return _cut(_median(np.stack([_moved(pictures[n], *shifts[n]) for n in sure])), size, reach)


def _cut(empty: Floats, size: Size, reach: float) -> Look | None:
    """The box in a picture of an empty one; None if there are no lines."""
    middle = _middle(empty, size, reach)
    if middle is None:
        return None
    columns, rows = (round(2 * side * PX) for side in _around(size))
    centre = [(side - 1) / 2 + off * PX for side, off in zip(empty.shape[::-1], middle, strict=True)]
    left, top = (round(at - (side - 1) / 2) for at, side in zip(centre, (columns, rows), strict=True))
    left = min(max(left, 0), empty.shape[1] - columns)
    top = min(max(top, 0), empty.shape[0] - rows)
    picture = np.ascontiguousarray(empty[top : top + rows, left : left + columns])
    if float(picture.std()) < 0.02:
        return None
    off = (centre[0] - left - (columns - 1) / 2, centre[1] - top - (rows - 1) / 2)
    return Look(picture=picture, middle=(off[0] / PX, off[1] / PX))


def _pictures(
    pixels: NDArray[np.uint8], pose: Pose, centres: Array, size: Size, reach: float, contrast: float
) -> Floats:
    """Boxes of a size and `reach` mm round their looks (n, h, w): 0 paper .. 1 print."""
    columns, rows = (round(2 * side * PX) for side in _around(size) + reach)
    boxes = np.empty((len(centres), rows, columns), np.float32)
    to_page = np.diag([1 / PX, 1 / PX, 1])
    for box, middle in zip(boxes, centres + pose.shifted(centres), strict=True):
        to_page[:2, 2] = middle - (np.array([columns, rows]) - 1) / 2 / PX
        box[:] = cv2.warpPerspective(pixels, pose.matrix @ to_page, (columns, rows), flags=_SAMPLE,
                                     borderMode=cv2.BORDER_REPLICATE)  # fmt: skip
    sample = boxes[:, ::3, ::3].reshape(len(boxes), -1)
    rank = int(0.85 * (sample.shape[1] - 1))
    paper = np.partition(sample, rank, axis=1)[:, rank, None, None]
    dark = np.clip((paper - boxes) / np.float32(contrast), 0, 0.7)
    for box in dark:
        cv2.GaussianBlur(box, (0, 0), _BLUR * PX, dst=box)
    return np.asarray(dark, np.float32)


def _median(pictures: Floats) -> Floats:
    """(h, w) the median of pictures (n, h, w); sorting is an eighth of what `np.median` does for it."""
    ranked = np.sort(pictures.reshape(len(pictures), -1).T, axis=1)
    middle = (ranked[:, (len(pictures) - 1) // 2] + ranked[:, len(pictures) // 2]) / np.float32(2)
    return np.asarray(middle.reshape(pictures.shape[1:]), np.float32)


def _middle(empty: Floats, size: tuple[float, float], reach: float) -> tuple[float, float] | None:
    """Where the middle of an empty box is from the middle of its picture, mm; None if there are no lines."""
    x = _symmetric(empty.mean(axis=0), size[0], reach)  # along whole columns: it may be off in y
    if x is None:
        return None
    column, near = (empty.shape[1] - 1) / 2 + x * PX, size[0] * PX / 5
    strip = empty[:, max(round(column - near), 0) : round(column + near) + 1]
    y = _symmetric(strip.mean(axis=1), size[1], reach)
    return None if y is None else (x, y)


def _symmetric(profile: Floats, side: float, reach: float) -> float | None:
    """Where two lines about `side` mm apart have their middle, mm from the profile's; or None."""
    middle = (len(profile) - 1) / 2
    step = np.arange(len(profile))
    flank = max(round(max(_FLANK, _THICK * side) * PX), 2)
    line = profile - np.maximum(np.roll(profile, flank), np.roll(profile, -flank))
    least = max(_LINE, 0.25 * float(line[flank:-flank].max(initial=0.0)))
    shifts = np.arange(-reach, reach + 1e-9, _STEP)
    ends = middle + (shifts[:, None, None] + np.array([-1, 1]) * _SIZES[:, None] * side / 2) * PX
    seen = (ends[..., 0] >= flank) & (ends[..., 1] <= len(profile) - 1 - flank)
    score = np.interp(ends, step, line).min(axis=2) * (1 - 0.3 * abs(np.log(_SIZES)))
    score *= 1 - 0.2 * abs(shifts[:, None]) / max(reach, 0.1)
    score = np.where(seen, score, -np.inf)
    best = int(score.argmax())
    return float(shifts[best // len(_SIZES)]) if score.flat[best] > least else None


# ---------------------------------------------------------------- finding a look


def _shifts(pictures: Floats, look: Look) -> Array:
    """How far boxes are from the middles of pictures (n, h, w): (n, 2) mm, nan where there is none."""
    rows, columns = look.picture.shape
    factor = 2 if min(rows, columns) < _LARGE else 4
    coarse = _coarser(look.picture, factor)
    result = np.full((len(pictures), 2), np.nan)
    for own, picture in zip(result, pictures, strict=True):
        _, _, _, at = cv2.minMaxLoc(cv2.matchTemplate(_coarser(picture, factor), coarse, _COMPARED))
        left, top = (max(factor * (place - 1), 0) for place in at)
        near = picture[top : top + rows + 2 * factor, left : left + columns + 2 * factor]
        like = cv2.matchTemplate(near, look.picture, _COMPARED)
        _, score, _, (x, y) = cv2.minMaxLoc(like)
        if score > LIKE:
            own[:] = left + x + _vertex(like[y], x), top + y + _vertex(like[:, x], y)
    middle = (np.array(pictures.shape[:0:-1]) - (columns, rows)) / 2
    return (result - middle) / PX + look.middle


def _coarser(picture: Floats, factor: int) -> Floats:
    rows, columns = (side // factor for side in picture.shape)
    even = picture[: rows * factor, : columns * factor]
    return np.asarray(cv2.resize(even, (columns, rows), interpolation=cv2.INTER_AREA), np.float32)


def _vertex(values: Floats, at: int) -> float:
    """Where a parabola through the peak `at` and its neighbours peaks, in steps from it; 0 at the end."""
    if not 0 < at < len(values) - 1:
        return 0.0
    before, peak, after = values[at - 1 : at + 2].tolist()
    curve = 2 * peak - before - after
    return float((after - before) / (2 * curve)) if curve > 1e-9 else 0.0


def _moved(picture: Floats, x: float, y: float) -> Floats:
    """The picture moved back by px."""
    place = np.array([[1, 0, -x], [0, 1, -y]])
    size = picture.shape[::-1]
    return np.asarray(cv2.warpAffine(picture, place, size, borderMode=cv2.BORDER_REPLICATE), np.float32)
