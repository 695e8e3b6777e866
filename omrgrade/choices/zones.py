"""Where to look in a bubble's crop: inside of its outline, beside it, and at the paper in the corners."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

INNER = 0.78  # the share of a bubble's radius that is looked at: the printed ring stays out of it
OUTER = 1.18  # from this share of the radius on there is paper again
SECTORS = 24  # directions round a bubble in which ink is looked for outside of it


@dataclass(frozen=True, slots=True)
class Zones:
    """Parts of a crop of (h, w) px."""

    inside: Bools  # (h, w)
    corners: tuple[Bools, ...]  # paper: top left, top right, bottom left, bottom right
    sectors: tuple[Bools, ...]  # paper, by direction, clockwise from the right
    x: Floats  # (1, w) across, a corner's typical place is at -0.5 or 0.5
    y: Floats  # (h, 1) down, the same


@functools.lru_cache(maxsize=64)
def zones(height: int, width: int, margin: float) -> Zones:
    """The zones of crops of (height, width) px with `margin` px of paper round the bubble."""
    x, y, distance = polar(height, width, height / 2 - margin, width / 2 - margin)
    paper = distance >= OUTER
    corners = tuple(paper & (down == (y > 0)) & (right == (x > 0)) for down in (0, 1) for right in (0, 1))
    far_y, far_x = abs(y * corners[0]).sum() / corners[0].sum(), abs(x * corners[0]).sum() / corners[0].sum()
    direction = np.floor((np.arctan2(y, x) / (2 * np.pi) % 1) * SECTORS).astype(int) % SECTORS
    return Zones(
        inside=distance <= INNER,
        corners=corners,
        sectors=tuple(paper & (direction == n) for n in range(SECTORS)),
        x=(x / (2 * far_x)).astype(np.float32),
        y=(y / (2 * far_y)).astype(np.float32),
    )


def polar(
    height: int, width: int, down: float, across: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """x (1, w) and y (h, 1) in px from the middle; distance (h, w) in radii of the ellipse."""
    y, x = np.ogrid[:height, :width]
    y, x = y - (height - 1) / 2, x - (width - 1) / 2
    return x, y, np.hypot(y / max(down, 1.0), x / max(across, 1.0))
