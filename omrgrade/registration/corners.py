"""Registration by three or four equal marks: squares, circles, crosses, or any small picture.

Equal marks do not say which is which: every pair of blobs is tried as the ends of a diagonal, the others are
looked for where they would be then, and what the picture of the mark confirms is left to the boxes to decide.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray

from omrgrade.errors import RegistrationError
from omrgrade.placing import project
from omrgrade.records import Fiducials, Scan, Template
from omrgrade.registration.geometry import Array, Located, Pose
from omrgrade.registration.marks import (
    LIKE,
    PARTLY,
    Blobs,
    find_blobs,
    mark_hull,
    mark_picture,
    seek_mark,
)
from omrgrade.registration.nearby import Near, if_whole

Places = NDArray[np.int64]

PAGE_SHARE = (0.3, 1.15)
"""How long the page's diagonal may be in parts of the picture's: less is too small to read."""
SCALE = 1.45
"""Ratio by which a mark may look larger or smaller than the distance of two says: perspective, ink, wear."""
PAIRED = 1.7
"""The same for two marks at a page's far corners, by their distance: at a slant, one is twice the other."""
STRAY, STRAY_OF_THREE = 0.28, 0.17
"""How far a mark may be from where two others put it, in parts of their distance: perspective.

Three marks say nothing of that: they may as well be another page's, or this one's a quarter turn round.
"""
FIX = "scan the whole sheet with its corner marks uncovered"

ROUGHLY = 0.5
"""Correlation (0-1) of a blob with the mark, however turned: less is something else."""

_NEAR = 8  # blobs that are tried as one mark
_LIKELY = 80  # blobs, most like the mark first, of which groups are made
_SURE = 0.93  # correlation that four marks have on average when there is no doubt
_WORSE = 0.88  # of the best place's correlation: places that are less like the marks are none
_COMPARED = 6000  # groups of blobs whose geometry is looked at
_BAD = 1.8  # groups that fit worse are no page
_FAR = 99.0  # stands for as far as perspective moves a mark:
_ASTRAY = 0.085  # of the layout's longer side
_TRIED = 24  # places whose marks are compared with their picture
_OFFERED = 6  # places that the boxes decide between
_AT_ONCE = 8  # places that are compared with their picture before the others


def locate(scan: Scan, template: Template) -> Iterator[Sequence[Located]]:
    """Places that four marks speak for, then those of three; `RegistrationError` when there are none."""
    wanted = template.fiducials
    blobs = _search(scan, template)
    attempts: list[tuple[float, list[Located]]] = []
    shown: list[Located] = []
    for marks in _counts(wanted):
        places = _places(blobs, wanted, marks)
        confirmed = _all_confirmed(scan, wanted, places[:_AT_ONCE], marks)
        if sure := confirmed and confirmed[0][0] > _SURE * marks:
            shown = _likest(confirmed, template)
            yield shown
        confirmed += _all_confirmed(scan, wanted, places[_AT_ONCE:_TRIED], marks)
        if best := [one for one in _likest(confirmed, template) if all(one is not other for other in shown)]:
            attempts.append((max(score for score, _ in confirmed) / marks + 0.02 * marks, best))
        if sure or (attempts and attempts[0][0] > _SURE + 0.02 * marks):
            break
    if not attempts and not shown:
        raise RegistrationError("the corner marks were not found", where=scan.source, fix=FIX)
    # Four blobs that are hardly marks are less than three that surely are.
    yield from (best for _, best in sorted(attempts, key=lambda attempt: -attempt[0]))


def plainly(scan: Scan, template: Template) -> Iterator[Sequence[Located]]:
    """The page where marks surely are about where they would be if it filled the picture."""
    wanted = template.fiducials
    blobs = _search(scan, template, if_whole(scan, template, mark_hull(wanted)[0]))
    for marks in _counts(wanted):
        found = _all_confirmed(scan, wanted, _places(blobs, wanted, marks)[:_AT_ONCE], marks)
        if found and found[0][0] > _SURE * marks:
            yield _likest(found, template)
            return


def _counts(wanted: Fiducials) -> tuple[int, ...]:
    """How many marks are to be seen, and where that fails."""
    count = len(wanted.boxes)
    return (count, count - 1) if count == 4 else (count,)


def _search(scan: Scan, template: Template, near: Near | None = None) -> Blobs:
    wanted = template.fiducials
    size, _ = mark_hull(wanted)
    diagonal = float(np.hypot(template.page_width, template.page_height))
    picture = float(np.hypot(*scan.pixels.shape))
    low, high = (share * picture * size / diagonal for share in (PAGE_SHARE[0] / 1.2, PAGE_SHARE[1] * 1.2))
    shape = wanted.boxes[0].width / wanted.boxes[0].height
    blobs = find_blobs(
        scan.pixels,
        wanted,
        solid=wanted.marker in ("square", "circle"),
        sizes=(low, high),
        elongation=1.8 * max(shape, 1 / shape),
        near=near,
    )
    return blobs.likest(_LIKELY, ROUGHLY)


# ---------------------------------------------------------------- places


