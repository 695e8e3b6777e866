"""Registration by four ArUco markers, one near each corner; three are enough.

So are two of a page that was fed so far off that the others are not on the scan, while all its boxes are.
Markers are found on a reduced copy, which is five times as fast as at full size, and of that first in the
scan's corners, where a flatbed or feeder leaves them; their edges are then measured on the scan itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import combinations
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from omrgrade.errors import RegistrationError
from omrgrade.records import Rect, Scan, Template
from omrgrade.registration.geometry import Array, Located, homography, project, refine
from omrgrade.registration.outlines import edge_landmarks

Grey = NDArray[np.uint8]
Found = dict[int, Array]  # marker id -> corners (4, 2) in scan px, clockwise from the marker's own top left

ATTEMPTS = ((1200, 0.0), (2000, 0.0), (1200, 1.2), (3600, 0.0))
"""Long side in px and blur in px of the copies searched in turn, until three markers are found."""
CORNERS = ((0.1, False), (0.1, True), (0.16, True))
"""Shares of the scan's long side; squares of that side in each of its corners are searched in turn, first;
whether thoroughly."""
AGREE = 2.5
"""mm: corners further off than this from a common page are not all of it; curled paper stays below."""
NEAR = 0.25
"""mm: markers whose edges were all seen nearer than this are not measured again from where these are."""
PAIR_REACH = 8.0
"""mm by which two markers may put the far side of a page off, before its print says more."""
FIX = "scan the whole sheet with its corner squares uncovered"
OTHER = "grade it with the template that it was printed from"


def locate(scan: Scan, template: Template) -> Located:
    """Find the template's markers; raises `RegistrationError` when fewer than two are to be seen."""
    wanted = template.fiducials
    squares = dict(zip(wanted.ids, wanted.boxes, strict=True))
    for share, thorough in CORNERS:
        seen = _search_corners(scan.pixels, wanted.dictionary, share, thorough=thorough)
        matrix, found = _agreeing(seen, squares)
        if len(found) == len(squares):
            break
    else:
        seen = _search(scan.pixels, wanted.dictionary, squares)
        matrix, found = _agreeing(seen, squares)
    if matrix is None and (pair := _pair(seen, squares, scan, template)) is not None:
        boxes = [squares[i] for i in squares if i in seen]
        return Located(
            page_to_scan=pair, squares=tuple(boxes), contrast=_contrast(scan.pixels, seen), reach=PAIR_REACH
        )
    if matrix is None:
        what, fix = _why(seen, squares, scan.pixels)
        raise RegistrationError(what, where=scan.source, fix=fix)
    if len(found) == 3:
        found |= _missing_one(scan.pixels, wanted.dictionary, squares, found, matrix)
        matrix, found = _agreeing(found, squares)
    assert matrix is not None
    contrast = _contrast(scan.pixels, found)
    boxes = [squares[i] for i in found]
    for reach in (0.8, 0.4):
        anchors = edge_landmarks(scan.pixels, matrix, boxes, reach=reach, contrast=contrast)
        matrix = refine(matrix, [anchors])
        if np.isfinite(anchors.shifts).any(axis=1).all() and np.nanmax(np.abs(anchors.shifts)) < NEAR:
            break
    return Located(page_to_scan=matrix, squares=tuple(boxes), contrast=contrast)


# ---------------------------------------------------------------- finding markers


@cache
def _detector(dictionary: str, share: float = 1.0, *, thorough: bool = True) -> Any:
    """A detector for a part of the picture whose long side is this share of the whole's.

    thorough: with ink told from paper by its surroundings in three sizes; else in the largest of them only.
    """
    parameters = cv2.aruco.DetectorParameters()
    # of the long side: a 9 mm marker on a page that fills half the picture
    parameters.minMarkerPerimeterRate = 0.02 / share
    parameters.maxMarkerPerimeterRate /= share
    parameters.polygonalApproxAccuracyRate = 0.05  # corners rounded by blur or thick print
    if not thorough:
        parameters.adaptiveThreshWinSizeMin = parameters.adaptiveThreshWinSizeMax
    known = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, f"DICT_{dictionary.upper()}"))
    return cv2.aruco.ArucoDetector(known, parameters)


