"""Bubbles -> readings: a page's bubbles are judged beside one another, so a pupil's own pen is the measure.

Two things are measured inside each: how dark its ink is (against its own paper) and how much of the inside is
inked. A faint pencil that fills bubbles and a fine pen that ticks them both make plain marks; an erased mark
is light beside the pupil's others, a touch of the pen is small. What is printed in bubbles counts for paper.
A stroke through a filled bubble strikes it out; ink beside the bubbles of an empty question is for a person.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from omrgrade.choices.measuring import EDGE, LEAST, Marks, Question, measure
from omrgrade.choices.outside import beside, run_through, struck_out
from omrgrade.choices.ranks import median, quantile
from omrgrade.choices.zones import Bools, Floats
from omrgrade.records import BoxReading, Policy

MARKS = 5  # so many marks or more show what a pupil's pen is like
USUAL = 0.5  # darkness of the marks of a pupil who made fewer
GRAIN = 4.0  # ink is so many times darker than what the typical bubble, an empty one, shows
REMAINS = 0.35  # share of a mark's darkness below which other ink in its question is what an eraser left
TOUCH = 0.1  # share of a mark's ink below which other ink in its question is a touch of the pen
PAPER = 0.9  # share of the bubbles that are not their question's plainest: what these have of ink is paper,
PAPER_MOST = 0.05  # up to this much (mean darkness): more are second marks,
OVER_PAPER = 3.0  # and a pen leaves so many times that
ENOUGH = 8  # bubbles: fewer do not show what paper is like
ROUGH = 1.25  # times what most of these have of darkness is no ink either,
ROUGHEST = 0.15  # if that is no more
FAINTEST = 0.03  # ink (mean darkness) of the typical mark: less is how unevenly print shows, and no pen,
UNEVEN = 1.5  # nor is so many times that
SPECK = 0.07  # share of the pupil's usual ink: less, anywhere, is dirt or a slip,
SMALL = 0.15  # of that: a mark of less may be none
DIRT = 0.05  # and no dirt is more ink than this
SHADED_EMPTY = 2  # empty bubbles through which a shadow's edge runs: less is ink
DARKER = 1.5  # times that is darker than any shadow
CLEAN = 5.0  # nor than so many times what most bubbles show
# Confidence = logistic(slope * distance + offset), fitted on simulated marks, most of them faint or erased.
DECIDED = 10.0, 2.2
DOUBTED = 1.5, 0.4


@dataclass(frozen=True, slots=True)
class Levels:
    """What ink looks like on one page, as darkness (0-1)."""

    seen: float  # lighter is paper
    plain: float  # darker is a pen's mark; lighter is faint
    usual: float  # of the pupil's marks
    speck: float = 0.0  # less ink, darkness times area, is dirt
    small: float = 0.0  # a mark of less ink is too unlike the pupil's others to be sure of


def read_bubbles(
    questions: Sequence[Question], policy: Policy, cancels: Sequence[bool] = ()
) -> list[tuple[BoxReading, ...]]:
    """Read the bubbles of one page, a tuple a question: marked (value = label), empty ("") or doubtful.

    The more of a page's questions are given at once, the better the pupil's way of marking is known.
    cancels: for each question whether a mark that was struck out is none; otherwise it is left to a person.
    """
    if not questions:
        return []
    marks, counts = measure(questions), [len(labels) for _, labels in questions]
    levels = page_levels(marks, counts, policy)
    plain = _plain(marks, levels, policy) > 0
    struck, through = struck_out(marks, plain, levels.usual), run_through(marks, plain, levels.usual)
    near, shaded = beside(marks, levels.usual), _shaded(marks, plain)
    none = struck & np.repeat(cancels, counts) if any(cancels) else np.zeros_like(struck)
    signs = _signs(_without(marks, none), levels, policy)
    result, start = [], 0
    for (_, labels), count in zip(questions, counts, strict=True):
        own = slice(start, start + count)
        boxes = _read_question(signs[own], labels, levels, policy)
        boxes = _doubted(boxes, (struck & ~none)[own], labels, "struck out?")
        boxes = _doubted(boxes, through[own], labels, "a line through it")
        boxes = _doubted(boxes, shaded[own], labels, "a shadow's edge?")
        result.append(boxes if none[own].any() else _beside(boxes, near[own], labels))
        start += count
    return result


def page_levels(marks: Marks, counts: Sequence[int], policy: Policy) -> Levels:
    """From all of a page's bubbles: most are empty and show the paper, each question's plainest the pen.

    Where most questions are left blank their plainest is paper as well: a pen stands out from others' ink.
    counts: how many bubbles each question has.
    """
    first, rest = _plainest(marks.ink, counts)
    grain = float(median(marks.dark))
    seen = min(max(GRAIN * grain, policy.mark_seen / 2), policy.mark_seen)
    paper = 0.0
    if len(rest) >= ENOUGH:
        seen = max(seen, min(ROUGH * float(quantile(marks.dark[rest], PAPER)), ROUGHEST))
        paper = float(quantile(marks.ink[rest], PAPER))
    dark, ink = _pen(marks, first, seen, min(paper, PAPER_MOST), policy)
    number = ink.sum() ** 2 / max((ink**2).sum(), LEAST)  # so many of equal ink: specks do not count
    usual = _typical(dark, ink) if number >= MARKS else USUAL
    typical = _typical(ink, ink) if len(ink) else 0.0
    if number >= MARKS and typical < FAINTEST:
        return Levels(seen=seen, plain=policy.mark_dark * USUAL, usual=USUAL, speck=UNEVEN * typical)
    return Levels(
        seen=min(seen, policy.mark_dark * usual),
        plain=max(seen, policy.mark_dark * usual),
        usual=usual,
        speck=min(SPECK * typical, max(DIRT, CLEAN * paper)),
        small=SMALL * typical if number >= MARKS else 0.0,
    )


def _plainest(every: Floats, counts: Sequence[int]) -> tuple[list[int], list[int]]:
    """Which bubble of each question has most ink, and the others. every: ink of all bubbles."""
    starts = np.cumsum([0, *counts])
    first = [int(a + every[a:b].argmax()) for a, b in pairwise(starts.tolist())]
    return first, np.delete(np.arange(len(every)), first).tolist()


def _pen(marks: Marks, first: list[int], seen: float, paper: float, policy: Policy) -> tuple[Floats, Floats]:
    """Darkness and ink of what may be the pupil's marks: the plainest of each question that is no paper."""
    dark, area, ink = marks.dark[first], marks.area[first], marks.ink[first]
    pen = (dark > seen) & (area > policy.mark_area) & (ink > OVER_PAPER * paper)
    return dark[pen], ink[pen]


