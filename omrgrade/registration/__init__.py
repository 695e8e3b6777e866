"""Scan + template -> where the page lies in the scan, or why it cannot be told.

A method (one file each, one line in `METHODS`) finds the page coarsely. What follows is the same for all: the
fit is refined on half of the printed boxes, and the residual is measured on the other half, so that it says
how far off the boxes really are. A page on which the boxes are not where the template says is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import numpy as np

from omrgrade.errors import RegistrationError
from omrgrade.records import Matrix, Registration, Scan, Template
from omrgrade.registration import aruco
from omrgrade.registration.geometry import (
    Array,
    Landmarks,
    Located,
    project,
    quarter_turns,
    refine,
)
from omrgrade.registration.outlines import (
    Outline,
    box_landmarks,
    edge_landmarks,
    filled,
    outlines,
    spread,
)

METHODS: dict[str, Callable[[Scan, Template], Located]] = {"aruco": aruco.locate}

LANDMARKS = 40
"""Boxes to fit on, and as many others to verify with: more cost time and tell no more."""
REACH = (2.0, 0.7)
"""mm within which a box's outline is looked for: before, and once it has been found."""
VERIFY = 1.6
"""mm within which it is looked for to measure the residual; must exceed any sensible `max_residual`."""
MIN_FOUND = 0.5
"""Share of the verifying boxes, filled ones aside, that must be there at all."""


def register(scan: Scan, template: Template, *, max_residual: float) -> Registration:
    """Find the template's page in a scan.

    `max_residual` in mm: a page whose boxes lie further off (90th percentile) is refused. Raises
    `RegistrationError` with a reason. The result's `page_to_scan` maps page mm to scan px.
    """
    located = METHODS[template.fiducials.method](scan, template)
    fitting, verifying = _shared_out(template)
    matrix = located.page_to_scan
    for reach in REACH:
        matrix = refine(matrix, _landmarks(scan, matrix, located, fitting, reach))
    _check_inside(matrix, scan, template)
    residual, landmarks = _residual(scan, matrix, verifying, located.contrast)
    if residual > max_residual:
        raise RegistrationError(
            "the printed boxes are not where the template says",
            where=scan.source,
            fix="another sheet or edition, or badly creased paper",
            received=f"residual {residual:.1f} mm",
        )
    return Registration(
        page_to_scan=cast(Matrix, tuple(tuple(row) for row in matrix.tolist())),
        residual=residual,
        rotation=quarter_turns(matrix, (template.page_width / 2, template.page_height / 2)),
        method=template.fiducials.method,
        landmarks=landmarks,
    )


def _shared_out(template: Template) -> tuple[list[Outline], list[Outline]]:
    """Boxes to fit on and others to verify with, both spread over the page."""
    chosen = spread(outlines(template), 2 * LANDMARKS)
    return (chosen[::2], chosen[1::2]) if len(chosen) > 1 else ([], chosen)


def _landmarks(
    scan: Scan, matrix: Array, located: Located, boxes: Sequence[Outline], reach: float
) -> list[Landmarks]:
    contrast = located.contrast
    return [
        edge_landmarks(scan.pixels, matrix, located.squares, reach=0.6, contrast=contrast),
        box_landmarks(scan.pixels, matrix, boxes, reach=reach, contrast=contrast),
    ]


def _check_inside(matrix: Array, scan: Scan, template: Template) -> None:
    """Refuse a page of which a box lies outside of the picture: it would be read as blank."""
    boxes = [box for field in template.fields for box in field.boxes]
    corners = np.array([corner for b in boxes for corner in ((b.x, b.y), (b.right, b.bottom))])
    where = project(matrix, corners)
    if (where < 0).any() or (where > np.array(scan.pixels.shape[::-1]) - 1).any():
        raise RegistrationError(
            "part of the sheet is outside of the picture", where=scan.source, fix="scan the whole sheet"
        )


def _residual(scan: Scan, matrix: Array, boxes: Sequence[Outline], contrast: float) -> tuple[float, int]:
    """How far these boxes lie from where they should, mm (90th percentile), and how many were seen.

    A box that is not there counts as far off, unless it is filled and so hides its outline: a page of which
    a part is covered, folded over or badly curled is not to be read.
    """
    shifts = box_landmarks(scan.pixels, matrix, boxes, reach=VERIFY, contrast=contrast).shifts
    hidden = filled(scan.pixels, matrix, boxes, contrast=contrast)
    seen = np.asarray(np.isfinite(shifts).all(axis=1))
    expected = seen | ~hidden
    if not expected.any() or seen[expected].mean() < MIN_FOUND:
        raise RegistrationError(
            "the boxes of this template are not on the page",
            where=scan.source,
            fix="is it another sheet, or is the print too faint",
            received=f"{seen.sum()} of {len(boxes)} boxes",
        )
    distance = np.where(seen, np.hypot(*shifts.T), VERIFY)[expected]
    return float(np.percentile(distance, 90)), int(seen.sum())
