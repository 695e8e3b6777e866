"""Marked copies to hand back: each pupil's own sheet with ticks, crosses, right answers, points and total."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO

import cv2
import numpy as np
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas

from omrgrade.cropping import upright_preview
from omrgrade.grading import NOT_COUNTED
from omrgrade.outputs.annotate.ink import AMBER, BLACK, GREEN, GREY, RED, Colour, Pen
from omrgrade.outputs.csvtext import number_text
from omrgrade.outputs.drawing import CROSS, TICK
from omrgrade.outputs.labels import Label, Word, ink_integral, place
from omrgrade.outputs.results import Results, scores_by_item
from omrgrade.outputs.stored import scan_of
from omrgrade.records import (
    PREVIEW_PX_PER_MM,
    Batch,
    Field,
    FieldReading,
    ItemScore,
    PageReading,
    Rect,
    SheetMarks,
    Template,
)
from omrgrade.render.lettering import width_of

CLASS_FILE = "class.pdf"
_PX_PER_MM = 7.0  # of a page taken from its scan: 180 dpi
_STRIP = 13.0  # mm above the sheet for name and total; the sheet is shrunk to make room
_EDGE = 10.0  # mm
_LABEL, _SMALL = 17, 13  # px at PREVIEW_PX_PER_MM: where labels go is worked out there


@dataclass(frozen=True, kw_only=True, slots=True)
class Sheet:
    """One page of a pupil that is to be handed back."""

    n: int  # its place in the batch
    marks: SheetMarks
    name: str
    leaf: int  # the same for the pages that belong together
    whole: bool  # none of them is missing or double, so that there is a total


@dataclass(frozen=True, kw_only=True, slots=True)
class Marked:
    """A sheet with what is to be drawn."""

    sheet: Sheet
    page: PageReading
    template: Template
    picture: Callable[[], bytes]  # JPEG of the upright page


def pupils_files(results: Results, *, answers: bool = True) -> Iterator[tuple[str, bytes]]:
    """A PDF a pupil: file name and contents. `answers`: right ones stand beside wrong ones.

    Pages are gone through in their order, and a pupil's are held until the last of them has come.
    """
    groups, used = _by_pupil(_sheets(results)), set[str]()
    names = [_file_name(group[0], used) for group in groups]
    whose = {sheet.n: number for number, group in enumerate(groups) for sheet in group}
    held: dict[int, PageReading] = {}
    for n, page in enumerate(results.batch.pages):
        if n not in whose:
            continue
        held[n], group = page, groups[whose[n]]
        if all(sheet.n in held for sheet in group):
            pages = [_marked(results, sheet, held.pop(sheet.n)) for sheet in group]
            yield names[whose[n]], pdf(pages, answers=answers)


def class_file(results: Results, *, answers: bool = True) -> tuple[str, bytes]:
    """One PDF for all, in roster order, with a bookmark a pupil."""
    order = {pupil.student_id: n for n, pupil in enumerate(results.roster.pupils)} if results.roster else {}
    sheets = sorted(_sheets(results), key=lambda sheet: order.get(sheet.marks.student_id, len(order)))
    wanted = {sheet.n for sheet in sheets}
    pages = {n: _without_boxes(page) for n, page in enumerate(results.batch.pages) if n in wanted}
    return CLASS_FILE, pdf([_marked(results, sheet, pages[sheet.n]) for sheet in sheets], answers=answers)


def _without_boxes(page: PageReading) -> PageReading:
    """Only what is drawn: the boxes' probabilities are nearly all of a page's memory."""
    return replace(page, fields=tuple(replace(reading, boxes=()) for reading in page.fields))


def _marked(results: Results, sheet: Sheet, page: PageReading) -> Marked:
    template = results.template_of(page)
    picture = partial(_picture, results, page, template)
    return Marked(sheet=sheet, page=page, template=template, picture=picture)


def _sheets(results: Results) -> Iterator[Sheet]:
    names = {pupil.student_id: pupil.name for pupil in results.roster.pupils} if results.roster else {}
    gaps = results.batch.gaps
    for leaf, n in _leaves(results.batch):
        marks = results.batch.marks[n]
        name, whole = names.get(marks.student_id, ""), (marks.source, marks.page) not in gaps
        yield Sheet(n=n, marks=marks, name=name, leaf=leaf, whole=whole)


def _leaves(batch: Batch) -> Iterator[tuple[int, int]]:
    """Places of pages that count, with what belongs together, in the order in which it is handed back."""
    places = [sheet.pages for sheet in batch.sheets] or [(n,) for n in range(len(batch.marks))]
    for leaf, (marks, pages) in enumerate(zip(batch.rows, places, strict=True)):
        if marks.status not in NOT_COUNTED and marks.scores:
            yield from ((leaf, n) for n in pages)


def _picture(results: Results, page: PageReading, template: Template) -> bytes:
    """The page from its scan if that is still what was read, else as it was kept, coarser."""
    scan = scan_of(page) if page.registration else None
    if scan and page.registration:
        return upright_preview(scan, page.registration, template, px_per_mm=_PX_PER_MM)
    return results.preview(page)


def _by_pupil(sheets: Iterable[Sheet]) -> list[list[Sheet]]:
    """Sheets of the same known pupil together; all others by themselves."""
    groups: dict[object, list[Sheet]] = {}
    for sheet in sheets:
        sure = sheet.marks.student_id and sheet.marks.status in ("ok", "review")
        groups.setdefault(sheet.marks.student_id if sure else sheet.leaf, []).append(sheet)
    return list(groups.values())


def _file_name(sheet: Sheet, used: set[str]) -> str:
    whose = (
        f"{sheet.marks.student_id} {sheet.name}"
        if sheet.marks.student_id
        else f"unknown {sheet.marks.source}"
    )
    text = (
        re.sub(r"[^\w.-]+", "_", unicodedata.normalize("NFC", whose)).encode()[:120].decode(errors="ignore")
    )
    stem = text.strip("._-") or "pupil"
    name, n = stem, 2
    while name.casefold() in used:
        name, n = f"{stem}-{n}", n + 1
    used.add(name.casefold())
    return f"{name}.pdf"


# ---------------------------------------------------------------- pages


def pdf(pages: Sequence[Marked], *, answers: bool = True) -> bytes:
    """The pages as one PDF, each of its sheet's own size; the same pages give the same bytes."""
    stream = BytesIO()
    canvas = Canvas(stream, invariant=1)
    canvas.setCreator("omrgrade")
    canvas.setTitle(_who(pages[0].sheet) if len(pages) == 1 else "Marked sheets")
    for n, page in enumerate(pages):
        width, height = page.template.page_width, page.template.page_height
        canvas.setPageSize((width * mm, height * mm))
        canvas.bookmarkPage(str(n))
        canvas.addOutlineEntry(_who(page.sheet), str(n))
        _draw(Pen(canvas, height), page, answers)
        canvas.showPage()
    canvas.save()
    return stream.getvalue()


