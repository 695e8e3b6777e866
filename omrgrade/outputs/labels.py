"""Labels beside fields: words in a row, put where they hide neither a field nor print. Lengths are pixels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from omrgrade.outputs.drawing import Box, Colour, Picture, text_width, write

_GAP = 7  # between a field and its label: room for the field's frame
_SPECKS = 0.02  # of a label's area; less ink than this under it is dirt, not print
_AROUND = 41  # px, a box wider than any pen stroke: the mean round a pixel is its paper
_CONTRAST = 25  # grey levels; print is at least this much darker than the paper round it, in a shadow too


@dataclass(frozen=True, slots=True)
class Word:
    """A piece of a label."""

    text: str
    colour: Colour
    bold: bool = False


@dataclass(frozen=True, slots=True)
class Label:
    """Words in a row."""

    words: tuple[Word, ...]
    size: int  # of the letters

    @property
    def width(self) -> int:
        """With a gap before, between and after the words."""
        gaps = self.size // 3 * (len(self.words) + 1)
        return sum(text_width(word.text, self.size, bold=word.bold) for word in self.words) + gaps

    @property
    def height(self) -> int:
        """Enough for letters that go below the line."""
        return round(1.35 * self.size)

    def draw(self, picture: Picture, box: Box) -> None:
        """On a white, slightly see-through ground, so that it stands out from print and photo."""
        left, top, right, bottom = box
        ground = picture[top:bottom, left:right]
        ground[:] = 255 - (255 - ground) // 6
        x, baseline = left + self.size // 3, top + round(1.02 * self.size)
        for word in self.words:
            after = write(picture, word.text, x, baseline, self.size, word.colour, bold=word.bold)
            x = after + self.size // 3


def ink_integral(picture: Picture) -> NDArray[np.integer]:
    """Integral image, (height + 1, width + 1), of the dark pixels: counts the ink under any box at once."""
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    paper = cv2.blur(grey, (_AROUND, _AROUND))
    dark = (cv2.subtract(paper, grey) > _CONTRAST).astype(np.uint8)
    return np.asarray(cv2.integral(dark), np.int64)


def place(
    labels: Sequence[Label], beside: Box, taken: Sequence[Box], ink: NDArray[np.integer]
) -> tuple[Label, Box]:
    """The first of `labels` (the fullest first) that finds a free place at a field, and where.

    If none does, the last one where it hides least. `ink` is from `ink_integral`.
    """
    occupied = (*taken, beside)
    for label in labels:
        for box in _spots(label, beside, ink.shape):
            if _is_free(box, occupied, ink):
                return label, box
    return labels[-1], min(_spots(labels[-1], beside, ink.shape), key=lambda box: _hidden(box, occupied, ink))


def _spots(label: Label, beside: Box, shape: tuple[int, ...]) -> Iterator[Box]:
    """Right of a field, above, below, left, moved so that they lie on the page."""
    (left, top, right, bottom), width, height = beside, label.width, label.height
    middle = (top + bottom - height) // 2
    for x, y in (
        (right + _GAP, middle),
        (left, top - _GAP - height),
        (right - width, top - _GAP - height),
        (left, bottom + _GAP),
        (left - _GAP - width, middle),
    ):
        x = max(min(x, shape[1] - 1 - width), 0)
        y = max(min(y, shape[0] - 1 - height), 0)
        yield x, y, min(x + width, shape[1] - 1), min(y + height, shape[0] - 1)


def _is_free(box: Box, occupied: Sequence[Box], ink: NDArray[np.integer]) -> bool:
    """Whether a label there would cover nothing: `_hidden` is 0, without adding it all up."""
    x0, y0, x1, y1 = box
    if any(x0 < right and left < x1 and y0 < low and top < y1 for left, top, right, low in occupied):
        return False
    return not _hidden(box, (), ink)


def _hidden(box: Box, occupied: Sequence[Box], ink: NDArray[np.integer]) -> int:
    """How much a label there would cover, px²: ink and other boxes."""
    x0, y0, x1, y1 = box
    dark = int(ink[y1, x1] - ink[y0, x1] - ink[y1, x0] + ink[y0, x0])
    dark = 0 if dark < _SPECKS * (x1 - x0) * (y1 - y0) else dark
    return dark + sum(_overlap(box, other) for other in occupied)


def _overlap(one: Box, two: Box) -> int:
    width = min(one[2], two[2]) - max(one[0], two[0])
    height = min(one[3], two[3]) - max(one[1], two[1])
    return width * height if width > 0 and height > 0 else 0
