"""What is printed with the boxes of a number: the decimal point, a fraction's bar, the sign's meaning."""

from __future__ import annotations

from omrgrade.records import Field, Rect, Template
from omrgrade.render.paper import Paper, Text

_DOT = 0.9  # mm


def draw_signs(paper: Paper, template: Template) -> None:
    """All of them."""
    for made in template.fields:
        if made.kind == "fraction":
            _draw_bar(paper, made)
        elif made.decimals and "point" not in made.parts:
            _draw_point(paper, made)
        for part, box in zip(made.parts, made.boxes, strict=False):
            if part != "digit":
                sign = "+ −" if part == "sign" else "."
                paper.text(
                    Text(text=sign, x=box.centre[0], y=box.y - 1.9, size=2.9, align="centre", grey=0.2)
                )


def _draw_point(paper: Paper, made: Field) -> None:
    """On the line, in the middle between the two boxes that it parts."""
    before, after = made.boxes[-made.decimals - 1], made.boxes[-made.decimals]
    x = (before.right + after.x) / 2
    paper.disc(Rect(x=x - _DOT / 2, y=before.bottom - _DOT, width=_DOT, height=_DOT))


def _draw_bar(paper: Paper, made: Field) -> None:
    left, right = min(box.x for box in made.boxes), max(box.right for box in made.boxes)
    y = (made.boxes[0].bottom + made.boxes[-1].y) / 2
    paper.line([(left, y), (right, y)], line=0.4)