def _draw(pen: Pen, marked: Marked, answers: bool) -> None:
    width, height = marked.template.page_width, marked.template.page_height
    _draw_strip(pen, marked.sheet, width)
    factor = (height - _STRIP) / height
    page = pen.shrink(factor, (1 - factor) * width / 2, _STRIP)
    jpeg = marked.picture()
    if jpeg:
        page.picture(jpeg, Rect(x=0, y=0, width=width, height=height))
    _draw_remarks(page, marked, jpeg, answers)


def _draw_strip(pen: Pen, sheet: Sheet, width: float) -> None:
    marks, right = sheet.marks, width - _EDGE
    total = f"{number_text(marks.total)} / {number_text(marks.maximum)}" if sheet.whole else "?"
    left = right - width_of(total, 6.0, bold=True)
    pen.text(total, left, 9.5, 6.0, RED, bold=True)
    note = f"{marks.percent:.0f} %" if sheet.whole else "a page is missing, double or in doubt"
    if marks.to_review:
        note += f", {marks.to_review} not settled yet"
    left = pen.text(note, left - 3 - width_of(note, 3.4), 9.5, 3.4, GREY) - width_of(note, 3.4)
    who = _who(sheet)
    size = min(5.0, 5.0 * (left - _EDGE - 4) / max(width_of(who, 5.0, bold=True), 1))
    pen.text(who, _EDGE, 9.5, size, BLACK, bold=True)
    pen.rule(_EDGE, right, _STRIP - 1, GREY)


def _who(sheet: Sheet) -> str:
    text = f"{sheet.name}  {sheet.marks.student_id}".strip() or "no student number"
    return "".join(c if c.isprintable() else " " for c in text)


# ---------------------------------------------------------------- fields


