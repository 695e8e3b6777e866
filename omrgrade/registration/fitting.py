"""From about where a page is to where its boxes are: the same for all methods.

A flat page is fitted on half of the printed boxes, and the residual is measured on the other half. Where that
leaves the boxes off, print is followed patch by patch, which bears more, and the page is bent to fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from omrgrade.placing import project
from omrgrade.records import Scan, Template
from omrgrade.registration.bending import STIFFNESS, fit_bend
from omrgrade.registration.geometry import Array, Landmarks, Located, Pose, median, refine
from omrgrade.registration.likeness import PX, View, blank_ink, coarser, patch_centres, patch_landmarks
from omrgrade.registration.looks import Looks, look_landmarks
from omrgrade.registration.outlines import Outline, box_landmarks, edge_landmarks, filled, outlines, spread

LANDMARKS = 40
"""Boxes to fit on, and as many others to verify with: more cost time and tell no more."""
BENT_LANDMARKS = 90
"""The same where paper is bent."""
REACH = (2.0, 0.7)
"""mm within which a box's outline is looked for: before, and once it has been found."""
VERIFY = 1.6
"""mm within which it is looked for to measure the residual; must exceed any sensible `max_residual`."""
GOOD = 0.2
"""mm: with less residual print need not be followed, as boxes are where they are looked for."""
BENT = 0.8
"""mm: a bend that moves boxes by more is followed further, and in every way."""
FINE = 0.1
"""mm: with less residual there is no bend worth following; some boxes are off by several times as much."""

_SURE = 4  # solid squares: with so many a page lies where they say
_FINDING = ((75.0, 12.0, 0.0), (60.0, 5.0, 0.0))
_BENDING = ((60.0, 5.0, 0.0), (45.0, 4.5, 30.0), (28.0, 2.5, 3.0))
_BENT_REACH = (1.5, 0.8)  # mm
_ALL_SOFT = 0.3  # stiffness of the last bend, when wrong landmarks have been told from right ones
_ENOUGH = 8  # patches: fewer do not tell a homography
_SLACK = 0.03  # of a bubble's side
_ALL_THERE = 0.9  # share of the boxes that a flat page shows
WHOLE = 0.97
"""Share of the boxes: a page laid a row off has fewer."""
_NEARLY = (
    0.95  # the same for boxes that lie well and are told by looks: a look is not quite that of every box
)
_REGION = 3  # parts of the page across and down; a residual of one part is a residual
_SWOLLEN = 1.7  # ratio by which a page may be larger or smaller, in area, than where it was sought
_FEW = 4  # boxes: fewer in a part say nothing
_BESIDE = 6  # boxes that are told to be off together


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Fit:
    """A pose, and how well the boxes that it was not fitted to lie there."""

    pose: Pose
    located: Located
    residual: float  # mm
    seen: int  # boxes that were seen
    share: float  # of the boxes that should be (0-1)
    slack: float = 0.0  # mm: boxes off by less are read alike
    bent: float = 0.0  # mm by which the bend moves boxes at most
    looks: Looks | None = None  # of empty boxes on the page, if boxes are told by these

    @property
    def by_looks(self) -> bool:
        """Whether boxes are told by what empty ones look like on the page."""
        return self.looks is not None

    @property
    def good(self) -> bool:
        """Whether there is nothing to gain."""
        return self.residual <= max(GOOD, self.slack) and self.share >= _ALL_THERE

    @property
    def much_bent(self) -> bool:
        """Whether boxes lie far from where a flat page has them."""
        return self.bent > BENT

    @property
    def whole(self) -> bool:
        """Whether so many boxes are there that the page need not be looked for elsewhere."""
        return self.share > (_NEARLY if self.by_looks and self.good else WHOLE)


def rank(fit: Fit) -> float:
    """Less is better: mm off, a missing box counting as far off as can be measured."""
    return fit.residual - 2 * fit.share


@lru_cache(maxsize=8)
def shared_out(template: Template, count: int) -> tuple[list[Outline], list[Outline]]:
    """At most `count` boxes to fit on and as many others to verify with, both spread over the page."""
    chosen = spread(outlines(template), 2 * count)
    return (chosen[::2], chosen[1::2]) if len(chosen) > 1 else ([], chosen)


def fit_flat(scan: Scan, template: Template, located: Located) -> Fit:
    """A homography on the boxes near where they are thought to be."""
    fitting, verifying = shared_out(template, LANDMARKS)
    if len(located.squares) >= _SURE and (fit := _fit_at_once(scan, located, fitting, verifying)):
        return fit
    located = nearer(scan, template, located)
    matrix = located.page_to_scan
    for reach in REACH:
        matrix = refine(matrix, _landmarks(scan, Pose(matrix=matrix), located, fitting, reach))
    return judged(scan, Pose(matrix=matrix), located, verifying)


