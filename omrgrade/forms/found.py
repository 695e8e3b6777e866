"""What a form's blocks of outlines turned out to be."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from omrgrade.forms.lattice import Block
from omrgrade.forms.shapes import is_wide
from omrgrade.records import Role
from omrgrade.template.layout import SMALLEST_DIGIT

TICK = 2.4  # mm: smaller squares are bullets,
TALL = 1.25  # times: longer ones are rather something else

Kind = Literal["choice", "grid", "digits", "number"]


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundField:
    """One entry of the template to be: a field, or fields that repeat."""

    ids: tuple[str, ...]
    kind: Kind
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


def is_boxes(block: Block) -> bool:
    """Whether a digit is to be written in each, or a number."""
    return not block.round and max(block.width, block.height) > SMALLEST_DIGIT + 0.4


def is_numbers(block: Block) -> bool:
    """Whether a whole number is to be written in each."""
    return not block.round and is_wide(block.width, block.height)


def is_tick_box(block: Block) -> bool:
    """Whether it is a box by itself, to be ticked or not."""
    sides = block.width, block.height
    alone = block.rows * block.columns == 1 and not block.round
    return alone and min(sides) >= TICK and max(sides) < TALL * min(sides) and not is_boxes(block)
