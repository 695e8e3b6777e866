"""Fitting a bend: the smoothest displacement of the page that agrees with its landmarks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np

from omrgrade.placing import bend_shifts, bend_weights
from omrgrade.records import Bend
from omrgrade.registration.geometry import Array, Landmarks, Pose

STEP = 25.0
"""mm between a bend's coefficients: rollers that stretch a page do so over some 40 mm or more."""
STIFFNESS = 1.5
"""mm^2 of squared landmark errors that outweigh a bend of energy 1 (integral of squared curvature, mm/mm)."""
NOISE = 0.08  # mm: what a single landmark is off by
_SOFTENING = (100.0, 30.0, 10.0, 3.0, 1.0, 1.0)  # stiff at first, so that it cannot bow to wrong landmarks


def fit_bend(
    pose: Pose, seen: Sequence[Landmarks], size: tuple[float, float], *, stiffness: float = STIFFNESS
) -> Pose:
    """The pose with the bend that fits these landmarks, whose shifts are measured from the pose as it is.

    size: of the page, mm. A smoothing spline with Geman-McClure weights: wrong landmarks do not count, and
    where there are none the bend goes on straight.
    """
    points = np.concatenate([landmarks.points for landmarks in seen])
    shifts = np.concatenate([landmarks.shifts for landmarks in seen])
    flat = _flat(size)
    weights = bend_weights(flat, points)
    wanted = shifts + bend_shifts(pose.bend, points)
    energy = stiffness * _energy(flat.columns, flat.rows)
    coefficients = np.stack([_smooth(weights, wanted[:, axis], energy) for axis in (0, 1)], axis=1)
    made = Bend(
        step=STEP, columns=flat.columns, rows=flat.rows,
        shifts=tuple((float(x), float(y)) for x, y in np.round(coefficients, 4)),
    )  # fmt: skip
    return Pose(matrix=pose.matrix, bend=made)


def _flat(size: tuple[float, float]) -> Bend:
    columns, rows = (int(np.ceil(side / STEP)) + 3 for side in size)
    return Bend(step=STEP, columns=columns, rows=rows, shifts=((0.0, 0.0),) * (columns * rows))


def _smooth(weights: Array, wanted: Array, energy: Array) -> Array:
    """Coefficients along one axis; nan in `wanted` where nothing was seen.

    OpenCV's solver, not NumPy's: matrices this small are not worth the threads that a BLAS would start.
    """
    known = np.isfinite(wanted)
    design, target = np.ascontiguousarray(weights[known]), wanted[known]
    result = np.zeros(weights.shape[1])
    if not len(target):
        return result
    trust = np.ones(len(target))
    ridge = 1e-6 * np.eye(len(result))
    for factor in _SOFTENING:
        root = np.sqrt(trust)[:, None]
        normal = cv2.mulTransposed(design * root, True) + factor * energy + ridge
        right = cv2.gemm(design * root, target[:, None] * root, 1.0, None, 0.0, flags=cv2.GEMM_1_T)
        result = cv2.solve(normal, right, flags=cv2.DECOMP_CHOLESKY)[1][:, 0]
        error = np.abs(target - (design * result).sum(axis=1))
        width = max(3 * NOISE, 2.5 * float(np.median(error)))
        trust = 1 / (1 + (error / width) ** 2) ** 2
    return np.asarray(result)


@lru_cache(maxsize=8)
def _energy(columns: int, rows: int) -> Array:
    """The integral of squared second derivatives over the page, as a form of the coefficients."""
    (a0, a1, a2), (d0, d1, d2) = _moments(columns), _moments(rows)
    return np.asarray(np.kron(d0, a2) + 2 * np.kron(d1, a1) + np.kron(d2, a0))


def _moments(count: int) -> tuple[Array, Array, Array]:
    """Products of `count` splines, of their slopes and of their curvatures, integrated in mm."""
    fine = np.arange(0, (count - 3) * STEP + 0.5, 1.0)
    line = Bend(step=STEP, columns=count, rows=4, shifts=())
    values = bend_weights(line, np.stack([fine, np.zeros_like(fine)], axis=1))
    values = values.reshape(len(fine), 4, count).sum(axis=1)
    slopes, curves = np.gradient(values, axis=0), np.gradient(np.gradient(values, axis=0), axis=0)
    return values.T @ values, slopes.T @ slopes, curves.T @ curves
