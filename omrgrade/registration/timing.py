"""Registration by timing marks: rows of equal bars along one edge or two.

Blobs of a bar's shape are strung together by their nearest neighbours, the way they lie on the paper; a chain
of about as many as a track has is that track, one way round or the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations, product

import cv2
import numpy as np

from omrgrade.errors import RegistrationError
from omrgrade.placing import project
from omrgrade.records import Fiducials, Rect, Scan, Template
from omrgrade.registration.geometry import NEAR, Array, Located
from omrgrade.registration.marks import Blobs, find_blobs, mark_hull
from omrgrade.registration.nearby import Near, if_whole

PAGE_SHARE = (0.3, 1.15)
"""How long the page's diagonal may be in parts of the picture's."""
STEADY = 0.3
"""How far a step of a chain may be from the one before, in parts of it: skew, perspective, a ragged print."""
MISSING = 0.25
"""Share of a track's marks that may be missing: covered, torn off, written on."""

_MOST = 1200  # blobs
_LIKE = 0.45  # correlation (0-1) with a bar
_CHAINS = 6
_OFFERED = 6
_REACH = 6.0  # mm by which boxes may be off: a track says little of what is far from it


def locate(scan: Scan, template: Template) -> Iterator[Sequence[Located]]:
    """Every way in which chains of blobs can be the tracks, most marks first."""
    wanted = template.fiducials
    chains = _chains(_search(scan, template), wanted)
    places = _places(chains, template, reach=_REACH)
    if not places:
        raise RegistrationError(
            "the timing marks were not found", where=scan.source, fix="scan the whole sheet, marks uncovered"
        )
    yield places


def plainly(scan: Scan, template: Template) -> Iterator[Sequence[Located]]:
    """The page where tracks are about where they would be if it filled the picture."""
    wanted = template.fiducials
    near = if_whole(scan, template, mark_hull(wanted)[0])
    yield _places(_chains(_search(scan, template, near), wanted), template, reach=NEAR)


def _search(scan: Scan, template: Template, near: Near | None = None) -> Blobs:
    wanted = template.fiducials
    size, _ = mark_hull(wanted)
    diagonal = float(np.hypot(template.page_width, template.page_height))
    picture = float(np.hypot(*scan.pixels.shape))
    low, high = (share * picture * size / diagonal for share in PAGE_SHARE)
    box = wanted.boxes[0]
    long = max(box.width / box.height, box.height / box.width)
    sizes = (low / 1.3, high * 1.3)
    blobs = find_blobs(scan.pixels, wanted, solid=True, sizes=sizes, elongation=1.9 * long, near=near)
    return blobs.likest(_MOST, _LIKE)


# ---------------------------------------------------------------- chains


def _chains(blobs: Blobs, wanted: Fiducials) -> list[Array]:
    """Chains of blobs, each (n, 2) scan px in order, the longest first."""
    fewest = int((1 - MISSING) * min(wanted.tracks))
    if len(blobs.sizes) < fewest:
        return []
    ratio = _step(wanted.boxes) / mark_hull(wanted)[0]
    found: list[list[int]] = []
    used: set[int] = set()
    for start in range(len(blobs.sizes)):
        if start in used:
            continue
        expected = ratio * blobs.sizes[start]
        away = np.hypot(*(blobs.centres - blobs.centres[start]).T)
        for near in np.flatnonzero((away > 0.6 * expected) & (away < 1.4 * expected)).tolist():
            chain = _grown(blobs, _grown(blobs, [start, near])[::-1])
            if len(chain) >= fewest:
                found.append(chain)
                used.update(chain)
    found.sort(key=len, reverse=True)
    kept: list[list[int]] = []
    for chain in found:
        if all(len(set(chain) & set(other)) < 0.5 * len(chain) for other in kept):
            kept.append(chain)
    return [blobs.centres[chain] for chain in kept[:_CHAINS]]


