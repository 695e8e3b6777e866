"""A class that does not exist: its answer key, its pupils, what each answers and how each writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from omrgrade.records import Field, Pupil, Template
from omrgrade.simulate.handwriting import Hand, Pen
from omrgrade.simulate.marking import Style

Answers = Mapping[str, tuple[str, ...]]
"""item -> its answer: one number, or the options that make it up"""

_FIRST = (
    "Ada Ben Cleo Dara Emil Fay Gus Hana Ivo Jana Kai Lena Milo Nora Otis Pia Rosa Sami Tess Uma Vito Zeno"
)
_LAST = "Abel Berg Cole Diaz Eker Frey Gold Holm Ito Jung Kern Lund Moss Nagy Owen Park Reed Sato Toth Voss"


@dataclass(frozen=True, kw_only=True, slots=True)
class Habits:
    """How one pupil fills the sheet."""

    hand: Hand
    ability: float  # probability of a right answer
    style: Style  # of bubbles
    align_right: bool  # numbers shorter than their boxes end in the last one
    eraser: bool  # a pencil's: now and then a rubbed-out mark shows


def make_key(template: Template, rng: np.random.Generator) -> dict[str, tuple[str, ...]]:
    """A right answer for every item that is not the twin of another."""
    return {item.id: _answer(item, rng) for item in template.items if not item.same_as}


def make_roster(template: Template, count: int, rng: np.random.Generator) -> list[Pupil]:
    """Pupils with different student numbers that fit the sheet's identifier."""
    identifier = _identifier(template)
    length, signs = (_length(identifier), identifier.options) if identifier else (6, ())
    signs = signs or tuple("0123456789")
    low, high = len(signs) ** (length - 1), len(signs) ** length
    # Half the numbers in steps: enough for any class, and never two pupils with one number.
    step = max((high - low) // (2 * count), 1)
    numbers = (low + (np.arange(count) * 2 * step) % (high - low)) + rng.integers(0, step, count)
    names = [f"{rng.choice(_FIRST.split())} {rng.choice(_LAST.split())}" for _ in range(count)]
    return [
        Pupil(student_id=_written(int(n), signs), name=name)
        for n, name in zip(rng.permutation(numbers), names, strict=True)
    ]


def _identifier(template: Template) -> Field | None:
    """The field that says whose sheet it is: the first that holds a number."""
    numbers = (f for f in template.identifiers if f.kind not in ("choice", "barcode") and not f.same_as)
    return next(numbers, None)


def _written(number: int, signs: tuple[str, ...]) -> str:
    """A number in as many signs as there are, "0123456789" giving the usual one."""
    text = ""
    while number:
        number, place = divmod(number, len(signs))
        text = signs[place] + text
    return text


def fill_in(
    template: Template, student_id: str, key: Answers, habits: Habits, rng: np.random.Generator
) -> dict[str, str]:
    """What one pupil writes: field -> value, "" for nothing, several marks joined by "+"."""
    values: dict[str, str] = {}
    for made in template.fields:
        if made.kind == "barcode":  # printed, where nothing else says whose the sheet is
            alone = made.role == "identifier" and _identifier(template) is None
            values[made.id] = student_id if alone else ""
        elif made.same_as:
            values[made.id] = values.get(made.same_as, "")
        elif made.role == "identifier":
            values[made.id] = student_id if made is _identifier(template) else "+".join(_answer(made, rng))
        elif rng.random() < 0.03:
            values[made.id] = ""
        elif rng.random() < habits.ability and made.id in key:
            values[made.id] = "+".join(key[made.id])
        else:
            values[made.id] = _wrong(made, key.get(made.id, ()), rng)
    return values


def make_habits(rng: np.random.Generator, *, faintest: float = 0.35) -> Habits:
    """One pupil; `faintest` is the least darkness of a pencil (0 invisible .. 1 black)."""
    tool = rng.choice(["ballpoint", "gel", "pencil", "felt"], p=[0.45, 0.2, 0.25, 0.1])
    pressure = float(rng.uniform(0.3, 1.0))
    if tool == "pencil":
        pen = Pen(
            width=rng.uniform(0.4, 0.75), darkness=rng.uniform(faintest, max(0.75, faintest)),
            colour=(0.1, 0.1, 0.1), grain=rng.uniform(0.2, 0.5), pressure=pressure,
        )  # fmt: skip
    elif tool == "felt":
        pen = Pen(width=rng.uniform(0.8, 1.2), darkness=rng.uniform(0.85, 1.0), pressure=pressure / 2)
    else:
        blue = rng.random() < 0.6
        pen = Pen(
            width=rng.uniform(0.32, 0.65), darkness=rng.uniform(0.7, 1.0), pressure=pressure,
            colour=(0.55, 0.2, 0.1) if blue else (0.05, 0.05, 0.05),
        )  # fmt: skip
    styles: list[Style] = ["full", "scribble", "sloppy"]
    return Habits(
        hand=Hand(
            pen=pen, size=rng.uniform(0.5, 0.85), slant=rng.normal(0.08, 0.12), unsteady=rng.uniform(0.3, 1.0)
        ),
        ability=float(rng.beta(6, 2.2)),
        style=styles[rng.choice(3, p=[0.65, 0.25, 0.1])],
        align_right=bool(rng.random() < 0.5),
        eraser=bool(tool == "pencil"),
    )


def _length(made: Field) -> int:
    return len(made.bubble_columns) or len(made.boxes)


def _answer(made: Field, rng: np.random.Generator) -> tuple[str, ...]:
    if made.kind == "choice":
        count = int(rng.integers(1, len(made.options))) if made.multiple else 1
        chosen = sorted(rng.choice(len(made.options), count, replace=False))
        return tuple(made.options[n] for n in chosen)
    if made.kind == "grid":
        return ("".join(str(rng.choice(labels)) for labels in made.bubble_columns),)
    if made.kind == "picture":
        return ("",)
    if made.kind == "fraction":
        above, below = made.over, len(made.boxes) - made.over
        return (f"{rng.integers(1, 10**above)}/{rng.integers(2 if below else 1, 10**below)}",)
    if made.parts or made.decimals:
        count = made.parts.count("digit") or len(made.boxes)
        number = int(rng.integers(1, 10**count)) * int(rng.choice((-1, 1) if "sign" in made.parts else (1,)))
        return (f"{number / 10**made.decimals:.{made.decimals}f}",)
    length = int(rng.integers(1, (made.digits if made.kind == "number" else len(made.boxes)) + 1))
    return (str(rng.integers(10 ** (length - 1) if length > 1 else 0, 10**length)),)


def _wrong(made: Field, right: tuple[str, ...], rng: np.random.Generator) -> str:
    """Another answer; for a number often one slip away from the right one."""
    plain = made.kind in ("digits", "number") and not made.parts and not made.decimals
    if plain and right and rng.random() < 0.5:
        digits = list(right[0])
        place = int(rng.integers(len(digits)))
        digits[place] = str((int(digits[place]) + int(rng.integers(1, 10))) % 10)
        return "".join(digits)
    while (answer := _answer(made, rng)) == right:
        pass
    return "+".join(answer)
