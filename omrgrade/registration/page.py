"""Registration by the edges of the sheet, on a ground that is darker or lighter; last by the picture's.

Paper tells from its ground by brightness, by an edge all round, or by straight edges in parts. Print need
not be centred on paper, and paper is rarely straight, so this only says about where the page is; the boxes
say the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import cv2
import numpy as np
from numpy.typing import NDArray

from omrgrade.errors import RegistrationError
from omrgrade.records import Scan, Template
from omrgrade.registration.geometry import NEAR, Array, Located, homography
from omrgrade.registration.search import LIKE, Hint, both_ways, likeness, page_view, search, whole_view
from omrgrade.registration.search import REACH as FOUND
from omrgrade.registration.straight import straight_quads

Grey = NDArray[np.uint8]

REACH = 12.0
"""mm by which print may be off its place on the paper, curl included."""

SURE = 0.45
"""Correlation (0-1) with the page's print above which an outline is the sheet's."""
ON_SHEET = (0.9, 0.94, 0.98, 1.02, 1.06)
"""Scales of print on its sheet: printers fit pages to paper, and edges are found a little off."""
IN_PICTURE = tuple(float(scale) for scale in np.geomspace(0.55, 1.08, 18))
"""Scales of the page in a picture, across the diagonal."""

_UPRIGHT = 2  # of the turns that a quad allows, the first ones: the others are their opposites
_OFFERED = 4
_STRAIGHT = 8  # quads of straight edges that are compared with the page's print
_LIKEST = 3  # of them that the boxes decide between
_LONG_SIDE = 700  # px of the copy that is searched
_LEAST = 0.12  # share of the picture that a sheet fills
_SHAPE = 0.33  # how far (log) a sheet's height over width may be from its own: a phone held at a slant
_ALIKE = 0.03  # quads whose corners are nearer, in parts of the picture, are the same
_PLAIN = 0.95  # how well a shape must be a quad (0-1) to be tried before others are looked for
_PAPER_ROUND = 0.95  # share of the picture's rim that is paper where the picture is the page
_PRINT = np.ones((9, 9), np.uint8)  # px of the copy: what is thinner is no ground
_ENOUGH = 120  # points of a side: more lay a line no better


def locate(scan: Scan, template: Template) -> Iterator[Sequence[Located]]:
    """What may be the sheet's outlines, in the turns that their shape allows; then where print is alike."""
    quads = sheets(scan.pixels)
    yield from by_edges(scan, template, quads)
    yield from by_straight_edges(scan, template)
    yield from by_print(scan, template, quads)
    yield from likeliest(scan, template, quads)
    raise RegistrationError(
        "the edges of the sheet were not found",
        where=scan.source,
        fix="lay it on a plain, darker ground, all of it in the picture",
    )


def by_print(scan: Scan, template: Template, quads: Sequence[Array]) -> Iterator[Sequence[Located]]:
    """Places at which print is like the page's: on these quads (4, 2) scan px, or anywhere, straightened."""
    size = (template.page_width, template.page_height)
    for quad in quads:
        hints = [
            search(scan.pixels, page_view(matrix, template), template, turns=(0, 2), scales=ON_SHEET)[0]
            for matrix in placed(quad, size)[:_UPRIGHT]
        ]
        if sure := [_place(hint) for hint in hints if hint.like > SURE]:
            yield sure
    view = whole_view(scan.pixels, template)
    anywhere = search(scan.pixels, view, template, turns=range(4), scales=IN_PICTURE)[:_OFFERED]
    if sure := [_place(hint) for hint in anywhere if hint.like > SURE]:
        yield sure


def _place(hint: Hint) -> Located:
    return Located(page_to_scan=hint.page_to_scan, contrast=0.0, reach=FOUND)


def by_edges(scan: Scan, template: Template, quads: Sequence[Array]) -> Iterator[Sequence[Located]]:
    """The page on quads (4, 2) scan px where print is alike: as they are, then with print `REACH` off.

    Not at once: rows of bubbles look alike one row further.
    """
    for quad in quads:
        likely = _likely(scan, template, quad)
        if likely:
            yield [Located(page_to_scan=matrix, contrast=0.0) for matrix in likely]
            yield [Located(page_to_scan=matrix, contrast=0.0, reach=REACH) for matrix in likely]


def plainly(scan: Scan, template: Template) -> Iterator[Sequence[Located]]:
    """The page on what is plainly the sheet, where print is alike; of a scanned one then a little off."""
    quads, scanned = plain_sheet(scan.pixels)
    likely = [matrix for quad in quads for matrix in _likely(scan, template, quad)]
    for reach in (NEAR, FOUND) if likely and scanned else (NEAR,):
        yield [Located(page_to_scan=matrix, contrast=0.0, reach=reach) for matrix in likely]


