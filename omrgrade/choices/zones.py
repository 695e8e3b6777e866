"""Where to look in a bubble's crop: inside of its outline, beside it, and at the paper in the corners."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

INNER = 0.78  # the share of a bubble's radius that is looked at: the printed ring stays out of it
OUTER = 1.18  # from this share of the radius on there is paper again
SECTORS = 24  # directions round a bubble in which ink is looked for outside of it
RAYS = 48  # finer directions, in which strokes through a bubble come out of it:
RAY = (
    1.12,
    1.16,
    1.45,
)  # leaving it between the first two shares of the radius, and up to the third or the rim
ROOM = 1.36
MIDDLE = 0.5, 0.7  # shares of the radius between which strokes are counted inside

Sector = tuple[NDArray[np.intp], NDArray[np.intp]]
"""Some directions (k,), and places in the raveled crop, (k, px), that lie there: as many in each."""


@dataclass(frozen=True, slots=True)
class Zones:
    """Parts of a crop of (h, w) px."""

    inside: Bools  # (h, w)
    corners: tuple[Bools, ...]  # paper: top left, top right, bottom left, bottom right
    sectors: tuple[Sector, ...]  # paper, by direction, clockwise from the right
    middle: NDArray[np.intp]  # (RAYS, m) places in the raveled crop along each ray inside,
    near: NDArray[np.intp]  # (RAYS, m) places in the raveled crop along each ray just outside the outline,
    far: NDArray[np.intp]  # and from there on outwards; clockwise from the right
    room: Bools  # (RAYS,) rays along which there is paper to be seen as far as `ROOM` of the radius
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
        sectors=tuple(_sectors(paper, direction)),
        middle=_rays(height, width, margin, *MIDDLE),
        near=_rays(height, width, margin, RAY[0], RAY[1]),
        far=_rays(height, width, margin, RAY[1], RAY[2]),
        room=_rim(height, width, margin) >= ROOM,
        x=(x / (2 * far_x)).astype(np.float32),
        y=(y / (2 * far_y)).astype(np.float32),
    )


def _sectors(paper: Bools, direction: NDArray[np.int_]) -> Iterator[Sector]:
    """The paper of each of the SECTORS directions; directions of as many px together."""
    places = [np.flatnonzero(paper & (direction == n)) for n in range(SECTORS)]
    for count in sorted({len(own) for own in places} - {0}):
        alike = [n for n, own in enumerate(places) if len(own) == count]
        yield np.array(alike), np.array([places[n] for n in alike])


def _rays(height: int, width: int, margin: float, first: float, last: float) -> NDArray[np.intp]:
    """Places in the raveled crop, (RAYS, m), along each ray, from one share of the radius to another."""
    ends = np.clip(_rim(height, width, margin), first, last)
    along = first + (ends[:, None] - first) * np.linspace(0, 1, 6)
    middle = np.array([(height - 1) / 2, (width - 1) / 2])
    places = np.rint(middle + along[:, :, None] * _ways(height, width, margin)[:, None]).astype(np.intp)
    places = np.clip(places, 0, [height - 1, width - 1])
    return places[..., 0] * width + places[..., 1]


def _rim(height: int, width: int, margin: float) -> NDArray[np.float64]:
    """Where each ray leaves the crop, less half a px: (RAYS,) shares of the radius."""
    middle = np.array([(height - 1) / 2, (width - 1) / 2])
    rim: NDArray[np.float64] = ((middle - 0.5) / np.maximum(abs(_ways(height, width, margin)), 1e-6)).min(
        axis=1
    )
    return rim


def _ways(height: int, width: int, margin: float) -> NDArray[np.float64]:
    """(RAYS, 2) px down and across from the middle to the outline."""
    angle = 2 * np.pi * np.arange(RAYS) / RAYS
    return np.column_stack([np.sin(angle), np.cos(angle)]) * (height / 2 - margin, width / 2 - margin)


def polar(
    height: int, width: int, down: float, across: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """x (1, w) and y (h, 1) in px from the middle; distance (h, w) in radii of the ellipse."""
    y, x = np.ogrid[:height, :width]
    y, x = y - (height - 1) / 2, x - (width - 1) / 2
    return x, y, np.hypot(y / max(down, 1.0), x / max(across, 1.0))
