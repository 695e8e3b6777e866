"""Blocks of outlines -> fields: which belong to one answer, what they are called, what their labels are.

Where the form is a PDF its own words say so. Of a picture only the arrangement is known: then questions are
numbered down each column, and labels are those that forms usually have.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

import cv2
import numpy as np

from omrgrade.forms.blank import PX_PER_MM, Blank
from omrgrade.forms.found import FoundField, Kind, is_boxes, is_numbers, is_tick_box
from omrgrade.forms.lattice import Block
from omrgrade.forms.wording import Words, labels_of, role_of, slug, usual
from omrgrade.records import Rect, Role

Way = Literal["rows", "columns"]


class Namer:
    """Gives fields their names, each once."""

    def __init__(self, blank: Blank, blocks: Sequence[Block]) -> None:
        self._blank = blank
        self._words = Words(blank.words, [block.area for block in blocks])
        self._long = any(block.rows >= 5 for block in blocks)  # there are whole blocks of questions
        self._taken: set[str] = set()
        self._next = 1  # number of the next question that has none printed

    def name(self, block: Block) -> FoundField:
        """The field, or the fields, that a block is."""
        if is_numbers(block):
            return self._numbers(block)
        if is_tick_box(block):
            label = self._words.after(block.rect(0, 0)) or "tick"
            # Bubbles with one label are taken to be printed alike, most of them empty: these are not.
            return self._info(block, "choice", (slug(label).replace("_", "")[:3],), label)
        if is_boxes(block):
            return self._rows(block, "digits", (), guessed=False)
        inside = [
            [self._words.inside(block.rect(r, c)) for c in range(block.columns)] for r in range(block.rows)
        ]
        above = [self._words.beyond(block.rect(0, c), "above") for c in range(block.columns)]
        left = [self._words.beyond(block.rect(r, 0), "left") for r in range(block.rows)]
        way = self._way(block, inside, above, left)
        if way == "rows":
            labels = inside[0] if all(inside[0]) else above
            options, guessed = labels_of(labels, block.columns)
            return self._rows(block, "choice", options, guessed=guessed)
        column = [row[0] for row in inside]
        options, guessed = labels_of(column if all(column) else left, block.rows)
        if block.columns > 1 and any(len(option) > 1 for option in options):
            options, guessed = usual(block.rows), True
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

    def _rows(self, block: Block, kind: Kind, options: tuple[str, ...], *, guessed: bool) -> FoundField:
        """Each row is a field."""
        numbers = self._words.numbers([block.rect(row, 0) for row in range(block.rows)])
        if numbers:
            ids = [f"q{number}" for number in numbers]
        elif block.rows * block.columns == 1 and (label := self._words.before(block.rect(0, 0))):
            return self._info(block, kind, options, label)
        elif (heading := self._words.heading(block)) and block.rows == 1:
            return self._info(block, kind, options, heading)
        elif block.rows == 1 and (self._words.words or self._long):
            return self._info(block, kind, options, "mark")
        else:
            ids = [f"q{self._next + n}" for n in range(block.rows)]
            guessed = True
        ids = list(self._unique(ids))
        self._count(ids)
        return FoundField(
            ids=tuple(ids), kind=kind, role="item", block=block, options=options, guessed=guessed
        )

    def _numbers(self, block: Block) -> FoundField:
        """A column of boxes for whole numbers, named by its heading and the numbers of its rows."""
        numbers = self._words.numbers(block.rects)
        heading = self._words.column_heading(block)
        if block.rows == 1 and not numbers and (label := self._words.before(block.rect(0, 0)) or heading):
            return self._info(block, "number", (), label)
        if numbers or heading:
            stem = f"{slug(heading)}_" if heading else "q"
            ids = [f"{stem}{number}" for number in numbers or range(1, block.rows + 1)]
        else:
            ids = [f"q{self._next + n}" for n in range(block.rows)]
        names = self._unique(ids)
        self._count(names)
        return FoundField(
            ids=names, kind="number", role="item", block=block, guessed=not (numbers or heading)
        )

    def _info(self, block: Block, kind: Kind, options: tuple[str, ...], heading: str) -> FoundField:
        """A row that is no question, as its heading or its standing alone among questions says."""
        ids = self._unique([slug(heading)])
        return FoundField(ids=ids, kind=kind, role=role_of(heading), block=block, options=options)

    def _columns(self, block: Block, options: tuple[str, ...], *, guessed: bool) -> FoundField:
        """All columns together are a number or a name; or each is a question, or there is only one."""
        heading = self._words.heading(block)
        role: Role
        if block.columns == 1 or block.columns > 20:
            numbers = [
                self._words.number(block.rect(0, column), above=True) for column in range(block.columns)
            ]
            if None not in numbers and len(set(numbers)) == len(numbers):
                ids, role = [f"q{number}" for number in numbers], "item"
            elif heading and block.columns == 1:
                ids, role = [slug(heading)], role_of(heading)
            else:
                ids, role = [f"q{self._next + n}" for n in range(block.columns)], "item"
            names = self._unique(ids)
            if role == "item":
                self._count(names)
            return FoundField(
                ids=names, kind="choice", role=role, block=block, options=options, down=True, guessed=guessed
            )
        name = slug(heading or ("number" if options[0].isdecimal() else "name"))
        role = role_of(heading) if heading else "info"
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
