"""Ink that is not one digit: what pupils also write into boxes. Drawn by us, or made from MNIST digits.

What a careful reader could take for a digit is left out: letters like O l I S Z b q g, a lone upright
stroke, a 7 with one bar, halves that are themselves digits.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from omrgrade.normalize import normalize_all, to_mnist
from omrgrade.training.augment import CANVAS, deformed, on_paper, redrawn, renormalised
from omrgrade.training.data import Labelled
from omrgrade.training.glyphs import GLYPHS, Glyph, smooth
from omrgrade.training.paper import LOT, write_box

Grey = NDArray[np.uint8]
Rng = np.random.Generator
Points = NDArray[np.float64]

NOT_DIGIT_LABEL = 10


def not_digits(digits: Labelled, count: int, rng: Rng) -> Labelled:
    """A source: ink of every kind in KINDS, seen through paper and normalised."""
    images = np.empty((count, 28, 28), np.uint8)
    for place in range(count):
        images[place] = renormalised(on_paper(draw(digits, rng), rng), rng)
    return Labelled(images=images, labels=np.full(count, NOT_DIGIT_LABEL))


def boxed_not_digits(digits: Labelled, count: int, rng: Rng) -> Labelled:
    """A source: the same ink written into boxes and read back by the normaliser, every view it offers."""
    views: list[Grey] = []
    while len(views) < count:
        boxes = [write_box(to_mnist(draw(digits, rng)), rng) for _ in range(min(LOT, count - len(views)))]
        for ink in normalize_all([box.crop for box in boxes]):
            views += [view for view in (ink.image, ink.uncut) if view is not None and view.any()]
    return Labelled(images=np.stack(views[:count]), labels=np.full(count, NOT_DIGIT_LABEL))


def draw(digits: Labelled, rng: Rng) -> Grey:
    """One piece of ink, (84, 84) uint8; never empty."""
    while True:
        ink = _MAKERS[int(rng.choice(len(_MAKERS), p=_SHARES))](digits, rng)
        if np.count_nonzero(ink > 60) > 30:
            return ink


# ---------------------------------------------------------------- pen strokes


def strokes(lines: list[Points], rng: Rng, *, strength: float = 1.0) -> Grey:
    """Draw polylines given in a unit square as one pen would, deformed as a hand would."""
    canvas = np.zeros((CANVAS, CANVAS), np.uint8)
    thick = int(rng.choice((2, 3, 4, 5, 6, 8, 10), p=(0.12, 0.2, 0.22, 0.2, 0.14, 0.08, 0.04)))
    for line in lines:
        points = np.rint((line * 56 + 14) * 16).astype(np.int32)
        cv2.polylines(canvas, [points.reshape(-1, 1, 2)], False, 255, thick, cv2.LINE_AA, shift=4)
    return deformed(canvas, rng, strength=strength)


def glyph(shape: Glyph, rng: Rng) -> Grey:
    """A letter or sign: control points shaken, strokes smoothed where they are curves."""
    lines = []
    for points, curved in shape:
        shaken = points + rng.normal(0, 0.035, points.shape)
        lines.append(smooth(shaken) if curved else shaken)
    return strokes(lines, rng)


def _glyph(_: Labelled, rng: Rng) -> Grey:
    return glyph(GLYPHS[int(rng.integers(len(GLYPHS)))], rng)


def _tick(_: Labelled, rng: Rng) -> Grey:
    """A check mark: short stroke down, long one up."""
    foot = rng.uniform((0.2, 0.8), (0.45, 1.0))
    start = foot + rng.uniform((-0.4, -0.5), (-0.12, -0.2))
    end = rng.uniform((0.75, -0.05), (1.1, 0.35))
    line = np.array([start, foot, end])
    return strokes([smooth(line) if rng.random() < 0.4 else line], rng, strength=0.7)


def _cross(_: Labelled, rng: Rng) -> Grey:
    """x or +, arms of different length."""
    arms = np.array([[(0, 0), (1, 1)], [(1, 0), (0, 1)]], float)
    if rng.random() < 0.35:
        arms = np.array([[(0.5, 0), (0.5, 1)], [(0, 0.5), (1, 0.5)]], float)
    arms += rng.normal(0, 0.09, arms.shape)
    return strokes([smooth(a) for a in arms], rng)


def _dash(_: Labelled, rng: Rng) -> Grey:
    """One to three lines nearer to level than to upright, so that none is a 1."""
    lines = []
    for _line in range(int(rng.choice((1, 2, 3), p=(0.6, 0.3, 0.1)))):
        y, rise = rng.uniform(0.1, 0.9), rng.normal(0, 0.12)
        bend = rng.normal(0, 0.08)
        lines.append(smooth(np.array([(0, y - rise), (0.5, y + bend), (rng.uniform(0.6, 1), y + rise)])))
    return strokes(lines, rng, strength=0.5)


def _tally(_: Labelled, rng: Rng) -> Grey:
    """Two to five upright strokes, the fifth across."""
    count = int(rng.integers(2, 6))
    xs = np.linspace(0.05, 0.95, min(count, 4)) if count > 2 else np.array([0.3, 0.7])
    lean = rng.normal(0, 0.08)
    lines = [
        np.array([(x + lean, rng.uniform(0, 0.15)), (x - lean, rng.uniform(0.85, 1))])
        + rng.normal(0, 0.03, (2, 2))
        for x in xs
    ]
    if count == 5 or rng.random() < 0.15:
        lines.append(np.array([(-0.05, rng.uniform(0.2, 0.9)), (1.05, rng.uniform(0.1, 0.8))]))
    return strokes(lines, rng, strength=0.6)


def _polygon(_: Labelled, rng: Rng) -> Grey:
    """A square, triangle, diamond or star, closed or nearly so, sometimes filled or crossed."""
    sides = int(rng.choice((3, 4, 4, 4, 5)))
    turn = rng.choice((0.25, 0.5)) * np.pi if sides == 4 else -np.pi / 2
    angles = turn + 2 * np.pi * np.arange(sides) / sides
    corners = 0.5 + 0.6 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    if sides == 5 or (sides == 4 and rng.random() < 0.1):
        corners = corners[(np.arange(5) * 2) % sides] if sides == 5 else corners[[0, 2, 1, 3]]
    corners += rng.normal(0, 0.05, corners.shape)
    lines = [np.vstack([corners, corners[:1] + rng.normal(0, 0.05, (1, 2))])]
    if rng.random() < 0.2:
        lines.append(rng.uniform(0, 1, (2, 2)))
    canvas = strokes(lines, rng)
    if rng.random() < 0.1:
        cv2.fillPoly(canvas, [np.rint(corners * 50 + 17).astype(np.int32)], 255)
    return canvas


def _circle(_: Labelled, rng: Rng) -> Grey:
    """A circle with strokes through it or a dot in it, or a spiral: a bare one would be a zero."""
    turns = rng.uniform(1.9, 3.2) if (spiral := rng.random() < 0.35) else rng.uniform(0.95, 1.1)
    angle = rng.uniform(0, 2 * np.pi) + np.linspace(0, 2 * np.pi * turns, 40)
    radius = np.linspace(0.08, 0.5, 40) if spiral else 0.5
    lines = [0.5 + np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)]
    if not spiral:
        for _line in range(int(rng.integers(1, 4))):
            middle, direction = rng.uniform(0.3, 0.7, 2), rng.normal(0, 1, 2)
            reach = rng.uniform(0.25, 0.75) * direction / np.linalg.norm(direction)
            lines.append(np.array([middle - reach, middle + reach]))
    return strokes(lines, rng)


def _scribble(_: Labelled, rng: Rng) -> Grey:
    """A pen going to and fro: many turns, so that it is no digit by accident."""
    count = int(rng.integers(7, 22))
    if rng.random() < 0.5:  # zigzag
        along = np.linspace(0, 1, count)
        across = np.where(np.arange(count) % 2, 0.0, 1.0) + rng.normal(0, 0.12, count)
        points = np.stack([along, across] if rng.random() < 0.5 else [across, along], axis=1)
    else:
        points = rng.uniform(0, 1, (count, 2))
    return strokes([smooth(points) if rng.random() < 0.7 else points], rng)


def _smudge(_: Labelled, rng: Rng) -> Grey:
    """A blot, a cloud of specks, or grain."""
    canvas = np.zeros((CANVAS, CANVAS), np.uint8)
    if rng.random() < 0.4:
        size = int(rng.integers(3, 12))
        coarse = rng.uniform(0, 255, (size, size)).astype(np.float32)
        noise = cv2.resize(coarse, (CANVAS, CANVAS), interpolation=cv2.INTER_CUBIC)
        return np.where(noise > rng.uniform(140, 215), noise, 0).clip(0, 255).astype(np.uint8)
    for _spot in range(int(rng.integers(1, 12))):
        centre = rng.normal(42, 15, 2).astype(int).tolist()
        axes = rng.integers(1, rng.integers(4, 22), 2).tolist()
        cv2.ellipse(canvas, centre, axes, rng.uniform(0, 180), 0, 360, int(rng.integers(80, 256)), -1)
    return deformed(canvas, rng)


def _border(_: Labelled, rng: Rng) -> Grey:
    """Corners and crossings of a printed border; straight, thin, at right angles."""
    canvas = np.zeros((CANVAS, CANVAS), np.uint8)
    thick, low, high = int(rng.integers(1, 6)), int(rng.integers(4, 20)), int(rng.integers(60, 80))
    pieces = [(low, low, high, low), (low, low, low, high), (high, low, high, high), (low, high, high, high)]
    first = int(rng.integers(4))
    chosen = [pieces[first], pieces[(first + 1 + int(rng.integers(3))) % 4]]
    if rng.random() < 0.3:
        chosen.append(pieces[int(rng.integers(4))])
    for x1, y1, x2, y2 in chosen:
        cut = rng.uniform(0, 0.4)
        start = (int(x1 + cut * (x2 - x1)), int(y1 + cut * (y2 - y1)))
        cv2.line(canvas, start, (x2, y2), int(rng.integers(120, 256)), thick)
    return deformed(canvas, rng, strength=0.25)


# ---------------------------------------------------------------- made from digits


def _one(digits: Labelled, rng: Rng) -> tuple[Grey, int]:
    index = int(rng.integers(len(digits)))
    return redrawn(digits.images[index], rng), int(digits.labels[index])


def _struck_out(digits: Labelled, rng: Rng) -> Grey:
    """A digit with lines well beyond it on both sides, or scribbled over."""
    ink, label = _one(digits, rng)
    x, y, w, h = cv2.boundingRect(ink)
    thick = int(rng.integers(2, 8))
    count = int(rng.choice((1, 2, 3, 5), p=(0.4, 0.3, 0.15, 0.15)))
    if label in (1, 4, 7, 0):  # one bar leaves them digits
        count = max(2, count)
    tilt = rng.normal(0, 0.35)
    for place in range(count):
        middle = (
            y + h * (rng.uniform(0.3, 0.7) if count == 1 else (place + 1) / (count + 1)) + rng.normal(0, 2)
        )
        left, right = x - rng.uniform(0.15, 0.6) * w - 4, x + w * rng.uniform(1.15, 1.6) + 4
        rise = tilt * (right - left) / 2
        ends = (int(left), int(middle + rise)), (int(right), int(middle - rise))
        cv2.line(ink, *ends, 255, thick, cv2.LINE_AA)
    if count > 1 and rng.random() < 0.4:
        cv2.line(ink, (x - 6, y - 4), (x + w + 6, y + h + 4), 255, thick, cv2.LINE_AA)
    return ink


def _crossed_out(digits: Labelled, rng: Rng) -> Grey:
    """A digit under an x or a scribble."""
    ink, _ = _one(digits, rng)
    over = _cross(digits, rng) if rng.random() < 0.6 else _scribble(digits, rng)
    return np.maximum(ink, over)


def _several(digits: Labelled, rng: Rng) -> Grey:
    """Two or three digits beside each other, touching or not, of about one size."""
    count = 3 if rng.random() < 0.15 else 2
    wide = np.zeros((CANVAS, CANVAS * 3), np.uint8)
    right = 0
    for _digit in range(count):
        ink, _ = _one(digits, rng)
        x, y, w, h = cv2.boundingRect(ink)
        left = max(0, right + int(rng.integers(-4, 14)))
        top = int(np.clip(CANVAS // 2 - h // 2 + rng.normal(0, 5), 0, CANVAS - h))
        part = wide[top : top + h, left : left + w]
        np.maximum(part, ink[y : y + h, x : x + w][:, : part.shape[1]], out=part)
        right = min(left + w, wide.shape[1])
    side = max(CANVAS, right)
    square = np.zeros((side, side), np.uint8)
    top, left = (side - CANVAS) // 2, (side - right) // 2
    square[top : top + CANVAS, left : left + right] = wide[:, :right]
    return cv2.resize(square, (CANVAS, CANVAS), interpolation=cv2.INTER_AREA)


def _overwritten(digits: Labelled, rng: Rng) -> Grey:
    """One digit written over another one; never over or by a 1, which would leave the other readable."""
    while True:
        (one, first), (two, second) = _one(digits, rng), _one(digits, rng)
        if first != second and 1 not in (first, second):
            dx = rng.choice((-1, 1)) * rng.uniform(6, 14)  # apart enough that neither hides the other
            shift = np.array([[1, 0, dx], [0, 1, rng.normal(0, 5)]])
            return np.maximum(one, cv2.warpAffine(two, shift, (CANVAS, CANVAS)))


_CUTS = {0: "tb", 2: "tb", 3: "tb", 4: "t", 5: "tb"}
"""Which halves (top, bottom) are no digits themselves."""


def _cut(digits: Labelled, rng: Rng) -> Grey:
    """Half of a digit: the rest was outside the box."""
    while True:
        ink, label = _one(digits, rng)
        if label in _CUTS:
            break
    _, y, _, h = cv2.boundingRect(ink)
    keep = rng.uniform(0.4, 0.55)
    if str(rng.choice(list(_CUTS[label]))) == "t":
        ink[y + round(h * keep) :] = 0
    else:
        ink[: y + round(h * (1 - keep))] = 0
    return ink


KINDS: dict[str, tuple[Callable[[Labelled, Rng], Grey], float]] = {
    "glyph": (_glyph, 0.37),
    "tick": (_tick, 0.06),
    "cross": (_cross, 0.06),
    "dash": (_dash, 0.04),
    "tally": (_tally, 0.04),
    "polygon": (_polygon, 0.05),
    "circle": (_circle, 0.04),
    "scribble": (_scribble, 0.06),
    "smudge": (_smudge, 0.03),
    "border": (_border, 0.02),
    "struck_out": (_struck_out, 0.06),
    "crossed_out": (_crossed_out, 0.03),
    "several": (_several, 0.09),
    "overwritten": (_overwritten, 0.02),
    "cut": (_cut, 0.03),
}
"""Each kind's maker and share; glyphs have the most, having the most shapes."""

_MAKERS = [maker for maker, _ in KINDS.values()]
_SHARES = [share for _, share in KINDS.values()]
assert abs(sum(_SHARES) - 1) < 1e-9