def _grown(blobs: Blobs, chain: list[int]) -> list[int]:
    """The chain carried on from its last blob as long as there is a like one a step, or two, further on."""
    chain = list(chain)
    step = blobs.centres[chain[-1]] - blobs.centres[chain[-2]]
    while True:
        last, length = blobs.centres[chain[-1]], float(np.hypot(*step))
        for stride in (1, 2, 3):
            away = np.square(blobs.centres - (last + stride * step)).sum(axis=1)
            near = int(away.argmin())
            alike = abs(np.log(blobs.sizes[near] / blobs.sizes[chain[-1]])) < 0.4
            if away[near] < (STEADY * length) ** 2 and near not in chain and alike:
                moved = (blobs.centres[near] - last) / stride
                step = 0.5 * step + 0.5 * moved
                chain.append(near)
                break
        else:
            return chain


def _step(boxes: Sequence[Rect]) -> float:
    (x0, y0), (x1, y1) = boxes[0].centre, boxes[1].centre
    return float(np.hypot(x1 - x0, y1 - y0))


def _numbered(chain: Array) -> Array:
    """Which place (n,) from its first mark each mark of a chain has: missing ones leave gaps."""
    steps = np.hypot(*np.diff(chain, axis=0).T)
    # Perspective changes the step slowly: each is compared with the median of those near it.
    usual = np.array([np.median(steps[max(n - 4, 0) : n + 5]) for n in range(len(steps))])
    return np.concatenate([[0], np.cumsum(np.maximum(np.round(steps / usual), 1))])


# ---------------------------------------------------------------- places


def _places(chains: Sequence[Array], template: Template, *, reach: float) -> list[Located]:
    """Where the page is if these chains are its tracks, in every order, way round and small offset."""
    tracks = _tracks(template.fiducials)
    scored: list[tuple[float, Array]] = []
    for count in (len(tracks), 1) if len(tracks) > 1 else (1,):
        for own in permutations(range(len(chains)), count):
            for which in permutations(range(len(tracks)), count) if count == 1 else [tuple(range(count))]:
                chosen = [(tracks[k], chains[n]) for k, n in zip(which, own, strict=True)]
                scored += _fitted(chosen)
        if scored:
            break  # one track of two says less than both
    scored.sort(key=lambda entry: entry[0])
    return [Located(page_to_scan=matrix, contrast=0.0, reach=reach) for _, matrix in scored[:_OFFERED]]


def _tracks(wanted: Fiducials) -> list[Array]:
    """The centres (n, 2) mm of each track's marks."""
    ends = np.cumsum(wanted.tracks)
    centres = np.array([box.centre for box in wanted.boxes])
    return [centres[end - count : end] for end, count in zip(ends, wanted.tracks, strict=True)]


def _fitted(chosen: Sequence[tuple[Array, Array]]) -> list[tuple[float, Array]]:
    """(how badly it fits, matrix) for chains as these tracks, each way round, a few marks shifted."""
    options = []
    for track, chain in chosen:
        own = []
        for ordered in (chain, chain[::-1]):
            number = _numbered(ordered).astype(int)
            free = len(track) - 1 - int(number[-1])
            if free >= 0 and free <= MISSING * len(track):
                own += [(track[number + first], ordered) for first in range(free + 1)]
        options.append(own)
    result = []
    for group in product(*options):
        page, there = (np.concatenate([pair[k] for pair in group]) for k in (0, 1))
        matrix = _pose(page, there, flat=len(group) == 1)
        if matrix is None:
            continue
        scale = float(np.ptp(there, axis=0).max() / np.ptp(page, axis=0).max())
        error = float(np.median(np.hypot(*(project(matrix, page) - there).T))) / scale
        if error < 2.5:
            result.append((error - 0.01 * len(page), matrix))
    return result


def _pose(page: Array, there: Array, *, flat: bool) -> Array | None:
    """A homography, or for one track a turn, scale and move; None where it mirrors the page."""
    if flat:
        affine, _ = cv2.estimateAffinePartial2D(page, there, method=cv2.LMEDS)
        return None if affine is None else np.vstack([affine, [0, 0, 1]])
    matrix, _ = cv2.findHomography(page, there, cv2.RANSAC, float(np.ptp(there)) * 0.01)
    if matrix is None or not np.isfinite(matrix).all() or np.linalg.det(matrix) <= 0:
        return None
    return np.asarray(matrix, np.float64) if (page @ matrix[2, :2] + matrix[2, 2] > 0).all() else None
