"""Bubbles filled as people fill them, and other ink that is no digit."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from omrgrade.records import Rect
from omrgrade.simulate.handwriting import Grey, Pen

Style = Literal["full", "scribble", "sloppy", "tick", "cross"]
Points = NDArray[np.float64]
_SHIFT = 4  # bits of subpixel that cv2 draws with


def mark_bubble(
    ink: Grey, box: Rect, px_per_mm: tuple[float, float], pen: Pen, style: Style, rng: np.random.Generator
) -> None:
    """Fill one bubble (the ellipse in `box`, mm) on `ink` ((height, width) uint8, 255 = covered)."""
    if style in ("tick", "cross"):
        lines = _tick(rng) if style == "tick" else _cross(rng)
        _draw(ink, box, px_per_mm, lines, max(pen.width, 0.5))
        return
    reach = rng.uniform(0.62, 0.76) if style == "sloppy" else rng.uniform(0.85, 1.02)
    offset = rng.normal(0, 0.10 if style == "sloppy" else 0.045, 2)
    # One back-and-forth line: a scribble leaves paper between its strokes, a full mark does not.
    spacing = min(pen.width / box.height, 0.16) * (rng.uniform(0.8, 1.2) if style == "scribble" else 0.6)
    _draw(ink, box, px_per_mm, [_zigzag(reach, spacing, rng) + offset], pen.width)
    if style != "scribble":
        _draw(ink, box, px_per_mm, [_round(reach, rng) + offset], pen.width, filled=rng.random() < 0.7)


def write_sign(
    ink: Grey, sign: str, box: Rect, px_per_mm: tuple[float, float], pen: Pen, rng: np.random.Generator
) -> None:
    """A minus, or a decimal point or comma, in its own box."""
    if sign == "-":
        lines = [np.array([[-0.5, 0.05], [0.5, -0.05]]) + rng.normal(0, 0.06, (2, 2))]
    else:
        end = [0.0, 0.04] if sign == "." else [-0.14, 0.3]
        place = np.array([rng.normal(0, 0.1), rng.uniform(0.2, 0.5)])
        lines = [np.array([[0.0, 0.0], end]) + place]
    _draw(ink, box, px_per_mm, lines, max(pen.width, 0.4) * (1.0 if sign == "-" else 1.4))


def smudge(ink: Grey, box: Rect, px_per_mm: tuple[float, float], rng: np.random.Generator) -> None:
    """What an eraser leaves of a mark: a faint, blurred trace."""
    trace = np.zeros_like(ink[_window(ink, box, px_per_mm)])
    inner = Rect(
        x=box.width * 0.5, y=box.height * 0.5, width=box.width, height=box.height
    )  # the window has half a box round the box
    _draw(trace, inner, px_per_mm, [_zigzag(0.8, 0.2, rng)], 0.6)
    trace = cv2.GaussianBlur(trace, (0, 0), 0.25 * px_per_mm[0]).astype(np.float32)
    patch = ink[_window(ink, box, px_per_mm)]
    np.maximum(patch, (trace * rng.uniform(0.10, 0.22)).astype(np.uint8), out=patch)


def scrawl(
    ink: Grey, start: tuple[float, float], length: float, px_per_mm: tuple[float, float], pen: Pen,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """Something like a signature on the name line: loops along `length` mm from `start` (mm)."""
    steps = max(int(length / 0.12), 8)
    turn = np.cumsum(rng.normal(0.30, 0.12, steps))
    tall = cv2.GaussianBlur(rng.gamma(2.0, 0.8, (1, steps)), (0, 0), 7.0)[0]
    x = np.linspace(0, length, steps) + 0.9 * np.cos(turn) * np.sqrt(tall)
    y = -0.9 * (1 + np.sin(turn)) * tall
    unit = Rect(x=start[0] - 0.5, y=start[1] - 0.5, width=1.0, height=1.0)
    points = np.column_stack([x - 0.25 * y, y])
    for word in np.array_split(points, max(2, steps // 140)):
        _draw(ink, unit, px_per_mm, [word[: max(4, len(word) - 6)] * 2], pen.width)


def _window(ink: Grey, box: Rect, px_per_mm: tuple[float, float]) -> tuple[slice, slice]:
    """The box and half a box round it, as slices of `ink`."""
    sx, sy = px_per_mm
    top, left = int((box.y - box.height / 2) * sy), int((box.x - box.width / 2) * sx)
    return slice(top, top + int(2 * box.height * sy)), slice(left, left + int(2 * box.width * sx))


# Shapes: points in a bubble's own measure, -1..1 across.


def _zigzag(reach: float, spacing: float, rng: np.random.Generator) -> Points:
    rows = np.arange(-reach, reach, max(2 * spacing, 0.06)) + 0.02
    half = np.sqrt(np.maximum(reach**2 - rows**2, 0.02)) * rng.uniform(0.88, 1.06, len(rows))
    side = np.where(np.arange(len(rows)) % 2 == 0, -1, 1)
    x, y = half * side, rows + rng.normal(0, 0.03, len(rows))
    angle = rng.normal(0.6, 0.25)
    return np.column_stack([x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle)])


def _round(reach: float, rng: np.random.Generator) -> Points:
    angle = np.linspace(0, 2 * np.pi, 40)
    uneven = np.zeros_like(angle)
    for waves in (2, 3, 4):
        uneven += rng.normal(0, 0.03) * np.cos(waves * angle + rng.uniform(0, 6.3))
    return np.column_stack([np.cos(angle), np.sin(angle)]) * (reach * 0.9 + uneven)[:, None]


def _tick(rng: np.random.Generator) -> list[Points]:
    points = np.array([[-0.7, 0.0], [-0.15, 0.75], [1.0, -1.2]])
    return [points + rng.normal(0, 0.12, points.shape)]


def _cross(rng: np.random.Generator) -> list[Points]:
    arms = np.array([[[-0.9, -0.9], [0.9, 0.9]], [[0.9, -0.9], [-0.9, 0.9]]])
    return list(arms + rng.normal(0, 0.12, arms.shape))


def _draw(
    ink: Grey, box: Rect, px_per_mm: tuple[float, float], lines: list[Points], width: float, *,
    filled: bool = False,
) -> None:  # fmt: skip
    sx, sy = px_per_mm
    centre = (box.centre[0] * sx - 0.5, box.centre[1] * sy - 0.5)
    scale = (box.width / 2 * sx, box.height / 2 * sy)
    curves = [np.round((line * scale + centre) * 2**_SHIFT).astype(np.int32) for line in lines]
    if filled:
        cv2.fillPoly(ink, curves, 255, cv2.LINE_AA, _SHIFT)
    cv2.polylines(ink, curves, False, 255, max(1, round(width * sx)), cv2.LINE_AA, _SHIFT)
