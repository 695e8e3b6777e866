"""Digits as other hands and pens would write them, and as paper and scanners would show them.

Each digit is redrawn on a canvas three times MNIST's resolution, changed there, and normalised again as
MNIST was made: what the normaliser takes away at run time (place, size) it takes away here too, and what is
left (slant, proportions, stroke width, breaks, blur) is what the network has to bear.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from omrgrade.normalize import to_mnist
from omrgrade.training.data import Labelled

Grey = NDArray[np.uint8]
Rng = np.random.Generator

CANVAS = 84  # px: three per MNIST pixel, so that a pen can be a third of a pixel thicker
_GRID = np.stack(np.meshgrid(*[np.arange(CANVAS, dtype=np.float32)] * 2), axis=-1) - (CANVAS - 1) / 2
_DISKS = [cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * r + 1, 2 * r + 1)) for r in range(10)]


def augmented(digits: Labelled, count: int, rng: Rng, *, strength: float = 1.0) -> Labelled:
    """A source: digits redrawn, seen through paper, and normalised again."""
    chosen = rng.integers(len(digits), size=count)
    images = np.empty((count, 28, 28), np.uint8)
    for place, index in enumerate(chosen):
        image = renormalised(on_paper(redrawn(digits.images[index], rng, strength=strength), rng), rng)
        images[place] = image if image.any() else digits.images[index]
    return Labelled(images=images, labels=digits.labels[chosen])


def nudged(digits: Labelled, count: int, rng: Rng) -> Labelled:
    """A source: digits as they are but for a touch of turn, slant, size and place."""
    chosen = rng.integers(len(digits), size=count)
    images = np.empty((count, 28, 28), np.uint8)
    for place, index in enumerate(chosen):
        turn, slant = np.deg2rad(rng.normal(0, 3)), rng.normal(0, 0.05)
        wide, tall = np.exp(rng.normal(0, 0.04, 2))
        cos, sin = np.cos(turn), np.sin(turn)
        linear = np.array([[cos, -sin], [sin, cos]]) @ np.array([[wide, slant], [0, tall]])
        shift = 13.5 - linear @ (13.5, 13.5) + rng.uniform(-0.7, 0.7, 2)
        images[place] = cv2.warpAffine(digits.images[index], np.column_stack([linear, shift]), (28, 28))
    return Labelled(images=images, labels=digits.labels[chosen])


def redrawn(ink: Grey, rng: Rng, *, strength: float = 1.0) -> Grey:
    """Another hand and pen: (n, n) uint8 ink on 0 -> (84, 84) uint8, deformed, other stroke width."""
    canvas = deformed(ink, rng, strength=strength)
    if rng.random() < 0.8:
        canvas = with_pen(canvas, rng)
    return with_marker(canvas, rng) if rng.random() < 0.1 else canvas


def deformed(ink: Grey, rng: Rng, *, strength: float = 1.0) -> Grey:
    """Rotation, slant, proportions and elastic distortion: (n, n) uint8 -> (84, 84) uint8.

    Elastic distortion: a smooth random displacement (Simard et al. 2003), here interpolated from a coarse
    grid instead of filtered from white noise, which is ten times as fast.
    """
    angle = np.deg2rad(rng.normal(0, 5 * strength))
    slant = rng.normal(0, 0.10 * strength)
    wide = np.exp(rng.normal(0, 0.09 * strength))
    cos, sin = np.cos(angle), np.sin(angle)
    scale = ink.shape[0] / CANVAS
    matrix = scale * np.array([[cos, -sin], [sin, cos]]) @ np.array([[wide, slant], [0, 1 / wide**0.5]])
    cells = int(rng.integers(3, 8))
    amplitude = ink.shape[0] / 28 * strength * rng.uniform(0.0, 2.2) / cells**0.7
    coarse = rng.normal(0, amplitude, (cells, cells, 2)).astype(np.float32)
    field = cv2.resize(coarse, (CANVAS, CANVAS), interpolation=cv2.INTER_CUBIC)
    field += _GRID @ matrix.T.astype(np.float32) + np.float32((ink.shape[0] - 1) / 2)
    return cv2.remap(ink, field, None, cv2.INTER_LINEAR)


def with_pen(canvas: Grey, rng: Rng) -> Grey:
    """The same strokes in another width: (84, 84) uint8 -> (84, 84) uint8.

    A stroke is thinned to a share of its own width (distance to paper against the largest such distance
    nearby), which never breaks it, then drawn with a round pen.
    """
    solid = cv2.threshold(cv2.GaussianBlur(canvas, (5, 5), 0), 110, 255, cv2.THRESH_BINARY)[1]
    depth = cv2.distanceTransform(solid, cv2.DIST_L2, 3)
    thinness = rng.uniform(0.0, 0.85)
    core = (depth > thinness * cv2.dilate(depth, _DISKS[5])).astype(np.uint8) * np.uint8(255)
    core[depth == 0] = 0
    radius = int(rng.choice(6, p=(0.10, 0.32, 0.28, 0.17, 0.09, 0.04)))
    if thinness > 0.35:
        radius = max(1, radius)  # the bare middle of a stroke is not a pen's trace
    drawn = cv2.dilate(core, _DISKS[radius]) if radius else core
    return cv2.GaussianBlur(drawn, (0, 0), rng.uniform(0.6, 1.4))


def with_marker(canvas: Grey, rng: Rng) -> Grey:
    """The same strokes by as thick a felt pen as leaves the digit legible: (84, 84) uint8 -> (84, 84) uint8.

    Small digits on coarse scans look the same: a pen of 0.7 mm is a fifth of a digit 3.5 mm high.
    """
    loops = _loops(canvas)
    for radius in range(int(rng.integers(2, 10)), 1, -1):
        drawn = cv2.dilate(canvas, _DISKS[radius])
        if _loops(drawn) == loops and not _clogged(drawn):
            return drawn
    return canvas


def _loops(canvas: Grey) -> int:
    """Areas of paper large enough to stay visible at 28x28, the surroundings included."""
    paper = (canvas < 128).astype(np.uint8)
    _, _, stats, _ = cv2.connectedComponentsWithStats(paper, connectivity=4)
    return int((stats[1:, cv2.CC_STAT_AREA] > 36).sum())


def _clogged(canvas: Grey) -> bool:
    """Whether so much of the bounding box is ink that bays have closed; an upright 1 may fill its own."""
    _, _, width, height = cv2.boundingRect(canvas)
    return bool(np.count_nonzero(canvas > 127) > 0.62 * width * height and width > 0.5 * height)


def on_paper(canvas: Grey, rng: Rng) -> Grey:
    """What pen, paper and scanner do to ink: (84, 84) uint8 -> (m, m) uint8, m 30-84 px."""
    if rng.random() < 0.25:
        canvas = _pressed(canvas, rng)
    if rng.random() < 0.10:
        canvas = _broken(canvas, rng)
    if rng.random() < 0.08:
        canvas = _specked(canvas, rng)
    if rng.random() < 0.06:
        canvas = _with_border(canvas, rng)
    if rng.random() < 0.35:
        canvas = cv2.GaussianBlur(canvas, (0, 0), rng.uniform(0.8, 3.0))
    if rng.random() < 0.45:  # scans in which the digit is 20-55 px high
        side = int(rng.integers(30, 76))
        canvas = cv2.resize(canvas, (side, side), interpolation=cv2.INTER_AREA)
    if rng.random() < 0.20:  # 1-bit copies
        level = rng.uniform(0.25, 0.6) * int(canvas.max())
        canvas = cv2.threshold(canvas, level, 255, cv2.THRESH_BINARY)[1]
    return canvas


def renormalised(ink: Grey, rng: Rng) -> Grey:
    """As MNIST was made, with the small errors of a real normaliser: (m, m) uint8 -> (28, 28) uint8."""
    image = to_mnist(ink)
    if rng.random() < 0.3:
        curve = np.linspace(0, 1, 256) ** np.exp(rng.normal(0, 0.35)) * 255
        image = cv2.LUT(image, curve.astype(np.uint8))
    if rng.random() < 0.4:  # a speck or a scrap of border moves the centre and shrinks the digit a little
        scale = rng.uniform(0.88, 1.06)
        dx, dy = rng.uniform(-1.3, 1.3, 2) + 13.5 * (1 - scale)
        image = cv2.warpAffine(image, np.array([[scale, 0, dx], [0, scale, dy]]), (28, 28))
    return image


def _pressed(canvas: Grey, rng: Rng) -> Grey:
    """Uneven pressure: ink lighter here and there."""
    coarse = rng.uniform(0.25, 1.3, (4, 4)).astype(np.float32)
    field = cv2.resize(coarse, (CANVAS, CANVAS), interpolation=cv2.INTER_LINEAR)
    return np.clip(canvas * field, 0, 255).astype(np.uint8)


def _broken(canvas: Grey, rng: Rng) -> Grey:
    """A pen that skips: one or two narrow gaps across the strokes."""
    gapped = canvas.copy()
    for _ in range(rng.integers(1, 3)):
        x, y = rng.integers(14, 70, 2).tolist()
        dx, dy = (rng.normal(0, 12, 2)).astype(int).tolist()
        cv2.line(gapped, (x, y), (x + dx, y + dy), 0, int(rng.integers(1, 5)))
    return gapped


def _specked(canvas: Grey, rng: Rng) -> Grey:
    """Dirt that survived: one to three small dots."""
    dirty = canvas.copy()
    for _ in range(rng.integers(1, 4)):
        centre = rng.integers(6, 78, 2).tolist()
        cv2.circle(dirty, centre, int(rng.integers(1, 4)), int(rng.integers(90, 256)), -1)
    return dirty


def _with_border(canvas: Grey, rng: Rng) -> Grey:
    """Remains of a printed border: a short thin line beside the digit, along one side."""
    x, y, w, h = cv2.boundingRect(canvas)
    dirty = canvas.copy()
    gap, start, length = int(rng.integers(2, 9)), rng.uniform(0, 0.7), rng.uniform(0.15, 0.6)
    side, thick, level = int(rng.integers(4)), int(rng.integers(1, 3)), int(rng.integers(90, 256))
    if side < 2:
        at = y - gap if side == 0 else y + h + gap
        ends = (int(x + start * w), at), (int(x + (start + length) * w), at)
    else:
        at = x - gap if side == 2 else x + w + gap
        ends = (at, int(y + start * h)), (at, int(y + (start + length) * h))
    cv2.line(dirty, *ends, level, thick)
    return dirty
