"""Laying a page on boxes that look otherwise than its template says, by how an empty one looks on it."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from omrgrade.records import Scan, Template
from omrgrade.registration.bending import STIFFNESS, fit_bend
from omrgrade.registration.between import gap_moves
from omrgrade.registration.fitting import (
    BENT_LANDMARKS,
    FINE,
    LANDMARKS,
    VERIFY,
    Fit,
    follow_print,
    judged,
    nearer,
    rank,
    shared_out,
)
from omrgrade.registration.geometry import Located, Pose, refine
from omrgrade.registration.looks import Flat, learned_landmarks, look_landmarks
from omrgrade.registration.outlines import outlines
from omrgrade.registration.slips import box_steps

_LOOSE = 20.0  # stiffness of a bend by looks, which are told less exactly than outlines


def fit_looks(scan: Scan, template: Template, located: Located, *, follow: bool = True) -> Fit:
    """A homography and a bend, of boxes as they are, or where that does not show all, first of their rows.

    follow: whether print is then followed.
    """
    located = nearer(scan, template, located)
    start = Pose(matrix=located.page_to_scan)
    fit = _on_boxes(scan, template, located, start)
    if not follow or (fit.good and fit.whole):
        return fit
    rows = _reaches(template)[1]
    start = follow_print(scan, template, start, ((60.0, rows, 0.0), (45.0, rows, 0.0)))
    return min(fit, _on_boxes(scan, template, located, start), key=rank)


def _on_boxes(scan: Scan, template: Template, located: Located, pose: Pose) -> Fit:
    """`_fitted`, not on the gaps between boxes."""
    fit = _fitted(scan, template, located, pose)
    if not (moves := _off_by(fit, template)):
        return fit
    lost = replace(fit, share=0.0, residual=VERIFY)
    beside = [
        _fitted(
            scan,
            template,
            located,
            Pose(matrix=fit.pose.matrix @ np.array([[1, 0, x], [0, 1, y], [0, 0, 1]])),
        )
        for x, y in moves
    ]
    return min([lost, *(one for one in beside if not _off_by(one, template))], key=rank)


def _off_by(fit: Fit, template: Template) -> list[tuple[float, float]]:
    return gap_moves(fit.looks, fit.pose, outlines(template)) if fit.looks and fit.share else []


def _fitted(scan: Scan, template: Template, located: Located, pose: Pose) -> Fit:
    """The page laid on its boxes, which are about where `pose` puts them; judged by others than fitted."""
    fitting, verifying = shared_out(template, BENT_LANDMARKS)
    wide, _ = _reaches(template)
    boxes, room, apart = outlines(template), _room(template), _apart(template)
    flat = Flat.of(scan.pixels, pose, boxes, room=room, contrast=located.contrast, apart=apart)
    looks, span = None, fitting[:LANDMARKS]  # these span the page
    for reach in (wide, *(part for part in (wide / 2, wide / 4) if part > VERIFY)):
        seen, looks = learned_landmarks(flat, pose, span, reach=reach, known=looks)
        pose = Pose(matrix=refine(pose.matrix, [seen], trust=0.5))
    about = pose.matrix
    seen, looks = learned_landmarks(flat, pose, fitting, reach=VERIFY, known=looks)
    pose = Pose(matrix=refine(about, [seen], trust=0.5))
    seen = seen.seen_from(about, pose.matrix)
    marks = look_landmarks(looks, pose, verifying, reach=VERIFY)
    fit = replace(judged(scan, pose, located, verifying, marks), looks=looks)
    if fit.residual <= FINE and fit.good:
        return fit
    size = (template.page_width, template.page_height)
    pose = fit_bend(pose, [seen], size, stiffness=_LOOSE)
    marks = replace(marks, shifts=marks.shifts - pose.shifted(marks.points))
    fit = min(fit, replace(judged(scan, pose, located, verifying, marks), looks=looks), key=rank)
    if fit.whole and not fit.much_bent:
        return fit
    # Boxes of a bent page may have been too far from where a flat one has them, and it bends more.
    seen, looks = learned_landmarks(flat, pose, fitting, reach=VERIFY, known=looks)
    pose = fit_bend(pose, [seen], size, stiffness=STIFFNESS)
    marks = look_landmarks(looks, pose, verifying, reach=VERIFY)
    return min(fit, replace(judged(scan, pose, located, verifying, marks), looks=looks), key=rank)


@lru_cache(maxsize=8)
def _room(template: Template) -> float:
    """mm round boxes that are looked at, the next row of boxes included."""
    steps = [max(abs(x), abs(y)) for x, y in box_steps(template)]
    return max(steps, default=0.0) + 2 * VERIFY


@lru_cache(maxsize=8)
def _apart(template: Template) -> tuple[float, float]:
    """mm from a box to the next, across and down, least of all."""
    rects = [outline.rect for outline in outlines(template)]
    sides = [float(np.median([getattr(rect, side) for rect in rects])) for side in ("width", "height")]
    steps = np.abs(box_steps(template)).reshape(-1, 2)
    across, down = (own[own > side].min(initial=np.inf) for own, side in zip(steps.T, sides, strict=True))
    return float(across), float(down)


@lru_cache(maxsize=8)
def _reaches(template: Template) -> tuple[float, float]:
    """mm within which boxes are looked for, and rows of them: less than makes one look like the next."""
    boxes = [outline.rect for outline in outlines(template)]
    centres = np.array([box.centre for box in boxes])
    apart = np.hypot(*(centres[:, None] - centres[None]).transpose(2, 0, 1))
    np.fill_diagonal(apart, np.inf)
    side = np.median([min(box.width, box.height) for box in boxes])
    rows = 0.45 * np.median(apart.min(axis=1))
    return float(np.clip(0.4 * side, 1.5, 6)), float(np.clip(rows, 1.2, 6))
