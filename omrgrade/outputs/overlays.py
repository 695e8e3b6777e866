"""overlays/: each page with its readings drawn on it: green right, red wrong, amber to review."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import accumulate

import cv2
import numpy as np

from omrgrade.grading import NOT_COUNTED
from omrgrade.outputs.csvtext import number_text
from omrgrade.outputs.drawing import (
    AMBER,
    BLACK,
    BLUE,
    CROSS,
    GREEN,
    GREY,
    RED,
    TICK,
    Box,
    Colour,
    Picture,
    frame,
    ring,
    shortened,
    text_width,
    tint,
    write,
)
from omrgrade.outputs.labels import Label, Word, ink_integral, place
from omrgrade.outputs.names import file_names
from omrgrade.outputs.results import Results, scores_by_item
from omrgrade.records import Field, FieldReading, ItemScore, PageReading, Rect, SheetMarks, Template
from omrgrade.store import storable

FOLDER = "overlays"
JPEG_QUALITY = 88
HEADER = 88  # px added above the page
_LABEL = 17  # px, on a page of 4 px/mm: 12 point
_SMALL = 13  # px
_MARGIN = 16  # px at the sides of the header
_LEGEND = (
    (Word(TICK, GREEN), Word("right", GREEN)),
    (Word(CROSS, RED), Word("wrong,", RED), Word("the right answer beside it", GREEN)),
    (Word("? to review", AMBER),),
    (Word("blank", GREY),),
    (Word("read, not scored", BLUE),),
)


def render(results: Results) -> Iterator[tuple[str, bytes]]:
    """A JPEG a page that has a preview, one in memory at a time."""
    names = file_names(results.batch.marks)
    pupils = {p.student_id: p.name for p in results.roster.pupils} if results.roster else {}
    gaps = results.batch.gaps
    for name, (page, marks) in zip(names, results.sheets(), strict=True):
        wanted = results.redraw is None or (storable(page.source), page.page) in results.redraw
        preview = results.preview(page) if wanted and not page.problem else b""
        pixels = cv2.imdecode(np.frombuffer(preview, np.uint8), cv2.IMREAD_COLOR) if preview else None
        if pixels is None:
            continue
        whole = (marks.source, marks.page) not in gaps
        pupil = pupils.get(marks.student_id, "")
        picture = draw_page(pixels, page, marks, results.template_of(page), pupil, whole=whole)
        _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        yield f"{FOLDER}/{name}", data.tobytes()


def draw_page(
    preview: Picture,
    page: PageReading,
    marks: SheetMarks,
    template: Template,
    pupil: str = "",
    *,
    whole: bool = True,
) -> Picture:
    """The overlay of one page: a header strip, and under it the preview with every field marked.

    whole: it is not one of several pages of which another is missing or double, so that there is a total.
    `preview` is the upright page, (height, width, 3) uint8, its width the template's page width.
    """
    scale = preview.shape[1] / template.page_width  # px per mm
    picture = preview.copy()
    scores = scores_by_item(marks)
    readings = {reading.field: reading for reading in page.fields}
    fields = [f for f in template.fields if f.id in readings and not _unused(f, readings[f.id])]
    outlines = {field.id: _pixels(_hull(field.boxes), scale) for field in fields}
    taken = [*outlines.values(), *(_pixels(box, scale) for box in template.fiducials.boxes)]
    ink = ink_integral(preview)
    labels = []
    for field in fields:
        reading, score = readings[field.id], scores.get(field.id)
        _draw_field(picture, field, reading, score, scale)
        if field.kind == "picture":
            continue
        label, box = place(_labels(reading, score), outlines[field.id], taken, ink)
        taken.append(box)
        labels.append((label, box))
    for label, box in labels:
        label.draw(picture, box)
    return np.concatenate([_header(page, marks, pupil, preview.shape[1], whole=whole), picture])


def _unused(field: Field, reading: FieldReading) -> bool:
    """A barcode's place on a sheet that was printed without one: nothing that a pupil left blank."""
    return field.kind == "barcode" and reading.status == "blank"


# ---------------------------------------------------------------- one field


def _colour(reading: FieldReading, score: ItemScore | None) -> Colour:
    if reading.status == "review" or (score and score.outcome == "unresolved"):
        return AMBER
    if score is None:
        return BLUE if reading.status == "read" else GREY
    return {"correct": GREEN, "incorrect": RED}.get(score.outcome, GREY)


def _labels(reading: FieldReading, score: ItemScore | None) -> list[Label]:
    """The field's label, from the fullest form to one for a narrow place: smaller, then BCD for B+C+D."""
    words = _words(reading, score)
    compact = tuple(replace(word, text=word.text.replace("+", "")) for word in words)
    return [Label(words, _LABEL), Label(words, _SMALL), Label(compact, _SMALL)]


def _words(reading: FieldReading, score: ItemScore | None) -> tuple[Word, ...]:
    """What was read, for a wrong or missing answer the right one in green, and the points."""
    colour = _colour(reading, score)
    value = Word(reading.value or "blank", colour, bold=True)
    if colour == AMBER:
        other = [Word(f"or {reading.runner_up}", colour)] if reading.runner_up else []
        return (Word("?", colour, bold=True), value, *other)
    if score is None:
        return (value,)
    points = Word(f"{number_text(score.points)}/{number_text(score.max_points)}", GREY)
    if score.outcome == "correct":
        return (Word(TICK, colour), value, points)
    sign = [Word(CROSS, colour)] if score.outcome == "incorrect" else []
    return (*sign, value, Word(" or ".join(score.answer.split("|")), GREEN), points)


