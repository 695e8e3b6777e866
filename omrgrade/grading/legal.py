"""Legal values: what cannot be right is put under review, and the likeliest value that can is offered.

What was written is never changed: a value that its field cannot have may be the pupil's error as well as the
reader's, and only a person can tell.
"""

from __future__ import annotations

import dataclasses
import heapq
from collections.abc import Callable, Iterator, Sequence
from math import log

from omrgrade.records import BoxReading, FieldReading, Legal, PageReading, Template

_TRIED = 3000  # readings of a number's boxes, likeliest first; beyond these nothing is worth an offer
_SEEN = 4  # digits considered in each box
_LEAST = 1e-4  # probability below which a digit is not offered


def check_legal(page: PageReading, template: Template) -> PageReading:
    """The page with every value that its field cannot have under review; twice changes nothing more."""
    rules = {field.id: field.legal for field in template.fields if field.legal}
    if not rules or page.problem:
        return page
    fields = tuple(
        _checked(reading, rules[reading.field]) if reading.field in rules else reading
        for reading in page.fields
    )
    return dataclasses.replace(page, fields=fields)


def _checked(reading: FieldReading, legal: Legal) -> FieldReading:
    if reading.status == "blank" or reading.settled:  # what a person has decided stands
        return reading
    why = illegal(reading.value, legal) if reading.value else ""
    if not why and reading.status == "read":
        return reading
    if reading.status == "read":
        offer = likeliest(reading, legal)
        return dataclasses.replace(reading, status="review", reason=why, runner_up=offer)
    if not reading.runner_up or illegal(reading.runner_up, legal):
        return dataclasses.replace(reading, runner_up=likeliest(reading, legal))
    return reading


def illegal(value: str, legal: Legal) -> str:
    """Why a field cannot have this value; "" if it can."""
    digits = value.removeprefix("-").replace(".", "", 1)
    if not digits.isascii() or not digits.isdecimal():
        return f"{value} is not a number"
    if legal.lengths and len(digits) not in legal.lengths:
        wanted = " or ".join(str(length) for length in legal.lengths)
        return f"{value} has {len(digits)} digits, not {wanted}"
    number = float(value)
    if (legal.low is not None and number < legal.low) or (legal.high is not None and number > legal.high):
        return f"{value} is not between {legal.low:g} and {legal.high:g}"
    if legal.check and not CHECKS[legal.check](digits):
        return f"the check digit of {value} does not fit"
    return ""


# ---------------------------------------------------------------- check digits


def luhn(number: str) -> bool:
    """Luhn's rule, as on bank cards: every second digit from the right doubled (ISO/IEC 7812-1, annex B)."""
    doubled = (int(d) * (1 + place % 2) for place, d in enumerate(reversed(number)))
    return sum(n - 9 if n > 9 else n for n in doubled) % 10 == 0


def ean(number: str) -> bool:
    """The rule of EAN, GTIN and ISBN-13: weights 1 and 3 in turn from the right (GS1)."""
    return sum(int(d) * (3 if place % 2 else 1) for place, d in enumerate(reversed(number))) % 10 == 0


def mod11(number: str) -> bool:
    """Weights 1, 2, 3 ... from the right, as in ISBN-10 (ISO 2108:1992), but only with digits."""
    return sum(int(d) * weight for weight, d in enumerate(reversed(number), 1)) % 11 == 0


CHECKS: dict[str, Callable[[str], bool]] = {"luhn": luhn, "ean": ean, "mod11": mod11}


# ---------------------------------------------------------------- what else it may mean


def likeliest(reading: FieldReading, legal: Legal) -> str:
    """The likeliest legal value that the boxes can be read as, other than the reading's; "" without one."""
    written = [box for box in reading.boxes if box.status != "blank"]
    offers: Iterator[str] | list[str] = [reading.runner_up]
    if written and all(box.probabilities for box in written):
        offers = _by_probability(written)
    return next((v for v in offers if v and v != reading.value and not illegal(v, legal)), "")


def _by_probability(boxes: Sequence[BoxReading]) -> Iterator[str]:
    """Values of the boxes, likeliest first: best-first search over the choices of each box."""
    choices = []
    for box in boxes:
        ranked = sorted(enumerate(box.probabilities), key=lambda choice: -choice[1])[:_SEEN]
        choices.append([(digit, -log(p)) for digit, p in ranked if p >= _LEAST])
    if not all(choices):
        return
    first = (0,) * len(choices)
    heap = [(sum(choice[0][1] for choice in choices), first)]
    seen = {first}
    for _ in range(_TRIED):
        if not heap:
            return
        cost, places = heapq.heappop(heap)
        yield "".join(str(choice[place][0]) for choice, place in zip(choices, places, strict=True))
        for n, place in enumerate(places):
            following = (*places[:n], place + 1, *places[n + 1 :])
            if place + 1 < len(choices[n]) and following not in seen:
                seen.add(following)
                step = choices[n][place + 1][1] - choices[n][place][1]
                heapq.heappush(heap, (cost + step, following))
