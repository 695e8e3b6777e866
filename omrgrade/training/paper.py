"""Digits written into boxes on paper, scanned, and read back by the real normaliser.

What grading shows the network is not MNIST but whatever `normalize` makes of a box: a little border left
over, a stroke cut at the rim, faint pencil, blur, grain, thresholded copies. This source draws MNIST digits
into such boxes and hands them through the same code, so that the network learns the paper's and the
normaliser's habits together.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from omrgrade.normalize import normalize_all, to_mnist
from omrgrade.records import Crop, Ink
from omrgrade.training.data import Labelled

NOT_DIGIT = 10
Grey = NDArray[np.uint8]
Real = NDArray[np.float32]
Random = np.random.Generator


LOT = 2048  # boxes written before they are normalised: those of one size go through it together
ALIKE = 0.86  # correlation with the digit as drawn: what the normaliser made of it is still that digit
WRECKAGE = 0.25  # share of it that is taught: what is left of a 4 may be as good a 1 as any
UNLIKE = 0.5  # below this it is wreckage that must be refused; between the two it teaches nothing


def on_paper(digits: Labelled, count: int, rng: Random, *, strength: float = 1.0) -> Labelled:
    """`count` digits as the box reader sees them; now and then a view it must refuse, labelled NOT_DIGIT."""
    views: list[tuple[Grey, int]] = []
    while len(views) < count:
        picks = rng.integers(len(digits), size=min(LOT, count - len(views)))
        boxes = [write_box(digits.images[pick], rng, strength=strength) for pick in picks]
        inks = normalize_all([box.crop for box in boxes])
        for pick, box, ink in zip(picks, boxes, inks, strict=True):
            views.extend(_views(box, ink, int(digits.labels[pick]), rng))
    images, labels = zip(*views[:count], strict=True)
    return Labelled(images=np.stack(images), labels=np.array(labels, digits.labels.dtype))


def _views(box: Box, ink: Ink, label: int, rng: Random) -> list[tuple[Grey, int]]:
    """One digit written and read back: the views that the classifier would be shown, with what they are."""
    if ink.empty:
        return []
    views = []
    alike = _likeness(ink.image, box.truth)
    if alike > ALIKE:
        views.append((ink.image, label))
    elif alike < UNLIKE and rng.random() < WRECKAGE:
        views.append((ink.image, NOT_DIGIT))
    if ink.uncut is not None and ink.uncut.any():
        # with the outline's line left in it is no digit, unless that line was its own
        if _likeness(ink.uncut, box.truth) > ALIKE:
            views.append((ink.uncut, label))
        elif box.sides:
            views.append((ink.uncut, NOT_DIGIT))
    if ink.restored is not None and _likeness(ink.restored, box.truth) > ALIKE:
        views.append((ink.restored, label))
    return views


def _likeness(image: Grey, truth: Grey) -> float:
    """Correlation, -1 to 1, of two (28, 28) images, blurred a little; the best over shifts of up to 3 px.

    A speck or scrap that stays moves the centre of mass: that alone makes no digit unreadable.
    """
    a, b = (cv2.GaussianBlur(view, (0, 0), 1.2) for view in (image, truth))
    framed = cv2.copyMakeBorder(a, 3, 3, 3, 3, cv2.BORDER_CONSTANT, value=(0,))
    return float(cv2.matchTemplate(framed, b, cv2.TM_CCOEFF_NORMED).max())


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Box:
    """A drawn box."""

    pixels: Grey  # (h, w) grey, dark ink on light paper
    truth: Grey  # (28, 28): the ink as MNIST would have it, had there been nothing but the ink
    sides: int  # printed sides that are visible, 0-4
    margin: int  # px outside the outline, as a template would tell it; 0: not told

    @property
    def crop(self) -> Crop:
        """What the normaliser is given."""
        return Crop(pixels=self.pixels, margin=self.margin)


def write_box(digit: Grey, rng: Random, *, strength: float = 1.0) -> Box:
    """Write one ink image, (28, 28) uint8 with ink high, into a box and scan it."""
    side = int(rng.integers(48, 90))
    shape = side, round(side * rng.uniform(0.8, 1.15))
    bare = rng.random() < 0.25  # crops of digits without any outline, cut close
    ink = stroke(digit, rng, shape, close=bare, strength=strength)
    paper = _paper(shape, rng)
    cover = _pressure(ink, rng) * _darkness(rng)
    sides, inset, outline = (0, 0.0, np.float32(0)) if bare else _outline(shape, rng)
    page = np.minimum(paper * (1 - ink * cover), paper * (1 - outline))
    pixels = _scan(page, rng)
    # half of the boxes that stand alone are read knowing where, a little wrongly, their outline is
    known = inset > 0.05 * shape[0] and rng.random() < 0.5
    margin = round((inset + rng.normal(0, 1)) * len(pixels) / shape[0]) if known else 0
    truth = to_mnist(cv2.convertScaleAbs(ink, alpha=255))
    return Box(pixels=pixels, truth=truth, sides=sides, margin=max(margin, 0))


def stroke(digit: Grey, rng: Random, shape: tuple[int, int], *, close: bool, strength: float = 1.0) -> Real:
    """A digit as a pen draws it: (h, w) float32, 0 paper .. 1 ink, slanted, bent, of another pen's width."""
    height, width = shape
    x, y, w, h = cv2.boundingRect(digit)
    size = rng.uniform(0.88, 1.0) if close else np.clip(rng.normal(0.68, 0.13), 0.35, 0.95)
    zoom = size * min(height / h, width / w)
    turn, slant = rng.normal(0, 0.05 * strength), rng.normal(0, 0.08 * strength)
    aspect = np.exp(rng.normal(0, 0.07 * strength))
    spread = np.array([[1, slant], [0, 1]]) @ np.diag([zoom * aspect, zoom / aspect])
    linear = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ spread
    reach = abs(linear) @ [w / 2, h / 2]
    linear *= min(1.0, *(np.array([width, height]) * 0.5 * (0.99 if close else 1.04) / reach))
    reach = abs(linear) @ [w / 2, h / 2]
    room = np.maximum(np.array([width, height]) / 2 - reach, 0)
    centre = np.array([width, height]) / 2 + rng.uniform(-1, 1, 2) * room * rng.uniform(0.2, 1.0)
    shift = centre - linear @ [x + w / 2, y + h / 2]
    matrix = np.column_stack([linear, shift]).astype(np.float32)
    smooth = cv2.GaussianBlur(digit, (0, 0), 0.7)
    drawn = cv2.warpAffine(smooth, matrix, (width, height), flags=cv2.INTER_CUBIC).astype(np.float32) / 255
    drawn = _bend(drawn, rng, strength)
    # a level set of the smooth image is a stroke with a clean edge; its level sets the pen's width
    level = np.clip(rng.normal(0.42, 0.11), 0.15, 0.7)
    edge = 0.10 + 0.25 * rng.random()
    ink: Real = np.clip((drawn - level) / edge + 0.5, 0, 1).astype(np.float32)
    pen = rng.random()
    if pen < 0.10:
        ink = cv2.dilate(ink, np.ones((3, 3), np.uint8), iterations=int(rng.integers(1, 3)))
    elif pen < 0.2:
        thin = cv2.erode(ink, np.ones((3, 3), np.uint8))
        ink = thin if thin.sum() > 0.4 * ink.sum() else ink
    return ink


