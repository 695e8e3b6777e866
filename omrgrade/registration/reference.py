"""Registration by a blank form: its features and their geometry, the edges of the paper, its print.

Forms repeat themselves: a letter or bubble is like a hundred others, so that the usual test (is the best
match much better than the second?) throws nearly all away. Here each match, the second best too, stands for a
turn, scale and place of the whole page, as SIFT features have all three. The page is where most agree.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from omrgrade.errors import RegistrationError
from omrgrade.placing import project
from omrgrade.records import Scan, Template
from omrgrade.registration.geometry import Array, Located
from omrgrade.registration.page import by_edges, by_print, by_straight_edges, likeliest, sheets

Grey = NDArray[np.uint8]

PX = 4.0
"""px per mm of the blank as features are found on it."""
REACH = 5.0
"""mm by which a page found by features may be off: paper is curled between them."""
AGREE = 0.05
"""Of the page's diagonal: matches that put a point farther from where another puts it, disagree."""
ENOUGH = 12
"""Matches that must agree on a page."""

_LONG_SIDE = 1300  # px of the copy of the scan
_FEATURES = 2500
_NEAREST = 3  # matches of each feature
_TRIED = 250  # matches, the best first, that others are compared with
_TURN, _SCALE = np.radians(22), 0.45  # how far turns and logs of scales of agreeing matches may differ
_OFFERED = 3


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Features:
    points: Array  # (n, 2) px
    sizes: Array  # (n,) px
    angles: Array  # (n,) radians
    looks: NDArray[np.float32]  # (n, 128), of length 1


def locate(scan: Scan, template: Template) -> Iterator[Sequence[Located]]:
    """Where most features agree; where edges of paper are; then where print is like the blank form's."""
    if places := _by_features(scan, template):
        yield places
    quads = sheets(scan.pixels)
    yield from by_edges(scan, template, quads)
    yield from by_straight_edges(scan, template)
    yield from by_print(scan, template, quads)
    yield from likeliest(scan, template, quads)
    raise RegistrationError(
        "the form was not found on the page",
        where=scan.source,
        fix="is it another form, or is part of it outside of the picture",
    )


def _by_features(scan: Scan, template: Template) -> list[Located]:
    blank = _blank(template)
    shrink = max(max(scan.pixels.shape) / _LONG_SIDE, 0.5)
    size = (max(round(scan.pixels.shape[1] / shrink), 8), max(round(scan.pixels.shape[0] / shrink), 8))
    seen = _features(np.asarray(cv2.resize(scan.pixels, size, interpolation=cv2.INTER_AREA), np.uint8))
    if len(seen.points) < ENOUGH or len(blank.points) < ENOUGH:
        return []
    matches = _matched(blank, seen)
    to_scan = np.array([scan.pixels.shape[1] / size[0], scan.pixels.shape[0] / size[1]])
    result = []
    for agreeing in _agreeing(blank, seen, matches, template):
        page = (blank.points[matches[agreeing, 0]] + 0.5) / PX
        there = (seen.points[matches[agreeing, 1]] + 0.5) * to_scan - 0.5
        matrix = _homography(page, there, template)
        if matrix is not None:
            result.append(Located(page_to_scan=matrix, contrast=0.0, reach=REACH))
    return result


@lru_cache(maxsize=4)
def _blank(template: Template) -> _Features:
    picture = cv2.imdecode(np.frombuffer(template.fiducials.picture, np.uint8), cv2.IMREAD_GRAYSCALE)
    size = (round(template.page_width * PX), round(template.page_height * PX))
    return _features(np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8))


def _features(grey: Grey) -> _Features:
    """SIFT features, with looks as Hellinger distances compare them ("RootSIFT", Arandjelovic 2012)."""
    keypoints, looks = cv2.SIFT.create(nfeatures=_FEATURES, contrastThreshold=0.03).detectAndCompute(
        grey, None
    )
    if looks is None or not len(keypoints):
        return _Features(
            points=np.zeros((0, 2)),
            sizes=np.zeros(0),
            angles=np.zeros(0),
            looks=np.zeros((0, 128), np.float32),
        )
    rooted = np.sqrt(looks / np.maximum(looks.sum(axis=1, keepdims=True), 1e-9))
    return _Features(
        points=np.array([k.pt for k in keypoints]),
        sizes=np.array([k.size for k in keypoints]),
        angles=np.radians([k.angle for k in keypoints]),
        looks=rooted.astype(np.float32),
    )


def _matched(blank: _Features, seen: _Features) -> NDArray[np.int64]:
    """Pairs (m, 2) of a blank's feature and one of those most like it, the surest first."""
    found = cv2.BFMatcher(cv2.NORM_L2).knnMatch(blank.looks, seen.looks, k=_NEAREST)
    rows = [
        (m.queryIdx, m.trainIdx, m.distance / max(own[-1].distance, 1e-6), m.distance)
        for own in found
        for m in own
    ]
    table = np.array(rows, dtype=np.float64).reshape(-1, 4)
    order = np.argsort(table[:, 2] * table[:, 3], kind="stable")
    return table[order, :2].astype(np.int64)


def _agreeing(
    blank: _Features, seen: _Features, matches: NDArray[np.int64], template: Template
) -> list[NDArray[np.int64]]:
    """Sets of matches that put the page at the same place, about; the largest first."""
    here, there = matches[:, 0], matches[:, 1]
    turn = seen.angles[there] - blank.angles[here]
    scale = np.log(seen.sizes[there] / blank.sizes[here])
    source, target = blank.points[here] @ (1, 1j), seen.points[there] @ (1, 1j)
    factor = np.exp(scale + 1j * turn)
    diagonal = float(np.hypot(template.page_width, template.page_height)) * PX
    sets: list[tuple[int, NDArray[np.int64]]] = []
    for n in range(min(_TRIED, len(matches))):
        expected = target[n] + factor[n] * (source - source[n])
        agree = np.abs(expected - target) < AGREE * diagonal * abs(factor[n])
        agree &= np.abs(np.angle(factor / factor[n])) < _TURN
        agree &= np.abs(scale - scale[n]) < _SCALE
        own = np.flatnonzero(agree)
        count = min(len(np.unique(here[own])), len(np.unique(there[own])))
        if count >= ENOUGH:
            sets.append((count, own))
    sets.sort(key=lambda entry: -entry[0])
    kept: list[NDArray[np.int64]] = []
    for _, own in sets:
        if all(len(np.intersect1d(own, other)) < 0.3 * len(own) for other in kept):
            kept.append(own)
        if len(kept) == _OFFERED:
            break
    return kept


def _homography(page: Array, there: Array, template: Template) -> Array | None:
    """The homography (3, 3) page mm -> scan px that most of these agree on; None if it is no page's."""
    scale = np.sqrt(np.prod(np.ptp(there, axis=0) + 1) / np.prod(np.ptp(page, axis=0) + 1))
    matrix, inside = cv2.findHomography(
        page,
        there,
        cv2.USAC_MAGSAC,
        ransacReprojThreshold=float(2.5 * scale),
        maxIters=3000,
        confidence=0.999,
    )
    if matrix is None or inside.sum() < ENOUGH:
        return None
    width, height = template.page_width, template.page_height
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)])
    if (corners @ matrix[2, :2] + matrix[2, 2] <= 0).any():
        return None
    quad = project(np.asarray(matrix, np.float64), corners).astype(np.float32)
    return (
        np.asarray(matrix, np.float64)
        if cv2.isContourConvex(quad) and cv2.contourArea(quad, True) > 0
        else None
    )