def _fit_at_once(
    scan: Scan, located: Located, fitting: Sequence[Outline], verifying: Sequence[Outline]
) -> Fit | None:
    """`fit_flat` where boxes lie so well that they need be looked for only once; None if they do not.

    All are looked for near where solid squares say; moved to fit one half, they must fit the other half, too.
    """
    pose = Pose(matrix=located.page_to_scan)
    squares, boxes = _landmarks(scan, pose, located, [*fitting, *verifying], REACH[-1])
    own, others = boxes.parted(len(fitting))
    matrix = refine(pose.matrix, [squares, own])
    fit = judged(scan, Pose(matrix=matrix), located, verifying, others.seen_from(pose.matrix, matrix))
    return fit if fit.residual <= FINE and fit.good else None


def fit_fine(scan: Scan, template: Template, flat: Fit) -> Fit:
    """The page bent by the little that its boxes are off, if they are nearer then."""
    size = (template.page_width, template.page_height)
    fitting, verifying = shared_out(template, BENT_LANDMARKS)
    pose = fit_bend(flat.pose, _landmarks(scan, flat.pose, flat.located, fitting, REACH[-1]), size)
    fit = judged(scan, pose, flat.located, verifying)
    if rank(fit) >= rank(flat):
        return flat
    everything = _landmarks(scan, pose, flat.located, fitting + verifying, REACH[-1])
    return replace(fit, pose=fit_bend(pose, everything, size))


def fit_bent(scan: Scan, template: Template, located: Located) -> Fit:
    """A homography and a bend, found from large patches of print to single boxes."""
    size = (template.page_width, template.page_height)
    fitting, verifying = shared_out(template, BENT_LANDMARKS)
    located = nearer(scan, template, located)
    pose = follow_print(scan, template, Pose(matrix=located.page_to_scan), _BENDING)
    for reach, stiffness in zip(_BENT_REACH, (STIFFNESS, _ALL_SOFT), strict=True):
        seen = _landmarks(scan, pose, located, fitting, reach)
        pose = fit_bend(pose, seen, size, stiffness=stiffness)
    fit = judged(scan, pose, located, verifying)
    everything = _landmarks(scan, pose, located, fitting + verifying, _BENT_REACH[-1])
    return replace(fit, pose=fit_bend(pose, everything, size, stiffness=_ALL_SOFT))


def nearer(scan: Scan, template: Template, located: Located) -> Located:
    """A place that is only about right brought to the print, and its contrast measured."""
    pose, size = Pose(matrix=located.page_to_scan), (template.page_width, template.page_height)
    if located.reach > REACH[0]:
        pose = follow_print(scan, template, pose, _FINDING)
    contrast = located.contrast or View.of(scan.pixels, pose, size).contrast(pose, size)
    return replace(located, page_to_scan=pose.matrix, contrast=contrast, reach=REACH[0])


def follow_print(
    scan: Scan, template: Template, pose: Pose, steps: Sequence[tuple[float, float, float]]
) -> Pose:
    """Lay the page on its print, patch by patch: the patches get smaller as the pose gets better.

    steps: side of the patches, mm; how far they are looked for, mm; how much stiffer than usual a bend is
    that follows them, 0 for none.
    """
    size = (template.page_width, template.page_height)
    view, blank = View.of(scan.pixels, pose, size), blank_ink(template)
    for side, reach, stiffness in steps:
        flat, centres = view.flattened(pose, size), patch_centres(blank, side)
        if stiffness:
            seen, _ = patch_landmarks(flat, blank, centres, side, reach)
            pose = fit_bend(pose, [seen], size, stiffness=stiffness)
        else:
            seen, _ = patch_landmarks(coarser(flat), coarser(blank), centres, side, reach, PX / 2)
            pose = _moved(pose, seen)
    return pose


def _moved(pose: Pose, seen: Landmarks) -> Pose:
    """The pose moved to these landmarks: as a whole where they are too few to tell more."""
    shifts = seen.shifts[np.isfinite(seen.shifts).all(axis=1)]
    if len(shifts) >= _ENOUGH:
        return Pose(matrix=refine(pose.matrix, [seen], trust=1.0, perspective=False))
    move = np.eye(3)
    move[:2, 2] = np.median(shifts, axis=0) if len(shifts) else 0.0
    return Pose(matrix=pose.matrix @ move)


def _landmarks(
    scan: Scan, pose: Pose, located: Located, boxes: Sequence[Outline], reach: float
) -> list[Landmarks]:
    contrast = located.contrast
    return [
        edge_landmarks(scan.pixels, pose, located.squares, reach=0.6, contrast=contrast),
        box_landmarks(scan.pixels, pose, boxes, reach=reach, contrast=contrast),
    ]


# ---------------------------------------------------------------- judging