def _places(blobs: Blobs, wanted: Fiducials, marks: int) -> list[Array]:
    """Matrices (3, 3) page mm -> scan px under which so many blobs are marks, likeliest first."""
    size, middle = mark_hull(wanted)
    layout = np.array([(box.x + middle[0], box.y + middle[1]) for box in wanted.boxes])
    groups = [
        group
        for ends in _diagonals(layout)[: 1 if marks == len(layout) else 2]
        for group in _groups(blobs, layout, ends, size, complete=marks == len(layout))
    ]
    doubts = [_doubtful(blobs, chosen) for _, chosen in groups]
    most = np.sort(np.concatenate([*doubts, np.array([np.inf])]))[:_COMPARED][-1]
    bad, matrices = [np.zeros(0)], [np.zeros((0, 3, 3))]
    for (known, chosen), doubt in zip(groups, doubts, strict=True):
        own, found = _badness(blobs, layout, known, chosen[doubt <= most], size)
        bad.append(own)
        matrices.append(found)
    order = np.argsort(np.concatenate(bad), kind="stable")
    return [*np.concatenate(matrices)[order[np.concatenate(bad)[order] < _BAD]]]


def _diagonals(layout: Array) -> list[tuple[int, int]]:
    """Pairs of marks, those farthest apart first."""
    pairs = combinations(range(len(layout)), 2)
    return sorted(pairs, key=lambda pair: -float(np.hypot(*(layout[pair[0]] - layout[pair[1]]))))


def _groups(
    blobs: Blobs, layout: Array, ends: tuple[int, int], size: float, *, complete: bool
) -> Iterator[tuple[list[int], Places]]:
    """Blobs (m, k) that may be these k marks: all of them, or (not complete) the ends and one other."""
    rest = [k for k in range(len(layout)) if k not in ends]
    pairs = _pairs(blobs, float(np.hypot(*(layout[ends[1]] - layout[ends[0]]))), size)
    stray = STRAY if complete and len(layout) == 4 else STRAY_OF_THREE
    near = {k: _near(blobs, pairs, layout, ends, k, stray) for k in rest}
    for others in [rest] if complete else [[k] for k in rest]:
        for columns in product(range(_NEAR), repeat=len(others)):
            found = [near[k][:, column] for k, column in zip(others, columns, strict=True)]
            chosen = np.column_stack([pairs, *found])
            in_order = np.sort(chosen, axis=1)
            different = (in_order[:, 0] >= 0) & (np.diff(in_order, axis=1) > 0).all(axis=1)
            yield [*ends, *others], chosen[different]
            if len(others) == 2:  # upside down: the others are the other diagonal
                yield [ends[1], ends[0], others[1], others[0]], chosen[different]


def _pairs(blobs: Blobs, length: float, size: float) -> Places:
    """Ordered pairs (m, 2) of blobs whose distance is `length` mm, to judge by their sizes."""
    if len(blobs.sizes) < 2:
        return np.zeros((0, 2), np.int64)
    delta = blobs.centres[None] - blobs.centres[:, None]
    apart = np.log(np.maximum(np.hypot(delta[..., 0], delta[..., 1]) / length, 1e-6))
    own = np.log(np.maximum(blobs.sizes, 1e-6) / size)
    limit = np.log(PAIRED)
    return np.argwhere((np.abs(own[:, None] - apart) < limit) & (np.abs(own[None] - apart) < limit))


def _near(
    blobs: Blobs, pairs: Places, layout: Array, ends: tuple[int, int], mark: int, stray: float
) -> Places:
    """The blobs (m, _NEAR) that may be a mark if a pair are the ends; -1 for none."""
    page, scan = layout @ (1, 1j), blobs.centres @ (1, 1j)  # as complex numbers a turn is a factor
    first, second = scan[pairs[:, 0]], scan[pairs[:, 1]]
    expected = first + (second - first) * (page[mark] - page[ends[0]]) / (page[ends[1]] - page[ends[0]])
    away = np.abs(expected[:, None] - scan)
    unlike = np.abs(np.log(blobs.sizes / blobs.sizes[pairs[:, :1]]))
    away[(away > stray * np.abs(second - first)[:, None]) | (unlike > 2 * np.log(SCALE))] = np.inf
    rows = np.arange(len(pairs))
    away[rows, pairs[:, 0]] = away[rows, pairs[:, 1]] = np.inf
    result = np.full((len(pairs), _NEAR), -1, np.int64)
    for column in range(_NEAR if len(pairs) else 0):
        nearest = away.argmin(axis=1)
        result[:, column] = np.where(away[rows, nearest] < np.inf, nearest, -1)
        away[rows, nearest] = np.inf
    return result


def _doubtful(blobs: Blobs, chosen: Places) -> Array:
    """How unequal the blobs (n, k) of each group are in size, and how unlike the mark: (n,)."""
    sizes = blobs.sizes[chosen]
    unequal = np.log(sizes.max(axis=1, initial=1e-6) / sizes.min(axis=1, initial=np.inf))
    return np.asarray(unequal + 3 * (1 - blobs.like[chosen].mean(axis=1)))


