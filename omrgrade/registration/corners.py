"""Registration by three or four equal marks: squares, circles, crosses, or any small picture.

Equal marks do not say which is which: every pair of blobs is tried as the ends of a diagonal, the others are
looked for where they would be then, and what the picture of the mark confirms is left to the boxes to decide.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, product

import cv2
import numpy as np
from numpy.typing import NDArray

from omrgrade.errors import RegistrationError
from omrgrade.placing import project
from omrgrade.records import Fiducials, Scan, Template
from omrgrade.registration.geometry import Array, Located, Pose, homography
from omrgrade.registration.marks import (
    LIKE,
    PARTLY,
    Blobs,
    find_blobs,
    mark_hull,
    mark_picture,
    seek_mark,
)

PAGE_SHARE = (0.3, 1.15)
"""How long the page's diagonal may be in parts of the picture's: less is too small to read."""
SCALE = 1.45
"""Ratio by which a mark may look larger or smaller than the distance of two says: perspective, ink, wear."""
STRAY = 0.17
"""How far a mark may be from where two others put it, in parts of their distance: perspective."""
FIX = "scan the whole sheet with its corner marks uncovered"

ROUGHLY = 0.5
"""Correlation (0-1) of a blob with the mark, however turned: less is something else."""

_LIKELY = 80  # blobs, most like the mark first, of which groups are made
_SURE = 0.93  # correlation that four marks have on average when there is no doubt
_WORSE = 0.88  # of the best place's correlation: places that are less like the marks are none
_COMPARED = 1500  # groups of blobs whose geometry is looked at
_BAD = 1.8  # groups that fit worse are no page
_FAR = 99.0  # stands for as far as perspective moves a mark
_TRIED = 24  # places whose marks are compared with their picture
_OFFERED = 6  # places that the boxes decide between


def locate(scan: Scan, template: Template) -> Iterator[Sequence[Located]]:
    """Places that four marks speak for, then those of three; `RegistrationError` when there are none."""
    wanted = template.fiducials
    blobs = _search(scan, template)
    count = len(wanted.boxes)
    attempts: list[tuple[float, list[Located]]] = []
    for marks in (count, count - 1) if count == 4 else (count,):
        places = _places(blobs, wanted, marks)
        found = [_confirmed(scan, wanted, matrix, marks) for matrix in places[:_TRIED]]
        confirmed = sorted((f for f in found if f is not None), key=lambda f: -f[0])
        confirmed = [f for f in confirmed if f[0] > _WORSE * confirmed[0][0]]
        if best := _different([located for _, located in confirmed], template)[:_OFFERED]:
            attempts.append((confirmed[0][0] / marks + 0.02 * marks, best))
        if attempts and attempts[0][0] > _SURE + 0.02 * marks:
            break
    if not attempts:
        raise RegistrationError("the corner marks were not found", where=scan.source, fix=FIX)
    # Four blobs that are hardly marks are less than three that surely are.
    yield from (best for _, best in sorted(attempts, key=lambda attempt: -attempt[0]))


def _search(scan: Scan, template: Template) -> Blobs:
    wanted = template.fiducials
    size, _ = mark_hull(wanted)
    diagonal = float(np.hypot(template.page_width, template.page_height))
    picture = float(np.hypot(*scan.pixels.shape)) / max(scan.pixels.shape)
    low, high = (share * picture * size / diagonal for share in PAGE_SHARE)
    solid = wanted.marker in ("square", "circle")
    shape = wanted.boxes[0].width / wanted.boxes[0].height
    blobs = find_blobs(
        scan.pixels,
        wanted,
        solid=solid,
        sizes=(low / 1.2, high * 1.2),
        elongation=1.8 * max(shape, 1 / shape),
    )
    return blobs.likest(_LIKELY, ROUGHLY)


# ---------------------------------------------------------------- places


def _places(blobs: Blobs, wanted: Fiducials, marks: int) -> list[Array]:
    """Matrices (3, 3) page mm -> scan px under which so many blobs are marks, likeliest first."""
    size, middle = mark_hull(wanted)
    layout = np.array([(box.x + middle[0], box.y + middle[1]) for box in wanted.boxes])
    chosen: list[dict[int, int]] = []  # mark -> blob
    for ends in _diagonals(layout)[: 1 if marks == len(layout) else 2]:
        chosen += _groups(blobs, layout, ends, size, complete=marks == len(layout))
    chosen.sort(key=lambda group: _doubtful(blobs, group))
    scored = [(_badness(blobs, layout, group, size), group) for group in chosen[:_COMPARED]]
    scored = [entry for entry in scored if entry[0][0] < _BAD]
    scored.sort(key=lambda entry: entry[0][0])
    return [matrix for (_, matrix), _ in scored]


def _diagonals(layout: Array) -> list[tuple[int, int]]:
    """Pairs of marks, those farthest apart first."""
    pairs = combinations(range(len(layout)), 2)
    return sorted(pairs, key=lambda pair: -float(np.hypot(*(layout[pair[0]] - layout[pair[1]]))))


def _groups(
    blobs: Blobs, layout: Array, ends: tuple[int, int], size: float, *, complete: bool
) -> list[dict[int, int]]:
    """Blobs that may be all marks, or (not complete) two and one other: mark -> blob."""
    rest = [k for k in range(len(layout)) if k not in ends]
    pairs = _pairs(blobs, float(np.hypot(*(layout[ends[1]] - layout[ends[0]]))), size)
    near = [_near(blobs, pairs, layout, ends, k) for k in rest]
    result: list[dict[int, int]] = []
    for n, (i, j) in enumerate(pairs.tolist()):
        found = [[(k, int(blob)) for blob in own[n] if blob >= 0] for k, own in zip(rest, near, strict=True)]
        groups = product(*found) if complete else [(one,) for own in found for one in own]
        result += [{ends[0]: i, ends[1]: j, **dict(group)} for group in groups]
    return result


def _pairs(blobs: Blobs, length: float, size: float) -> NDArray[np.int64]:
    """Ordered pairs (m, 2) of blobs whose distance is `length` mm, to judge by their sizes."""
    if len(blobs.sizes) < 2:
        return np.zeros((0, 2), np.int64)
    delta = blobs.centres[None] - blobs.centres[:, None]
    apart = np.log(np.maximum(np.hypot(delta[..., 0], delta[..., 1]) / length, 1e-6))
    own = np.log(np.maximum(blobs.sizes, 1e-6) / size)
    limit = np.log(SCALE)
    return np.argwhere((np.abs(own[:, None] - apart) < limit) & (np.abs(own[None] - apart) < limit))


def _near(
    blobs: Blobs, pairs: NDArray[np.int64], layout: Array, ends: tuple[int, int], mark: int
) -> NDArray[np.int64]:
    """The up to three blobs (m, 3) that may be a mark if a pair are the ends; -1 for none."""
    from scipy.spatial import cKDTree

    if not len(pairs):
        return np.zeros((0, 3), np.int64)
    page, scan = layout @ (1, 1j), blobs.centres @ (1, 1j)  # as complex numbers a turn is a factor
    first, second = scan[pairs[:, 0]], scan[pairs[:, 1]]
    expected = first + (second - first) * (page[mark] - page[ends[0]]) / (page[ends[1]] - page[ends[0]])
    away, index = cKDTree(blobs.centres).query(np.stack([expected.real, expected.imag], axis=1), k=3)
    unlike = np.abs(np.log(blobs.sizes[np.minimum(index, len(scan) - 1)] / blobs.sizes[pairs[:, :1]]))
    wrong = (away > STRAY * np.abs(second - first)[:, None]) | (unlike > 2 * np.log(SCALE))
    wrong |= (index == pairs[:, :1]) | (index == pairs[:, 1:])
    return np.where(wrong, -1, index)


def _doubtful(blobs: Blobs, group: dict[int, int]) -> float:
    """How unequal the blobs of a group are in size, and how unlike the mark."""
    chosen = list(group.values())
    sizes = blobs.sizes[chosen]
    return float(np.log(sizes.max() / sizes.min()) + 3 * (1 - blobs.like[chosen].mean()))


def _badness(blobs: Blobs, layout: Array, group: dict[int, int], size: float) -> tuple[float, Array]:
    """How badly these blobs fit as these marks (0 a flat scan, inf no page), and the matrix they give."""
    marks, chosen = list(group), list(group.values())
    matrix = _matrix(layout[marks], blobs.centres[chosen]) if len(set(chosen)) == len(chosen) else None
    if matrix is None:
        return np.inf, np.eye(3)
    expected = np.array([_scale_at(matrix, layout[k]) for k in marks])
    if not np.isfinite(expected).all():
        return np.inf, matrix
    off = np.log(blobs.sizes[chosen] / size / expected)
    if np.abs(off).max() > np.log(SCALE):
        return np.inf, matrix
    unlike = 3 * float(1 - blobs.like[chosen].mean())
    return float(np.std(off) + 0.5 * abs(np.mean(off))) + unlike + _unlike_a_page(matrix, layout), matrix


def _matrix(page: Array, scan: Array) -> Array | None:
    """A homography from four points, an affine map from three; None if it mirrors the page."""
    if len(page) == 4:
        matrix = homography(page, scan)
    else:
        matrix = np.eye(3)
        matrix[:2] = cv2.getAffineTransform(page.astype(np.float32), scan.astype(np.float32))
    if matrix is None or not np.isfinite(matrix).all():
        return None
    signs = matrix[2, :2] @ page.T + matrix[2, 2]
    return matrix if np.linalg.det(matrix) > 0 and (signs > 0).all() else None


def _scale_at(matrix: Array, point: Array) -> float:
    """scan px per mm at a page point."""
    corners = project(matrix, point + np.array([(0, 0), (1, 0), (0, 1)]))
    area = float(np.linalg.det(corners[1:] - corners[0]))
    return float(np.sqrt(area)) if area > 0 else float("nan")


def _unlike_a_page(matrix: Array, layout: Array) -> float:
    """How much a map shears and how unevenly it scales in the middle of the layout: 0 for a flat scan."""
    middle = layout.mean(axis=0)
    across, down = (project(matrix, middle + step) - project(matrix, middle - step) for step in np.eye(2))
    ratio = abs(float(np.log(np.hypot(*across) / max(np.hypot(*down), 1e-9))))
    cosine = abs(float(across @ down / max(np.hypot(*across) * np.hypot(*down), 1e-9)))
    return ratio + cosine


# ---------------------------------------------------------------- confirming


def _confirmed(scan: Scan, wanted: Fiducials, matrix: Array, marks: int) -> tuple[float, Located] | None:
    """The place with its marks' exact middles, and how like their picture they are; None if they are not."""
    picture = mark_picture(wanted)
    centres = np.array([box.centre for box in wanted.boxes])
    pose, scores, contrasts = Pose(matrix=matrix), np.zeros(len(centres)), np.zeros(len(centres))
    for reach in (2.5, _FAR, 1.0):
        if reach == _FAR and (marks == len(centres) or (scores > LIKE).all()):
            continue
        moved = centres.copy()
        for n, box in enumerate(wanted.boxes):
            # Three marks say nothing about perspective: the fourth may be centimetres from where they put it.
            own = (
                STRAY / 2 * float(np.ptp(centres)) if reach == _FAR and scores[n] <= LIKE else min(reach, 2.5)
            )
            shift, scores[n], contrasts[n] = seek_mark(scan.pixels, pose.matrix, picture, box, own)
            moved[n] += shift
        good = scores > LIKE
        if reach != 2.5 and good.sum() > marks:  # one found from afar must be as like as the others
            good &= scores > _WORSE * np.median(np.sort(scores)[-marks:])
        good |= (scores > PARTLY) & (good.sum() < marks)
        if good.sum() < marks:
            return None
        fitted = _matrix(centres[good], project(pose.matrix, moved[good]))
        if fitted is None:
            return None
        pose = Pose(matrix=fitted)
    seen = tuple(box for box, ok in zip(wanted.boxes, good, strict=True) if ok)
    contrast = max(float(np.median(contrasts[good])), 1.0)
    located = Located(
        page_to_scan=pose.matrix, contrast=contrast, squares=seen if wanted.marker == "square" else ()
    )
    return float(scores[good].sum()), located


def _different(places: Sequence[Located], template: Template) -> list[Located]:
    """Places that are not the same to a few mm."""
    corners = np.array([(0, 0), (template.page_width, 0), (0, template.page_height)], dtype=np.float64)
    kept: list[Located] = []
    for located in places:
        own = project(located.page_to_scan, corners)
        side = float(np.hypot(*(own[1] - own[0])))
        if all(np.abs(project(other.page_to_scan, corners) - own).max() > 0.02 * side for other in kept):
            kept.append(located)
    return kept
