"""Whole numbers written into one wide box: MNIST digits side by side as people write them, and what is none.

They lean the same way, are of one pen and of about one size, stand close, touch, or run into each other.
Beside them grade letters (A+, B), struck-out numbers, words and scribbles, which a reader of numbers must
refuse.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from omrgrade.normalize import to_mnist
from omrgrade.records import Crop
from omrgrade.training.data import Labelled
from omrgrade.training.glyphs import SHAPES, Glyph, parse
from omrgrade.training.not_digits import draw, glyph
from omrgrade.training.paper import _outline, _paper, _scan

Grey = NDArray[np.uint8]
Real = NDArray[np.float32]
Random = np.random.Generator

LENGTHS = (0.15, 0.50, 0.25, 0.10)  # shares of numbers of 1, 2, 3 and 4 digits: marks are mostly of two
NOT_NUMBER = -2
HEIGHT = 64  # px of a box before it is scanned
VISIBLE = 14  # grey levels by which ink is darker than the same box without it

_LETTERS: dict[str, list[Glyph]] = {}
for _line in SHAPES.strip().splitlines():
    _name, _shape = _line.split(" ", 1)
    _LETTERS.setdefault(_name, []).append(parse(_shape))
_PLUS = parse("50,15 50,85|12,50 88,50")
_MINUS = parse("5,50 95,50")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class NumberBox:
    """A drawn box and its truth."""

    pixels: Grey  # (h, w) grey, dark ink on light paper
    truth: str  # the number as written, or "" for what is none
    margin: int  # px outside the outline, as a template would tell it; 0: not told

    @property
    def crop(self) -> Crop:
        """What the reader is given."""
        return Crop(pixels=self.pixels, margin=self.margin)


def number_box(digits: Labelled, rng: Random) -> NumberBox:
    """One number of 1 to 4 digits in its box; the digits are drawn from `digits`."""
    length = 1 + int(rng.choice(4, p=LENGTHS))
    picks = rng.integers(len(digits), size=length)
    truth = "".join(str(int(digits.labels[n])) for n in picks)
    return _boxed([digits.images[n] for n in picks], truth, rng)


def other_box(digits: Labelled, rng: Random) -> NumberBox:
    """Ink that is no number: a grade, a word, a struck-out number, a scribble."""
    kind = rng.random()
    if kind < 0.55:
        signs = [_letter(str(rng.choice(list("ABCDEF"), p=(0.28, 0.24, 0.2, 0.14, 0.07, 0.07))), rng)]
        if rng.random() < 0.5:
            signs.append(_small(to_mnist(glyph(_PLUS if rng.random() < 0.6 else _MINUS, rng)), rng))
    elif kind < 0.7:
        signs = [
            _letter(str(rng.choice(list("AHKMNRTUXYadehkmnrtuxy"))), rng)
            for _ in range(int(rng.integers(2, 5)))
        ]
    elif kind < 0.85:
        signs = [to_mnist(draw(digits, rng)) for _ in range(int(rng.integers(1, 3)))]
    else:
        box = number_box(digits, rng)
        return _struck(box, rng)
    return _boxed(signs, "", rng)


def empty_box(rng: Random) -> NumberBox:
    """Nothing but the box."""
    return _boxed([], "", rng)


def _letter(name: str, rng: Random) -> Grey:
    shapes = _LETTERS[name]
    return to_mnist(glyph(shapes[int(rng.integers(len(shapes)))], rng))


def _small(image: Grey, rng: Random) -> Grey:
    """A plus or minus: half as large as the letter before it."""
    factor = rng.uniform(0.45, 0.75)
    matrix = np.array([[factor, 0, 14 - 14 * factor], [0, factor, 14 - 14 * factor]])
    return np.asarray(cv2.warpAffine(image, matrix, (28, 28)), np.uint8)


def _struck(box: NumberBox, rng: Random) -> NumberBox:
    """A line or two through the writing, in its own darkness."""
    pixels = box.pixels.copy()
    height, width = pixels.shape
    dark = int(np.quantile(pixels, 0.02))
    for _ in range(int(rng.integers(1, 3))):
        y = height * rng.uniform(0.35, 0.65)
        rise = height * rng.normal(0, 0.12)
        ends = [(round(width * 0.12), round(y + rise)), (round(width * 0.88), round(y - rise))]
        cv2.line(pixels, ends[0], ends[1], dark, max(1, height // 20), cv2.LINE_AA)
    return NumberBox(pixels=pixels, truth="", margin=box.margin)


# ---------------------------------------------------------------- drawing


def _boxed(signs: list[Grey], truth: str, rng: Random) -> NumberBox:
    """The signs in a box on paper, scanned; drawn again until a person could see each of them."""
    while True:
        shape = HEIGHT, round(HEIGHT * rng.uniform(1.5, 3.2))
        ink, lightest = _written(signs, shape, rng)
        sides, inset, outline = (0, 0.0, np.float32(0)) if rng.random() < 0.1 else _outline(shape, rng)
        paper, darkness = _paper(shape, rng), rng.uniform(0.2, 0.95)
        scan = rng.bit_generator.seed_seq.spawn(1)[0]  # type: ignore[attr-defined]
        page = np.minimum(paper * (1 - ink * darkness), paper * (1 - outline))
        pixels = _scan(page, np.random.default_rng(scan))
        blank = _scan(np.minimum(paper, paper * (1 - outline)), np.random.default_rng(scan))
        seen = cv2.resize(cv2.subtract(blank, pixels), shape[::-1], interpolation=cv2.INTER_AREA) > VISIBLE
        if all(seen[own].mean() > 0.6 for own in lightest if own.any()):
            break
    known = sides == 4 and inset > 0.05 * HEIGHT and rng.random() < 0.5
    margin = round((inset + rng.normal(0, 1)) * len(pixels) / HEIGHT) if known else 0
    return NumberBox(pixels=pixels, truth=truth, margin=max(margin, 0))


def _written(signs: list[Grey], shape: tuple[int, int], rng: Random) -> tuple[Real, list[NDArray[np.bool_]]]:
    """Signs side by side in one hand's slant, size, pen and closeness.

    Returns the ink, (h, w) float32, 0 paper .. 1 ink, and where each sign's own ink is.
    """
    height, width = shape
    size = height * float(np.clip(rng.normal(0.56, 0.1), 0.35, 0.8))
    slant, close = rng.normal(0.05, 0.15), rng.normal(0.14, 0.12)
    placed, x = [], 0.0
    for sign in signs:
        left, top, w, h = cv2.boundingRect(sign)
        zoom = size / 20 * float(np.exp(rng.normal(0, 0.1))) * (20 / max(h, w) if max(h, w) > 16 else 1.0)
        y = height * 0.5 + size * rng.normal(0, 0.07)
        turn = slant + rng.normal(0, 0.05)
        spread = zoom * np.array([[float(np.exp(rng.normal(0, 0.06))), -turn], [0, 1]])
        centre = np.array([left + w / 2, top + h / 2])
        reach = spread[0, 0] * w / 2
        placed.append((sign, spread, centre, x + reach, y))
        x += 2 * reach + size * (close + rng.normal(0, 0.08))
    gap = size * close
    fit = min(1.0, 0.94 * width / max(1.0, x - gap))
    free = max(0.0, width - fit * (x - gap))
    start = free * float(np.clip(rng.beta(1.6, 2.2), 0.03, 0.97))
    ink, own = np.zeros(shape, np.float32), []
    level = np.clip(rng.normal(0.42, 0.09), 0.2, 0.65)
    for sign, spread, centre, at, y in placed:
        linear = fit * spread
        shift = np.array([start + fit * at, y]) - linear @ centre
        smooth = cv2.GaussianBlur(sign, (0, 0), 0.7)
        matrix = np.column_stack([linear, shift]).astype(np.float32)
        drawn = cv2.warpAffine(smooth, matrix, (width, height), flags=cv2.INTER_CUBIC)
        own.append(drawn > 255 * level)
        ink = np.maximum(ink, drawn.astype(np.float32) / 255)
    return np.clip((ink - level) / (0.10 + 0.2 * rng.random()) + 0.5, 0, 1).astype(np.float32), own
