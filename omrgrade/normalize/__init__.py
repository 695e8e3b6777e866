"""Crop of a box -> what MNIST would have made of its ink, and what that ink looks like.

The order: flatten the paper, find the printed outline where it is expected and remove it with everything
beyond, threshold what is left, drop specks, and rebuild the 28x28 image as MNIST was made (tight box,
area-resampled to 20x20, darkest ink 255, centre of mass on pixel 14; see the QMNIST reconstruction,
Yadav & Bottou 2019).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from omrgrade.normalize.outline import find_outline
from omrgrade.records import Crop, Ink

VERSION = 1
"""Raised when the same crop gives another image, so that a model made for the old one is refused."""

Grey = NDArray[np.uint8]

WORK_SIDE = 64  # px: strokes of a hand-written digit are then 3-8 px wide
_STROKE = np.ones((17, 17), np.uint8)  # px at WORK_SIDE: wider than a stroke
_BLOT = np.ones((33, 33), np.uint8)  # wider than the filled loop of an 8
PEN = 0.10  # stroke width over the ink's larger side; MNIST's median is 0.12
_DISCS = [cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * r + 1, 2 * r + 1)) for r in (1, 2, 3)]
SCRAP = 60  # px: what is left of an outline whose place was known is smaller
_NEAR = np.ones((3, 3), np.uint8)
_EDGE = np.ones((5, 5), np.uint8)
MIN_CONTRAST = 8.0  # grey levels: fainter than this is paper
NOISE_FACTOR = 4.0  # ink stands out from the paper's noise by this factor


def to_mnist(ink: Grey) -> Grey:
    """Rebuild an ink image as MNIST was made.

    ink: (h, w) uint8, ink high on 0. Returns (28, 28) uint8, all zero when there is no ink.
    """
    out = np.zeros((28, 28), np.uint8)
    x, y, w, h = cv2.boundingRect(ink)
    if w == 0 or h == 0:
        return out
    side = max(w, h, 10)  # the floor keeps specks small
    square = np.zeros((side, side), np.uint8)
    top, left = (side - h) // 2, (side - w) // 2
    square[top : top + h, left : left + w] = ink[y : y + h, x : x + w]
    small = cv2.resize(square, (20, 20), interpolation=cv2.INTER_AREA if side > 20 else cv2.INTER_LINEAR)
    peak = int(small.max())
    if peak == 0:
        return out
    moments = cv2.moments(small)
    # whole-pixel shift that brings the centre of mass to pixel 14 (13.5-14.5)
    dx = int(np.clip(round(14 - moments["m10"] / moments["m00"]), 0, 8))
    dy = int(np.clip(round(14 - moments["m01"] / moments["m00"]), 0, 8))
    cv2.convertScaleAbs(small, dst=small, alpha=255.0 / peak)
    out[dy : dy + 20, dx : dx + 20] = small
    return out


def normalize(crop: Crop) -> Ink:
    """Turn one box crop, printed outline included, into an `Ink`.

    With `crop.margin` the outline is expected that many pixels inside the crop; with 0 it is looked for in
    the outer quarter, and may be absent.
    """
    grey, scale = _working_copy(crop.pixels)
    dark = _flatten(grey)
    noise = _noise(dark)
    margin = min(round(crop.margin * scale), WORK_SIDE // 4)
    outline = find_outline(dark, max(5.0, 3 * noise), margin)
    floor = max(MIN_CONTRAST, NOISE_FACTOR * noise)
    known = margin > 0
    image, contrast, through = _ink_image(dark, outline.inside, floor, known)

    def view(mask: Grey | None) -> Grey | None:
        return None if mask is None else _ink_image(dark, mask, floor, known)[0]

    return Ink(
        image=image,
        uncut=view(outline.uncut),
        restored=view(outline.restored),
        contrast=contrast,
        noise=noise,
        lines=outline.lines,
        through=through and known,
    )


def _working_copy(pixels: Grey) -> tuple[Grey, float]:
    """The crop with its smaller side at WORK_SIDE px (less if it is a mere strip), and the scale used."""
    scale = min(WORK_SIDE / min(pixels.shape), 8 * WORK_SIDE / max(pixels.shape))
    if scale == 1:
        return pixels, scale
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return cv2.resize(pixels, size, interpolation=way), scale


def _flatten(grey: Grey) -> Grey:
    """Darkness over the paper, (h, w) uint8: shadows and slow changes of light removed."""
    smooth = cv2.GaussianBlur(grey, (3, 3), 0)
    paper = cv2.morphologyEx(smooth, cv2.MORPH_CLOSE, _STROKE)
    wide = cv2.morphologyEx(smooth, cv2.MORPH_CLOSE, _BLOT)
    patch = cv2.compare(cv2.subtract(wide, paper), MIN_CONTRAST, cv2.CMP_GT)
    if cv2.countNonZero(patch):
        cv2.copyTo(wide, _thick_ink(patch, paper, wide), paper)
    return cv2.subtract(paper, smooth)


def _thick_ink(patch: Grey, paper: Grey, wide: Grey) -> Grey:
    """Which dark patches wider than a stroke are ink: a shadow comes in from the edge and is not so dark."""
    solid = cv2.compare(paper, cv2.convertScaleAbs(wide, alpha=0.6), cv2.CMP_LT)
    count, labels = cv2.connectedComponents(patch)
    ink = np.ones(count, np.uint8)
    for rim in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        ink[rim] = 0
    ink[0] = 0
    return cv2.bitwise_or(solid, ink[labels])


def _quantile(values: Grey, share: float) -> float:
    """The value that `share` (0-1) of the values lie below, to a grey level."""
    counts = cv2.calcHist([values], [0], None, [256], [0, 256])  # far faster than any percentile
    return float(np.searchsorted(np.cumsum(counts), int(share * (values.size - 1)) + 0.5))


def _noise(dark: Grey) -> float:
    """Standard deviation of the paper's grain, grey levels, from the quieter half of the pixels."""
    return _quantile(np.ascontiguousarray(dark[::2, ::2]), 0.4) / 1.5 + 0.5


