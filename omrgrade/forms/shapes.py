"""Printed outlines on a blank form: bubbles, boxes and solid marks, each with its place in mm."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from omrgrade.forms.blank import PX_PER_MM, Blank
from omrgrade.records import Rect

SMALLEST, LARGEST = 1.6, 20.0  # mm: sides of bubbles and boxes
WIDEST = 60.0  # mm: boxes for a whole number, and rows of a table, are wider than high
WIDE = 12.0, 1.35  # mm, and times the height: a box for a whole number is wider than both
PRINT = 0.3  # mm^2 of ink inside of a wide box: more is a label, a frame round something else
LOCAL = 5.0  # mm: ink is darker than the mean of so much of its surroundings,
DARKER = 10  # by so many grey levels
DOTS = 0.8  # mm: dots and dashes nearer to one another are a line,
DOTTED = 4.0  # mm: of a box at least so large
ROUND = 0.055  # mean distance from an ellipse, in radii
SQUARE = 0.9  # least share of its bounding box that a rectangle fills
HOLLOW = 0.62  # least share of an outline's area that its hole has: letters have thicker lines for their size
SAME = 0.3  # mm: outlines so near to one another are one
INK = 0.35  # share of the inside that is dark: more than a printed letter


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """One printed outline, or solid mark."""

    rect: Rect  # mm; an outline's line is centred on it
    round: bool  # an ellipse, else a rectangle
    solid: bool = False
    ink: float = 0.0  # share (0-1) of its inside that is dark

    @property
    def size(self) -> tuple[float, float]:
        """Width and height, mm."""
        return self.rect.width, self.rect.height


def is_wide(width: float, height: float) -> bool:
    """Whether a whole number is written into a box of that size (mm), not a digit."""
    return width >= WIDE[0] and width >= WIDE[1] * height


def find_shapes(blank: Blank, *, largest: float = LARGEST, widest: float = WIDEST) -> list[Shape]:
    """Every ellipse and upright rectangle up to `largest` mm to be marked or written in, and solid ones.

    Empty rectangles may be up to `widest` mm wide, and dotted; 0: there are none of these.
    """
    ink = find_ink(blank.pixels)
    found = [*_outlines(ink, largest, widest), *_solids(blank.pixels, largest)]
    kept = _apart(found)
    if widest:  # a blank form: outlines may be dotted
        kept += [shape for shape in _dotted(ink, largest, widest) if not _on_one(shape, kept)]
    kept = [s for s in kept if s.round or s.solid or not is_wide(*s.size) or not printed_in(ink, s.rect)]
    return [replace(shape, ink=_inked(ink, shape)) for shape in kept]


def find_ink(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """1 where the form is darker than its surroundings: shaded paper is paper."""
    block = round(LOCAL * PX_PER_MM) | 1
    smooth = cv2.GaussianBlur(pixels, (0, 0), 0.8)
    # Where all is white the threshold stands still, whatever the noise of a scan.
    dark = cv2.adaptiveThreshold(smooth, 1, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV, block, DARKER)
    return np.asarray(dark, np.uint8)


def _outlines(ink: NDArray[np.uint8], largest: float, widest: float) -> list[Shape]:
    contours, hierarchy = cv2.findContours(ink, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    if hierarchy is None:
        return []
    shapes = []
    for n, (_, _, child, parent) in enumerate(hierarchy[0]):
        if parent < 0:  # an outer edge: its largest hole says how wide the line is
            holes = list(_siblings(hierarchy[0], child))
            hole = max((cv2.contourArea(contours[k]) for k in holes), default=0.0)
            shape = _classified(contours[n], -0.5 * _line(contours[n], hole), largest, widest)
            if shape and hole >= HOLLOW * cv2.contourArea(contours[n]):
                shapes.append(shape)
        elif shape := _classified(contours[n], 0.5 * _line_round(ink, contours[n]) - 1, largest, widest):
            shapes.append(shape)  # a hole's contour runs through the ink round it, one px outside
    return shapes


def _dotted(ink: NDArray[np.uint8], largest: float, widest: float) -> list[Shape]:
    """Rectangles of dots or dashes, once each."""
    side = round(DOTS * PX_PER_MM) | 1
    joined = np.asarray(cv2.morphologyEx(ink, cv2.MORPH_CLOSE, np.ones((side, side), np.uint8)), np.uint8)
    found = [s for s in _outlines(joined, largest, widest) if not s.round and min(s.size) >= DOTTED]
    return _apart(found)


def _on_one(shape: Shape, others: Sequence[Shape]) -> bool:
    """Whether a shape overlaps one of some others."""
    return any(shape.rect.overlaps(other.rect) for other in others)


def _siblings(hierarchy: NDArray[np.int32], first: int) -> Iterable[int]:
    while first >= 0:
        yield first
        first = int(hierarchy[first][0])


def _line(contour: NDArray[np.int32], hole: float) -> float:
    """Width in px of the line between an outer contour and its hole of so many px^2."""
    return float((cv2.contourArea(contour) - hole) / max(cv2.arcLength(contour, True), 1.0))


def _line_round(ink: NDArray[np.uint8], contour: NDArray[np.int32]) -> float:
    """Width in px of the line round a hole: looked at outward from the middles of its sides."""
    x, y, width, height = cv2.boundingRect(contour)
    reach = round(1.2 * PX_PER_MM)
    rows, columns = ink.shape
    cx, cy = x + width // 2, y + height // 2
    rays = (
        ink[cy, max(x - reach, 0) : x + 1][::-1],
        ink[cy, x + width - 1 : min(x + width + reach, columns)],
        ink[max(y - reach, 0) : y + 1, cx][::-1],
        ink[y + height - 1 : min(y + height + reach, rows), cx],
    )
    return float(np.median([_run(ray) for ray in rays]))


def _run(ray: NDArray[np.uint8]) -> int:
    """How long the first stretch of ink on a ray is."""
    inked = np.flatnonzero(ray)
    if not len(inked):
        return 0
    after = ray[inked[0] :]
    paper = np.flatnonzero(after == 0)
    return int(paper[0]) if len(paper) else len(after)


def _classified(contour: NDArray[np.int32], grow: float, largest: float, widest: float = 0.0) -> Shape | None:
    """The shape of a contour, its bounding box grown by so many px on every side; None for any other."""
    x, y, width, height = cv2.boundingRect(contour)
    if min(width, height) < SMALLEST * PX_PER_MM or height > largest * PX_PER_MM:
        return None
    if width > max(largest, widest) * PX_PER_MM:
        return None
    rect = Rect(
        x=(x - grow) / PX_PER_MM,
        y=(y - grow) / PX_PER_MM,
        width=(width + 2 * grow) / PX_PER_MM,
        height=(height + 2 * grow) / PX_PER_MM,
    )
    if width <= largest * PX_PER_MM and _is_ellipse(contour, x, y, width, height):
        return Shape(rect=rect, round=True)
    if cv2.contourArea(contour) >= SQUARE * (width - 1) * (height - 1):
        return Shape(rect=rect, round=False)
    return None


def _is_ellipse(contour: NDArray[np.int32], x: int, y: int, width: int, height: int) -> bool:
    if not 0.4 < width / height < 2.5:
        return False
    points = contour[:, 0, :].astype(np.float64) - (x + (width - 1) / 2, y + (height - 1) / 2)
    radius = np.hypot(points[:, 0] / ((width - 1) / 2), points[:, 1] / ((height - 1) / 2))
    return float(np.abs(radius - 1).mean()) < ROUND


def _solids(pixels: NDArray[np.uint8], largest: float) -> list[Shape]:
    """Solid rectangles and ellipses, darker than half way from paper to black."""
    paper = float(np.percentile(pixels, 90))
    dark = (cv2.GaussianBlur(pixels, (0, 0), 0.8) < 0.62 * paper).astype(np.uint8)
    contours, _ = cv2.findContours(dark, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    shapes = []
    for contour in contours:
        shape = _classified(contour, 0.0, largest)
        if shape is None:
            continue
        x, y, width, height = cv2.boundingRect(contour)
        inside = np.zeros((height, width), np.uint8)
        cv2.drawContours(inside, [contour - (x, y)], -1, 1, -1)
        if dark[y : y + height, x : x + width][inside > 0].mean() > 0.92:
            shapes.append(replace(shape, solid=True))
    return shapes


def _apart(shapes: Sequence[Shape]) -> list[Shape]:
    """One shape where several were found, solid before outline; what stands inside of a bubble is print."""
    kept: list[Shape] = []
    for shape in sorted(shapes, key=lambda s: (not s.solid, -s.rect.width * s.rect.height)):
        if not any(_hides(other, shape) for other in kept):
            kept.append(shape)
    return kept


def _hides(other: Shape, shape: Shape) -> bool:
    (x0, y0), (x1, y1) = other.rect.centre, shape.rect.centre
    if abs(x0 - x1) < SAME and abs(y0 - y1) < SAME and _alike(other, shape):
        return True
    bubble = max(other.size) < 8.0
    inside = abs(x0 - x1) < other.rect.width / 2 and abs(y0 - y1) < other.rect.height / 2
    return bubble and inside


def _alike(one: Shape, two: Shape) -> bool:
    """Of one size, to within a printed line."""
    return all(abs(a - b) < 1.2 for a, b in zip(one.size, two.size, strict=True))


def printed_in(ink: NDArray[np.uint8], rect: Rect) -> bool:
    """Whether something stands in a wide box (mm): then it is a label, or a frame."""
    rim = 0.8  # mm: half the line, and what a skewed scan shows of it
    left, top = round((rect.x + rim) * PX_PER_MM), round((rect.y + rim) * PX_PER_MM)
    right, bottom = round((rect.right - rim) * PX_PER_MM), round((rect.bottom - rim) * PX_PER_MM)
    return float(ink[max(top, 0) : bottom, max(left, 0) : right].sum()) > PRINT * PX_PER_MM**2


def _inked(ink: NDArray[np.uint8], shape: Shape) -> float:
    """Share of the middle of a shape that is dark."""
    (x, y), (width, height) = shape.rect.centre, shape.size
    half_x, half_y = 0.34 * width * PX_PER_MM, 0.34 * height * PX_PER_MM
    left, top = round(x * PX_PER_MM - half_x), round(y * PX_PER_MM - half_y)
    part = ink[max(top, 0) : round(top + 2 * half_y), max(left, 0) : round(left + 2 * half_x)]
    return 1.0 if shape.solid else float(part.mean()) if part.size else 0.0
