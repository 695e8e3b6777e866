"""Drawing on a PDF page over a scan: lines of text in any script, ticks, crosses, rings. Lengths are mm."""

from __future__ import annotations

from io import BytesIO
from typing import Any, Literal

from reportlab.lib.units import mm
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from omrgrade.records import Rect
from omrgrade.render.lettering import has_letters, lettering, width_of

Colour = tuple[float, float, float]
"""Red, green, blue, 0-1."""
GREEN: Colour = (0.06, 0.49, 0.16)
RED: Colour = (0.78, 0.12, 0.12)
AMBER: Colour = (0.80, 0.38, 0.0)
GREY: Colour = (0.42, 0.42, 0.42)
BLACK: Colour = (0.1, 0.1, 0.1)


class Pen:
    """One PDF page, y down; what is drawn after `shrink` lies on the sheet, in the sheet's own mm."""

    def __init__(self, canvas: Canvas, height: float) -> None:
        self._canvas: Any = canvas
        self._height = height  # mm that y is counted from

    def picture(self, jpeg: bytes, area: Rect) -> None:
        """A picture that fills `area`."""
        x, y, width, height = area.x, self._height - area.bottom, area.width, area.height
        self._canvas.drawImage(
            ImageReader(BytesIO(jpeg)), x * mm, y * mm, width * mm, height * mm, mask="auto"
        )

    def shrink(self, factor: float, left: float, top: float) -> Pen:
        """From now on everything is drawn smaller, its origin at (left, top)."""
        canvas = self._canvas
        canvas.translate(left * mm, (self._height - top) * mm)
        canvas.scale(factor, factor)
        return Pen(canvas, 0.0)

    def text(
        self,
        text: str,
        x: float,
        y: float,
        size: float,
        colour: Colour,
        *,
        bold: bool = False,
        align: Literal["left", "right"] = "left",
    ) -> float:
        """One line of text with its baseline at y; x after it."""
        width = width_of(text, size, bold=bold)
        x = x - width if align == "right" else x
        if has_letters(text, "VeraBd" if bold else "Vera"):
            self._canvas.setFillColorRGB(*colour)
            self._canvas.setFont("VeraBd" if bold else "Vera", size * mm)
            self._canvas.drawString(x * mm, (self._height - y) * mm, text)
        else:
            line = lettering(text, size, bold=bold, colour=colour)
            self.picture(line.png, Rect(x=x, y=y - line.baseline, width=line.width, height=line.height))
        return x + width

    def tick(self, x: float, y: float, size: float, colour: Colour) -> None:
        """A check mark in a square of side `size` whose bottom left corner is (x, y)."""
        points = [(0.05, 0.35), (0.35, 0.05), (0.95, 0.8)]
        self._strokes([[(x + size * u, y - size * v) for u, v in points]], size / 6, colour)

    def cross(self, x: float, y: float, size: float, colour: Colour) -> None:
        """A cross in that square."""
        lines = [[(0.1, 0.1), (0.8, 0.8)], [(0.1, 0.8), (0.8, 0.1)]]
        self._strokes([[(x + size * u, y - size * v) for u, v in line] for line in lines], size / 6, colour)

    def _strokes(self, lines: list[list[tuple[float, float]]], width: float, colour: Colour) -> None:
        self._line(width, colour)
        self._canvas.setLineCap(1)
        self._canvas.setLineJoin(1)
        path = self._canvas.beginPath()
        for line in lines:
            path.moveTo(line[0][0] * mm, (self._height - line[0][1]) * mm)
            for x, y in line[1:]:
                path.lineTo(x * mm, (self._height - y) * mm)
        self._canvas.drawPath(path, stroke=1, fill=0)

    def ring(self, area: Rect, colour: Colour, *, line: float = 0.6) -> None:
        """An ellipse round `area`."""
        self._line(line, colour)
        x, y = area.x - 0.8, self._height - area.bottom - 0.8
        right, top = area.right + 0.8, self._height - area.y + 0.8
        self._canvas.ellipse(x * mm, y * mm, right * mm, top * mm, stroke=1, fill=0)

    def ground(self, area: Rect) -> None:
        """White, slightly see-through: what stands on it stands out from the scan."""
        self._canvas.saveState()
        self._canvas.setFillColorRGB(1, 1, 1, alpha=0.85)
        self._canvas.rect(
            area.x * mm,
            (self._height - area.bottom) * mm,
            area.width * mm,
            area.height * mm,
            stroke=0,
            fill=1,
        )
        self._canvas.restoreState()

    def rule(self, x0: float, x1: float, y: float, colour: Colour) -> None:
        """A thin line across."""
        self._strokes([[(x0, y), (x1, y)]], 0.2, colour)

    def _line(self, width: float, colour: Colour) -> None:
        self._canvas.setStrokeColorRGB(*colour)
        self._canvas.setLineWidth(width * mm)