def _detect(pixels: Grey, dictionary: str, share: float = 1.0, *, thorough: bool = True) -> Found:
    """Markers in a picture; of two with one id the larger, the other is a scrap or chance texture."""
    corners, ids, _ = _detector(dictionary, share, thorough=thorough).detectMarkers(pixels)
    numbers = [] if ids is None else ids.ravel().tolist()
    quads = [quad.reshape(4, 2) for quad in corners]
    order = sorted(range(len(numbers)), key=lambda k: cv2.contourArea(quads[k]))
    return {numbers[k]: quads[k].astype(np.float64) for k in order}


def _search_corners(
    pixels: Grey, dictionary: str, share: float = CORNERS[-1][0], *, thorough: bool = True
) -> Found:
    """Markers in the picture's corners, as the first attempt of `_search` finds them there, sooner.

    share, thorough: see `CORNERS`. None where two corners show the same marker: `_search` is to judge.
    """
    k = max(round(max(pixels.shape) / ATTEMPTS[0][0]), 1)
    side = round(max(pixels.shape) * share) // k * k
    seen: Found = {}
    for bottom in (False, True):
        for right in (False, True):
            # whole blocks from the top left on, as for the copy of the whole picture
            top = (pixels.shape[0] - side) // k * k if bottom else 0
            left = (pixels.shape[1] - side) // k * k if right else 0
            part = pixels[top : top + side, left : left + side]
            if min(top, left, min(part.shape) - 16) < 0:
                return {}
            copy, scale = _copy(part, k, 0.0)
            found = _detect(copy, dictionary, share, thorough=thorough)
            if found.keys() & seen.keys():
                return {}
            seen |= {i: (quad + 0.5) * scale - 0.5 + (left, top) for i, quad in found.items()}
    return seen


def _search(pixels: Grey, dictionary: str, squares: dict[int, Rect]) -> Found:
    """Search the whole picture until three of the template's markers are found."""
    seen: Found = {}
    for long_side, blur in ATTEMPTS:
        copy, scale = _copy(pixels, max(pixels.shape) / long_side, blur)
        for i, quad in _detect(copy, dictionary).items():
            seen.setdefault(i, (quad + 0.5) * scale - 0.5)  # pixel centres are at whole numbers in both
        if sum(i in seen for i in squares) >= 3:
            break
    return seen