def _bend(image: Real, rng: Random, strength: float) -> Real:
    """Elastic distortion (Simard et al. 2003) by a coarse random field."""
    height, width = image.shape
    field = rng.normal(0, 0.02 * strength * min(height, width) * rng.random(), (2, 4, 4)).astype(np.float32)
    grid_y, grid_x = np.mgrid[:height, :width].astype(np.float32)
    dx, dy = (cv2.resize(part, (width, height), interpolation=cv2.INTER_CUBIC) for part in field)
    return cv2.remap(image, grid_x + dx, grid_y + dy, cv2.INTER_LINEAR).astype(np.float32)


def _pressure(ink: Real, rng: Random) -> Real:
    """Pen pressure over the box: float32 about 0.6-1, with breaks on some strokes."""
    height, width = ink.shape
    coarse = rng.uniform(1 - 0.45 * rng.random(), 1, (4, 4)).astype(np.float32)
    pressure = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    if rng.random() < 0.08:  # a dry pen on rough paper
        grain = cv2.GaussianBlur(rng.random((height, width), np.float32), (0, 0), rng.uniform(0.6, 1.5))
        pressure = pressure * np.where(grain < np.quantile(grain, rng.uniform(0.05, 0.3)), 0.25, 1)
    return pressure.astype(np.float32)