def _typical(values: Floats, weights: Floats) -> float:
    """The value (n,) up to which half of the weight lies."""
    order = np.argsort(values)
    upto = np.cumsum(weights[order])
    return float(values[order[np.searchsorted(upto, upto[-1] / 2)]])


# ---------------------------------------------------------------- decisions


def _plain(marks: Marks, levels: Levels, policy: Policy) -> Floats:
    """How far each bubble is a mark by itself, > 0, or not, in powers of e."""
    return np.log(np.minimum(marks.dark / levels.plain, marks.area / policy.mark_area))


def _shaded(marks: Marks, plain: Bools) -> Bools:
    """Which bubbles may be no darker than the shadow whose edge runs through them.

    A shadow runs through empty bubbles, too; a filling that comes out of its own does not.
    """
    edge = marks.uneven > EDGE
    if int((edge & ~plain).sum()) < SHADED_EMPTY:
        return np.zeros_like(edge)
    return np.asarray(edge & (marks.dark < DARKER * marks.uneven))


def _without(marks: Marks, none: Bools) -> Marks:
    """The marks but those that are none."""
    if not none.any():
        return marks
    return replace(marks, dark=np.where(none, LEAST, marks.dark), area=np.where(none, LEAST, marks.area))


class _Sign(NamedTuple):
    """What says whether one bubble is marked."""

    dark: float  # see `Marks`
    ink: float
    plain: float  # see `_plain`
    seen: float  # how far there is any ink, > 0, or not, in powers of e


