"""Where a page's points lie in its scan: a homography and, where paper is bent, a displacement."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from omrgrade.records import Bend, Rect, Registration

Array = NDArray[np.float64]


def project(matrix: Array, points: Array) -> Array:
    """Map points (..., 2) by a homography (3, 3)."""
    x, y = points[..., 0], points[..., 1]
    w = matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2]
    return np.stack(
        [
            (matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2]) / w,
            (matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2]) / w,
        ],
        axis=-1,
    )


def bend_weights(bend: Bend, points: Array) -> Array:
    """How much each of a bend's coefficients counts at points (n, 2) mm, as (n, rows * columns)."""
    across = _splines(points[:, 0] / bend.step, bend.columns)
    down = _splines(points[:, 1] / bend.step, bend.rows)
    return np.asarray((down[:, :, None] * across[:, None, :]).reshape(len(points), bend.rows * bend.columns))


def _splines(position: Array, count: int) -> Array:
    """Uniform cubic B-splines (n, count) at positions in steps; spline k is centred on k - 1."""
    inside = np.clip(position, 0, count - 3)  # beyond the rim the value at the rim holds
    distance = np.abs(inside[:, None] - (np.arange(count) - 1))
    near, far = 2 / 3 - distance**2 + distance**3 / 2, np.maximum(2 - distance, 0) ** 3 / 6
    return np.where(distance < 1, near, far)


def bend_shifts(bend: Bend | None, points: Array) -> Array:
    """How far points (..., 2) mm of a flat page lie displaced, mm: sixteen coefficients count at each."""
    if bend is None:
        return np.zeros_like(points)
    flat = points.reshape(-1, 2)
    column, across = _four(flat[:, 0] / bend.step, bend.columns)
    row, down = _four(flat[:, 1] / bend.step, bend.rows)
    at = row[:, :, None] * bend.columns + column[:, None, :]
    weights = (down[:, :, None] * across[:, None, :]).reshape(len(flat), 1, 16)
    there = np.array(bend.shifts)[at.reshape(len(flat), 16)]
    return np.asarray((weights @ there).reshape(points.shape))


def _four(position: Array, count: int) -> tuple[NDArray[np.intp], Array]:
    """Which of `_splines` are not zero at positions (n,) in steps, (n, 4), and what they are there."""
    inside = np.clip(position, 0, count - 3)
    first = np.minimum(inside.astype(np.intp), count - 4)
    t = inside - first
    rest = 1 - t
    values = (rest**3 / 6, 2 / 3 - t**2 + t**3 / 2, 2 / 3 - rest**2 + rest**3 / 2, t**3 / 6)
    return first[:, None] + np.arange(4), np.stack(values, axis=1)


def place(registration: Registration, points: Array) -> Array:
    """Page points (..., 2) mm -> scan px (pixel centres at whole numbers)."""
    matrix = np.array(registration.page_to_scan)
    return project(matrix, points + bend_shifts(registration.bend, points))


def local_matrices(registration: Registration, rects: Sequence[Rect]) -> Array:
    """Homographies, page mm -> scan px, that hold in and near each of these: (n, 3, 3), or one for all."""
    matrix = np.array(registration.page_to_scan)
    if registration.bend is None or not rects:
        return matrix[None]
    x, y = centres = np.array([rect.centre for rect in rects]).T
    across = np.array([max(rect.width, 4) / 2 for rect in rects])
    down = np.array([max(rect.height, 4) / 2 for rect in rects])
    around = np.array([(x, y), (x - across, y), (x + across, y), (x, y - down), (x, y + down)])
    around = np.ascontiguousarray(around.transpose(2, 0, 1))  # (n, 5, 2)
    shifts = bend_shifts(registration.bend, around)
    bent = np.tile(np.eye(3), (len(rects), 1, 1))
    bent[:, :2, 0] += (shifts[:, 2] - shifts[:, 1]) / (2 * across[:, None])
    bent[:, :2, 1] += (shifts[:, 4] - shifts[:, 3]) / (2 * down[:, None])
    slope = bent[:, :2, :2] - np.eye(2)
    bent[:, :2, 2] = shifts[:, 0] - (slope @ centres.T[..., None])[..., 0]
    return np.asarray(matrix @ bent)