def _darkness(rng: Random) -> float:
    """Share of the paper's light that full ink takes away."""
    return float(rng.uniform(0.10, 0.3) if rng.random() < 0.2 else rng.uniform(0.3, 0.95))


def _paper(shape: tuple[int, int], rng: Random) -> Real:
    """Brightness of the paper, grey levels: a gradient and sometimes the edge of a shadow."""
    height, width = shape
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    across = np.cos(angle) * x + np.sin(angle) * y
    light = rng.uniform(110, 250) * (1 + rng.normal(0, 0.04) * across)
    if rng.random() < 0.12:
        light = light * (1 - rng.uniform(0.1, 0.4) / (1 + np.exp((across - rng.uniform(-1, 1)) * 15)))
    return light.astype(np.float32)


def _outline(shape: tuple[int, int], rng: Random) -> tuple[int, float, Real]:
    """Printed lines near the rim: how many sides, how far in (px; 0: a grid's), darkness (h, w) float32."""
    height = shape[0]
    canvas = np.zeros(shape, np.float32)
    closed = rng.random() < 0.4  # a box that stands alone; otherwise a cell of a grid, its lines running on
    inset = rng.uniform(0.02, 0.13) * height if closed else rng.uniform(-0.06, 0.13) * height
    end = inset if closed else -2.0
    darkness, thickness = rng.uniform(0.15, 0.95), int(rng.choice([1, 1, 1, 2, 2, 3, 5, 7]))
    tilt = rng.normal(0, 0.015)
    sides = 0
    for side in range(4):
        offset = inset + rng.normal(0, 0.015) * height
        if not closed and (offset < -thickness / 2 or rng.random() < 0.1):
            continue
        sides += 1
        thick = max(1, thickness + int(rng.integers(-1, 2)))
        turned = np.rot90(canvas, side)
        across = turned.shape[1]
        line = np.zeros(turned.shape, np.float32)
        ends = [(end, offset - tilt * across / 2), (across - end, offset + tilt * across / 2)]
        points = [(round(px * 16), round(py * 16)) for px, py in ends]
        cv2.line(line, points[0], points[1], float(darkness), thick, cv2.LINE_AA, shift=4)
        np.maximum(turned, line, out=turned)
    return sides, inset if closed else 0.0, canvas


def _scan(page: Real, rng: Random) -> Grey:
    """Blur, grain, another resolution, JPEG or a 1-bit copy."""
    page = cv2.GaussianBlur(page, (0, 0), rng.uniform(0.3, 1.6))
    kind = rng.random()
    if kind < 0.25:  # a coarse scan
        factor = rng.uniform(0.36, 0.7)
        page = cv2.resize(page, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    page = page + (rng.normal(0, rng.uniform(0.3, 5), page.shape) * rng.random()).astype(np.float32)
    grey: Grey = np.clip(page, 0, 255).astype(np.uint8)
    if kind > 0.85:  # a copier's threshold, halfway between this page's paper and its print
        level = float(np.median(grey)) * rng.uniform(0.6, 0.93)
        grey = np.where(grey > level, 255, 0).astype(np.uint8)
    elif kind > 0.65:
        packed = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 90))])[1]
        grey = np.asarray(cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE), np.uint8)
    return grey
