"""What the pupil reads first: name line, instructions, and pictures of how to write and fill."""

from __future__ import annotations

from collections.abc import Callable

from omrgrade.errors import TemplateError
from omrgrade.records import Rect, Template
from omrgrade.render.paper import Paper, Text, text_width

_Picture = Callable[[Paper, float, float], None]  # draws at x, y (mm)

_NAME_HEIGHT = 9.0  # mm, room to write in
_PICTURE_HEIGHT = 9.0
_SIZES = (3.2, 3.0, 2.8, 2.6, 2.4)  # mm of font, the first that fits; less is too small to read
_LEADING = 1.4  # line distance in parts of the font size

# The digits as a model hand writes them: strokes through points, x y in % of a cell; / lifts the pen.
_MODEL_HAND = (
    "50 0, 12 28, 10 70, 50 100, 90 70, 88 28, 50 0",
    "30 25, 60 0, 60 100",
    "12 25, 45 0, 85 25, 60 60, 10 100, 12 100, 90 100",
    "15 12, 50 0, 82 22, 42 46, 44 46, 88 72, 50 100, 10 86",
    "60 0, 5 68, 6 68, 95 68 / 68 42, 66 100",
    "20 0, 14 43, 16 43, 55 38, 86 68, 50 100, 10 90 / 20 0, 85 0",
    "70 0, 22 40, 14 75, 50 100, 86 75, 52 50, 17 70",
    "10 0, 88 0, 89 1, 40 100",
    "82 16, 50 0, 18 20, 50 48, 88 78, 50 100, 12 78, 50 48, 82 16",
    "85 25, 50 0, 14 25, 48 50, 85 25, 80 65, 55 100",
)


def draw_header(paper: Paper, template: Template) -> None:
    """Fill `template.header`; `TemplateError` when the instructions do not fit in."""
    area = template.header
    if area is None:
        return
    _name_line(paper, area, "Class" if any(made.row for made in template.fields) else "Name")
    rows = _picture_rows(template, area)
    top = area.y + _NAME_HEIGHT + 2
    room = area.bottom - top - len(rows) * _PICTURE_HEIGHT - 1
    y = _instructions(paper, template, area.x, top, area.width, room) + 1
    for row in rows:
        x = area.x
        for draw, width in row:
            draw(paper, x, y)
            x += width + 6
        y += _PICTURE_HEIGHT


def _picture_rows(template: Template, area: Rect) -> list[list[tuple[_Picture, float]]]:
    """The pictures this sheet needs, side by side where they have room."""
    kinds = {made.kind for made in template.fields if not made.part}
    pictures: list[tuple[_Picture, float]] = [(_digits_picture, 54)] if kinds & {"digits", "number"} else []
    if kinds & {"choice", "grid"}:
        pictures.append((_bubbles_picture, 48))
    if any(width > area.width for _, width in pictures):
        raise TemplateError(
            f"the header of template {template.name!r} is too narrow for the pictures of how to write",
            fix="make it at least 54 mm wide",
            received=area.width,
        )
    together = sum(width + 6 for _, width in pictures) - 6 <= area.width
    return [pictures] if together else [[picture] for picture in pictures]


def _name_line(paper: Paper, area: Rect, whose: str) -> None:
    y = area.y + _NAME_HEIGHT - 2.5
    date = min(45.0, area.width * 0.35)
    parts = ((whose, area.x, area.right - date - 4), ("Date", area.right - date, area.right))
    for word, left, right in parts:
        paper.text(Text(text=word, x=left, y=y, size=3.4))
        paper.line([(left + text_width(word, 3.4) + 2, y + 0.4), (right, y + 0.4)], grey=0.4)


def name_room(area: Rect) -> tuple[float, float, float]:
    """Where a name goes on the name line: x, y of the baseline, and how wide it may be, mm."""
    left = area.x + text_width("Name", 3.4) + 3.5
    right = area.right - min(45.0, area.width * 0.35) - 5
    return left, area.y + _NAME_HEIGHT - 2.9, right - left


def _instructions(
    paper: Paper, template: Template, left: float, top: float, width: float, height: float
) -> float:
    """Print the instructions; returns where they end (y, mm)."""
    for size in _SIZES:
        lines = [line for p in template.instructions.splitlines() for line in _wrap(p, size, width)]
        heights = [size * (_LEADING if line else _LEADING / 2) for line in lines]
        if sum(heights) <= height:
            break
    else:
        raise TemplateError(
            f"the instructions of template {template.name!r} do not fit into its header",
            fix="shorten them or enlarge 'header'",
            received=f"{width:g} x {height:g} mm left for {len(lines)} lines",
        )
    y = top + size
    for line, step in zip(lines, heights, strict=True):
        paper.text(Text(text=line, x=left, y=y, size=size))
        y += step
    return y - size


def _wrap(paragraph: str, size: float, width: float) -> list[str]:
    lines = [""]
    for word in paragraph.split():
        longer = f"{lines[-1]} {word}".strip()
        if text_width(longer, size) > width and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _digits_picture(paper: Paper, x: float, y: float) -> None:
    """The ten digits, each in its box."""
    for digit in range(10):
        paper.box(Rect(x=x, y=y + 2.0, width=4.6, height=5.8), line=0.2, grey=0.5)
        model_digit(paper, digit, Rect(x=x + 1.2, y=y + 3.1, width=2.2, height=3.6), line=0.4)
        x += 5.4


def model_digit(paper: Paper, digit: int, area: Rect, *, line: float) -> None:
    """A digit as a model hand writes it, filling `area`, with a pen `line` mm wide."""
    for stroke in _MODEL_HAND[digit].split("/"):
        points = [[float(value) / 100 for value in point.split()] for point in stroke.split(",")]
        paper.curve([(area.x + area.width * x, area.y + area.height * y) for x, y in points], line=line)


def _bubbles_picture(paper: Paper, x: float, y: float) -> None:
    """One bubble filled as it should be, and three as it should not."""
    middle = y + 4.9
    paper.text(Text(text="Right:", x=x, y=middle + 1, size=2.7))
    bubbles = [Rect(x=at, y=middle - 2.2, width=4.4, height=4.4) for at in (x + 11, x + 31, x + 37, x + 43)]
    paper.ellipse(bubbles[0], fill=True)
    paper.text(Text(text="Wrong:", x=x + 29.4, y=middle + 1, size=2.7, align="right"))
    for bubble in bubbles[1:]:
        paper.ellipse(bubble)
    tick, cross, dot = bubbles[1:]
    cx, cy = tick.centre
    paper.line([(cx - 1.1, cy), (cx - 0.2, cy + 1.2), (cx + 1.6, cy - 1.7)], line=0.4)
    cx, cy = cross.centre
    paper.line([(cx - 1.3, cy - 1.3), (cx + 1.3, cy + 1.3)], line=0.4)
    paper.line([(cx + 1.3, cy - 1.3), (cx - 1.3, cy + 1.3)], line=0.4)
    paper.ellipse(Rect(x=dot.x + 1.6, y=dot.y + 1.6, width=1.2, height=1.2), fill=True)