def _likely(scan: Scan, template: Template, quad: Array) -> list[Array]:
    """The matrices (3, 3) that lay the page on a quad in turns in which print is alike."""
    matrices = placed(quad, (template.page_width, template.page_height))
    half = len(matrices) // 2  # opposite turns are half of them apart
    both = [both_ways(scan.pixels, matrix, template) for matrix in matrices[:half]]
    like = [one for one, _ in both] + [other for _, other in both]
    return [matrix for matrix, own in zip(matrices, like, strict=True) if own > LIKE]


def by_straight_edges(scan: Scan, template: Template) -> Iterator[Sequence[Located]]:
    """The page where straight edges are its sides and print is most like it; then with print `REACH` off."""
    size = (template.page_width, template.page_height)
    own = (placed(quad, size) for quad in straight_quads(scan.pixels))
    matrices = [matrix for group in islice(filter(None, own), _STRAIGHT) for matrix in group]
    like = [(likeness(scan.pixels, matrix, template), matrix) for matrix in matrices]
    best = sorted((one for one in like if one[0] > LIKE), key=lambda one: -one[0])[:_LIKEST]
    for reach in (0.0, REACH) if best else ():
        yield [Located(page_to_scan=m, contrast=0.0, reach=reach or 2.0) for _, m in best]


def likeliest(scan: Scan, template: Template, quads: Sequence[Array]) -> Iterator[Sequence[Located]]:
    """The place that is likest the page of those on quads (4, 2) scan px, to show what does not fit."""
    size = (template.page_width, template.page_height)
    matrices = [matrix for quad in quads for matrix in placed(quad, size)]
    if matrices:
        best = max(matrices, key=lambda matrix: likeness(scan.pixels, matrix, template))
        yield [Located(page_to_scan=best, contrast=0.0)]


def placed(quad: Array, size: tuple[float, float]) -> list[Array]:
    """Matrices (3, 3), page mm -> scan px, that lay a page of that size on a quad (4, 2), in likely turns."""
    width, height = size
    page = np.array([(0, 0), (width, 0), (width, height), (0, height)])
    result = []
    for turn in range(4):
        corners = np.roll(quad, turn, axis=0)
        sides = np.hypot(*(np.roll(corners, -1, axis=0) - corners).T)
        shape = np.log((sides[1] + sides[3]) / (sides[0] + sides[2]))
        matrix = homography(page, corners)
        if abs(shape - np.log(height / width)) < _SHAPE and matrix is not None:
            result.append(matrix)
    return result


def plain_sheet(pixels: Grey) -> tuple[list[Array], bool]:
    """The quad (4, 2) scan px that is plainly the sheet, if one is: by its brightness alone.

    The picture's own where that is paper all round, as flatbeds scan it; and whether it is.
    """
    small, scale = _reduced(pixels)
    level, _ = cv2.threshold(small, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    rim = np.concatenate([small[:2].ravel(), small[-2:].ravel(), small[:, :2].ravel(), small[:, -2:].ravel()])
    if float((rim > level).mean()) > _PAPER_ROUND:
        return _in_scan([_whole(small)], scale), True
    found = sorted(_quads(_closed(small > level)), key=lambda entry: -entry[0])
    return _in_scan([_from_top_left(quad) for own, quad in found[:1] if own > _PLAIN], scale), False


def sheets(pixels: Grey) -> list[Array]:
    """Quads (4, 2) scan px, clockwise, that may be the outline, likeliest first; the picture's own last."""
    small, scale = _reduced(pixels)
    found: list[tuple[float, Array]] = []
    for mask in _masks(small):
        found += _quads(mask)
    found.sort(key=lambda entry: -entry[0])
    whole = _whole(small)
    kept: list[Array] = []
    for quad in [quad for _, quad in found[:12]] + [whole]:
        corner = _from_top_left(quad)
        if all(np.abs(corner - other).max() > _ALIKE * max(small.shape) for other in kept):
            kept.append(corner)
    return _in_scan(kept[:3] + ([whole] if len(kept) > 3 else []), scale)


def _reduced(pixels: Grey) -> tuple[Grey, Array]:
    """The copy that is searched, and scan px a px of it (2,)."""
    shrink = max(max(pixels.shape) / _LONG_SIDE, 1.0)
    size = (max(round(pixels.shape[1] / shrink), 8), max(round(pixels.shape[0] / shrink), 8))
    small = cv2.GaussianBlur(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), (0, 0), 1.5)
    return np.asarray(small, np.uint8), np.array([pixels.shape[1] / size[0], pixels.shape[0] / size[1]])


def _whole(small: Grey) -> Array:
    right, bottom = small.shape[1] - 1.0, small.shape[0] - 1.0
    return np.array([(0, 0), (right, 0), (right, bottom), (0, bottom)])