def _copy(pixels: Grey, shrink: float, blur: float) -> tuple[Grey, float]:
    """A copy `shrink` times smaller (rounded to a whole number, ten times as fast), or enlarged to twice the
    size; blurred by `blur` px; and scan px per px of the copy."""
    scale = float(max(round(shrink), 1)) if shrink > 0.75 else 0.5
    if scale != 1:
        k = max(int(scale), 1)
        even = pixels[: pixels.shape[0] // k * k, : pixels.shape[1] // k * k]
        how = cv2.INTER_AREA if scale > 1 else cv2.INTER_LINEAR
        pixels = np.asarray(cv2.resize(even, None, fx=1 / scale, fy=1 / scale, interpolation=how), np.uint8)
    if blur:
        pixels = np.asarray(cv2.GaussianBlur(pixels, (0, 0), blur), np.uint8)
    return pixels, scale


def _missing_one(
    pixels: Grey, dictionary: str, squares: dict[int, Rect], found: Found, matrix: Array
) -> Found:
    """Look for the fourth marker, sharper and blurred, where the other three say that it is."""
    missing = next(i for i in squares if i not in found)
    box = squares[missing]
    reach = 1.2 * box.width
    corners = np.array(
        [(x, y) for x in (box.x - reach, box.right + reach) for y in (box.y - reach, box.bottom + reach)]
    )
    where = project(matrix, corners)
    left, top = np.maximum(np.floor(where.min(axis=0)), 0).astype(int)
    right, bottom = np.minimum(np.ceil(where.max(axis=0)), pixels.shape[::-1]).astype(int)
    part = pixels[top:bottom, left:right]
    if min(part.shape) < 16:
        return {}
    for shrink, blur in ((2.0, 0.0), (1.0, 0.0), (1.0, 2.0), (2.0, 1.5)):
        copy, scale = _copy(part, shrink, blur)
        quad = _detect(copy, dictionary).get(missing)
        if quad is not None:
            return {missing: (quad + 0.5) * scale - 0.5 + (left, top)}
    return {}


# ---------------------------------------------------------------- judging markers


def _square_corners(box: Rect) -> Array:
    return np.array([(box.x, box.y), (box.right, box.y), (box.right, box.bottom), (box.x, box.bottom)])


def _agreeing(seen: Found, squares: dict[int, Rect]) -> tuple[Array | None, Found]:
    """The homography page mm -> scan px on which most markers agree, four or three, and those markers."""
    known = [i for i in squares if i in seen]
    for count in (4, 3):
        fits = []
        for ids in combinations(known, count):
            page = np.concatenate([_square_corners(squares[i]) for i in ids])
            scan = np.concatenate([seen[i] for i in ids])
            matrix = homography(page, scan)
            back = None if matrix is None else homography(scan, page)
            if matrix is not None and back is not None:
                error = float(np.hypot(*(project(back, scan) - page).T).max())
                fits.append((error, ids, matrix))
        fits = [fit for fit in fits if fit[0] <= AGREE]
        if fits:
            _, ids, matrix = min(fits, key=lambda fit: fit[0])
            return matrix, {i: seen[i] for i in ids}
    return None, {}


def _pair(seen: Found, squares: dict[int, Rect], scan: Scan, template: Template) -> Array | None:
    """The turn, scale and move (page mm -> scan px) on which two markers agree, if it explains the others.

    These must lie beyond the scan's edge while all boxes are on it: markers that are covered or torn off
    leave nothing to tell the page's far side by, and half a page would be read as left empty.
    """
    known = [i for i in squares if i in seen]
    if len(known) != 2:
        return None
    page = np.concatenate([_square_corners(squares[i]) for i in known])
    found = np.concatenate([seen[i] for i in known])
    affine, _ = cv2.estimateAffinePartial2D(page, found, method=cv2.LMEDS)
    if affine is None:
        return None
    matrix = np.vstack([affine, [0, 0, 1]])
    if np.hypot(*(project(np.linalg.inv(matrix), found) - page).T).max() > AGREE:
        return None
    lost = (squares[i] for i in squares if i not in seen)
    if any(_on_scan([square], matrix, scan) for square in lost):
        return None
    boxes = [box for field in template.fields for box in field.boxes]
    return matrix if _on_scan(boxes, matrix, scan) else None


def _on_scan(areas: Sequence[Rect], matrix: Array, scan: Scan) -> bool:
    """Whether all of these areas (mm) lie wholly on the scan."""
    points = project(matrix, np.concatenate([_square_corners(area) for area in areas]))
    height, width = scan.pixels.shape[:2]
    return bool((points >= 0).all() and (points <= (width - 1, height - 1)).all())


def _contrast(pixels: Grey, found: Found) -> float:
    """Grey levels between paper and print: the median over the markers."""
    levels = []
    for quad in found.values():
        x, y, width, height = cv2.boundingRect(quad.astype(np.float32))
        part = pixels[max(y, 0) : y + height, max(x, 0) : x + width]
        counts = cv2.calcHist([np.ascontiguousarray(part)], [0], None, [256], [0, 256]).ravel().cumsum()
        light, dark = (int(np.searchsorted(counts, share * part.size)) for share in (0.95, 0.10))
        levels.append(float(light - dark))
    return max(float(np.median(levels)), 1.0)


def _why(seen: Found, squares: dict[int, Rect], pixels: Grey) -> tuple[str, str]:
    """Why these markers do not give a page, in a teacher's words, and what to do."""
    known = sum(i in seen for i in squares)
    foreign = sorted(i for i in seen if i not in squares)
    if known >= 3:
        return "the corner markers do not lie as on this sheet", FIX
    if known:
        return f"only {('one corner marker', 'two corner markers')[known - 1]} found", FIX
    if len(foreign) > 1:  # one alone is as likely chance texture
        return f"markers of another template (ids {', '.join(map(str, foreign))})", OTHER
    if _is_blank(pixels):
        return "the page is blank", "if it is a back side, leave it out"
    return "no corner markers found", FIX


def _is_blank(pixels: Grey) -> bool:
    """Whether next to nothing is darker than the paper round it."""
    small = cv2.resize(pixels, (400, 566), interpolation=cv2.INTER_AREA)
    paper = cv2.medianBlur(small, 41)
    return float(np.mean(cv2.subtract(paper, small) > 25)) < 0.0005
