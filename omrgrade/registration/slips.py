"""Whether a page lies a row or column of boxes off.

Rows of bubbles are like one another: a page laid one of them off fits at most boxes as well as it should,
and all that is read is wrong. Boxes moved by a row are mostly others of the page: a place is looked at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from omrgrade.records import Rect, Scan, Template
from omrgrade.registration.fitting import BENT_LANDMARKS, FINE, VERIFY, Fit, judged, rank, shared_out
from omrgrade.registration.geometry import Array, Landmarks, Located
from omrgrade.registration.looks import look_landmarks
from omrgrade.registration.outlines import Outline, box_landmarks, filled, outlines

_SLIPPED = 0.02  # of `rank`: what boxes must gain for a page to be moved by a row or column
_FEW, _WORSE = 30, 0.12  # boxes by which a place is looked at first, and how much worse (`rank`) is clear
_COMMON = 0.1  # share of the boxes whose next one is that far away, for a step to be one
_SAME_LINE = 1.0  # mm by which boxes of a row or column may be off it
_SAME_PLACE = 0.4  # mm: boxes nearer than this are looked for at one place


Further = tuple[float, Array | None]
"""How well (`rank`) boxes lie one row or column further, and the matrix (3, 3), page mm -> scan px, there."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Moved:
    """Boxes moved by a row or column."""

    move: tuple[float, float]  # mm
    boxes: list[Outline]
    places: NDArray[np.intp]  # (n,): which of all places each box is looked for at


def further(scan: Scan, template: Template, fit: Fit) -> Further:
    """Where boxes are best one row or column further; few tell where these are clearly worse."""
    best = _best(_further(scan, template, fit, _FEW))
    return best if best[0] > rank(fit) + _WORSE else _best(_further(scan, template, fit, BENT_LANDMARKS))


def _best(places: list[tuple[float, Array]]) -> Further:
    return min(places, key=lambda one: one[0], default=(np.inf, None))


def unslipped(fit: Fit, best: Further) -> Located | None:
    """One row or column of boxes further, if boxes are clearly better there; None if not."""
    if best[1] is None or best[0] >= rank(fit) - _SLIPPED:
        return None
    return replace(fit.located, page_to_scan=best[1])


def repeated(fit: Fit, best: Further) -> bool:
    """Whether boxes are as good, but for one, a row or column further: no place of a table is a page."""
    return best[0] < rank(fit) + max(_SLIPPED, 2 / max(fit.seen, 1))


def _further(scan: Scan, template: Template, fit: Fit, count: int) -> list[tuple[float, Array]]:
    """How well (`rank`) so many boxes lie one row or column further, each way, and the matrix there."""
    every, moves = _places(template, count)
    contrast, seen = fit.located.contrast, []
    if every and not (fit.by_looks and fit.whole):  # then there is no doubt how boxes are told
        seen.append(box_landmarks(scan.pixels, fit.pose, every, reach=VERIFY, contrast=contrast))
    if every and fit.looks is not None:
        # A page that lies well lies as well a row further: as far as steps of a template may be wrong.
        reach = VERIFY / 2 if fit.good and fit.whole else VERIFY
        seen.append(look_landmarks(fit.looks, fit.pose, every, reach=reach))
    dark = np.zeros(len(every), bool)
    unseen = np.any([np.isnan(marks.shifts).any(axis=1) for marks in seen], axis=0)
    if lost := np.flatnonzero(unseen).tolist():
        dark[lost] = filled(scan.pixels, fit.pose, [every[n] for n in lost], contrast=contrast)
    result = []
    for moved in moves:
        x, y = moved.move
        own = dark[moved.places]
        there = [judged(scan, fit.pose, fit.located, moved.boxes, _at(moved, marks), own) for marks in seen]
        result.append(
            (
                min(_rank_beside(fit, one) for one in there),
                fit.pose.matrix @ np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]]),
            )
        )
    return result


def _rank_beside(fit: Fit, there: Fit) -> float:
    """`rank` of a place further: that its boxes lie a little better than the fit's says nothing."""
    little = fit.residual - FINE < there.residual < fit.residual
    return rank(there) + (fit.residual - there.residual if little else 0.0)


def _at(moved: _Moved, marks: Landmarks) -> Landmarks:
    """The moved boxes' own landmarks, of those of all places."""
    centres = np.array([box.rect.centre for box in moved.boxes])
    return Landmarks(points=centres, shifts=(marks.points + marks.shifts)[moved.places] - centres)


@lru_cache(maxsize=4)
def _places(template: Template, count: int) -> tuple[list[Outline], list[_Moved]]:
    """The places at which so many boxes are looked for, and these moved one row or column, each way."""
    verifying = shared_out(template, BENT_LANDMARKS)[1][:count]  # any number of the first span the page
    number: dict[tuple[int, int, float, float], int] = {}
    every: list[Outline] = []
    result = []
    for x, y in box_steps(template):
        boxes, places = [], []
        for box in verifying:
            rect = box.rect
            boxes.append(Outline(rect=Rect(x=rect.x + x, y=rect.y + y, width=rect.width, height=rect.height),
                                 round=box.round))  # fmt: skip
            column, row = (round(v / _SAME_PLACE) for v in boxes[-1].rect.centre)
            place = number.setdefault((column, row, rect.width, rect.height), len(every))
            if place == len(every):
                every.append(boxes[-1])
            places.append(place)
        result.append(_Moved(move=(x, y), boxes=boxes, places=np.array(places, np.intp)))
    return every, result


@lru_cache(maxsize=8)
def box_steps(template: Template) -> list[tuple[float, float]]:
    """Moves (x, y) in mm from one box to the next, both ways along rows and columns, all that are common."""
    centres = np.array([outline.rect.centre for outline in outlines(template)])
    delta = centres[None] - centres[:, None]
    steps = []
    for along in (0, 1):
        apart, beside = np.abs(delta[..., along]), np.abs(delta[..., 1 - along])
        apart = np.where((beside < _SAME_LINE) & (apart > _SAME_LINE), apart, np.inf).min(axis=1)
        found, count = np.unique(np.round(apart[np.isfinite(apart)], 1), return_counts=True)
        for step in found[count >= _COMMON * len(centres)].tolist():
            steps += [(sign * step, 0.0) if along == 0 else (0.0, sign * step) for sign in (1, -1)]
    return steps
