"""Lines of text in any script: as font where the sheet's own has the letters, else as a fine picture."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from reportlab.pdfbase import pdfmetrics

from omrgrade.records import Rect
from omrgrade.render.paper import Font, Paper, Text, text_width

_PX_PER_MM = 12.0
_ROOM = 2.0  # heights of a line, in parts of the font size, that its picture is high
_SMALLEST = 0.65  # of the font size that a long line is printed in
_BASELINE = 1.4  # from the picture's top to the baseline, in parts of the font size


@dataclass(frozen=True, kw_only=True, slots=True)
class Lettering:
    """One line as a picture."""

    png: bytes  # on white
    width: float  # mm
    height: float
    baseline: float  # mm from the picture's top


def has_letters(text: str, font: Font = "Vera") -> bool:
    """Whether the sheet's font has all letters of a text."""
    text_width("", 1.0, font)  # registers it
    known = pdfmetrics.getFont(font).face.charToGlyph
    return all(ord(c) in known for c in text)


def lettering(
    text: str, size: float, *, bold: bool = False, colour: tuple[float, float, float] = (0, 0, 0)
) -> Lettering:
    """A line, `size` mm high, in OpenCV's font (Latin, Greek, Cyrillic, Chinese); colour: RGB, 0-1."""
    pixels = round(size * _PX_PER_MM)
    font, weight = cv2.FontFace("sans"), 700 if bold else 400
    left, _, width, _ = cv2.getTextSize((1_000_000, 1_000), text, (0, 0), font, pixels, weight=weight)
    ink = np.full((round(_ROOM * pixels), left + width + 4, 3), 255, np.uint8)
    cv2.putText(ink, text, (0, round(_BASELINE * pixels)), (0, 0, 0), font, pixels, weight=weight)
    shade = np.array([round(255 * value) for value in reversed(colour)])  # BGR
    picture = (shade + (255 - shade) * (ink / 255)).astype(np.uint8)
    return Lettering(
        png=cv2.imencode(".png", picture)[1].tobytes(),
        width=ink.shape[1] / _PX_PER_MM,
        height=ink.shape[0] / _PX_PER_MM,
        baseline=_BASELINE * pixels / _PX_PER_MM,
    )


def width_of(text: str, size: float, *, bold: bool = False) -> float:
    """Printed width of a line in any script, mm."""
    font: Font = "VeraBd" if bold else "Vera"
    return text_width(text, size, font) if has_letters(text, font) else lettering(text, size, bold=bold).width


def print_line(
    paper: Paper, text: str, x: float, y: float, size: float, *, room: float, after: str = ""
) -> None:
    """A line from (x, baseline y), smaller, then cut short (not `after`), to be at most `room` mm wide."""
    text, after = ("".join(c if c.isprintable() else " " for c in part) for part in (text, after))
    whole = width_of(text + after, size)
    size *= min(1.0, max(_SMALLEST, room / max(whole, 1e-6)))
    cut = text
    while cut and width_of(text + after, size) > room:
        cut = cut[:-1]
        text = f"{cut.rstrip()}…"
    text += after
    if has_letters(text):
        paper.text(Text(text=text, x=x, y=y, size=size))
    elif text:
        line = lettering(text, size)
        paper.picture(line.png, Rect(x=x, y=y - line.baseline, width=line.width, height=line.height))
