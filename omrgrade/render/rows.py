"""A class list: a row a pupil, with the name if the roster is known, else a line to write it on."""

from __future__ import annotations

from collections.abc import Sequence

from omrgrade.errors import TemplateError
from omrgrade.records import Pupil, Rect, Roster, Template
from omrgrade.render.paper import Paper, Text, text_width

_SIZES = (3.4, 3.0, 2.6, 2.2)  # mm of font, the first in which a name fits
_GAP = 3.0  # mm between name and box


def list_pages(template: Template, roster: Roster) -> list[tuple[Pupil, ...]]:
    """The roster's pupils page by page, as many as the template has rows."""
    rows = max((made.row for made in template.fields), default=0)
    if not rows:
        raise TemplateError(
            f"template {template.name!r} has no rows for pupils",
            fix="print it without a roster, or take a class list such as marklist-a4",
        )
    pages = [roster.pupils[start : start + rows] for start in range(0, len(roster.pupils), rows)]
    parts = next((len(made.options) for made in template.fields if made.part), 1)
    if len(pages) > parts:
        raise TemplateError(
            f"template {template.name!r} has room for {rows * parts} pupils, {parts} pages of {rows}",
            fix="print a list for each class",
            received=len(roster.pupils),
        )
    return pages


def draw_rows(paper: Paper, template: Template, pupils: Sequence[Pupil], part: int | None) -> None:
    """Name lines, the names on them, and the bubble that says which part of the list this is, filled."""
    rows = [made for made in template.fields if made.name_room]
    texts = [f"{pupil.student_id}  {pupil.name}".strip() for pupil in pupils]
    room = min((made.name_room for made in rows), default=0.0)
    size = next((s for s in _SIZES if all(text_width(t, s) <= room for t in texts)), _SIZES[-1])
    for made in rows:
        box = made.boxes[0]
        line, left = box.bottom - 1.2, box.x - _GAP - made.name_room
        paper.line([(left, line), (box.x - _GAP, line)], grey=0.55)
        if made.row and made.row <= len(pupils):
            name = _shortened(texts[made.row - 1], size, made.name_room)
            paper.text(Text(text=name, x=left, y=line - 1.2, size=size))
    for made in template.fields:
        if made.part and part is not None:
            paper.disc(_inner(made.boxes[part]))


def _shortened(text: str, size: float, room: float) -> str:
    while text_width(text, size) > room:
        text = text[:-2].rstrip() + "…"
    return text


def _inner(bubble: Rect) -> Rect:
    """A filled bubble keeps clear of its outline, as a careful pupil's."""
    rim = 0.06 * bubble.width
    return Rect(
        x=bubble.x + rim, y=bubble.y + rim, width=bubble.width - 2 * rim, height=bubble.height - 2 * rim
    )