def _draw_remarks(pen: Pen, marked: Marked, jpeg: bytes, answers: bool) -> None:
    """At every scored field a tick or a cross, the right answer, and the points, where there is room."""
    template, scores = marked.template, scores_by_item(marked.sheet.marks)
    readings = {reading.field: reading for reading in marked.page.fields}
    fields = [field for field in template.fields if field.id in readings]
    hulls = {field.id: _hull(field.boxes) for field in fields}
    taken = [_box(rect) for rect in (*hulls.values(), *template.fiducials.boxes)]
    ink = _ink(jpeg, template)
    for field in fields:
        score = scores.get(field.id)
        if score is None:
            continue
        _draw_rings(pen, field, readings[field.id], score, answers)
        words = _words(score, answers)
        labels = [Label(words, _LABEL), Label(words, _SMALL)]
        label, box = place(labels, _box(hulls[field.id]), taken, ink)
        taken.append(box)
        _draw_label(pen, label, box)


def _ink(jpeg: bytes, template: Template) -> np.ndarray:
    """What is printed and written, at PREVIEW_PX_PER_MM; nothing where there is no picture."""
    size = round(template.page_width * PREVIEW_PX_PER_MM), round(template.page_height * PREVIEW_PX_PER_MM)
    pixels = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR) if jpeg else None
    if pixels is None:
        pixels = np.full((size[1], size[0], 3), 255, np.uint8)
    return ink_integral(np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8))


def _words(score: ItemScore, answers: bool) -> tuple[Word, ...]:
    """The remark at a field; colours are those of `drawing`, which places it."""
    points = Word(f"{number_text(score.points)}/{number_text(score.max_points)}", (105, 105, 105))
    if score.outcome == "unresolved":
        return (Word("?", (0, 100, 215), bold=True),)
    if score.outcome == "correct":
        return (Word(TICK, (40, 125, 15)), points)
    right = [Word(" or ".join(score.answer.split("|")), (40, 125, 15), bold=True)] if answers else []
    return (Word(CROSS, (40, 30, 200)), *right, points)


def _draw_label(pen: Pen, label: Label, box: tuple[int, int, int, int]) -> None:
    left, top, right, bottom = (value / PREVIEW_PX_PER_MM for value in box)
    pen.ground(Rect(x=left, y=top, width=right - left, height=bottom - top))
    size, gap = label.size / PREVIEW_PX_PER_MM, label.size / 3 / PREVIEW_PX_PER_MM
    room = right - left - gap * (len(label.words) + 1)
    wide = sum(
        0.8 * size if w.text in (TICK, CROSS) else width_of(w.text, size, bold=w.bold) for w in label.words
    )
    size *= min(1.0, room / wide)
    x, y = left + gap, top + 1.02 * label.size / PREVIEW_PX_PER_MM
    for word in label.words:
        colour: Colour = (word.colour[2] / 255, word.colour[1] / 255, word.colour[0] / 255)
        if word.text in (TICK, CROSS):
            (pen.tick if word.text == TICK else pen.cross)(x, y, size, colour)
            x += 0.8 * size
        else:
            x = pen.text(word.text, x, y, size, colour, bold=word.bold)
        x += gap


def _draw_rings(pen: Pen, field: Field, reading: FieldReading, score: ItemScore, answers: bool) -> None:
    """Round the bubble that was marked its verdict, round the one that was missed green."""
    if field.kind != "choice":
        return
    marked = reading.value.split("+")
    right = score.answer.split("|") if "+" not in score.answer else score.answer.split("|")[0].split("+")
    for label, box in zip(field.options, field.boxes, strict=False):
        if score.outcome == "unresolved":
            if label in marked:
                pen.ring(box, AMBER)
        elif label in marked:
            good = score.outcome == "correct" or (field.multiple and label in right)
            pen.ring(box, GREEN if good else RED)
        elif label in right and answers and score.outcome != "correct":
            pen.ring(box, GREEN, line=0.35)


def _hull(boxes: Sequence[Rect]) -> Rect:
    x, y = min(box.x for box in boxes), min(box.y for box in boxes)
    right, bottom = max(box.right for box in boxes), max(box.bottom for box in boxes)
    return Rect(x=x, y=y, width=right - x, height=bottom - y)


def _box(rect: Rect) -> tuple[int, int, int, int]:
    """mm -> px at PREVIEW_PX_PER_MM."""
    left, top, right, bottom = (
        round(value * PREVIEW_PX_PER_MM) for value in (rect.x, rect.y, rect.right, rect.bottom)
    )
    return left, top, right, bottom
