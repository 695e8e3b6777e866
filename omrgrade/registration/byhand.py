"""Registration by four points that a person has shown, for pages on which no method finds the sheet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from omrgrade.errors import RegistrationError
from omrgrade.records import Scan, Template
from omrgrade.registration.geometry import Array, Located, homography

COUNT = 4


def reference_points(template: Template) -> Array:
    """What to show, (4, 2) mm, clockwise from top left: the markers' centres, else the paper's corners."""
    boxes = template.fiducials.boxes
    if len(boxes) == COUNT:
        return np.array([box.centre for box in boxes])
    width, height = template.page_width, template.page_height
    return np.array([(0, 0), (width, 0), (width, height), (0, height)])


def locate(
    scan: Scan, template: Template, *, shown: Sequence[tuple[float, float]]
) -> Iterator[list[Located]]:
    """The page where four points say it is; shown: (x, y) px, in the order of `reference_points`."""
    points = np.array(shown, np.float64)
    hull = cv2.convexHull(points.astype(np.float32))
    matrix = homography(reference_points(template), points) if len(hull) == COUNT else None
    if matrix is None:
        raise RegistrationError(
            "these are not the corners of a sheet", where=scan.source, fix="show them again, clockwise"
        )
    yield [Located(page_to_scan=matrix, contrast=_contrast(scan, points))]


def _contrast(scan: Scan, points: Array) -> float:
    """Grey levels between paper and print, from what lies between the points."""
    left, top = np.maximum(points.min(axis=0), 0).astype(int)
    right, bottom = points.max(axis=0).astype(int)
    part = scan.pixels[top:bottom, left:right]
    if not part.size:
        return 1.0
    return max(float(np.percentile(part, 90) - np.percentile(part, 0.5)), 1.0)