def _badness(
    blobs: Blobs, layout: Array, marks: Sequence[int], chosen: Places, size: float
) -> tuple[Array, Array]:
    """How badly blobs (n, k) fit as these k marks, and the matrices (n, 3, 3) they give.

    (n,): 0 for a flat scan, inf for no page.
    """
    with np.errstate(all="ignore"):  # blobs that lie on one line give no matrix
        matrices = _matrices(layout[list(marks)], blobs.centres[chosen])
        corners = _seen(matrices, layout[list(marks)][:, None] + np.array([(0, 0), (1, 0), (0, 1)]))
        across, down = corners[:, :, 1] - corners[:, :, 0], corners[:, :, 2] - corners[:, :, 0]
        expected = np.sqrt(across[..., 0] * down[..., 1] - across[..., 1] * down[..., 0])  # scan px a mm
        off = np.log(blobs.sizes[chosen] / size / expected)
        unlike = 3 * (1 - blobs.like[chosen].mean(axis=1)) + _unlike_a_page(matrices, layout)
        bad = np.std(off, axis=1) + 0.5 * np.abs(off.mean(axis=1)) + unlike
        fits = (np.abs(off).max(axis=1, initial=0) <= np.log(SCALE)) & np.isfinite(bad)
    return np.where(fits, bad, np.inf), matrices


def _matrices(page: Array, scan: Array) -> Array:
    """Homographies (n, 3, 3) from page (k, 2) to scan (n, k, 2): four points, or for an affine map three.

    nan where there is none, or one that mirrors the page.
    """
    matrices = _frames(scan) @ np.linalg.inv(_frames(page[None]))
    matrices = matrices / matrices[:, 2:, 2:]
    ahead = np.einsum("nj,kj->nk", matrices[:, 2, :2], page) + 1
    fine = np.isfinite(matrices).all(axis=(1, 2)) & (np.linalg.det(matrices) > 0) & (ahead > 0).all(axis=1)
    return np.where(fine[:, None, None], matrices, np.nan)


def _frames(points: Array) -> Array:
    """Maps (n, 3, 3) from the axes' directions, and of four points (1, 1, 1), to points (n, 3 or 4, 2)."""
    frames = np.concatenate([points, np.ones((*points.shape[:2], 1))], axis=2)[:, :3].transpose(0, 2, 1)
    if points.shape[1] == 3:
        return frames
    x, y = (points - points[:, 3:]).transpose(2, 1, 0)
    area = [x[k] * y[m] - y[k] * x[m] for k, m in ((1, 2), (2, 0), (0, 1))]  # of two points and the fourth
    return np.asarray(frames * np.stack(area, axis=1)[:, None])


def _seen(matrices: Array, points: Array) -> Array:
    """Page points (..., 2) mm under each of the matrices (n, 3, 3): (n, ..., 2) scan px."""
    own = np.tensordot(matrices[:, :, :2], points, axes=(2, -1))  # (n, 3, ...)
    own += matrices[:, :, 2].reshape(*own.shape[:2], *[1] * (own.ndim - 2))
    return np.moveaxis(own[:, :2] / own[:, 2:], 1, -1)


def _unlike_a_page(matrices: Array, layout: Array) -> Array:
    """How much maps (n, 3, 3) shear and how unevenly they scale in the layout's middle: 0 for a flat scan."""
    steps = layout.mean(axis=0) + np.array([(1, 0), (-1, 0), (0, 1), (0, -1)])
    right, left, below, above = np.moveaxis(_seen(matrices, steps), 1, 0)
    across, down = right - left, below - above
    width, height = np.hypot(*across.T), np.hypot(*down.T)
    return np.asarray(np.abs(np.log(width / height)) + np.abs((across * down).sum(axis=1) / (width * height)))


# ---------------------------------------------------------------- confirming


def _all_confirmed(
    scan: Scan, wanted: Fiducials, places: Sequence[Array], marks: int
) -> list[tuple[float, Located]]:
    """Those of the places that are confirmed, likest the marks first."""
    found = (_confirmed(scan, wanted, matrix, marks) for matrix in places)
    return sorted((one for one in found if one is not None), key=lambda one: -one[0])


def _likest(confirmed: Sequence[tuple[float, Located]], template: Template) -> list[Located]:
    """The places that are hardly less like the marks than the best one, and not the same."""
    best = max((score for score, _ in confirmed), default=0.0)
    like = sorted((one for one in confirmed if one[0] > _WORSE * best), key=lambda one: -one[0])
    return _different([located for _, located in like], template)[:_OFFERED]


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
            own = _ASTRAY * float(np.ptp(centres)) if reach == _FAR and scores[n] <= LIKE else min(reach, 2.5)
            shift, scores[n], contrasts[n] = seek_mark(
                scan.pixels, pose.matrix, picture, box, own, roughly=reach != 1.0
            )
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


def _matrix(page: Array, scan: Array) -> Array | None:
    """A homography from four points, an affine map from three; None if it mirrors the page."""
    matrix = _matrices(page, scan[None])[0]
    return matrix if np.isfinite(matrix).all() else None


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
