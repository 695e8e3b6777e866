"""Which of a form's blocks of outlines are read, in which order, and which of them belong together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from omrgrade.forms.blank import Blank
from omrgrade.forms.found import FoundField, Layout, is_boxes, is_numbers, is_tick_box
from omrgrade.forms.lattice import Block
from omrgrade.forms.namer import Namer
from omrgrade.forms.order import reading_order
from omrgrade.template.layout import SMALLEST_DIGIT

PRINTED = 0.05  # share of ink: boxes with more in them are examples
CELLS = 2.0  # mm: boxes nearer to one another are cells of a table, not boxes to read
JOINED = 0.6  # mm: the same for small boxes that are marked like bubbles
LOW = 5.0  # mm: in less nobody writes a legible number
LONG = 5.0  # times its height: a box so much wider is for words
LONE = 0.01  # share of ink in a box that stands alone: others are frames of something
LETTERLIKE = 0.88  # width over height: narrower ellipses are rather letters,
MANY = 20  # unless there are so many


def name_fields(blank: Blank, blocks: Sequence[Block]) -> Layout:
    """Turn blocks into fields, in the order in which the form is read."""
    layout = Layout()
    kept = []
    for block in (part for whole in blocks for part in _parts(whole)):
        if reason := _unfit(block):
            layout.left_out.append((block, reason))
        else:
            kept.append(block)
    namer = Namer(blank, kept)
    for block in reading_order(kept):
        layout.fields.append(namer.name(block))
    layout.fields = _with_twins(_with_identifier(layout.fields))
    return layout


def _parts(block: Block) -> list[Block]:
    """The block, in columns where each box is a field; nothing of what is rather print than a lone box."""
    fit = is_boxes(block) or is_tick_box(block)
    if block.rows * block.columns == 1 and (block.ink > LONE or not fit):
        return []
    return block.by_columns if is_numbers(block) else [block]


def _unfit(block: Block) -> str:
    """Why a block is not to be read; "" if it is."""
    boxes = is_boxes(block)
    if is_numbers(block):
        return _unfit_for_numbers(block)
    if block.filled:
        return "an example: one of these is filled"
    if boxes and block.ink > PRINTED:
        return "an example: something is printed in these boxes"
    gaps = [gap for gap, n in zip(block.gap, (block.columns, block.rows), strict=True) if n > 1]
    if not block.round and min(gaps, default=CELLS) < (CELLS if boxes else JOINED):
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


def _unfit_for_numbers(block: Block) -> str:
    if block.filled:
        return "an example: one of these is filled"
    if block.height < LOW:
        return "boxes too low for numbers"
    if block.width > LONG * block.height:
        return "room for words: what is written there is not read (kind: picture keeps it)"
    return ""


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
