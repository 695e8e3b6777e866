"""Boxes as landmarks whatever they look like: what an empty one looks like is learned from the page itself.

Templates written for other programs say where a bubble is, but not its exact size, and print may be pale,
thick or have letters in it. The median of all boxes shows an empty one, as most are; the two lines that stand
in it symmetrically say where its middle is; and each box is then compared with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from omrgrade.registration.geometry import Array, Landmarks, Pose
from omrgrade.registration.outlines import Outline

PX = 8.0
"""px per mm of the boxes' pictures."""
LIKE = 0.45
"""Correlation (0-1) with an empty box above which a box is one."""
FEWEST = 8
"""Boxes of one size: of fewer there is no telling what an empty one looks like."""

_LINE = 0.008  # of the contrast: lines of an empty box that stand out less are none
_FLANK = 0.45  # mm from the middle of a line to the paper beside it;
_THICK = 0.06  # of the side, if that is more: large bubbles are drawn with thick lines
_SAMPLE = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
_SIZES = np.linspace(0.65, 1.35, 29)  # of what the template says

Floats = NDArray[np.float32]


def look_landmarks(
    pixels: NDArray[np.uint8], pose: Pose, boxes: Sequence[Outline], *, reach: float, contrast: float
) -> Landmarks:
    """Look for boxes within `reach` mm of where `pose` puts them, like `box_landmarks`.

    All axes of a box stand together: shifts are nan where it does not look like an empty one.
    """
    centres = np.array([box.rect.centre for box in boxes], dtype=np.float64).reshape(-1, 2)
    shifts = np.full_like(centres, np.nan)
    sizes = [(round(box.rect.width, 1), round(box.rect.height, 1)) for box in boxes]
    for (width, height), count in Counter(sizes).items():
        if count < FEWEST:
            continue
        own = np.array([n for n, size in enumerate(sizes) if size == (width, height)])
        shifts[own] = _shifts(pixels, pose, centres[own], (width, height), reach, contrast)
    return Landmarks(points=centres, shifts=shifts)


def _shifts(
    pixels: NDArray[np.uint8],
    pose: Pose,
    centres: Array,
    size: tuple[float, float],
    reach: float,
    contrast: float,
) -> Array:
    """Where boxes of one size are from their centres (n, 2) mm: (n, 2) mm."""
    none = np.full((len(centres), 2), np.nan)
    rim = 0.35 * min(size) + 0.3  # mm round a box that belong to its look
    half = np.array(size) / 2 + rim
    pictures = _pictures(pixels, pose, centres, half + reach, contrast)
    around = round(reach * PX)
    result = np.zeros((len(centres), 2))
    empty = _median(pictures)
    middle = _middle(empty, size, reach)
    if middle is None:
        return none
    columns, rows = (round(2 * side * PX) for side in half)
    for _ in range(2):  # the second time with a look that was taken where the boxes are
        left, top = (round((middle[axis] + reach) * PX) for axis in (0, 1))
        look = np.ascontiguousarray(
            empty[max(top, 0) : top + rows, max(left, 0) : left + columns], np.float32
        )
        if look.shape != (rows, columns) or float(look.std()) < 0.02:
            return none
        found = [_found(picture, look, around) for picture in pictures]
        like = np.array([score for score, _, _ in found])
        result = np.array([(x, y) for _, x, y in found]) / PX
        sure = like > LIKE
        if sure.sum() < FEWEST / 2:
            return none
        moved = [_moved(pictures[n], result[n] - middle) for n in np.flatnonzero(sure)]
        empty = _median(np.stack(moved))
        again = _middle(empty, size, reach)
        if again is None:
            return none
        middle = again
    return np.where(sure[:, None], result, np.nan)


def _pictures(
    pixels: NDArray[np.uint8], pose: Pose, centres: Array, half: Array, contrast: float
) -> NDArray[np.float32]:
    """Boxes and their surroundings (n, h, w): 0 paper .. 1 print."""
    columns, rows = (round(2 * side * PX) for side in half)
    boxes = np.empty((len(centres), rows, columns), np.float32)
    for box, (x, y) in zip(boxes, centres + pose.shifted(centres) - half, strict=True):
        to_page = np.array([[1 / PX, 0, x + 0.5 / PX], [0, 1 / PX, y + 0.5 / PX], [0, 0, 1]])
        box[:] = cv2.warpPerspective(pixels, pose.matrix @ to_page, (columns, rows), flags=_SAMPLE,
                                     borderMode=cv2.BORDER_REPLICATE)  # fmt: skip
    paper = np.percentile(boxes[:, ::3, ::3], 85, axis=(1, 2), keepdims=True)
    dark = np.clip((paper.astype(np.float32) - boxes) / np.float32(contrast), 0, 0.7)
    for box in dark:
        cv2.GaussianBlur(box, (0, 0), 1.0, dst=box)
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
    shifts = np.arange(-reach, reach + 1e-9, 0.5 / PX)
    ends = middle + (shifts[:, None, None] + np.array([-1, 1]) * _SIZES[:, None] * side / 2) * PX
    seen = (ends[..., 0] >= flank) & (ends[..., 1] <= len(profile) - 1 - flank)
    score = np.interp(ends, step, line).min(axis=2) * (1 - 0.3 * abs(np.log(_SIZES)))
    score *= 1 - 0.2 * abs(shifts[:, None]) / max(reach, 0.1)
    score = np.where(seen, score, -np.inf)
    best = int(score.argmax())
    return float(shifts[best // len(_SIZES)]) if score.flat[best] > least else None


def _found(picture: Floats, look: Floats, around: int) -> tuple[float, float, float]:
    """How like the look the likest place is, and how far it is from the picture's middle, px."""
    like = cv2.matchTemplate(picture, look, cv2.TM_CCOEFF_NORMED)
    row, column = np.unravel_index(int(like.argmax()), like.shape)
    return float(like[row, column]), float(column - around), float(row - around)


def _moved(picture: Floats, shift: Array) -> Floats:
    """The picture moved back by a shift in mm."""
    place = np.array([[1, 0, -shift[0] * PX], [0, 1, -shift[1] * PX]])
    size = picture.shape[::-1]
    return np.asarray(cv2.warpAffine(picture, place, size, borderMode=cv2.BORDER_REPLICATE), np.float32)