def _from_top_left(quad: Array) -> Array:
    return np.asarray(np.roll(quad, -int(quad.sum(axis=1).argmin()), axis=0))


def _in_scan(quads: Sequence[Array], scale: Array) -> list[Array]:
    return [(quad + 0.5) * scale - 0.5 for quad in quads]


def _masks(small: Grey) -> Iterator[Grey]:
    """What may be paper (255), by brightness at several levels and by closed edges."""
    level, _ = cv2.threshold(small, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    levels = [level, 0.8 * level, 1.15 * level]
    for threshold in levels:
        yield _closed(small > threshold)
        yield _closed(small <= threshold)  # paper darker than its ground
    smooth = cv2.medianBlur(cv2.morphologyEx(small, cv2.MORPH_CLOSE, _PRINT), 7)
    for low in (12, 30):
        edges = cv2.dilate(cv2.Canny(smooth, low, 3 * low), np.ones((3, 3), np.uint8))
        ground = cv2.copyMakeBorder(edges, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
        cv2.floodFill(ground, None, (0, 0), 128)
        yield np.where(ground[1:-1, 1:-1] == 128, 0, 255).astype(np.uint8)


def _closed(paper: NDArray[np.bool_]) -> Grey:
    """A mask (255) of paper without the print on it."""
    return np.asarray(
        cv2.morphologyEx(np.where(paper, 255, 0).astype(np.uint8), cv2.MORPH_CLOSE, _PRINT), np.uint8
    )


def _quads(mask: Grey) -> list[tuple[float, Array]]:
    """The large parts of a mask that have four sides: (how well and how large, corners)."""
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    result = []
    for contour in contours:
        if 2 * len(contour) ** 2 < 4 * np.pi * _LEAST * mask.size:
            continue  # a hull of that area has a longer outline, and this one's steps are at most a diagonal
        hull = cv2.convexHull(contour)
        area = cv2.contourArea(hull)
        if area < _LEAST * mask.size:
            continue
        quad = _four_corners(hull)
        if quad is None:
            continue
        quad = _on_sides(quad, contour[:, 0].astype(np.float64))
        inside = cv2.contourArea(quad.astype(np.float32))
        if not 0.8 * area < inside < 1.25 * area:
            continue
        own = cv2.contourArea(contour) / area
        at_rim = _at_rim(quad, mask.shape)
        result.append((own * min(inside, area) / max(inside, area) - 0.15 * at_rim, quad))
    return result


def _four_corners(hull: NDArray[np.int32]) -> Array | None:
    """The corners (4, 2), clockwise, of a hull that is about a quad."""
    length = cv2.arcLength(hull, True)
    for share in (0.01, 0.02, 0.03, 0.05, 0.08):
        corners = cv2.approxPolyDP(hull, share * length, True)
        if len(corners) == 4:
            quad = corners[:, 0].astype(np.float64)
            return quad if cv2.contourArea(quad.astype(np.float32), True) > 0 else quad[::-1].copy()
        if len(corners) < 4:
            return None
    return None


def _on_sides(quad: Array, contour: Array) -> Array:
    """The quad with each side laid on the contour along its middle: corners may be dog-eared or rounded."""
    lines = []
    for n in range(4):
        a, b = quad[n], quad[(n + 1) % 4]
        along = (b - a) / max(float(np.hypot(*(b - a))), 1e-9)
        offset = contour - a
        position = offset @ along / max(float(np.hypot(*(b - a))), 1e-9)
        distance = offset @ np.array([-along[1], along[0]])
        near = (np.abs(distance) < 0.03 * np.hypot(*(b - a)) + 2) & (position > 0.08) & (position < 0.92)
        if near.sum() < 10:
            return quad
        side = contour[near][:: max(int(near.sum()) // _ENOUGH, 1)].astype(np.float32)
        vx, vy, x, y = cv2.fitLine(side, cv2.DIST_HUBER, 0, 0.01, 0.01).ravel()
        lines.append(np.cross([x, y, 1], [x + vx, y + vy, 1]))
    corners = np.array([np.cross(lines[n - 1], lines[n]) for n in range(4)])
    if (np.abs(corners[:, 2]) < 1e-9).any():
        return quad
    corners = corners[:, :2] / corners[:, 2:]
    return corners if np.abs(corners - quad).max() < 0.1 * np.ptp(quad) else quad


def _at_rim(quad: Array, shape: tuple[int, ...]) -> int:
    """How many of a quad's sides lie along the picture's rim: there paper is cut off, or is no paper."""
    size = np.array(shape[::-1]) - 1
    middle = (quad + np.roll(quad, -1, axis=0)) / 2
    near = np.minimum(middle, size - middle).min(axis=1) < 0.01 * max(shape)
    return int(near.sum())
