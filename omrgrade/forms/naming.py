"""Blocks of outlines -> fields: which belong to one answer, what they are called, what their labels are.

Where the form is a PDF its own words say so. Of a picture only the arrangement is known: then questions are
numbered down each column, and labels are those that forms usually have.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import cv2
import numpy as np

from omrgrade.forms.blank import PX_PER_MM, Blank, join_words
from omrgrade.forms.lattice import Block
from omrgrade.records import Rect, Role
from omrgrade.template.layout import SMALLEST_DIGIT

ROW_WORDS = 22.0  # mm to the left of a row within which its number stands
HEADING = 24.0  # mm above a block within which its heading stands
PRINTED = 0.05  # share of ink: boxes with more in them are examples
CELLS = 2.0  # mm: boxes nearer to one another are cells of a table, not boxes to read
JOINED = 0.6  # mm: the same for small boxes that are marked like bubbles
LETTERLIKE = 0.88  # width over height: narrower ellipses are rather letters,
MANY = 20  # unless there are so many

_NUMBER = re.compile(r"[QqFfNn]?[o.]?\s?\(?(\d{1,3})[.):*]*")
_WHOSE = re.compile(
    r"student|pupil|roll|candidate|matric|learner|examinee|\bid\b|sch[uü]ler|number|\bno\b", re.I
)
_WHAT = re.compile(r"course|subject|test|form|class|phone|date|name|code|series|version|booklet|exam", re.I)

Way = Literal["rows", "columns"]


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundField:
    """One entry of the template to be: a field, or fields that repeat."""

    ids: tuple[str, ...]
    kind: Literal["choice", "grid", "digits"]
    role: Role
    block: Block
    options: tuple[str, ...] = ()
    down: bool = False  # "choice": each column of bubbles is a question
    same_as: str = ""
    guessed: bool = False  # labels, or which way questions run, are not printed on the form


@dataclass(slots=True)
class Layout:
    """What a form's blocks turned out to be."""

    fields: list[FoundField] = field(default_factory=list)
    left_out: list[tuple[Block, str]] = field(default_factory=list)  # and why


def name_fields(blank: Blank, blocks: Sequence[Block]) -> Layout:
    """Turn blocks into fields, in the order in which the form is read."""
    layout = Layout()
    kept = []
    for block in blocks:
        if reason := _unfit(block):
            layout.left_out.append((block, reason))
        else:
            kept.append(block)
    namer = _Namer(blank, kept)
    for block in _reading_order(kept):
        layout.fields.append(namer.name(block))
    layout.fields = _with_twins(_with_identifier(layout.fields))
    return layout


def _unfit(block: Block) -> str:
    """Why a block is not to be read; "" if it is."""
    boxes = _is_boxes(block)
    if block.filled:
        return "an example: one of these is filled"
    if boxes and block.ink > PRINTED:
        return "an example: something is printed in these boxes"
    gaps = [gap for gap, n in zip(block.gap, (block.columns, block.rows), strict=True) if n > 1]
    if not block.round and min(gaps) < (CELLS if boxes else JOINED):
        return "cells without paper between them: what is written there is not read"
    if boxes and block.columns > 20:
        return "more boxes in a row than one number has"
    if boxes and min(block.width, block.height) < SMALLEST_DIGIT:
        return "boxes too small for digits, too large for marks"
    if block.round and block.width < LETTERLIKE * block.height and block.rows * block.columns < MANY:
        return "rather letters than bubbles"
    if not boxes and block.rows * block.columns < 3 and block.ink > PRINTED:
        return "rather letters than bubbles"
    if not boxes and max(block.rows, block.columns) > 200:
        return "more bubbles than a field has"
    return ""


def _is_boxes(block: Block) -> bool:
    """Whether a digit is to be written in each."""
    return not block.round and max(block.width, block.height) > SMALLEST_DIGIT + 0.4


# ---------------------------------------------------------------- reading order


def _reading_order(blocks: Sequence[Block]) -> list[Block]:
    """Down each column of blocks, columns left to right, bands of columns from the top."""
    columns = _columns(blocks)
    bands: list[list[list[Block]]] = []
    for column in sorted(columns, key=lambda c: c[0].area.y):
        home = next((band for band in bands if _beside(band, column)), None)
        if home is None:
            bands.append([column])
        else:
            home.append(column)
    return [block for band in bands for column in sorted(band, key=_left_to_right) for block in column]


