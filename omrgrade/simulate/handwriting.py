"""MNIST's digits drawn again as pen strokes at scan resolution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.morphology import skeletonize

from omrgrade.errors import DatasetError
from omrgrade.records import Rect
from omrgrade.resources import bundled

_TRIES = 50  # at a quarter of blots, chance alone never needs so many
_FINER = 6  # the strokes are traced on a grid this many times finer than MNIST's
_INK = 0.5  # share of the darkest grey nearby at which MNIST's anti-aliased stroke ends
_TOUCHING = 1 / 60  # share of digits that touch or cross the outline sideways, and as many upwards
_FAINTEST = 0.2  # share of the darkest grey anywhere below which nothing is a stroke
_NEARBY = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (4 * _FINER + 1, 4 * _FINER + 1))
Grey = NDArray[np.uint8]
Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class Pen:
    """What a pupil writes with."""

    width: float  # mm
    darkness: float  # 0 invisible .. 1 black
    colour: tuple[float, float, float] = (0.0, 0.0, 0.0)  # B, G, R of the ink, 0-1
    grain: float = 0.0  # 0 even .. 1 the paper's grain shows, as with pencil
    pressure: float = 0.5  # 0 even width .. 1 as uneven as in MNIST


@dataclass(frozen=True, kw_only=True, slots=True)
class Hand:
    """How a pupil writes: one for all digits of a page."""

    pen: Pen
    size: float  # height of a digit as a share of its box
    slant: float  # shear: x per y, positive leans right
    unsteady: float  # 0-1, how much size, place and slant vary


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Strokes:
    """One digit as the line its pen followed, on a grid `_FINER` times MNIST's 28x28."""

    distance: Floats  # px of MNIST from the pen's line
    pressure: Floats  # width of the line there, 1 = this digit's median
    faithful: bool  # drawing this line again gives the digit; not so where MNIST shows a loop filled
    bounds: tuple[float, float, float, float]  # left, top, right, bottom of the line, px of MNIST


class Digits:
    """Images of digits, to be drawn by label; MNIST's test digits unless others are given."""

    def __init__(self, images: Grey, labels: NDArray[np.integer]) -> None:
        """Images (n, 28, 28) uint8, ink bright, and their labels (n,); every digit must be there."""
        self._images: Grey = images
        self._by_label = [np.flatnonzero(labels == digit) for digit in range(10)]

    @classmethod
    def load(cls, path: str | Path | None = None) -> Digits:
        """From an ``.npz`` with `x_test` (n, 28, 28) uint8 and `y_test`; the bundled one by default."""
        path = Path(path) if path is not None else bundled("models", "mnist.npz")
        try:
            with np.load(path) as data:
                images, labels = data["x_test"], data["y_test"]
        except (OSError, ValueError, KeyError) as error:
            raise DatasetError(
                "simulated handwriting needs MNIST's test digits (x_test, y_test)",
                where=str(path), fix="give the path of mnist.npz with --data", received=str(error),
            ) from error  # fmt: skip
        if images.shape[1:] != (28, 28) or len(images) != len(labels) or len(set(labels.tolist())) != 10:
            raise DatasetError(
                "expected 28x28 images of all ten digits", where=str(path), received=images.shape
            )
        return cls(images, labels)

    def pick(self, digit: int, rng: np.random.Generator) -> Strokes:
        """A random image of that digit, as strokes; blots are passed over, unless there is nothing else."""
        for _ in range(_TRIES):
            strokes = trace(self._images[rng.choice(self._by_label[digit])])
            if strokes.faithful:
                break
        return strokes


