"""Text, tints and marks on a colour picture. Lengths are pixels, colours (blue, green, red) 0-255."""

from __future__ import annotations

import unicodedata
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
_UNBOUNDED = (1_000_000, 1_000)  # no picture whose edge would wrap the text


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
