"""Whether what was taken for boxes are the gaps between printed ones, half a row or column off.

Between two rows of bubbles there are an arc above and one below, as far apart as an empty bubble's may be: a
look learned there is found everywhere, and the page lies well by it. But the arcs curve the other way.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from omrgrade.registration.geometry import Array, Pose
from omrgrade.registration.looks import Looks, Size, box_centres, by_size, median_picture, px_per_mm
from omrgrade.registration.outlines import Outline

_BOXES = 40  # of a size, spread over the page, that are looked at
_FARTHEST = 9.0  # mm: gaps farther off are not between boxes of one table
_BEYOND = 0.6  # mm beyond the gap that are looked at
_SCALES = np.linspace(0.7, 1.3, 7)  # of the size that the template says
_PEN, _BLUR = 0.25, 0.2  # mm

Floats = NDArray[np.float32]


def gap_moves(looks: Looks, pose: Pose, boxes: Sequence[Outline]) -> list[tuple[float, float]]:
    """Moves (x, y) in mm to where boxes are, either way, if `pose` lays them on gaps; none if it does not.

    looks: as they were learned with that pose.
    """
    size, own = max(by_size(boxes).items(), key=lambda item: (item[0] in looks.sizes, len(item[1])))
    halves = [side / 2 for side in looks.flat.apart]
    moves = [move for move in ((halves[0], 0.0), (0.0, halves[1])) if sum(move) < _FARTHEST]
    if size not in looks.sizes or not moves:
        return []
    some = [boxes[n] for n in own[:: max(len(own) // _BOXES, 1)]]
    pictures, _ = looks.flat.cut(pose, box_centres(some), size, max(map(sum, moves)) + _BEYOND)
    page, round_ = median_picture(pictures), some[0].round
    here = _likeness(page, size, round_, (0.0, 0.0))
    like, (x, y) = max((_likeness(page, size, round_, move), move) for move in moves)
    return [(x, y), (-x, -y)] if like > here else []


def _likeness(page: Floats, size: Size, round_: bool, move: tuple[float, float]) -> float:
    """Correlation (-1 to 1) of what lies `move` mm from a picture's middle with an outline of this size."""
    px = px_per_mm(size)
    middle = (np.array(page.shape[::-1]) - 1) / 2 + np.array(move) * px
    best = -1.0
    for scale in _SCALES.tolist():
        outline = _outline(size, round_, scale)
        left, top = np.rint(middle - (np.array(outline.shape[::-1]) - 1) / 2).astype(int).tolist()
        there = page[max(top, 0) : top + outline.shape[0], max(left, 0) : left + outline.shape[1]]
        if there.shape == outline.shape:
            best = max(best, _correlation(there, outline))
    return best


def _correlation(one: Floats, other: Floats) -> float:
    one, other = one - one.mean(), other - other.mean()
    return float((one * other).sum() / max(np.sqrt((one * one).sum() * (other * other).sum()), 1e-6))


@lru_cache(maxsize=64)
def _outline(size: Size, round_: bool, scale: float) -> Floats:
    """An empty box of this size, and a little paper round it."""
    px = px_per_mm(size)
    half: Array = np.array(size) * scale * px / 2
    columns, rows = (2 * round(1.25 * side) + 1 for side in half.tolist())
    page = np.zeros((rows, columns), np.uint8)
    x, y, pen = columns // 2 * 16, rows // 2 * 16, max(round(_PEN * px), 1)
    across, down = (round(side * 16) for side in half.tolist())
    if round_:
        cv2.ellipse(page, (x, y), (across, down), 0, 0, 360, 255, pen, cv2.LINE_AA, 4)
    else:
        cv2.rectangle(page, (x - across, y - down), (x + across, y + down), 255, pen, cv2.LINE_AA, 4)
    return np.asarray(cv2.GaussianBlur(page, (0, 0), _BLUR * px), np.float32)
