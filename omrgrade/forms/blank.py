"""A blank form as a picture of known size, with the words that its PDF holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from omrgrade.errors import OmrgradeError, UnreadableImageError
from omrgrade.images import read_scan
from omrgrade.records import PageRef, Rect
from omrgrade.template import PAGES

PX_PER_MM = 12.0
"""What the form is looked at in: a printed line is 2 px or more."""

_ODD = 0.02  # share by which a picture's shape may differ from a named page's
_STRAIGHT = 0.05  # degrees of skew that do not matter: 0.2 mm across a page
_SKEWED = 5.0  # degrees; more is no skew


@dataclass(frozen=True, kw_only=True, slots=True)
class Word:
    """Printed text without a space in it."""

    text: str
    area: Rect  # mm


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Blank:
    """A blank form, upright."""

    source: str
    pixels: NDArray[np.uint8]  # (height, width) grey at `PX_PER_MM`
    width: float  # mm
    height: float  # mm
    words: tuple[Word, ...] = ()  # none where the file is a picture

    def straightened(self, degrees: float) -> Blank:
        """The form turned by so many degrees clockwise."""
        if not _STRAIGHT < abs(degrees) < _SKEWED:
            return self
        height, width = self.pixels.shape
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), -degrees, 1.0)
        turned = cv2.warpAffine(
            self.pixels, turn, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        return replace(self, pixels=np.asarray(turned, np.uint8))


def open_blank(path: Path, *, page: int = 1, size: tuple[float, float] | None = None) -> Blank:
    """Read a blank form: PDF or picture. size: of its page in mm, where the file does not say.

    Raises `OmrgradeError` where the size cannot be told.
    """
    scan = read_scan(PageRef(path=str(path), page=page))
    pdf = path.suffix.lower() == ".pdf"
    width, height = size or (_pdf_size(path, page) if pdf else _page_size(scan.pixels.shape, scan.dpi, path))
    target = round(width * PX_PER_MM), round(height * PX_PER_MM)
    how = cv2.INTER_AREA if target[0] < scan.pixels.shape[1] else cv2.INTER_CUBIC
    pixels = np.asarray(cv2.resize(scan.pixels, target, interpolation=how), np.uint8)
    words = tuple(_pdf_words(path, page, width)) if pdf else ()
    return Blank(source=str(path), pixels=pixels, width=width, height=height, words=words)


def _pdf_size(path: Path, number: int) -> tuple[float, float]:
    import pypdfium2

    with pypdfium2.PdfDocument(path) as document:
        width, height = document[number - 1].get_size()  # points
    return round(width * 25.4 / 72, 1), round(height * 25.4 / 72, 1)


def _page_size(shape: tuple[int, ...], dpi: float, path: Path) -> tuple[float, float]:
    """From the resolution, if that gives a page; else the named page of this shape, A4 before Letter."""
    height, width = shape
    if dpi and 80 < width / dpi * 25.4 < 450 and dpi > 96:  # screens' 72 and 96 say nothing of paper
        return round(width / dpi * 25.4, 1), round(height / dpi * 25.4, 1)
    for across, down in PAGES.values():
        for page in ((across, down), (down, across)):
            if abs((page[1] / page[0]) / (height / width) - 1) < _ODD:
                return page
    raise OmrgradeError(
        "the size of this page cannot be told from the picture",
        where=str(path),
        fix="give it with --page, as A4, Letter or 210x297",
        received=f"{width} x {height} px",
    )


# ---------------------------------------------------------------- words


def _pdf_words(path: Path, number: int, width: float) -> list[Word]:
    """The words of a PDF's page; none where the page is turned or damaged."""
    import pypdfium2

    try:
        with pypdfium2.PdfDocument(path) as document:
            page = document[number - 1]
            if page.get_rotation():
                return []
            scale = width / page.get_size()[0]
            return join_letters(_letters(page, scale))
    except pypdfium2.PdfiumError as error:
        raise UnreadableImageError("the PDF is damaged", where=str(path), fix="export it again") from error


def _letters(page: Any, scale: float) -> list[Word | None]:
    """Each printed character with its place in mm, None where words end; scale: mm a point."""
    left, _, _, top = page.get_bbox()
    text = page.get_textpage()
    letters: list[Word | None] = []
    for n in range(text.count_chars()):
        letter = text.get_text_range(n, 1).strip()
        x0, y0, x1, y1 = text.get_charbox(n)
        if letter and x1 > x0 and y1 > y0:
            area = Rect(
                x=(x0 - left) * scale, y=(top - y1) * scale, width=(x1 - x0) * scale, height=(y1 - y0) * scale
            )
            letters.append(Word(text=letter, area=area))
        elif not letter:
            letters.append(None)
    return letters


def join_letters(letters: Sequence[Word | None]) -> list[Word]:
    """Characters -> words, in the file's order: what stands close, without a space, is one word."""
    words: list[Word] = []
    broken = True
    for letter in letters:
        if letter is None:
            broken = True
            continue
        if not broken and _continues(words[-1], letter):
            words[-1] = _joined(words[-1], letter, "")
        else:
            words.append(letter)
        broken = False
    return words


def join_words(words: Sequence[Word]) -> Word | None:
    """Words of one line as one text, left to right."""
    ordered = sorted(words, key=lambda word: word.area.x)
    if not ordered:
        return None
    result = ordered[0]
    for word in ordered[1:]:
        result = _joined(result, word, " ")
    return result


def _continues(word: Word, letter: Word) -> bool:
    one, two = word.area, letter.area
    height = max(one.height, two.height)
    level = min(one.bottom, two.bottom) - max(one.y, two.y) > -0.25 * height and two.y < one.bottom + 0.1
    return level and -0.3 * height < two.x - one.right < 0.6 * height


def _joined(one: Word, two: Word, between: str) -> Word:
    x, y = min(one.area.x, two.area.x), min(one.area.y, two.area.y)
    right, bottom = max(one.area.right, two.area.right), max(one.area.bottom, two.area.bottom)
    area = Rect(x=x, y=y, width=right - x, height=bottom - y)
    return Word(text=one.text + between + two.text, area=area)
