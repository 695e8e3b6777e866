"""Laying a page on boxes that look otherwise than its template says, by how an empty one looks on it."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from omrgrade.records import Scan, Template
from omrgrade.registration.bending import fit_bend
from omrgrade.registration.fitting import (
    BENT_LANDMARKS,
    VERIFY,
    Fit,
    follow_print,
    judged,
    nearer,
    shared_out,
)
from omrgrade.registration.geometry import Located, Pose, refine
from omrgrade.registration.looks import learned_landmarks
from omrgrade.registration.outlines import outlines

_LOOSE = 20.0  # stiffness of a bend by looks, which are told less exactly than outlines


def fit_looks(scan: Scan, template: Template, located: Located) -> Fit:
    """A homography and a bend, of boxes first by their rows and then alone."""
    size = (template.page_width, template.page_height)
    located = nearer(scan, template, located)
    fitting, verifying = shared_out(template, BENT_LANDMARKS)
    contrast, wide, rows = located.contrast, *_reaches(template)
    steps = ((60.0, rows, 0.0), (45.0, rows, 0.0))
    pose = follow_print(scan, template, Pose(matrix=located.page_to_scan), steps)
    for reach in sorted({wide, max(wide / 2, 1.0), max(wide / 4, 1.0)}, reverse=True):
        seen, _ = learned_landmarks(scan.pixels, pose, fitting, reach=reach, contrast=contrast)
        pose = Pose(matrix=refine(pose.matrix, [seen], trust=0.5))
    seen, _ = learned_landmarks(scan.pixels, pose, fitting, reach=VERIFY, contrast=contrast)
    pose = fit_bend(pose, [seen], size, stiffness=_LOOSE)
    marks, looks = learned_landmarks(scan.pixels, pose, verifying, reach=VERIFY, contrast=contrast)
    return replace(judged(scan, pose, located, verifying, marks), looks=looks)


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