def _left_to_right(column: Sequence[Block]) -> tuple[int, float]:
    """Columns that begin about equally far left are in the order of the page."""
    return round(column[0].area.x / 5), column[0].area.y


def _columns(blocks: Sequence[Block]) -> list[list[Block]]:
    """Blocks of one make below one another, not far apart: the parts of one column."""
    columns: list[list[Block]] = []
    for block in sorted(blocks, key=lambda b: b.area.y):
        home = next((column for column in columns if _below(column[-1], block)), None)
        if home is None:
            columns.append([block])
        else:
            home.append(block)
    return columns


def _below(upper: Block, lower: Block) -> bool:
    alike = upper.round == lower.round and upper.columns == lower.columns
    near = 0 < lower.area.y - upper.area.bottom < 2.5 * max(upper.step_y, lower.step_y, upper.height)
    return alike and near and abs(upper.x - lower.x) < 0.5 * upper.width


def _beside(band: Sequence[Sequence[Block]], column: Sequence[Block]) -> bool:
    top, bottom = column[0].area.y, column[-1].area.bottom
    for other in band:
        first, last = other[0].area.y, other[-1].area.bottom
        overlap = min(bottom, last) - max(top, first)
        if overlap > 0.5 * min(bottom - top, last - first):
            return True
    return False


# ---------------------------------------------------------------- one block