def trace(image: Grey) -> Strokes:
    """Find the line a pen followed: level set of the smoothed image, thinned; (28, 28) uint8, ink bright."""
    fine = cv2.resize(image.astype(np.float32), None, fx=_FINER, fy=_FINER, interpolation=cv2.INTER_CUBIC)
    fine = cv2.GaussianBlur(fine, (0, 0), 0.35 * _FINER)
    # Nearby, not overall: small loops stay open, and strokes that fade stay whole.
    nearby = cv2.GaussianBlur(cv2.dilate(fine, _NEARBY), (0, 0), _FINER)
    ink = fine > np.maximum(_INK * nearby, _FAINTEST * fine.max())
    ink = _without_dust(ink)
    line = _without_spurs(skeletonize(ink), ink)
    thickness = cv2.distanceTransform(ink.astype(np.uint8), cv2.DIST_L2, 5)
    distance, labels = cv2.distanceTransformWithLabels(
        (~line).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    on_line = np.zeros(int(labels.max()) + 1, np.float32)
    on_line[labels[line]] = thickness[line]
    half = max(float(np.median(thickness[line])), 1.0)
    pressure = on_line[labels] / half
    rows, columns = np.nonzero(line)
    bounds = tuple(
        (float(v) + 0.5) / _FINER - 0.5 for v in (columns.min(), rows.min(), columns.max(), rows.max())
    )
    distance = cv2.GaussianBlur(np.asarray(distance, np.float32), (0, 0), 2.0)
    pressure = cv2.GaussianBlur(np.clip(pressure, 0.5, 1.6).astype(np.float32), (0, 0), 4.0)
    redrawn = np.clip(half * np.clip(pressure, 0.8, 1.2) - distance + 0.5 * _FINER, 0, _FINER) / _FINER
    return Strokes(
        distance=distance / _FINER,
        pressure=pressure,
        faithful=bool(
            half < 1.9 * _FINER
            and np.quantile(thickness[line], 0.97) < 1.6 * half
            and _largest_difference(image, redrawn) < 0.4
        ),
        bounds=(bounds[0], bounds[1], bounds[2], bounds[3]),
    )


def _without_dust(ink: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Leave out what MNIST's cutting left of other ink: dots under 4 of its pixels."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(ink.astype(np.uint8))
    large = stats[:, cv2.CC_STAT_AREA] >= 4 * _FINER**2
    large[0] = False
    if not large.any():
        large[1:] = True
    return np.asarray(large[labels], np.bool_)


def _largest_difference(image: Grey, redrawn: Floats) -> float:
    """How much ink (0-1) about 3x3 px of MNIST differ in where the line is drawn again."""
    small = cv2.resize(redrawn.astype(np.float32), (28, 28), interpolation=cv2.INTER_AREA)
    old = image.astype(np.float32) / max(float(image.max()), 1.0)
    return float(np.abs(cv2.blur(old - small, (3, 3))).max())


def _without_spurs(line: NDArray[np.bool_], ink: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Cut side twigs that thinning grew inside the stroke's width: walk from each end to the first fork."""
    limit = 1.3 * float(cv2.distanceTransform(ink.astype(np.uint8), cv2.DIST_L2, 5)[line].mean())
    pixels = {(int(r), int(c)) for r, c in np.argwhere(line)}

    def beside(p: tuple[int, int]) -> list[tuple[int, int]]:
        near = ((p[0] + dr, p[1] + dc) for dr in (-1, 0, 1) for dc in (-1, 0, 1) if dr or dc)
        return [q for q in near if q in pixels]

    for end in [p for p in pixels if len(beside(p)) == 1]:
        path, onward = [end], beside(end)
        while len(onward) == 1 and len(path) <= limit:
            path.append(onward[0])
            onward = [q for q in beside(path[-1]) if q not in path]
        if len(onward) > 1 and len(path) <= limit:  # a fork: what is behind it is a twig
            pixels.difference_update(path[:-1])
    result = np.zeros_like(line)
    rows, columns = zip(*pixels, strict=True)
    result[list(rows), list(columns)] = True
    return result


def write_digit(
    ink: Grey,
    strokes: Strokes,
    box: Rect,
    px_per_mm: tuple[float, float],
    hand: Hand,
    rng: np.random.Generator,
) -> None:
    """Draw one digit into its box (mm) on `ink` ((height, width) uint8, 255 = covered with ink)."""
    left, top, right, bottom = strokes.bounds
    wobble = hand.unsteady * rng.standard_normal(5)
    slant = hand.slant + 0.10 * wobble[0]
    size = float(np.clip(hand.size * (1 + 0.12 * wobble[1]), 0.35, 0.97)) * box.height
    tall, wide = max(bottom - top, 4.0), max(right - left, 1.0) + abs(slant) * (bottom - top)
    scale = min(size / max(tall, 0.55 * wide), 0.94 * box.width / wide)  # mm per px of MNIST
    room = [
        (side - scale * extent - hand.pen.width) / 2
        for side, extent in ((box.width, wide), (box.height, tall))
    ]
    x, y = (
        _placed(centre, free, 0.13 * side * move, rng)
        for centre, free, side, move in zip(
            box.centre, room, (box.width, box.height), wobble[2:4], strict=True
        )
    )
    matrix = np.array([[scale, -slant * scale, 0.0], [0.0, scale, 0.0]])
    matrix[:, 2] = (x, y) - matrix[:, :2] @ ((left + right) / 2, (top + bottom) / 2)
    _stroke(ink, strokes, matrix, px_per_mm, hand.pen, 1 + 0.12 * float(wobble[4]))


def write_number(
    ink: Grey,
    digits: Sequence[Strokes],
    box: Rect,
    px_per_mm: tuple[float, float],
    hand: Hand,
    rng: np.random.Generator,
) -> None:
    """Write a whole number into one wide box (mm): unequal digits that lean alike, some touching."""
    if not digits:
        return
    slant = hand.slant + 0.08 * hand.unsteady * float(rng.standard_normal())
    size = hand.size * box.height
    pen = hand.pen.width
    scales, extents = [], []
    for strokes in digits:
        left, top, right, bottom = strokes.bounds
        tall, wide = max(bottom - top, 4.0), max(right - left, 1.0) + abs(slant) * (bottom - top)
        tallest = size * (1 + 0.12 * hand.unsteady * float(np.clip(rng.standard_normal(), -2, 2)))
        scales.append(tallest / max(tall, 0.55 * wide))
        extents.append(scales[-1] * wide + pen)
    gaps = size * np.clip(rng.normal(0.12, 0.03 + 0.07 * hand.unsteady, len(digits)), -0.06, 0.5)
    length = float(sum(extents) + gaps[1:].sum())
    fit = min(1.0, (box.width - 1.0) / max(length, 0.1))
    x = box.x + 0.5 + max(0.0, box.width - 1.0 - fit * length) * float(rng.beta(2.0, 2.5))
    for strokes, scale, extent, gap in zip(digits, scales, extents, [0.0, *gaps[1:]], strict=True):
        x += fit * (gap + extent / 2)
        left, top, right, bottom = strokes.bounds
        y = box.centre[1] + 0.06 * size * hand.unsteady * float(np.clip(rng.standard_normal(), -2, 2))
        matrix = fit * np.array([[scale, -slant * scale, 0.0], [0.0, scale, 0.0]])
        matrix[:, 2] = (x, y) - matrix[:, :2] @ ((left + right) / 2, (top + bottom) / 2)
        _stroke(ink, strokes, matrix, px_per_mm, hand.pen, 1.0)
        x += fit * extent / 2


def _placed(centre: float, free: float, shift: float, rng: np.random.Generator) -> float:
    """Where the digit's middle goes: within its box, but now and then over the outline."""
    free = max(free, 0.0)
    if rng.random() < _TOUCHING:
        return centre + float(rng.choice((-1, 1))) * (free + rng.uniform(-0.2, 0.6))
    inside = max(free - 0.35, 0.0)
    return centre + float(np.clip(shift, -inside, inside))


def _stroke(
    ink: Grey,
    strokes: Strokes,
    matrix: NDArray[np.float64],
    px_per_mm: tuple[float, float],
    pen: Pen,
    heavier: float,
) -> None:
    """Draw the strokes; `matrix` (2x3) maps px of MNIST -> mm of the page."""
    px = np.diag(px_per_mm) @ matrix
    px[:, 2] -= 0.5
    scale = float(np.sqrt(np.linalg.det(px[:, :2])))
    half = 0.5 * pen.width * px_per_mm[0] * heavier
    left, top, right, bottom = strokes.bounds
    corners = px @ np.array([[left, left, right, right], [top, bottom, top, bottom], [1, 1, 1, 1]])
    low = np.maximum(np.floor(corners.min(1) - 2.5 * half - 2), 0).astype(int)
    high = np.minimum(np.ceil(corners.max(1) + 2.5 * half + 2), ink.shape[::-1]).astype(int)
    # From the fine grid's pixels to MNIST's, to the page's, to the patch's.
    fine = np.array([[1 / _FINER, 0, 0.5 / _FINER - 0.5], [0, 1 / _FINER, 0.5 / _FINER - 0.5], [0, 0, 1]])
    px[:, 2] -= low
    warp, size = px @ fine, tuple(int(v) for v in high - low)
    distance = cv2.warpAffine(strokes.distance, warp, size, borderValue=99.0) * scale
    pressure = cv2.warpAffine(strokes.pressure, warp, size, borderValue=1.0)
    edge = half * pressure**pen.pressure - distance
    patch = ink[low[1] : high[1], low[0] : high[0]]
    np.maximum(patch, (np.clip(edge + 0.5, 0, 1) * 255).astype(np.uint8), out=patch)
