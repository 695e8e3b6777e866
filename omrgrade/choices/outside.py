"""Ink outside of bubbles: marks that were struck out again, and marks beside the bubble they are for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from omrgrade.choices.measuring import Marks
from omrgrade.choices.zones import RAYS, Bools

INKED = 0.45  # of the pupil's usual darkness: ink so dark outside of a bubble is the pupil's
FULL = 0.45  # share of the inside: only what is filled is struck out; less is a tick or a cross itself
OPPOSITE = RAYS // 3  # rays between the ends of one of several strokes through a bubble, at least,
STRAIGHT = RAYS * 5 // 12  # and of a single one
STROKE = RAYS // 8  # rays that a stroke covers where it comes out, at most: broader ink is a generous filling
GENEROUS = 0.07  # share of the rays along which a pupil's usual mark comes out: of who fills so, only several
# strokes are seen, where there is room for them, as two ends may be bulges
STYLE = 0.4  # share of a page's marks: with more of them struck out, that is this pupil's way of marking
BESIDE = 3  # directions with ink that make a mark beside a bubble,
RARE = 0.3  # if no more than this share of the bubbles has it: more is print


def struck_out(questions: Sequence[Marks], plain: Sequence[Bools], usual: float) -> list[Bools]:
    """Which plain marks have strokes that come out of the bubble on two sides, as one crossing it out.

    plain: which bubbles are marked. usual: darkness of the pupil's marks.
    """
    every, ink = sum(int(m.sum()) for m in plain), INKED * usual
    outside = [
        (marks.near[marked] > ink).mean(axis=1) for marks, marked in zip(questions, plain, strict=True)
    ]
    generous = bool(every) and float(np.median(np.concatenate(outside))) > GENEROUS
    found = []
    for marks, marked in zip(questions, plain, strict=True):
        far = marks.far > ink
        ends = zip(marks.near > ink, far & marks.room if generous else far, strict=True)
        filled = marked & (marks.area >= FULL)
        least = 3 if generous else 2
        crossed = [bool(own) and _crossed(*end, least=least) for own, end in zip(filled, ends, strict=True)]
        found.append(np.array(crossed, bool))
    count = sum(int(f.sum()) for f in found)
    if count > max(STYLE * every, 2):
        return [np.zeros_like(f) for f in found]
    return found


def _crossed(near: Bools, far: Bools, *, least: int) -> bool:
    """Whether strokes come out along two rays that lie apart, with paper between them on both sides.

    least: so many strokes' ends there have to be in all.
    """
    if near.all():
        return False
    ends = _ends(near, far)
    if len(ends) < least:
        return False
    apart = OPPOSITE if len(ends) > 2 else STRAIGHT
    return any(apart <= (b - a) % RAYS <= RAYS - apart for n, a in enumerate(ends) for b in ends[n + 1 :])


def _ends(near: Bools, far: Bools) -> list[float]:
    """Where strokes come out: stretches of rays as narrow as a stroke where they leave, and inked far out."""
    start = int(np.argmin(near))  # a ray without ink
    turned, away = (np.concatenate([rays[start:], rays[:start]]) for rays in (near, far))
    edges = np.flatnonzero(np.diff(np.concatenate([[0], turned.astype(int), [0]])))
    stretches = zip(edges[::2], edges[1::2], strict=True)
    return [(start + (a + b - 1) / 2) % RAYS for a, b in stretches if b - a <= STROKE and away[a:b].any()]


def beside(questions: Sequence[Marks], usual: float) -> list[Bools]:
    """Which bubbles have a mark outside of them: rare ink, as dark as the pupil's, in several directions."""
    found = [(marks.around > INKED * usual).sum(axis=1) >= BESIDE for marks in questions]
    every = sum(len(f) for f in found)
    if sum(int(f.sum()) for f in found) > max(RARE * every, 1):
        return [np.zeros_like(f) for f in found]
    return found