def _draw_field(
    picture: Picture, field: Field, reading: FieldReading, score: ItemScore | None, scale: float
) -> None:
    colour = _colour(reading, score)
    left, top, right, bottom = _pixels(_hull(field.boxes), scale)
    box = (left - 2, top - 2, right + 2, bottom + 2)
    if field.kind == "picture":
        return frame(picture, box, GREY, 1)
    if field.bubble_columns:
        frame(picture, box, colour, 1)
        _draw_rings(picture, field, reading, score, scale)
        return
    tint(picture, box, colour, 0.14)
    frame(picture, box, colour, 2)
    for box_reading, rect in zip(reading.boxes, field.boxes, strict=False):
        if box_reading.status == "review":
            frame(picture, _pixels(rect, scale), AMBER, 3)


def _draw_rings(
    picture: Picture, field: Field, reading: FieldReading, score: ItemScore | None, scale: float
) -> None:
    """A thick ring round each mark read, a thin green one round each that is missing."""
    marked, colour = _marked(field, reading), _colour(reading, score)
    right = _right(field, score) if score and score.outcome in ("incorrect", "omitted") else []
    for index in marked:
        shade = GREEN if field.multiple and index in right else colour
        ring(picture, _pixels(field.boxes[index], scale), shade, 3)
    for index in right:
        if index not in marked:
            ring(picture, _pixels(field.boxes[index], scale), GREEN, 2)


def _marked(field: Field, reading: FieldReading) -> list[int]:
    """Indices of the bubbles that the value stands for."""
    options = field.options
    if field.kind == "choice":
        return [options.index(label) for label in reading.value.split("+") if label in options]
    return _spelt(field, reading.value) or [n for n, box in enumerate(reading.boxes) if box.status == "read"]


def _spelt(field: Field, value: str) -> list[int]:
    """Indices of a grid's bubbles that spell a value without gaps."""
    if len(value) != len(field.bubble_columns):
        return []
    starts = accumulate((len(labels) for labels in field.bubble_columns), initial=0)
    columns = zip(starts, field.bubble_columns, value, strict=False)
    return [start + labels.index(mark) for start, labels, mark in columns if mark in labels]


def _right(field: Field, score: ItemScore) -> list[int]:
    """Indices of the bubbles that a right answer would fill: all of one answer, not a mixture of several."""
    if field.kind != "choice":
        return []
    answers = score.answer.split("|")
    labels = answers if all("+" not in answer for answer in answers) else answers[0].split("+")
    return [field.options.index(label) for label in labels if label in field.options]


def _hull(boxes: Iterable[Rect]) -> Rect:
    """The smallest rectangle round boxes, mm."""
    boxes = list(boxes)
    x, y = min(box.x for box in boxes), min(box.y for box in boxes)
    right, bottom = max(box.right for box in boxes), max(box.bottom for box in boxes)
    return Rect(x=x, y=y, width=right - x, height=bottom - y)


def _pixels(rect: Rect, scale: float) -> Box:
    return (
        round(rect.x * scale),
        round(rect.y * scale),
        round(rect.right * scale),
        round(rect.bottom * scale),
    )


# ---------------------------------------------------------------- header


def _header(page: PageReading, marks: SheetMarks, pupil: str, width: int, *, whole: bool) -> Picture:
    """Whose sheet, how many points, what awaits review; then where the page came from, and a legend."""
    strip = np.full((HEADER, width, 3), 255, np.uint8)
    strip[-2:] = GREY
    total = ""
    if marks.scores and whole:
        total = f"{number_text(marks.total)} / {number_text(marks.maximum)}   {marks.percent:.1f} %"
    right = width - _MARGIN - text_width(total, 26, bold=True)
    write(strip, total, right, 32, 26, BLACK, bold=True)
    who, colour = _who(marks, pupil)
    who = shortened(who, 26, right - 2 * _MARGIN, bold=True)
    write(strip, who, _MARGIN, 32, 26, colour, bold=True)
    review = f"{marks.to_review} to review" if marks.to_review else ""
    right = width - _MARGIN - text_width(review, _LABEL, bold=True)
    write(strip, review, right, 56, _LABEL, AMBER, bold=True)
    x = _MARGIN
    if marks.problem:
        text = shortened(marks.problem, _LABEL, right - 2 * _MARGIN)
        x = write(strip, text, x, 56, _LABEL, RED) + _MARGIN
    if right - x > 150:
        text = shortened(f"{page.source}, page {page.page}", _LABEL, right - x - _MARGIN)
        write(strip, text, x, 56, _LABEL, GREY)
    _legend(strip)
    return strip


def _who(marks: SheetMarks, pupil: str) -> tuple[str, Colour]:
    if marks.status in NOT_COUNTED:
        return "not counted", RED
    if marks.student_id:
        known = marks.status not in ("unknown_student", "duplicate_student")
        return f"{marks.student_id}  {pupil}".strip(), BLACK if known else RED
    return (
        ("no student number", RED)
        if marks.problem
        else ("student number in doubt", AMBER)
        if marks.to_review
        else ("", BLACK)
    )


def _legend(strip: Picture) -> None:
    x = _MARGIN
    for words in _LEGEND:
        for word in words:
            x = write(strip, word.text, x, HEADER - 10, 14, word.colour) + 5
        x += 14
