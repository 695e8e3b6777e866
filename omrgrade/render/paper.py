"""A PDF page drawn in mm from the top-left corner, y down, with reportlab's bundled, embedded Vera fonts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import pairwise
from typing import Any, Literal

from reportlab.lib.units import mm
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

from omrgrade.errors import TemplateError
from omrgrade.records import Rect

Font = Literal["Vera", "VeraBd"]
Point = tuple[float, float]
_CAP = 0.73  # height of Vera's capitals and digits, in parts of the font size


@dataclass(frozen=True, kw_only=True, slots=True)
class Text:
    """One line of print; `x` and `y` (mm) are where its baseline begins, is centred or ends."""

    text: str
    x: float
    y: float
    size: float = 3.0  # mm
    font: Font = "Vera"
    align: Literal["left", "centre", "right"] = "left"
    grey: float = 0.0  # 0 black .. 1 white

    @property
    def width(self) -> float:
        """Printed width, mm."""
        return text_width(self.text, self.size, self.font)

    @property
    def area(self) -> Rect:
        """The rectangle from baseline to capital height that the print covers, mm."""
        shift = {"left": 0.0, "centre": 0.5, "right": 1.0}[self.align]
        height = _CAP * self.size
        return Rect(
            x=self.x - shift * self.width, y=self.y - height, width=max(self.width, 0.1), height=height
        )


def text_width(text: str, size: float, font: Font = "Vera") -> float:
    """Printed width of a line in mm, at `size` mm."""
    _register(font)
    return float(pdfmetrics.stringWidth(text, font, size))


def _register(font: Font) -> None:
    if font not in pdfmetrics.getRegisteredFontNames():
        pdfmetrics.registerFont(TTFont(font, f"{font}.ttf"))


class Paper:
    """One page being drawn."""

    def __init__(self, width: float, height: float, title: str) -> None:
        self._height = height
        self._buffer = BytesIO()
        # invariant: no dates and random ids, so that the same template gives the same bytes.
        self._canvas: Any = Canvas(self._buffer, pagesize=(width * mm, height * mm), invariant=1)
        self._canvas.setTitle(title)
        self._canvas.setCreator("omrgrade")

    def next_page(self) -> None:
        """Begin another page of the same size."""
        self._canvas.showPage()

    def finish(self) -> bytes:
        """The PDF file."""
        self._canvas.showPage()
        self._canvas.save()
        return self._buffer.getvalue()

    def text(self, text: Text) -> None:
        """Print one line."""
        _register(text.font)
        known = pdfmetrics.getFont(text.font).face.charToGlyph
        if missing := sorted({c for c in text.text if ord(c) not in known}):
            raise TemplateError(
                "the sheet's font has no glyph for some characters",
                fix="write them otherwise",
                received="".join(missing),
            )
        canvas = self._canvas
        canvas.setFillGray(text.grey)
        canvas.setFont(text.font, text.size * mm)
        draw = {
            "left": canvas.drawString,
            "centre": canvas.drawCentredString,
            "right": canvas.drawRightString,
        }
        draw[text.align](text.x * mm, self._y(text.y), text.text)

    def box(self, area: Rect, *, line: float = 0.3, grey: float = 0.15) -> None:
        """A rectangle's outline, its middle on `area`; `line` mm thick."""
        self._pen(line, grey)
        self._canvas.rect(*self._corner(area), stroke=1, fill=0)

    def ellipse(self, area: Rect, *, line: float = 0.3, grey: float = 0.15, fill: bool = False) -> None:
        """The ellipse that fills `area`."""
        self._pen(line, grey)
        x, y, width, height = self._corner(area)
        self._canvas.ellipse(x, y, x + width, y + height, stroke=1, fill=int(fill))

    def disc(self, area: Rect) -> None:
        """A black ellipse that fills `area`."""
        self._canvas.setFillGray(0.0)
        x, y, width, height = self._corner(area)
        self._canvas.ellipse(x, y, x + width, y + height, stroke=0, fill=1)

    def solid(self, areas: Iterable[Rect], *, grey: float) -> None:
        """Filled rectangles as one shape, so that no hairlines show where they meet."""
        self._canvas.setFillGray(grey)
        path = self._canvas.beginPath()
        for area in areas:
            path.rect(*self._corner(area))
        self._canvas.drawPath(path, stroke=0, fill=1)

    def picture(self, png: bytes, area: Rect) -> None:
        """A picture that fills `area`."""
        x, y, width, height = self._corner(area)
        self._canvas.drawImage(ImageReader(BytesIO(png)), x, y, width, height)

    def line(self, points: Sequence[Point], *, line: float = 0.25, grey: float = 0.15) -> None:
        """A pen stroke along straight lines."""
        self._stroke([(a, a, b, b) for a, b in pairwise(points)], line, grey)

    def curve(self, points: Sequence[Point], *, line: float = 0.4, grey: float = 0.15) -> None:
        """A smooth pen stroke through the points (Catmull-Rom spline)."""
        padded = [points[0], *points, points[-1]]
        pieces = []
        for p0, p1, p2, p3 in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
            first = (p1[0] + (p2[0] - p0[0]) / 6, p1[1] + (p2[1] - p0[1]) / 6)
            second = (p2[0] - (p3[0] - p1[0]) / 6, p2[1] - (p3[1] - p1[1]) / 6)
            pieces.append((p1, first, second, p2))
        self._stroke(pieces, line, grey)

    def _stroke(self, pieces: list[tuple[Point, Point, Point, Point]], line: float, grey: float) -> None:
        self._pen(line, grey)
        path = self._canvas.beginPath()
        path.moveTo(pieces[0][0][0] * mm, self._y(pieces[0][0][1]))
        for _, *points in pieces:
            path.curveTo(*(value for x, y in points for value in (x * mm, self._y(y))))
        self._canvas.drawPath(path, stroke=1, fill=0)

    def _pen(self, line: float, grey: float) -> None:
        self._canvas.setLineWidth(line * mm)
        self._canvas.setStrokeGray(grey)
        self._canvas.setFillGray(grey)
        self._canvas.setLineCap(1)
        self._canvas.setLineJoin(1)

    def _y(self, y: float) -> float:
        return (self._height - y) * float(mm)

    def _corner(self, area: Rect) -> tuple[float, float, float, float]:
        return area.x * mm, self._y(area.bottom), area.width * mm, area.height * mm