def _ink_image(dark: Grey, inside: Grey, floor: float, known: bool) -> tuple[Grey, float, bool]:
    """The 28x28 image of the ink inside the outline, its contrast in grey levels, whether it runs through.

    known: the outline's place was known, so that no more than scraps of it can be left.
    """
    dark = dark * inside
    peak = _quantile(dark, 0.995)
    low = max(floor, 0.28 * peak)
    mask = cv2.compare(dark, low, cv2.CMP_GT)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    keep = _components(labels, stats, inside, known) if count > 1 else np.zeros(1, bool)
    if not keep.any():
        return np.zeros((28, 28), np.uint8), peak, False
    near = mask if keep[1:].all() else keep.astype(np.uint8)[labels]
    near = cv2.dilate(near, _NEAR)  # the soft edge of a stroke belongs to it
    gain = 255 / (peak - 0.3 * low)
    ink = cv2.convertScaleAbs(cv2.subtract(dark, 0.3 * low), alpha=gain)
    image = to_mnist(_thicken(cv2.copyTo(ink, near), cv2.bitwise_and(mask, near)))
    return image, peak, _runs_through(stats[keep], dark.shape)


def _runs_through(stats: NDArray[np.int32], shape: tuple[int, ...]) -> bool:
    """Whether one piece of ink reaches from edge to opposite edge of the crop: a scanner's streak."""
    left, top, width, height = (stats[:, column] for column in range(4))
    across = (left <= 1) & (left + width >= shape[1] - 1)
    return bool((across | (top <= 1) & (top + height >= shape[0] - 1)).any())


def _thicken(ink: Grey, mask: Grey) -> Grey:
    """Widen the stroke of a fine pen towards the width that MNIST's have: resampling would leave it grey."""
    left, top, width, height = cv2.boundingRect(mask)
    part = mask[top : top + height, left : left + width]
    area = cv2.countNonZero(part)
    outline = area - cv2.countNonZero(cv2.erode(part, _NEAR, borderValue=0))
    stroke = 2 * area / max(1, outline)
    grow = round((PEN * max(width, height) - stroke) / 2)
    if grow < 1:
        return ink
    return cv2.dilate(ink, _DISCS[min(grow, len(_DISCS)) - 1])


def _components(
    labels: NDArray[np.int32], stats: NDArray[np.int32], inside: Grey, known: bool
) -> NDArray[np.bool_]:
    """Which connected components are writing: not specks, not remains of the outline."""
    area = stats[:, cv2.CC_STAT_AREA].copy()
    area[0] = 0
    biggest = area.max()
    keep = area >= max(6, 0.04 * biggest)
    height, width = inside.shape
    # Remains of the outline lie at the edge of what was kept, and nowhere else.
    rim = cv2.erode(inside, _EDGE, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    touches = np.bincount(labels[rim == 0], minlength=len(area))
    scrap = touches > 0.6 * area  # nothing but a piece of the edge; a 7 may run along two of them
    keep &= ~(scrap & (area < SCRAP)) if known else ~scrap
    if touches[1:].any() and not known:
        depth = round(0.18 * min(height, width))
        core = cv2.erode(inside, np.ones((max(1, 2 * depth - 7),) * 2, np.uint8))
        core[:depth] = core[-depth:] = 0
        core[:, :depth] = core[:, -depth:] = 0
        deep = np.bincount(labels[core > 0], minlength=len(area))
        span = stats[:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]].max(axis=1)
        keep &= (touches == 0) | (deep >= 0.08 * area) | (span <= 0.3 * min(height, width))
    return keep & (biggest >= 12)
