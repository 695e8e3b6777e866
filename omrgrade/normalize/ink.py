"""One box's darkness over the paper -> its ink as MNIST would have it.

Everything happens in the ink's own window: most of a box is paper.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from omrgrade.normalize.lines import Grey

PEN = 0.10  # stroke width over the ink's larger side; MNIST's median is 0.12
SCRAP = 60  # px: what is left of an outline whose place was known is smaller
_DISCS = [cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * r + 1, 2 * r + 1)) for r in (1, 2, 3)]
_ROOM = 4  # px round the ink: its soft edge, and the widest disc
NEAR = np.ones((3, 3), np.uint8)
EDGE = np.ones((5, 5), np.uint8)
_MOMENTS = np.stack([np.ones(400), np.tile(np.arange(20), 20), np.repeat(np.arange(20), 20)], axis=1)
_MOMENTS = _MOMENTS.astype(np.float32)


def to_mnist(ink: Grey) -> Grey:
    """Rebuild an ink image as MNIST was made.

    ink: (h, w) uint8, ink high on 0. Returns (28, 28) uint8, all zero when there is no ink.
    """
    small = _to_20x20(ink)
    return np.zeros((28, 28), np.uint8) if small is None else centred(small[None])[0]


def _to_20x20(ink: Grey) -> Grey | None:
    """Its bounding box, made square, at 20x20 px; None without ink."""
    x, y, w, h = cv2.boundingRect(ink)
    if w == 0 or h == 0:
        return None
    side = max(w, h, 10)  # the floor keeps specks small
    square = np.zeros((side, side), np.uint8)
    top, left = (side - h) // 2, (side - w) // 2
    square[top : top + h, left : left + w] = ink[y : y + h, x : x + w]
    way = cv2.INTER_AREA if side > 20 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(square, (20, 20), interpolation=way), np.uint8)


def centred(small: Grey) -> Grey:
    """(N, 20, 20) -> (N, 28, 28): the darkest ink 255, the centre of mass on pixel 14."""
    flat = small.reshape(-1, 400)
    peak = flat.max(axis=1)
    moments = flat.astype(np.float32) @ _MOMENTS  # whole numbers below 2**24: exact
    mass = np.maximum(moments[:, 0], 1).astype(np.float64)
    # whole-pixel shift that brings the centre of mass to pixel 14 (13.5-14.5)
    shift = np.rint(14 - moments[:, 1:] / mass[:, None]).clip(0, 8).astype(int)
    strong = np.rint(small * (255 / np.maximum(peak, 1)).astype(np.float32)[:, None, None]).astype(np.uint8)
    out = np.zeros((len(small), 28, 28), np.uint8)
    for picture, digit, (dx, dy) in zip(out, strong, shift.tolist(), strict=True):
        picture[dy : dy + 20, dx : dx + 20] = digit
    return out


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Darkness:
    """One box, ready for its ink to be picked out."""

    dark: Grey  # (h, w) grey levels over the paper
    mask: Grey  # (h, w) where it is ink, 1 or 0
    rim: Grey  # (h, w) the ink near the edge of what is inside the outline, 1 or 0
    inside: Grey  # (h, w) what is inside the outline, 1 or 0
    levels: Grey  # (256,) what the ink image shows for each grey level over the paper
    known: bool  # the outline's place was known, so that no more than scraps of it can be left


def ink_image(box: Darkness) -> tuple[Grey | None, bool, int]:
    """A box's ink at 20x20 px, to be `centred`, None without any; whether it runs through the box; and of how
    many pieces it is, specks among them."""
    left, top, width, height = cv2.boundingRect(box.mask)
    x, y = max(0, left - _ROOM), max(0, top - _ROOM)
    window = np.s_[y : top + height + _ROOM, x : left + width + _ROOM]
    mask = box.mask[window]
    # labels of 16 bits: OpenCV then takes its faster way
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8, ltype=cv2.CV_16U)
    keep = components(labels, stats, box.rim, box.inside, known=box.known, window=window)
    if not any(keep):
        return None, False, count - 1
    kept = mask if all(keep[1:]) else np.array(keep, np.uint8)[labels]
    near = cv2.dilate(kept, NEAR)  # the soft edge of a stroke belongs to it
    ink = cv2.copyTo(cv2.LUT(box.dark[window], box.levels), near)
    one = stats[keep.index(True)] if sum(keep) == 1 else None
    image = _to_20x20(thicken(ink, kept, one))
    through = box.known and runs_through(stats[keep], (x, y), box.mask.shape)
    return image, through, count - 1


def shrunk(inside: Grey) -> Grey:
    """(N, h, w): two px less than `inside` on every side, beyond the crop being outside."""
    together = np.ascontiguousarray(inside.transpose(1, 2, 0))
    less = cv2.erode(together, EDGE, borderType=cv2.BORDER_CONSTANT, borderValue=(0, 0, 0, 0))
    return less.reshape(together.shape).transpose(2, 0, 1)


def runs_through(stats: NDArray[np.int32], origin: tuple[int, int], shape: tuple[int, ...]) -> bool:
    """Whether one piece of ink reaches from edge to opposite edge of the crop: a scanner's streak.

    stats: (n, 5) OpenCV's, of pieces in a window that begins at `origin` (x, y) of the crop.
    """
    for left, top, width, height, _ in stats.tolist():
        across = left + origin[0] <= 1 and left + origin[0] + width >= shape[1] - 1
        down = top + origin[1] <= 1 and top + origin[1] + height >= shape[0] - 1
        if across or down:
            return True
    return False


def thicken(ink: Grey, mask: Grey, stats: NDArray[np.int32] | None = None) -> Grey:
    """Widen the stroke of a fine pen towards the width that MNIST's have: resampling would leave it grey.

    ink: (h, w); mask: (h, w) its core, not 0; stats: (5,) OpenCV's of that, if it is one piece.
    """
    if stats is None:
        left, top, width, height = cv2.boundingRect(mask)
        area = cv2.countNonZero(mask)
    else:
        left, top, width, height, area = stats.tolist()
    part = mask[top : top + height, left : left + width]
    outline = area - cv2.countNonZero(cv2.erode(part, NEAR, borderValue=0))
    stroke = 2 * area / max(1, outline)
    grow = round((PEN * max(width, height) - stroke) / 2)
    if grow < 1:
        return ink
    return cv2.dilate(ink, _DISCS[min(grow, len(_DISCS)) - 1])


def components(
    labels: NDArray[Any],
    stats: NDArray[np.int32],
    rim: Grey,
    inside: Grey,
    *,
    known: bool,
    window: tuple[slice, slice] = np.s_[:, :],
) -> list[bool]:
    """Which connected components are writing: not specks, not remains of the outline.

    labels, stats: OpenCV's, of the ink in `window` of the box; rim, inside, known: as in `Darkness`.
    """
    areas = [0, *stats[1:, cv2.CC_STAT_AREA].tolist()]
    biggest = max(areas)
    least = max(6, 0.04 * biggest) if biggest >= 12 else math.inf
    large = [area >= least for area in areas]
    # Remains of the outline lie at the edge of what was kept, and nowhere else.
    if known and not any(seen and area < SCRAP for seen, area in zip(large, areas, strict=True)):
        return large
    rim = rim[window]
    if not cv2.countNonZero(rim):
        return large
    area = np.array(areas)
    touches = np.bincount(labels[rim > 0], minlength=len(area))
    scrap = touches > 0.6 * area  # nothing but a piece of the edge; a 7 may run along two of them
    if known:
        return list(large & ~(scrap & (area < SCRAP)))
    height, width = inside.shape
    depth = round(0.18 * min(height, width))
    core = cv2.erode(inside, np.ones((max(1, 2 * depth - 7),) * 2, np.uint8))
    core[:depth] = core[-depth:] = 0
    core[:, :depth] = core[:, -depth:] = 0
    deep = np.bincount(labels[core[window] > 0], minlength=len(area))
    span = stats[:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]].max(axis=1)
    keep = (touches == 0) | (deep >= 0.08 * area) | (span <= 0.3 * min(height, width))
    return list(large & ~scrap & keep)