def judged(
    scan: Scan,
    pose: Pose,
    located: Located,
    boxes: Sequence[Outline],
    marks: Landmarks | None = None,
    dark: NDArray[np.bool_] | None = None,
) -> Fit:
    """How far these boxes lie from where they should, over the page and in its worst part.

    A box that is not there counts as far off, unless it is filled and so hides its outline: a page of which
    a part is covered, folded over or badly curled is not to be read. marks, dark (n,): how far boxes lie off
    and which are filled, where that is known.
    """
    if marks is None:
        marks = box_landmarks(scan.pixels, pose, boxes, reach=VERIFY, contrast=located.contrast)
    seen = np.asarray(np.isfinite(marks.shifts).all(axis=1))
    expected = seen.copy()
    if dark is not None:
        expected |= ~dark
    elif lost := [box for box, there in zip(boxes, seen.tolist(), strict=True) if not there]:
        expected[~seen] = ~filled(scan.pixels, pose, lost, contrast=located.contrast)
    if not expected.any() or _collapsed(pose, located, marks.points):
        return Fit(pose=pose, located=located, residual=VERIFY, seen=0, share=0.0)
    distance = np.where(seen, np.hypot(*np.nan_to_num(marks.shifts).T), VERIFY)
    return Fit(
        pose=pose,
        located=located,
        residual=_residual(distance[expected], marks.points[expected]),
        seen=int(seen.sum()),
        share=float(seen[expected].mean()),
        slack=_slack(boxes),
        bent=0.0 if pose.bend is None else float(np.abs(pose.shifted(marks.points)).max()),
    )


def _collapsed(pose: Pose, located: Located, points: Array) -> bool:
    """Whether boxes that were taken for others drew the page together, or blew it up.

    All boxes of a page as small as one of them lie well on that one.
    """
    (left, top), (right, bottom) = points.min(axis=0) - 1, points.max(axis=0) + 1
    corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
    here, there = (
        cv2.contourArea(project(matrix, corners).astype(np.float32), True)
        for matrix in (pose.matrix, located.page_to_scan)
    )
    return not there / _SWOLLEN < here < there * _SWOLLEN


def _slack(boxes: Sequence[Outline]) -> float:
    """mm: bubbles are read alike when they are off by this part of their side; other boxes are not."""
    if not all(box.round for box in boxes):
        return 0.0
    return _SLACK * min(min(box.rect.width, box.rect.height) for box in boxes)


def _residual(distance: NDArray[np.float64], points: NDArray[np.float64]) -> float:
    """mm: the 90th percentile over the page, or the median of its worst part, if that is more."""
    number = _parts(points)
    parts = [distance[number == n] for n in range(_REGION**2)]
    medians = [median(own) for own in parts if len(own) >= _FEW]
    return max([float(np.percentile(distance, 90)), *medians])


def _parts(points: NDArray[np.float64]) -> NDArray[np.int64]:
    """In which part of the page each point (n, 2) mm lies: (n,), 0 to _REGION ** 2 - 1."""
    extent = np.maximum(np.ptp(points, axis=0), 1.0)
    part = np.minimum((points - points.min(axis=0)) / extent * _REGION, _REGION - 1).astype(np.int64)
    return np.asarray(part[:, 0] * _REGION + part[:, 1])


def worst_part(scan: Scan, template: Template, fit: Fit) -> float:
    """The share of boxes that are there in the part of the page that shows fewest of its own.

    Paper that bends where print was hard to follow may be bent on to the next row there: the others fit.
    """
    boxes = outlines(template)
    part = _parts(np.array([outline.rect.centre for outline in boxes]))
    shares = [1.0]
    for number in range(_REGION**2):
        own = [box for box, where in zip(boxes, part, strict=True) if where == number]
        if len(own) >= 2 * _FEW:
            shares.append(judged(scan, fit.pose, fit.located, own).share)
    return min(shares)


def off_together(scan: Scan, template: Template, fit: Fit) -> float:
    """mm by which boxes beside one another are off, all the same way, where it is most.

    A folded corner of paper that bends may hold too few boxes for `judged` to tell.
    """
    boxes = outlines(template)
    shifts = every_box(scan, template, fit).shifts
    seen = np.asarray(np.isfinite(shifts).all(axis=1))
    expected = seen.copy()
    if not seen.all():
        own = [box for box, there in zip(boxes, seen.tolist(), strict=True) if not there]
        expected[~seen] = ~filled(scan.pixels, fit.pose, own, contrast=fit.located.contrast)
    near = _neighbours(template)
    near = near[expected[near].sum(axis=1) >= _FEW]
    lost = (expected & ~seen)[near].sum(axis=1) > seen[near].sum(axis=1)
    shared = np.nanmedian(np.where(seen[:, None], shifts, np.nan)[near[~lost]], axis=1)
    return max(VERIFY * bool(lost.any()), float(np.hypot(*shared.T).max(initial=0.0)))


@lru_cache(maxsize=8)
def _neighbours(template: Template) -> NDArray[np.int64]:
    """Each box and those next to it, (n, `_BESIDE`) numbers of boxes."""
    centres = np.array([outline.rect.centre for outline in outlines(template)]).reshape(-1, 2)
    away = np.hypot(*(centres[:, None] - centres[None]).transpose(2, 0, 1))
    return np.argsort(away, axis=1, kind="stable")[:, :_BESIDE]


def every_box(scan: Scan, template: Template, fit: Fit) -> Landmarks:
    """How far each box of a template, in order, lies from where the fit puts it; nan where it is not seen."""
    where, boxes, contrast = fit.pose, outlines(template), fit.located.contrast
    if fit.looks is not None:
        return look_landmarks(fit.looks, where, boxes, reach=VERIFY)
    return box_landmarks(scan.pixels, where, boxes, reach=VERIFY, contrast=contrast)
