"""Homographies between page mm and scan px: applying, composing, fitting and refining them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from omrgrade.placing import bend_shifts
from omrgrade.placing import project as project
from omrgrade.records import Bend, Rect

Array = NDArray[np.float64]

NEAR = 2.0
"""mm within which boxes are looked for at first."""

_TRUST = 0.25  # mm: landmarks further off than this from the rest count less and less
_ROUNDS = 8
_SETTLED = 1e-4
"""mm, by which a round moves the page's rim: then further rounds do not move it."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Landmarks:
    """Points of the page, and how far the scan shows them from where a homography puts them."""

    points: Array  # (n, 2) page mm
    shifts: Array  # (n, 2) page mm, observed minus expected; nan where nothing was seen along that axis

    def parted(self, count: int) -> tuple[Landmarks, Landmarks]:
        """The first `count`, and the others."""
        return (
            Landmarks(points=self.points[:count], shifts=self.shifts[:count]),
            Landmarks(points=self.points[count:], shifts=self.shifts[count:]),
        )

    def seen_from(self, one: Array, other: Array) -> Landmarks:
        """What was seen from homography `one` (3, 3), page mm -> scan px, seen from the `other` instead."""
        change = np.asarray(np.linalg.solve(one, other), np.float64)
        moved = project(change, self.points) - self.points
        return Landmarks(points=self.points, shifts=self.shifts - moved)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Pose:
    """Where a page lies in a scan: page mm, displaced by `bend`, mapped by `matrix` -> scan px."""

    matrix: Array  # (3, 3)
    bend: Bend | None = None

    def shifted(self, points: Array) -> Array:
        """Displacement (..., 2) mm at page points (..., 2) mm."""
        return bend_shifts(self.bend, points)

    def __call__(self, points: Array) -> Array:
        """Page points (..., 2) mm -> scan px."""
        return project(self.matrix, points + self.shifted(points))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Located:
    """Where a registration method thinks that the page is."""

    page_to_scan: Array  # (3, 3) maps page mm -> scan px (pixel centres at whole numbers)
    contrast: float  # grey levels between paper and print; 0: to be measured
    squares: tuple[Rect, ...] = ()  # solid squares that were seen, mm: the fit keeps to them beside the boxes
    reach: float = NEAR  # mm by which boxes may be off; more than that is first brought down by the print


def homography(source: Array, target: Array) -> Array | None:
    """The homography (3, 3) that maps source (n, 2) to target (n, 2) best; None if they allow none."""
    matrix, _ = cv2.findHomography(source.astype(np.float64), target.astype(np.float64), 0)
    return None if matrix is None else np.asarray(matrix, dtype=np.float64)


def quarter_turns(matrix: Array, centre: tuple[float, float]) -> int:
    """How far the page is turned in the scan, to the next quarter turn: degrees clockwise, 0 to 270."""
    x, y = centre
    (x0, y0), (x1, y1) = project(matrix, np.array([(x, y), (x + 1, y)]))
    return round(float(np.degrees(np.arctan2(y1 - y0, x1 - x0))) / 90) * 90 % 360


def median(values: Array) -> float:
    """What `np.median` says of finite values (n,), n > 0, in a quarter of its time."""
    middle = len(values) // 2
    if len(values) % 2:
        return float(np.partition(values, middle)[middle])
    low, high = np.partition(values, (middle - 1, middle))[middle - 1 : middle + 1]
    return float((low + high) / 2)


def percentile(values: NDArray[np.uint8], share: float) -> float:
    """What `np.percentile` says of bytes, n > 0, by counting them: in up to a hundredth of its time."""
    count = cv2.calcHist([np.ascontiguousarray(values)], [0], None, [256], [0, 256]).ravel()
    upto, place = np.cumsum(count.astype(np.int64)), share / 100 * (values.size - 1)
    least = int(place)
    low, high = np.searchsorted(upto, [least, min(least + 1, values.size - 1)], side="right").tolist()
    return float(low + (high - low) * (place - least))


def refine(matrix: Array, seen: list[Landmarks], *, trust: float = _TRUST, perspective: bool = True) -> Array:
    """Correct a homography page mm -> scan px so that it fits the landmarks.

    The correction is itself a small homography of the page, `matrix @ correction`, linear in its eight
    parameters as long as shifts are small beside the page; weighted least squares with Geman-McClure weights,
    so that a few wrong landmarks (ink along a box's edge) do not count: those over `trust` mm off the rest
    less and less. Without `perspective` the correction is affine.
    """
    points = np.concatenate([landmarks.points for landmarks in seen])
    shifts = np.concatenate([landmarks.shifts for landmarks in seen])
    centre, scale = points.mean(axis=0), max(float(np.ptp(points, axis=0).max()) / 2, 1.0)
    x, y = ((points - centre) / scale).T
    one, zero = np.ones_like(x), np.zeros_like(x)
    along_x = np.stack([one, x, y, zero, zero, zero, x * x, x * y], axis=1)
    along_y = np.stack([zero, zero, zero, one, x, y, x * y, y * y], axis=1)
    design = np.concatenate([along_x, along_y])
    wanted = shifts.T.ravel()
    known = np.isfinite(wanted)
    design, wanted = design[known], wanted[known]
    if not perspective:
        design = design * (np.arange(8) < 6)
    if len(wanted) < 8:
        return matrix
    weights = np.ones_like(wanted)
    parameters = np.zeros(8)
    for _ in range(_ROUNDS):
        before = parameters
        # eight unknowns of one size: normal equations lose nothing, and take a fifth of the time
        weighted = design.T * weights
        try:
            parameters = np.linalg.solve(weighted @ design, weighted @ wanted)
        except np.linalg.LinAlgError:  # too few landmarks in too few places
            root = np.sqrt(weights)
            parameters = np.linalg.lstsq(design * root[:, None], wanted * root, rcond=None)[0]
        if np.abs(parameters - before).max() < _SETTLED:
            break
        error = wanted - design @ parameters
        width = max(trust, 2 * median(np.abs(error)))
        weights = 1 / (1 + (error / width) ** 2) ** 2
    a0, a1, a2, b0, b1, b2, c1, c2 = parameters / scale
    unit = np.array([[1 / scale, 0, -centre[0] / scale], [0, 1 / scale, -centre[1] / scale], [0, 0, 1]])
    correction = np.array([[1 + a1, a2, a0], [b1, 1 + b2, b0], [-c1, -c2, 1]])
    corrected = matrix @ np.linalg.inv(unit) @ correction @ unit
    return np.asarray(corrected / corrected[2, 2])
