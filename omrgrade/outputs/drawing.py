"""Text, tints and marks on a colour picture. Lengths are pixels, colours (blue, green, red) 0-255."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
"""(height, width, 3) uint8."""
Colour = tuple[int, int, int]
Box = tuple[int, int, int, int]
"""left, top, right, bottom."""

GREEN: Colour = (40, 125, 15)
RED: Colour = (40, 30, 200)
AMBER: Colour = (0, 100, 215)
BLUE: Colour = (170, 90, 20)
GREY: Colour = (105, 105, 105)
BLACK: Colour = (30, 30, 30)
WHITE: Colour = (255, 255, 255)

_REGULAR, _BOLD = 400, 700
_GAP = 7  # px between a field and its label: room for the field's frame
_SPECKS = 0.02  # of a label's area; less ink than this under it is dirt, not print
_UNBOUNDED = (1_000_000, 1_000)  # no picture whose edge would wrap the text


@dataclass(frozen=True, slots=True)
class Word:
    """A piece of a label."""

    text: str
    colour: Colour
    bold: bool = False


TICK, CROSS = "\N{CHECK MARK}", "\N{BALLOT X}"
"""Texts that are drawn as strokes: not every font has them."""


@lru_cache(maxsize=1)
def _font() -> Any:
    return cv2.FontFace("sans")  # travels inside OpenCV 5; Latin, Greek, Cyrillic, Chinese


def text_width(text: str, size: int, *, bold: bool = False) -> int:
    """Width of one line of text, px."""
    if text in (TICK, CROSS):
        return round(0.7 * size)
    weight = _BOLD if bold else _REGULAR
    x, _, width, _ = cv2.getTextSize(_UNBOUNDED, text, (0, 0), _font(), size, weight=weight)
    return int(x + width)


def write(
    picture: Picture, text: str, x: int, baseline: int, size: int, colour: Colour, *, bold: bool = False
) -> int:
    """Write one line of text from (x, baseline); x after it."""
    after = x + text_width(text, size, bold=bold)
    if text in (TICK, CROSS):
        _stroke(picture, text, x, baseline, size, colour)
    elif text:
        weight = _BOLD if bold else _REGULAR
        cv2.putText(picture, text, (x, baseline), colour, _font(), size, weight=weight)
    return after


def _stroke(picture: Picture, sign: str, x: int, baseline: int, size: int, colour: Colour) -> None:
    s = size / 10
    lines = [[(0.5, -3), (2.5, -1), (6, -7)]] if sign == TICK else [[(1, -1), (6, -6)], [(1, -6), (6, -1)]]
    points = [
        np.array([(x + u * s, baseline + v * s) for u, v in line]).round().astype(np.int32) for line in lines
    ]
    cv2.polylines(picture, points, False, colour, max(2, size // 7), cv2.LINE_AA)


def shortened(text: str, size: int, width: int, *, bold: bool = False) -> str:
    """Text cut with an ellipsis so that it is at most `width` px wide; control characters become spaces."""
    text = "".join(" " if unicodedata.category(c)[0] == "C" else c for c in text[:300])
    if text_width(text, size, bold=bold) <= width:
        return text
    while text and text_width(text + "…", size, bold=bold) > width:
        text = text[:-1]
    return text + "…"


# ---------------------------------------------------------------- labels


def label_size(words: Sequence[Word], size: int) -> tuple[int, int]:
    """(width, height) of a label, px."""
    gaps = size // 3 * (len(words) + 1)
    return sum(text_width(word.text, size, bold=word.bold) for word in words) + gaps, round(1.35 * size)


def draw_label(picture: Picture, words: Sequence[Word], left: int, top: int, size: int) -> None:
    """Words in a row on a white, slightly see-through ground, so that they stand out from print."""
    width, height = label_size(words, size)
    ground = picture[max(top, 0) : top + height, max(left, 0) : left + width]
    ground[:] = 255 - (255 - ground) // 6
    x = left + size // 3
    for word in words:
        after = write(picture, word.text, x, top + round(1.02 * size), size, word.colour, bold=word.bold)
        x = after + size // 3


def tint(picture: Picture, box: Box, colour: Colour, strength: float) -> None:
    """Colour the paper inside a box and leave the ink dark; `strength` 0 nothing .. 1 full colour."""
    left, top, right, bottom = (max(0, value) for value in box)
    inside = picture[top:bottom, left:right]
    factor = 1 - strength * (1 - np.array(colour) / 255)
    inside[:] = (inside * factor).astype(np.uint8)


def frame(picture: Picture, box: Box, colour: Colour, thickness: int = 2) -> None:
    """A rectangle round a box."""
    left, top, right, bottom = box
    cv2.rectangle(picture, (left, top), (right, bottom), colour, thickness, cv2.LINE_AA)


def ring(picture: Picture, box: Box, colour: Colour, thickness: int = 2) -> None:
    """An ellipse round a bubble."""
    left, top, right, bottom = box
    centre, axes = (
        ((left + right) // 2, (top + bottom) // 2),
        ((right - left) // 2 + 2, (bottom - top) // 2 + 2),
    )
    cv2.ellipse(picture, centre, axes, 0, 0, 360, colour, thickness, cv2.LINE_AA)


# ---------------------------------------------------------------- layout


def overlap(one: Box, two: Box) -> int:
    """Area that two boxes share, px²."""
    width = min(one[2], two[2]) - max(one[0], two[0])
    height = min(one[3], two[3]) - max(one[1], two[1])
    return width * height if width > 0 and height > 0 else 0


def place(size: tuple[int, int], beside: Box, taken: Sequence[Box], ink: NDArray[np.integer]) -> Box:
    """Where a label of (width, height) goes: right of a box, above, below or left; the first that is free.

    If none is, the one that hides least. `ink` is the integral image of the page's dark pixels
    (`ink_integral`), so (height + 1, width + 1).
    """
    (width, height), (left, top, right, bottom) = size, beside
    middle = (top + bottom - height) // 2
    spots = (
        (right + _GAP, middle),
        (left, top - _GAP - height),
        (right - width, top - _GAP - height),
        (left, bottom + _GAP),
        (left - _GAP - width, middle),
    )

    def box(spot: tuple[int, int]) -> Box:
        x = max(min(spot[0], ink.shape[1] - 1 - width), 0)
        y = max(min(spot[1], ink.shape[0] - 1 - height), 0)
        return x, y, x + width, y + height

    def hidden(candidate: Box) -> int:
        x0, y0, x1, y1 = candidate
        y1, x1 = min(y1, ink.shape[0] - 1), min(x1, ink.shape[1] - 1)
        dark = int(ink[y1, x1] - ink[y0, x1] - ink[y1, x0] + ink[y0, x0])
        dark = 0 if dark < _SPECKS * width * height else dark
        return dark + sum(overlap(candidate, other) for other in (*taken, beside))

    boxes = [box(spot) for spot in spots]
    free = next((candidate for candidate in boxes if not hidden(candidate)), None)
    return free or min(boxes, key=hidden)


def ink_integral(picture: Picture) -> NDArray[np.integer]:
    """Integral image of the pixels darker than 110, to count ink under any box at once."""
    dark = (cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY) < 110).astype(np.uint8)
    return np.asarray(cv2.integral(dark), np.int64)
