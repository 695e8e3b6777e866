"""Ink outside of bubbles: marks that were struck out again, and marks beside the bubble they are for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

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
SEVERAL = 5  # marks: fewer do not show a pupil's way of marking
FAR = 0.04  # share of the rays: of a pupil whose usual mark comes far out along fewer,
ASKEW = 2  # marks are struck out that do so in opposite directions, up to so many rays
SPREAD = 0.3  # share of the directions in which a mark has ink outside of its bubble, more than
NEAT = 0.8  # this share of the pupil's filled marks have: it is struck out, if
ROUND = 0.8  # no more than this share of the rays comes out: others are filled generously
BESIDE = 3  # directions with ink that make a mark beside a bubble,
FEWER = 2  # or so few, of ink
LIGHTER = 0.3  # that dark against the pupil's, and so
STRIKING = 4.0  # many times what
ALL_BUT = 0.1  # this share of the bubbles have
RARE = 0.3  # if no more than this share of the bubbles has it: more is print


def struck_out(marks: Marks, plain: Bools, usual: float) -> Bools:
    """Which plain marks have strokes that come out of the bubble on two sides, as one crossing it out.

    plain: which of a page's bubbles are marked. usual: darkness of the pupil's marks.
    """
    every, ink = int(plain.sum()), INKED * usual
    found = np.zeros_like(plain)
    if not every:
        return found
    near, far = marks.near > ink, marks.far > ink
    generous = every >= SEVERAL and float(np.median(near[plain].mean(axis=1))) > GENEROUS
    far = far & marks.room if generous else far
    filled = np.flatnonzero(plain & (marks.area >= FULL))
    least = 3 if generous else 2
    for n in filled.tolist():
        found[n] = _crossed(near[n], far[n], least=least)
    if every < SEVERAL or float(np.median(far[plain].mean(axis=1))) < FAR:
        found[filled] |= _on_both_sides(far[filled] & marks.room[filled])
    return _rare(found | _spilt(marks, filled, ink), every)


def _spilt(marks: Marks, filled: NDArray[np.intp], ink: float) -> Bools:
    """Which of the `filled` marks have ink outside in far more directions than most, but not all round."""
    found = np.zeros(len(marks.dark), bool)
    if len(filled) >= SEVERAL:
        outside = (marks.around[filled] > ink).mean(axis=1)
        more = outside - np.quantile(outside, NEAT) > SPREAD
        found[filled] = more & ((marks.near[filled] > ink).mean(axis=1) < ROUND)
    return found


def run_through(marks: Marks, plain: Bools, usual: float) -> Bools:
    """Which plain marks are one stroke that comes out on both sides, as a slip of the pen does."""
    ink = INKED * usual
    found = np.zeros_like(plain)
    for n in np.flatnonzero(plain & (marks.area < FULL)).tolist():
        found[n] = _straight(marks.middle[n] > ink, marks.near[n] > ink, marks.far[n] > ink)
    return _rare(found, int(plain.sum()))


def _rare(found: Bools, every: int) -> Bools:
    """None, if so many of all marks are like that that it is this pupil's way of marking."""
    if every >= SEVERAL and int(found.sum()) > max(STYLE * every, 2):
        return np.zeros_like(found)
    return found


def _on_both_sides(far: Bools) -> Bools:
    """Which bubbles (n, RAYS) have ink far out in opposite directions."""
    if not far.any():
        return np.zeros(len(far), bool)
    ways = range(RAYS // 2 - ASKEW, RAYS // 2 + ASKEW + 1)
    opposite = np.stack([np.roll(far, way, axis=1) for way in ways]).any(axis=0)
    return np.asarray((far & opposite).any(axis=1), bool)


def _straight(middle: Bools, near: Bools, far: Bools) -> bool:
    """Whether strokes come out along two rays opposite each other, and nothing else is inside."""
    if near.all() or not near.any() or np.count_nonzero(middle != np.roll(middle, 1)) != 4:
        return False
    ends = _ends(near, far)
    return len(ends) == 2 and STRAIGHT <= (ends[1] - ends[0]) % RAYS <= RAYS - STRAIGHT


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


def beside(marks: Marks, usual: float) -> Bools:
    """Which bubbles have a mark outside of them: rare ink, as dark as the pupil's, in several directions."""
    found = np.asarray((marks.around > INKED * usual).sum(axis=1) >= BESIDE)
    darkest = np.sort(marks.around, axis=1)[:, -FEWER]
    found |= darkest > max(LIGHTER * usual, STRIKING * float(np.quantile(darkest, 1 - ALL_BUT)))
    return found if int(found.sum()) <= max(RARE * len(found), 1) else np.zeros_like(found)