class _Namer:
    """Gives fields their names, each once."""

    def __init__(self, blank: Blank, blocks: Sequence[Block]) -> None:
        self._blank = blank
        self._words = blank.words
        self._areas = [block.area for block in blocks]
        self._long = any(block.rows >= 5 for block in blocks)  # there are whole blocks of questions
        self._taken: set[str] = set()
        self._next = 1  # number of the next question that has none printed

    def name(self, block: Block) -> FoundField:
        if _is_boxes(block):
            return self._rows(block, "digits", (), guessed=False)
        inside = [[self._inside(block.rect(r, c)) for c in range(block.columns)] for r in range(block.rows)]
        above = [self._beyond(block.rect(0, c), "above") for c in range(block.columns)]
        left = [self._beyond(block.rect(r, 0), "left") for r in range(block.rows)]
        way = self._way(block, inside, above, left)
        if way == "rows":
            labels = inside[0] if all(inside[0]) else above
            options, guessed = _labels(labels, block.columns)
            return self._rows(block, "choice", options, guessed=guessed)
        column = [row[0] for row in inside]
        options, guessed = _labels(column if all(column) else left, block.rows)
        if block.columns > 1 and any(len(option) > 1 for option in options):
            options, guessed = _usual(block.rows), True
        return self._columns(block, options, guessed=guessed)

    def _way(self, block: Block, inside: list[list[str]], above: list[str], left: list[str]) -> Way:
        """Whether each row is an answer of its own, or each column."""
        if block.rows == 1:
            return "rows"
        if block.rows > 26:
            return "rows"
        if block.columns == 1 or block.columns > 26:
            return "columns"
        if all(all(row) for row in inside):
            if len(set(inside[0])) == block.columns and all(row == inside[0] for row in inside):
                return "rows"
            if all(len(set(row)) == 1 for row in inside):
                return "columns"
        if len(set(left)) == block.rows and all(left) and (left[0] == "0" or left[0].isalpha()):
            return "columns"
        if len(set(above)) == block.columns and all(above):
            return "rows"
        if block.ink > 0.02 and (seen := _seen_way(self._blank, block)):
            return seen
        return "columns" if block.rows in (10, 26) and block.columns not in (2, 4, 5) else "rows"

    def _rows(
        self, block: Block, kind: Literal["choice", "digits"], options: tuple[str, ...], *, guessed: bool
    ) -> FoundField:
        """Each row is a field."""
        numbers = [self._number(block.rect(row, 0)) for row in range(block.rows)]
        if None not in numbers and len(set(numbers)) == len(numbers):
            ids = [f"q{number}" for number in numbers]
        elif (heading := self._heading(block)) and block.rows == 1:
            return self._info(block, kind, options, heading)
        elif block.rows == 1 and (self._words or self._long):
            return self._info(block, kind, options, "mark")
        else:
            ids = [f"q{self._next + n}" for n in range(block.rows)]
            guessed = True
        ids = list(self._unique(ids))
        self._count(ids)
        return FoundField(
            ids=tuple(ids), kind=kind, role="item", block=block, options=options, guessed=guessed
        )

    def _info(
        self, block: Block, kind: Literal["choice", "digits"], options: tuple[str, ...], heading: str
    ) -> FoundField:
        """A row that is no question, as its heading or its standing alone among questions says."""
        ids = self._unique([_slug(heading)])
        return FoundField(ids=ids, kind=kind, role=_role(heading), block=block, options=options)

    def _columns(self, block: Block, options: tuple[str, ...], *, guessed: bool) -> FoundField:
        """All columns together are a number or a name; or each is a question, or there is only one."""
        heading = self._heading(block)
        role: Role
        if block.columns == 1 or block.columns > 20:
            numbers = [self._number(block.rect(0, column), above=True) for column in range(block.columns)]
            if None not in numbers and len(set(numbers)) == len(numbers):
                ids, role = [f"q{number}" for number in numbers], "item"
            elif heading and block.columns == 1:
                ids, role = [_slug(heading)], _role(heading)
            else:
                ids, role = [f"q{self._next + n}" for n in range(block.columns)], "item"
            names = self._unique(ids)
            if role == "item":
                self._count(names)
            return FoundField(
                ids=names, kind="choice", role=role, block=block, options=options, down=True, guessed=guessed
            )
        name = _slug(heading or ("number" if options[0].isdecimal() else "name"))
        role = _role(heading) if heading else "info"
        return FoundField(
            ids=self._unique([name]), kind="grid", role=role, block=block, options=options, guessed=guessed
        )

    def _count(self, ids: Sequence[str]) -> None:
        numbers = [int(match[1]) for name in ids if (match := re.fullmatch(r"q(\d+)", name))]
        self._next = max([self._next, *(number + 1 for number in numbers)])

    def _unique(self, ids: Sequence[str]) -> tuple[str, ...]:
        names = []
        for name in ids:
            wanted, n = name, 2
            while wanted in self._taken:
                wanted, n = f"{name}_{n}", n + 1
            self._taken.add(wanted)
            names.append(wanted)
        return tuple(names)

    # words

    def _inside(self, rect: Rect) -> str:
        found = [word.text for word in self._words if _within(word.area.centre, rect)]
        return found[0] if len(found) == 1 else ""

    def _beyond(self, rect: Rect, side: Literal["above", "left"]) -> str:
        """The short word right above or left of an outline."""
        if side == "above":
            room = Rect(x=rect.x, y=rect.y - 4.5, width=rect.width, height=4.4)
        else:
            room = Rect(x=rect.x - 5.5, y=rect.y, width=5.4, height=rect.height)
        found = [word for word in self._words if _within(word.area.centre, room)]
        nearest = max(found, key=lambda w: w.area.bottom if side == "above" else w.area.right, default=None)
        text = nearest.text.strip(".()") if nearest else ""
        return text if len(text) <= 3 and text.isalnum() else ""

    def _number(self, rect: Rect, *, above: bool = False) -> int | None:
        """The number printed left of (or above) the first outline of a row (or column)."""
        if above:
            room = Rect(x=rect.x - 1, y=rect.y - 9, width=rect.width + 2, height=9)
        else:
            room = Rect(x=rect.x - ROW_WORDS, y=rect.y - 0.5, width=ROW_WORDS, height=rect.height + 1)
        found = [word for word in self._words if _within(word.area.centre, room)]
        clear = [word for word in found if not any(_within(word.area.centre, area) for area in self._areas)]
        nearest = max(clear, key=lambda word: word.area.bottom if above else word.area.right, default=None)
        match = _NUMBER.fullmatch(nearest.text) if nearest else None
        return int(match[1]) if match else None

    def _heading(self, block: Block) -> str:
        """The line of words nearest above a block."""
        area = block.area
        room = Rect(
            x=area.x - 8, y=max(area.y - HEADING, 0), width=area.width + 16, height=min(HEADING, area.y)
        )
        found = [
            word
            for word in self._words
            if _within(word.area.centre, room)
            and word.area.right > area.x - 3
            and word.area.x < area.right + 3
            and not any(_within(word.area.centre, other) for other in self._areas)
        ]
        wordy = [word for word in found if len(re.sub(r"[^A-Za-z]", "", word.text)) >= 2]
        if not wordy:
            return ""
        lowest = max(word.area.bottom for word in wordy)
        line = join_words([word for word in found if abs(word.area.bottom - lowest) < 0.6 * word.area.height])
        return line.text if line and len(line.text) <= 40 else ""


