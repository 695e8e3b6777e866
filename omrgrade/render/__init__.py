"""Template -> the sheet to print (vector PDF), the sheet as pixels, and its layout as a picture."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pypdfium2
from numpy.typing import NDArray

from omrgrade.errors import OutputError, TemplateError
from omrgrade.records import Field, Rect, Roster, Template
from omrgrade.render.fiducials import draw_fiducials
from omrgrade.render.header import draw_header
from omrgrade.render.paper import Paper, Text
from omrgrade.render.rows import draw_rows, list_pages
from omrgrade.render.signs import draw_signs

__all__ = [
    "draw_sheet",
    "page_pixels",
    "pdf_bytes",
    "render_layout",
    "render_page",
    "render_pdf",
    "write_pdf",
]

_LAYOUT_PX_PER_MM = 6.0
_CLEAR_OF_DIGITS = 1.2  # mm between print and a digit box: what is read round a box must be white
_CLEAR_OF_BUBBLES = 0.6
_HEAD = 13.5  # mm from the page's edge to the middle of the title, and of the footer, without markers
_LETTER_ROOM = 4.0  # mm needed above a bubble to print its letter
_BLUE, _GREEN, _PURPLE = (200, 110, 0), (0, 130, 0), (170, 0, 170)  # BGR
_COLOURS = {"digits": _BLUE, "number": _BLUE, "choice": _GREEN, "grid": _PURPLE}


def render_pdf(template: Template, path: str | Path, roster: Roster | None = None) -> None:
    """Write the sheet as vector PDF, fonts embedded; the same template and roster give the same bytes."""
    write_pdf(pdf_bytes(template, roster), path)


def write_pdf(data: bytes, path: str | Path) -> None:
    """Write a printed sheet's PDF; `OutputError` if that cannot be done."""
    try:
        Path(path).write_bytes(data)
    except OSError as error:
        raise OutputError(
            "the sheet cannot be written",
            where=str(path),
            fix="choose another place",
            received=error.strerror,
        ) from error


def pdf_bytes(template: Template, roster: Roster | None = None, *, to_print: bool = True) -> bytes:
    """The sheet as PDF; `TemplateError` when it is to be printed and print would not fit or touch a box.

    With a roster a class list (a template with rows) has its pupils' names, on as many pages as it takes.
    """
    paper = Paper(template.page_width, template.page_height, template.title)
    pages = list_pages(template, roster) if roster else [()]
    for part, pupils in enumerate(pages):
        if part:
            paper.next_page()
        draw_sheet(paper, template, to_print=to_print)
        draw_rows(paper, template, pupils, part if roster else None)
    return paper.finish()


def draw_sheet(paper: Paper, template: Template, *, to_print: bool = True) -> None:
    """The blank sheet on the present page. to_print: `TemplateError` when print would not fit."""
    if template.fiducials.method == "reference":  # the form exists: what is printed is all on it
        whole = Rect(x=0, y=0, width=template.page_width, height=template.page_height)
        paper.picture(template.fiducials.picture, whole)
        return
    draw_fiducials(paper, template.fiducials)
    for text in (_title(template), _footer(template)):
        paper.text(text)
    draw_header(paper, template)
    labels = _labels(template)
    if to_print:
        _check_clearance(template, labels)
    for made in template.fields:
        for box in made.boxes if made.kind != "barcode" else ():  # paper to print or stick a code on
            if not made.bubble_columns:
                paper.box(box)
            else:
                paper.ellipse(box)
    draw_signs(paper, template)
    for text, _ in labels:
        paper.text(text)


def render_page(template: Template, dpi: float = 300.0, *, to_print: bool = True) -> NDArray[np.uint8]:
    """The blank sheet as pixels; of a form that exists already it need not be fit to be printed.

    Returns (height, width) uint8 grey. The page fills the image exactly, so page mm -> px (centres at whole
    numbers) is x * width / page_width - 0.5, and y likewise.
    """
    return page_pixels(pdf_bytes(template, to_print=to_print), dpi)


def page_pixels(pdf: bytes, dpi: float) -> NDArray[np.uint8]:
    """The first page of a PDF as (height, width) uint8 grey."""
    page = pypdfium2.PdfDocument(pdf)[0]
    pixels = page.render(scale=dpi / 72, grayscale=True).to_numpy()
    return np.ascontiguousarray(pixels.reshape(pixels.shape[:2]), dtype=np.uint8)


def _exists(template: Template) -> bool:
    """Whether the form was printed by somebody else: its marks or edges are what it is found by."""
    return template.fiducials.method != "aruco"


def render_layout(template: Template) -> NDArray[np.uint8]:
    """The sheet with every field's boxes and id drawn over it: (height, width, 3) uint8 BGR."""
    image = cv2.cvtColor(
        render_page(template, _LAYOUT_PX_PER_MM * 25.4, to_print=not _exists(template)), cv2.COLOR_GRAY2BGR
    )
    tinted = image.copy()
    for made in template.fields:
        for box in made.boxes:
            cv2.rectangle(tinted, *_corners(box), _COLOURS.get(made.kind, (0, 0, 255)), -1)
    if template.header:
        cv2.rectangle(image, *_corners(template.header), (160, 160, 160), 1)
    image = cv2.addWeighted(tinted, 0.35, image, 0.65, 0)
    for made in template.fields:
        x, y = _corners(made.boxes[0])[0]
        for colour, thickness in (((255, 255, 255), 4), ((0, 0, 200), 1)):
            cv2.putText(
                image, made.id, (x + 3, y + 13), cv2.FONT_HERSHEY_PLAIN, 0.9, colour, thickness, cv2.LINE_AA
            )  # fmt: skip
    return np.asarray(image, dtype=np.uint8)