def _signs(marks: Marks, levels: Levels, policy: Policy) -> list[_Sign]:
    """Every bubble's."""
    ink, seen = marks.ink, np.log(marks.dark / levels.seen)
    if levels.speck:
        seen = np.minimum(seen, np.log(ink / levels.speck))
    return list(map(_Sign, marks.dark, ink, _plain(marks, levels, policy), seen))


def _doubted(
    boxes: tuple[BoxReading, ...], which: Bools, labels: Sequence[str], reason: str
) -> tuple[BoxReading, ...]:
    """The marks, those in doubt that `which` says."""
    if not which.any():
        return boxes
    return tuple(
        _doubt(label, 0.0, reason) if doubted and box.status == "read" else box
        for box, doubted, label in zip(boxes, which, labels, strict=True)
    )


def _beside(boxes: tuple[BoxReading, ...], near: Bools, labels: Sequence[str]) -> tuple[BoxReading, ...]:
    """Where nothing else is marked, a mark beside a bubble may be meant for it."""
    if not near.any() or any(box.status != "blank" for box in boxes):
        return boxes
    return tuple(
        _doubt(label, -1.0, "a mark beside it") if ink else box
        for box, ink, label in zip(boxes, near, labels, strict=True)
    )


def _read_question(
    signs: Sequence[_Sign], labels: Sequence[str], levels: Levels, policy: Policy
) -> tuple[BoxReading, ...]:
    """One question's bubbles, each beside the one with most ink. Distances to borders are in powers of e."""
    first = max(range(len(signs)), key=lambda n: signs[n].ink if signs[n].plain > 0 else -1)
    readings = []
    for sign, label in zip(signs, labels, strict=True):
        if sign.seen < 0:
            readings.append(_empty(-sign.seen))
        elif signs[first].plain > 0:
            reading = _read_beside(sign, signs[first], label, labels[first], policy)
            unlike = reading.status == "read" and sign.ink < levels.small
            readings.append(_doubt(label, 0.0, "smaller than other marks") if unlike else reading)
        else:
            faint = sign.dark < levels.plain
            readings.append(_doubt(label, sign.plain, "faint mark" if faint else "small mark"))
    return tuple(readings)


def _read_beside(sign: _Sign, first: _Sign, label: str, first_label: str, policy: Policy) -> BoxReading:
    """A bubble with ink, in a question whose plainest mark is `first`."""
    lighter = min(sign.dark / first.dark, sign.ink / first.ink)
    like = math.log(lighter / policy.mark_like)
    if min(sign.plain, like) > 0:
        return BoxReading(value=label, confidence=_sure(min(sign.plain, like)), status="read")
    erased = math.log(REMAINS * first.dark / sign.dark)
    touched = math.log(TOUCH * first.ink / sign.ink)
    if max(erased, touched) > 0:
        return _empty(max(erased, touched))
    return _doubt(label, min(sign.plain, like), f"lighter than {first_label}")


def _empty(distance: float) -> BoxReading:
    return BoxReading(value="", confidence=_sure(distance), status="blank")


def _doubt(label: str, distance: float, reason: str) -> BoxReading:
    """Perhaps a mark, the less likely the further below the border."""
    confidence = _logistic(min(distance, 0.0), *DOUBTED)
    return BoxReading(value=label, confidence=confidence, status="review", reason=reason)


def _sure(distance: float) -> float:
    """Probability that a decision so far (powers of e) from its nearest border is right."""
    return min(_logistic(distance, *DECIDED), 0.9999)


def _logistic(distance: float, slope: float, offset: float) -> float:
    return 1 / (1 + math.exp(-slope * distance - offset))
