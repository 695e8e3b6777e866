"""Ink outside of bubbles: marks that were struck out again, and marks beside the bubble they are for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from omrgrade.choices.measuring import Marks
from omrgrade.choices.zones import SECTORS, Bools

INKED = 0.45  # of the pupil's usual darkness: a direction with ink so dark is crossed by a stroke
FULL = 0.45  # share of the inside: only what is filled is struck out; less is a tick or a cross itself
OPPOSITE = SECTORS // 3  # directions between the ends of one of several strokes through a bubble, at least,
STRAIGHT = SECTORS * 5 // 12  # and of a single one
STROKE = SECTORS // 5  # directions that a stroke covers where it comes out, at most
STROKES = 0.6  # share of all directions: more ink outside than this is a bubble filled too generously
STYLE = 0.25  # share of a page's marks: with more of them struck out, that is this pupil's way of marking
BESIDE = 3  # directions with ink that make a mark beside a bubble,
RARE = 0.3  # if no more than this share of the bubbles has it: more is print


def struck_out(questions: Sequence[Marks], plain: Sequence[Bools], usual: float) -> list[Bools]:
    """Which plain marks have strokes that come out of the bubble on two sides, as one crossing it out.

    plain: which bubbles are marked. usual: darkness of the pupil's marks.
    """
    found = [
        np.array([bool(mark) and area >= FULL and _crossed(around > INKED * usual)
                  for mark, area, around in zip(marked, marks.area, marks.around, strict=True)], bool)
        for marks, marked in zip(questions, plain, strict=True)
    ]  # fmt: skip
    count, every = sum(int(f.sum()) for f in found), sum(int(m.sum()) for m in plain)
    if count > max(STYLE * every, 2):
        return [np.zeros_like(f) for f in found]
    return found


def _crossed(inked: Bools) -> bool:
    """Whether ink leaves in two directions that lie apart, with paper between them on both sides."""
    if not 2 <= inked.sum() <= STROKES * SECTORS:
        return False
    ends = _runs(inked)
    apart = OPPOSITE if len(ends) > 2 else STRAIGHT
    return any(
        apart <= (b - a) % SECTORS <= SECTORS - apart for n, a in enumerate(ends) for b in ends[n + 1 :]
    )


def _runs(inked: Bools) -> list[float]:
    """The middles of the stretches of inked directions, round the circle, that are as narrow as a stroke."""
    start = int(np.argmin(inked))  # a direction without ink
    turned = np.roll(inked, -start)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], turned.astype(int), [0]])))
    stretches = [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a <= STROKE]
    return [(start + (a + b - 1) / 2) % SECTORS for a, b in stretches]


def beside(questions: Sequence[Marks], usual: float) -> list[Bools]:
    """Which bubbles have a mark outside of them: rare ink, as dark as the pupil's, in several directions."""
    found = [(marks.around > INKED * usual).sum(axis=1) >= BESIDE for marks in questions]
    every = sum(len(f) for f in found)
    if sum(int(f.sum()) for f in found) > max(RARE * every, 1):
        return [np.zeros_like(f) for f in found]
    return found