def _within(point: tuple[float, float], rect: Rect) -> bool:
    return rect.x <= point[0] <= rect.right and rect.y <= point[1] <= rect.bottom


def _labels(texts: Sequence[str], count: int) -> tuple[tuple[str, ...], bool]:
    """Labels as printed, else the usual ones; and whether they are guessed."""
    good = all(text.isalnum() and len(text) <= 3 for text in texts) and len(set(texts)) == count == len(texts)
    return (tuple(texts), False) if good and 2 <= count <= 26 else (_usual(count), True)


def _usual(count: int) -> tuple[str, ...]:
    if count == 10:
        return tuple("0123456789")
    return tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ"[:count])


def _slug(text: str) -> str:
    words = re.findall(r"[A-Za-z0-9]+", text)
    slug = "_".join(words).lower()[:30].strip("_")
    return slug if slug and slug[0].isalpha() else f"field_{slug}".rstrip("_")


def _role(heading: str) -> Role:
    return "identifier" if _WHOSE.search(heading) and not _WHAT.search(heading) else "info"


def _seen_way(blank: Blank, block: Block) -> Way | None:
    """From the looks of what is printed in bubbles: the same down a column means an answer a row."""
    rows, columns = min(block.rows, 8), min(block.columns, 8)
    patches = np.array([[_patch(blank, block.rect(r, c)) for c in range(columns)] for r in range(rows)])
    patches = patches - patches.mean(axis=2, keepdims=True)
    patches = patches / np.maximum(np.linalg.norm(patches, axis=2, keepdims=True), 1e-6)
    down = float(np.mean(np.sum(patches[:-1] * patches[1:], axis=2)))
    across = float(np.mean(np.sum(patches[:, :-1] * patches[:, 1:], axis=2)))
    if abs(down - across) < 0.08:
        return None
    return "rows" if down > across else "columns"


def _patch(blank: Blank, rect: Rect) -> np.ndarray:
    """What is printed in the middle of an outline, as 16 x 16 grey, flat."""
    x, y = rect.centre
    left, top = round((x - 0.33 * rect.width) * PX_PER_MM), round((y - 0.33 * rect.height) * PX_PER_MM)
    width, height = round(0.66 * rect.width * PX_PER_MM), round(0.66 * rect.height * PX_PER_MM)
    part = blank.pixels[top : top + height, left : left + width]
    small = cv2.resize(cv2.GaussianBlur(part, (0, 0), 1.5), (16, 16), interpolation=cv2.INTER_AREA)
    return small.ravel().astype(np.float64)


# ---------------------------------------------------------------- fields that belong together


def _with_identifier(fields: Sequence[FoundField]) -> list[FoundField]:
    """Where no heading says whose sheet it is, the first grid of digits does."""
    if any(found.role == "identifier" for found in fields):
        return list(fields)
    for n, found in enumerate(fields):
        if found.kind == "grid" and all(option.isdecimal() for option in found.options):
            guess = replace(found, role="identifier", guessed=True)
            return [*fields[:n], guess, *fields[n + 1 :]]
    return list(fields)


def _with_twins(fields: Sequence[FoundField]) -> list[FoundField]:
    """A grid of digits right below as many boxes carries the same number."""
    result = []
    for found in fields:
        twin = next((other for other in fields if _same_number(other, found)), None)
        if twin is None:
            result.append(found)
        else:
            name = f"{twin.ids[0]}_bubbles"
            result.append(replace(found, ids=(name,), role=twin.role, same_as=twin.ids[0]))
    return result


def _same_number(boxes: FoundField, grid: FoundField) -> bool:
    one, two = boxes.block, grid.block
    return (
        boxes.kind == "digits"
        and grid.kind == "grid"
        and len(boxes.ids) == 1
        and one.columns == two.columns
        and abs(one.x - two.x) < one.width / 2
        and 0 < two.area.y - one.area.bottom < 15
        and all(option.isdecimal() for option in grid.options)
    )
