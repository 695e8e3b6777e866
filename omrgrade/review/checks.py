"""What a person can mean: decisions that fit the field they are about."""

from __future__ import annotations

import re

from omrgrade.errors import OutputError
from omrgrade.records import Field

BOXED = ("digits", "fraction")
"""Kinds of field with a character a box, of which single boxes can be decided."""


def check_decision(f: Field, box: int, action: str, value: str) -> None:
    """Raise `OutputError` unless this can be written in that field, or that box of it."""
    if action not in ("set", "blank", "illegible", "doubt"):
        raise OutputError("there is no such decision", received=action)
    if box and (f.kind not in BOXED or not 0 < box <= len(f.boxes) or action == "illegible"):
        raise OutputError("that cannot be decided about a single box", received=box)
    if (action == "set") != bool(value):
        raise OutputError("a value is needed, and only where one is set", received=value)
    if action == "set" and not _fits(f, box, value):
        raise OutputError("that cannot be written there", where=f.id, received=value)


def _fits(f: Field, box: int, value: str) -> bool:
    if len(value) > 60 or not value.isprintable():
        return False
    if box:
        return bool(re.fullmatch(r"[0-9+.-]", value))
    if f.kind == "choice":  # two marks where one was asked for are no doubt, once somebody has seen them
        marks = value.split("+")
        return marks == [option for option in f.options if option in marks]
    if f.kind in BOXED and f.role != "identifier":
        number = re.fullmatch(r"-?[0-9]*([./][0-9]+)?", value)
        return bool(number) and sum(c.isdecimal() for c in value) <= len(f.boxes)
    return True
