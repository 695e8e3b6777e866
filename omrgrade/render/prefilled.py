"""One sheet a pupil: name, student number in its boxes and bubbles, and a QR code that says whose it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from omrgrade.barcodes import Prefilled
from omrgrade.errors import TemplateError
from omrgrade.records import Field, Pupil, Rect, Roster, Template
from omrgrade.render import draw_sheet, page_pixels
from omrgrade.render.header import model_digit, name_room
from omrgrade.render.lettering import print_line
from omrgrade.render.paper import Paper

QUIET = 4  # modules of white paper that the QR standard wants round a code
SMALLEST_MODULE = 0.4  # mm; less is lost in a photo at 150 dpi
_NAME = 4.0  # mm of font
_DIGIT = (0.46, 0.6)  # of a box: width and height of a printed digit, about those of a written one

ORDERS: dict[str, Callable[[Pupil], object]] = {
    "roster": lambda pupil: 0,
    "name": lambda pupil: pupil.name.casefold(),
    "number": lambda pupil: (len(pupil.student_id), pupil.student_id),
}
"""How the sheets may be sorted; pupils that come out the same stay in roster order."""


def prefilled_pdf(
    templates: Sequence[Template], roster: Roster, *, order: str = "roster", double_sided: bool = False
) -> bytes:
    """All pupils' sheets as one PDF: the templates, page after page, for each pupil in turn.

    double_sided: every pupil begins on a new leaf; where the pages of one are odd in number, the last back
    stays empty. The same arguments give the same bytes. `TemplateError` if a sheet has no place for the code.
    """
    first = templates[0]
    for template in templates:
        if (template.page_width, template.page_height) != (first.page_width, first.page_height):
            raise TemplateError("front and back must be of one size", received=template.name)
    paper = Paper(first.page_width, first.page_height, first.title)
    pages = 0
    for pupil in sorted(roster.pupils, key=ORDERS[order]):  # type: ignore[arg-type]
        for number, template in enumerate(templates, 1):
            if pages:
                paper.next_page()
            draw_sheet(paper, template)
            _draw_pupil(paper, template, pupil, number)
            pages += 1
        if double_sided and len(templates) % 2:
            paper.next_page()
            pages += 1
    return paper.finish()


def prefilled_page(template: Template, pupil: Pupil, dpi: float) -> NDArray[np.uint8]:
    """One pupil's sheet as pixels, as `render_page` gives the blank one."""
    return page_pixels(prefilled_pdf([template], Roster(pupils=(pupil,))), dpi)


def _draw_pupil(paper: Paper, template: Template, pupil: Pupil, number: int) -> None:
    code = next((f for f in template.fields if f.kind == "barcode" and "qr" in f.formats), None)
    if code is None:
        raise TemplateError(
            f"template {template.name!r} has no place for a QR code",
            fix="add a field, e.g. {id: pupil, kind: barcode, role: identifier, same_as: student_id, "
            "at: [166, 60], size: [22, 22]}",
        )
    text = Prefilled(template=template.name, page=number, student_id=pupil.student_id).text()
    _draw_code(paper, code.boxes[0], text)
    if template.header:
        x, y, room = name_room(template.header)
        print_line(paper, pupil.name, x, y, _NAME, room=room, after=f"   {pupil.student_id}")
    group = code.same_as or code.id
    for field in template.fields:
        if group in (field.id, field.same_as):
            _draw_number(paper, field, pupil.student_id)


def _draw_code(paper: Paper, area: Rect, text: str) -> None:
    """A QR code, its quiet zone inside `area`."""
    from reportlab.graphics.barcode.qr import QrCodeWidget

    widget = QrCodeWidget(text, barLevel="M")
    widget.qr.make()
    modules = widget.qr.modules
    size = min(area.width, area.height) / (len(modules) + 2 * QUIET)
    if size < SMALLEST_MODULE:
        raise TemplateError(
            "the QR code's field is too small",
            fix=f"make it at least {SMALLEST_MODULE * (len(modules) + 2 * QUIET):.0f} mm",
            received=f"{area.width:g} x {area.height:g} mm for {text!r}",
        )
    x, y = (centre - size * len(modules) / 2 for centre in area.centre)
    dark = [
        Rect(x=x + size * column, y=y + size * row, width=size, height=size)
        for row, line in enumerate(modules)
        for column, black in enumerate(line)
        if black
    ]
    paper.solid(dark, grey=0.0)


def _draw_number(paper: Paper, field: Field, student_id: str) -> None:
    """The number as somebody would write or bubble it; not where it does not fit."""
    if field.kind == "digits" and student_id.isdecimal() and len(student_id) <= len(field.boxes):
        for box, digit in zip(field.boxes, student_id.zfill(len(field.boxes)), strict=True):
            width, height = _DIGIT[0] * box.width, _DIGIT[1] * box.height
            x, y = box.centre
            area = Rect(x=x - width / 2, y=y - height / 2, width=width, height=height)
            model_digit(paper, int(digit), area, line=0.55)
    elif field.kind == "grid" and len(student_id) <= len(field.bubble_columns):
        columns = field.bubble_columns
        starts = accumulate((len(labels) for labels in columns), initial=0)
        for start, labels, mark in zip(starts, columns, student_id.zfill(len(columns)), strict=False):
            if mark in labels:
                box = field.boxes[start + labels.index(mark)]
                rim = 0.08 * box.width
                paper.ellipse(
                    Rect(
                        x=box.x + rim, y=box.y + rim, width=box.width - 2 * rim, height=box.height - 2 * rim
                    ),
                    line=0.1,
                    fill=True,
                )  # fmt: skip
