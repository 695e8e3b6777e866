"""What a field's value can be: ``legal: {range: [0, 100], digits: [1, 2], check: mod11}``."""

from __future__ import annotations

from omrgrade.records import Legal
from omrgrade.template.source import Mapping

CHECKS = ("luhn", "ean", "mod11")
"""Rules for a check digit; see `omrgrade.grading.legal`."""

_MOST = 20  # digits


def read_legal(entry: Mapping) -> Legal:
    """A mapping with `range` (smallest and largest value), `digits` (how many, or a list) and `check`."""
    entry.only(("range", "digits", "check"))
    low = high = None
    if "range" in entry:
        low, high = entry.pair("range", -1e9, 1e9)
        if low > high:
            raise entry.error("range", "must begin with the smaller value")
    lengths: tuple[int, ...] = ()
    if "digits" in entry and entry.is_list("digits"):
        found = entry.numbers("digits", 1, _MOST)
        if not all(length.is_integer() for length in found):
            raise entry.error("digits", "must be whole numbers")
        lengths = tuple(sorted({int(length) for length in found}))
    elif "digits" in entry:
        lengths = (entry.integer("digits", 1, _MOST),)
    check = entry.choice("check", CHECKS) if "check" in entry else ""
    return Legal(low=low, high=high, lengths=lengths, check=check)