def _corners(area: Rect) -> tuple[tuple[int, int], tuple[int, int]]:
    def px(x: float, y: float) -> tuple[int, int]:
        return round(x * _LAYOUT_PX_PER_MM), round(y * _LAYOUT_PX_PER_MM)

    return px(area.x, area.y), px(area.right, area.bottom)


# ---------------------------------------------------------------- print


def _title(template: Template) -> Text:
    left, right, middle = _head_room(template)
    room = right - left - 8
    for size in (6.0, 5.0, 4.2, 3.5, 3.0):
        title = Text(
            text=template.title, x=template.page_width / 2, y=middle + 0.37 * size, size=size,
            font="VeraBd", align="centre",
        )  # fmt: skip
        if title.width <= room:
            return title
    raise TemplateError(
        f"the title of template {template.name!r} does not fit between the markers",
        fix=f"shorten it to {room:.0f} mm",
        received=template.title,
    )


def _head_room(template: Template) -> tuple[float, float, float]:
    """Where the title has room: from x to x, and its middle y, mm; between the upper two markers if any."""
    if template.fiducials.method in ("aruco", "corners"):
        left, right = template.fiducials.boxes[:2]
        return left.right, right.x, left.centre[1]
    inner = [box for box in template.fiducials.boxes if box.y < _HEAD + 5]
    left_edge = max((b.right for b in inner if b.x < template.page_width / 2), default=10.0)
    right_edge = min((b.x for b in inner if b.x > template.page_width / 2), default=template.page_width - 10)
    return left_edge, right_edge, _HEAD


def _footer(template: Template) -> Text:
    text = f"{template.name} · {template.digest[:8]} · omrgrade"
    marked = template.fiducials.method in ("aruco", "corners")
    y = template.fiducials.boxes[2].centre[1] + 0.8 if marked else template.page_height - _HEAD + 0.8
    return Text(text=text, x=template.page_width / 2, y=y, size=2.3, align="centre", grey=0.45)


def _labels(template: Template) -> list[tuple[Text, Field]]:
    """All print that belongs to fields: labels, and the bubbles' letters."""
    boxes = [box for made in template.fields for box in made.boxes]
    labels = []
    for made in template.fields:
        first = made.boxes[0]
        if made.label and made.role == "identifier":
            y = first.y - 1.9
            labels.append((Text(text=made.label, x=first.x, y=y, size=3.2, font="VeraBd"), made))
        elif made.label:
            middle, x = first.centre[1] + 1.3, first.x - 3 - (made.name_room + 1 if made.name_room else 0)
            labels.append(
                (Text(text=made.label, x=x, y=middle, size=3.6, font="VeraBd", align="right"), made)
            )
        if made.kind == "grid":
            labels += [(text, made) for text in _row_letters(made)]
        elif made.kind == "choice" and not _something_above(made, boxes):
            labels += [(text, made) for text in _column_letters(made)]
    return labels


def _column_letters(made: Field) -> list[Text]:
    return [
        Text(text=option, x=box.centre[0], y=box.y - 1.2, size=2.9, align="centre", grey=0.2)
        for option, box in zip(made.options, made.boxes, strict=True)
    ]


def _row_letters(made: Field) -> list[Text]:
    rows = zip(made.options, made.boxes, strict=False)  # the first column has every row once
    return [
        Text(text=option, x=box.x - 1.8, y=box.centre[1] + 1.05, size=2.9, align="right", grey=0.2)
        for option, box in rows
    ]


def _something_above(made: Field, boxes: list[Rect]) -> bool:
    """Whether the letters would stand too near to the row above; that row has them then."""
    first, last = made.boxes[0], made.boxes[-1]
    room = Rect(x=first.x, y=first.y - _LETTER_ROOM, width=last.right - first.x, height=_LETTER_ROOM - 0.01)
    return any(room.overlaps(box) for box in boxes)


def _check_clearance(template: Template, labels: list[tuple[Text, Field]]) -> None:
    """Raise `TemplateError` when a label leaves the page or comes too near to a box or marker."""
    page = Rect(x=4, y=4, width=template.page_width - 8, height=template.page_height - 8)
    obstacles = [
        (_grown(box, _CLEAR_OF_BUBBLES if made.bubble_columns else _CLEAR_OF_DIGITS), made.id)
        for made in template.fields
        for box in made.boxes
    ] + [(_grown(box, box.width / 4), "a marker") for box in template.fiducials.boxes]
    for text, made in labels:
        area = text.area
        if not (page.x <= area.x and area.right <= page.right and page.y <= area.y):
            raise _too_near(template, made, text, "the page's edge")
        for obstacle, what in obstacles:
            if area.overlaps(obstacle):
                raise _too_near(template, made, text, what)


def _grown(area: Rect, by: float) -> Rect:
    return Rect(x=area.x - by, y=area.y - by, width=area.width + 2 * by, height=area.height + 2 * by)


def _too_near(template: Template, made: Field, text: Text, what: str) -> TemplateError:
    return TemplateError(
        f"print of field {made.id!r} of template {template.name!r} comes too near to {what}",
        fix="shorten 'label' or leave more room beside the field",
        received=text.text,
    )
