"""Boxes as landmarks whatever they look like: what an empty one looks like is learned from the page itself.

Templates written for other programs say where a bubble is, but not its exact size, and print may be pale,
thick or have letters in it. The median of all boxes shows an empty one, as most are; the two lines that stand
in it symmetrically say where its middle is; and each box is then compared with it. All boxes of a size are
compared side by side: at their size a call costs more than its work.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from omrgrade.placing import project
from omrgrade.registration.geometry import Array, Landmarks, Pose
from omrgrade.registration.outlines import Outline

PX = 8.0
"""px per mm of the boxes' pictures: a printed line is 1 to 2 px wide."""
LIKE = 0.45
"""Correlation (0-1) with an empty box above which a box is one."""
FEWEST = 8
"""Boxes of one size: of fewer there is no telling what an empty one looks like."""

_SMALL = 4.5  # mm: larger boxes are looked at the more coarsely, the larger they are,
_FEWEST_PX = 3.0  # but not at less than this, px per mm
_BLUR = 0.13  # mm
_DARKEST = 0.7  # of the contrast: what is darker counts no more
_NEAR = 0.06  # correlation that the farthest place must have more than the nearest, as of patches of print
_LINE = 0.008  # of the contrast: lines of an empty box that stand out less are none
_FLANK = 0.45  # mm from the middle of a line to the paper beside it;
_THICK = 0.06  # of the side, if that is more: large bubbles are drawn with thick lines
_FLAT = 0.02  # of the contrast: what varies less is no box
_SAMPLE = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
_COARSER = 2  # px of a box's picture a px of the copy on which it is first looked for
_SEEDS, _NEIGHBOURS = 6, 12  # boxes, and how many round each are looked at together if all show nothing
_MANY = 0.7  # share of the boxes: a look that shows so many is theirs
_AT_ONCE = 96  # boxes side by side: their pictures stay near the processor
_MARKED, _SMEAR = 0.3, 0.4  # share of a box that pencil covers which marks it; mm round pencil that are grey
_STEP = 1 / 16  # mm between places of a middle that are tried
_ROOM = 0.93  # of the way to the next box: no box is larger
_SIZES = np.linspace(0.65, 1.35, 29)  # of what the template says

Grey = NDArray[np.uint8]
Floats = NDArray[np.float32]
Size = tuple[float, float]
"""Width and height of boxes, mm."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """What an empty box looks like."""

    picture: Grey  # (h, w) at `px_per_mm` of its size: 0 paper .. 255 print as dark as counts
    middle: tuple[float, float]  # mm (x, y) from the picture's middle to the box's


@dataclass(frozen=True, kw_only=True, slots=True)
class Flat:
    """The part of a scan with a page's boxes, laid flat where they are about: all are cut out of it."""

    pixels: Grey  # the scan
    matrix: Array  # (3, 3) page mm -> scan px
    corners: tuple[float, float, float, float]  # left, top, right, bottom of that part, page mm
    contrast: float  # grey levels between paper and print
    apart: tuple[float, float]  # mm from a box to the next, across and down; inf where there is none
    _laid: dict[float, Grey] = field(default_factory=dict)  # by px per mm

    @classmethod
    def of(
        cls,
        pixels: Grey,
        pose: Pose,
        boxes: Sequence[Outline],
        *,
        room: float,
        contrast: float,
        apart: tuple[float, float] = (np.inf, np.inf),
    ) -> Flat:
        """The part with these boxes and `room` mm round their looks, as `pose` lays it."""
        places = np.array([(b.rect.x, b.rect.y, b.rect.right, b.rect.bottom) for b in boxes]).reshape(-1, 4)
        beyond = max((float(_around(size).max()) for size in by_size(boxes)), default=0.0) + room
        left, top = (places[:, :2].min(axis=0, initial=1e4) - beyond).tolist()
        right, bottom = (places[:, 2:].max(axis=0, initial=0) + beyond).tolist()
        corners = (left, top, right, bottom)
        return cls(pixels=pixels, matrix=pose.matrix, corners=corners, contrast=contrast, apart=apart)

    def cut(self, pose: Pose, centres: Array, size: Size, reach: float) -> tuple[Grey, Array]:
        """Boxes of a size where `pose` puts these centres (n, 2) mm, and `reach` mm round their looks.

        (n, h, w), 0 paper .. 255 print; and where the middles of these pictures are, (n, 2) mm of `matrix`.
        """
        px, laid = px_per_mm(size), self._at(px_per_mm(size))
        columns, rows = _even(2 * (_around(size) + reach) * px)
        there = project(
            np.asarray(np.linalg.solve(self.matrix, pose.matrix), np.float64), centres + pose.shifted(centres)
        )
        half = (np.array([columns, rows]) - 1) / 2
        # A pose that went astray puts boxes nowhere: what is cut out then looks like none.
        there = np.clip(np.nan_to_num(there), -1e6, 1e6)
        first = np.rint((there - self.corners[:2]) * px - 0.5 - half).astype(int)
        first = np.clip(first, 0, np.array(laid.shape[::-1]) - (columns, rows))
        boxes = sliding_window_view(laid, (rows, columns))[first[:, 1], first[:, 0]]
        middles = (first + half + 0.5) / px + self.corners[:2]
        return _darkness(boxes, self.contrast), middles

    def _at(self, px: float) -> Grey:
        """That part of the page, flat and a little blurred."""
        if px not in self._laid:
            left, top, right, bottom = self.corners
            size = max(round((right - left) * px), 1), max(round((bottom - top) * px), 1)
            to_page = np.array([[1 / px, 0, left + 0.5 / px], [0, 1 / px, top + 0.5 / px], [0, 0, 1]])
            grey = cv2.warpPerspective(
                self.pixels, self.matrix @ to_page, size, flags=_SAMPLE, borderMode=cv2.BORDER_REPLICATE
            )
            self._laid[px] = np.asarray(cv2.GaussianBlur(grey, (0, 0), _BLUR * px), np.uint8)
        return self._laid[px]


@dataclass(frozen=True, kw_only=True, slots=True)
class Looks:
    """What empty boxes look like on a page, by their size, and the page."""

    flat: Flat
    sizes: Mapping[Size, Look]


def learned_landmarks(
    flat: Flat, pose: Pose, boxes: Sequence[Outline], *, reach: float, known: Looks | None = None
) -> tuple[Landmarks, Looks]:
    """Look for boxes within `reach` mm of where `pose` puts them, like `box_landmarks`; and their looks.

    All axes of a box stand together: shifts are nan where it does not look like an empty one. known: their
    looks as they were learned before, to begin with.
    """
    centres, looks = box_centres(boxes), {}
    there = np.full((len(boxes), 2), np.nan)
    for size, own in by_size(boxes).items():
        if len(own) >= FEWEST:
            pictures, middles = flat.cut(pose, centres[own], size, reach)
            before = known.sizes.get(size) if known else None
            box = _Box(size, reach, flat.apart)
            learned = _sharpened(pictures, before, box) if before else None
            if learned := learned or _learned(pictures, centres[own], box):
                looks[size], shifts = learned
                there[own] = middles + shifts
    return _landmarks(flat, pose, centres, there), Looks(flat=flat, sizes=looks)


def look_landmarks(looks: Looks, pose: Pose, boxes: Sequence[Outline], *, reach: float) -> Landmarks:
    """Look for boxes that look like these within `reach` mm of where `pose` puts them."""
    centres = box_centres(boxes)
    there = np.full((len(boxes), 2), np.nan)
    for size, own in by_size(boxes).items():
        if size in looks.sizes:
            pictures, middles = looks.flat.cut(pose, centres[own], size, reach)
            there[own] = middles + _shifts(pictures, looks.sizes[size], px_per_mm(size))
    return _landmarks(looks.flat, pose, centres, there)


def _landmarks(flat: Flat, pose: Pose, centres: Array, there: Array) -> Landmarks:
    """Boxes (n, 2) mm that are there, (n, 2) mm of the flat part, as seen from where `pose` puts them."""
    back = project(np.asarray(np.linalg.solve(pose.matrix, flat.matrix), np.float64), there)
    return Landmarks(points=centres, shifts=back - centres - pose.shifted(centres))


def by_size(boxes: Sequence[Outline]) -> dict[Size, list[int]]:
    """The numbers of boxes of each size."""
    result: dict[Size, list[int]] = defaultdict(list)
    for n, box in enumerate(boxes):
        result[round(box.rect.width, 1), round(box.rect.height, 1)].append(n)
    return result


def box_centres(boxes: Sequence[Outline]) -> Array:
    """(n, 2) mm."""
    return np.array([box.rect.centre for box in boxes], dtype=np.float64).reshape(-1, 2)


def _around(size: Size) -> Array:
    """mm from a box's middle to the rim of its look, which its surroundings belong to."""
    return np.array(size) / 2 + 0.35 * min(size) + 0.3


def px_per_mm(size: Size) -> float:
    """px per mm at which boxes of a size are looked at."""
    return max(PX * min(_SMALL / min(size), 1.0), _FEWEST_PX)


def _even(sides: Array) -> tuple[int, int]:
    """Sides in whole px of the coarser copy."""
    columns, rows = (round(side / _COARSER) * _COARSER for side in sides.tolist())
    return columns, rows


def _darkness(boxes: Grey, contrast: float) -> Grey:
    """Boxes (n, h, w) grey -> 0 paper .. 255 print as dark as counts; most of each is paper."""
    sample = boxes[:, ::3, ::3].reshape(len(boxes), -1).astype(np.uint16)  # ranked faster than bytes
    rank = int(0.85 * (sample.shape[1] - 1))
    paper = np.partition(sample, rank, axis=1)[:, rank].astype(np.uint8)[:, None, None]
    darker = np.maximum(paper, boxes) - boxes
    scaled = cv2.convertScaleAbs(darker.reshape(-1, boxes.shape[2]), alpha=255 / (_DARKEST * contrast))
    return np.asarray(scaled, np.uint8).reshape(boxes.shape)


# ---------------------------------------------------------------- learning a look


@dataclass(frozen=True, slots=True)
class _Box:
    """What is looked for: a box of about this size within `reach` mm, and so far from it the next begins."""

    size: Size
    reach: float
    apart: tuple[float, float]


def _learned(pictures: Grey, centres: Array, box: _Box) -> tuple[Look, Array] | None:
    """What an empty box looks like, of pictures (n, h, w) that have one near their middle.

    And how far each is from its picture's middle, (n, 2) mm, nan where there is none. centres: (n, 2) mm.
    Where boxes are off by so much, each otherwise, that all together show little, neighbours are asked,
    which lie alike.
    """
    best = _learned_from(pictures, slice(None), box)
    most = _seen(best)
    away = np.hypot(*(centres[:_SEEDS, None] - centres[None]).transpose(2, 0, 1))
    near = np.argsort(away, axis=1, kind="stable")[:, :_NEIGHBOURS]
    for own in near if len(pictures) > _NEIGHBOURS else ():
        if most > _MANY * len(pictures):
            break
        learned = _learned_from(pictures, own, box)
        if _seen(learned) > most:
            best, most = learned, _seen(learned)
    return best


def _seen(learned: tuple[Look, Array] | None) -> int:
    return int(np.isfinite(learned[1][:, 0]).sum()) if learned else 0


def _learned_from(pictures: Grey, first: slice | NDArray[np.intp], box: _Box) -> tuple[Look, Array] | None:
    """`_learned`, beginning with what the `first` of the pictures show together."""
    found = _cut(median_picture(pictures[first]), box)
    return _sharpened(pictures, found[0], box) if found else None


def _sharpened(pictures: Grey, look: Look, box: _Box) -> tuple[Look, Array] | None:
    """`_learned`, where about what it looks like is known: the pictures are laid on that."""
    shifts = _shifts(pictures, look, px_per_mm(box.size))
    sure = np.flatnonzero(np.isfinite(shifts[:, 0]))
    if len(sure) < FEWEST / 2:
        return None
    moved = np.stack([_moved(pictures[n], *(shifts[n] * px_per_mm(box.size))) for n in sure])
    found = _cut(median_picture(moved), box)
    return None if found is None else (found[0], shifts + found[1])


def _cut(empty: Floats, box: _Box) -> tuple[Look, tuple[float, float]] | None:
    """The box in a picture of an empty one, and how far off it is, mm; None if there are no lines."""
    px = px_per_mm(box.size)
    middle = _middle(empty / np.float32(255 / _DARKEST), box)
    if middle is None:
        return None
    columns, rows = _even(2 * _around(box.size) * px)
    centre = [(side - 1) / 2 + off * px for side, off in zip(empty.shape[::-1], middle, strict=True)]
    left, top = (round(at - (side - 1) / 2) for at, side in zip(centre, (columns, rows), strict=True))
    left = min(max(left, 0), empty.shape[1] - columns)
    top = min(max(top, 0), empty.shape[0] - rows)
    picture = np.ascontiguousarray(empty[top : top + rows, left : left + columns])
    if float(picture.std()) < _FLAT * 255 / _DARKEST:
        return None
    off = (centre[0] - left - (columns - 1) / 2, centre[1] - top - (rows - 1) / 2)
    return Look(picture=np.rint(picture).astype(np.uint8), middle=(off[0] / px, off[1] / px)), middle


def median_picture(pictures: Grey) -> Floats:
    """(h, w) the median of pictures (n, h, w); sorting words is a fraction of what `np.median` does."""
    ranked = np.sort(pictures.reshape(len(pictures), -1).T.astype(np.uint16), axis=1).astype(np.float32)
    middle = (ranked[:, (len(pictures) - 1) // 2] + ranked[:, len(pictures) // 2]) / np.float32(2)
    return np.asarray(middle.reshape(pictures.shape[1:]), np.float32)


def _middle(empty: Floats, box: _Box) -> tuple[float, float] | None:
    """Where the middle of an empty box is from the middle of its picture, mm; None if there are no lines."""
    px, (width, height), reach = px_per_mm(box.size), box.size, box.reach
    whole = empty.mean(axis=0)  # of whole columns: it may be off in y
    x = _symmetric(whole, width, reach, px, box.apart[0])
    if x is None:
        return None
    column, near = (empty.shape[1] - 1) / 2 + x * px, width * px / 5
    strip = empty[:, max(round(column - near), 0) : round(column + near) + 1]
    y = _symmetric(strip.mean(axis=1), height, reach, px, box.apart[1])
    return None if y is None else (x, y)


def _symmetric(profile: Floats, side: float, reach: float, px: float, apart: float) -> float | None:
    """Where two lines about `side` mm apart have their middle, mm from the profile's; or None.

    apart: mm to the next box, whose line is as far from this one's.
    """
    sizes = _SIZES[_SIZES * side < _ROOM * apart]
    middle = (len(profile) - 1) / 2
    step = np.arange(len(profile))
    flank = max(round(max(_FLANK, _THICK * side) * px), 2)
    line = profile - np.maximum(np.roll(profile, flank), np.roll(profile, -flank))
    least = max(_LINE, 0.25 * float(line[flank:-flank].max(initial=0.0)))
    shifts = np.arange(-reach, reach + 1e-9, _STEP)
    ends = middle + (shifts[:, None, None] + np.array([-1, 1]) * sizes[:, None] * side / 2) * px
    seen = (ends[..., 0] >= flank) & (ends[..., 1] <= len(profile) - 1 - flank)
    score = np.interp(ends, step, line).min(axis=2) * (1 - 0.3 * abs(np.log(sizes)))
    score *= 1 - 0.2 * abs(shifts[:, None]) / max(reach, 0.1)
    score = np.where(seen & (score > least), score, 0)
    like = score * _mirrored(profile, middle + shifts * px, round(side * px * 0.8))[:, None]
    return float(shifts[int(like.argmax()) // len(sizes)]) if score.any() else None


def _mirrored(profile: Floats, places: Array, half: int) -> Array:
    """How like its mirror image (0-1) a profile is round each place (n,), `half` px to both sides.

    A line and a stroke of the letter beside it are as far apart as two lines may be; nothing else is alike.
    """
    away, step = np.arange(1, half + 1) - 0.5, np.arange(len(profile))
    left, right = (np.interp(places[:, None] + side * away, step, profile) for side in (-1, 1))
    left, right = (part - part.mean(axis=1, keepdims=True) for part in (left, right))
    spread = np.sqrt((left**2).sum(axis=1) * (right**2).sum(axis=1))
    return np.asarray(np.maximum((left * right).sum(axis=1) / np.maximum(spread, 1e-9), 0.05))


# ---------------------------------------------------------------- finding a look


def _shifts(pictures: Grey, look: Look, px: float) -> Array:
    """How far boxes are from the middles of pictures (n, h, w): (n, 2) mm, nan where there is none."""
    found = np.concatenate([_places(pictures[own], look.picture) for own in _shares(len(pictures))])
    lost = np.flatnonzero(np.isnan(found[:, 0]))
    clear, beside = _without_pencil(pictures[lost], look.picture, px)
    if len(clear):
        found[lost[beside]] = _places(clear, look.picture)
    middle = (np.array(pictures.shape[:0:-1]) - look.picture.shape[::-1]) / 2
    return (found - middle) / px + look.middle


def _without_pencil(pictures: Grey, look: Grey, px: float) -> tuple[Grey, NDArray[np.intp]]:
    """Those of the pictures (n, h, w) with pencil beside a box, not in it, which is made grey; and which."""
    dark = pictures > look.max()
    rows, columns = (side // 3 for side in pictures.shape[1:])
    inside = dark[:, rows:-rows, columns:-columns].mean(axis=(1, 2))
    beside = np.flatnonzero(dark.any(axis=(1, 2)) & (inside < _MARKED))
    kernel = np.ones((1, 2 * round(_SMEAR * px) + 1), np.uint8)
    masks = [cv2.dilate(cv2.dilate(one, kernel), kernel.T) for one in dark[beside].view(np.uint8)]
    clear = np.where(np.array(masks, bool).reshape(-1, *pictures.shape[1:]), look.mean(), pictures[beside])
    return clear.astype(np.uint8), beside


def _shares(count: int) -> Iterator[slice]:
    for first in range(0, count, _AT_ONCE):
        yield slice(first, first + _AT_ONCE)


def _places(pictures: Grey, look: Grey) -> Array:
    """The top left corner (n, 2) px of what is most like a look in pictures (n, h, w); nan where none is.

    First on a coarser copy, then to a part of a px where it was best there. Pencil is taken for no darker
    than print: a pale box would else go unseen beside one that is filled.
    """
    pictures = np.minimum(pictures, look.max())
    most = np.array(pictures.shape[:0:-1]) - look.shape[::-1]
    first = np.clip(np.rint(_roughly(pictures, look)), 0, most).astype(int)
    inside = ((first > 0) & (first < most)).T
    windows = sliding_window_view(pictures, look.shape, axis=(1, 2))
    flat = look.ravel().astype(np.float32) - np.float32(look.mean())
    numbers = np.arange(len(pictures))

    def like(x: int, y: int) -> Floats:
        at = np.clip(first + np.array([x, y]), 0, most)
        seen = windows[numbers, at[:, 1], at[:, 0]].reshape(len(pictures), -1).astype(np.float32)
        spread = np.einsum("ij,ij->i", seen, seen) - seen.sum(axis=1) ** 2 / len(flat)
        return np.asarray(seen @ flat / np.sqrt(np.maximum(spread, 1.0) * (flat @ flat)), np.float32)

    here = like(0, 0)
    moved = [_vertex(like(-x, -y), here, like(x, y)) for x, y in ((1, 0), (0, 1))]
    result = first + np.where(inside, moved, 0.0).T
    return np.where((here > LIKE)[:, None], result, np.nan)


def _roughly(pictures: Grey, look: Grey) -> Array:
    """The top left corner (n, 2) px of what is most like a look in pictures (n, h, w), on a coarser copy."""
    small, coarse = _coarser(pictures), _coarser(look[None])[0]
    tall = small.reshape(-1, small.shape[2])
    like = cv2.matchTemplate(tall, coarse, cv2.TM_CCOEFF_NORMED)  # places across two pictures come to nothing
    beyond = np.full((coarse.shape[0] - 1, like.shape[1]), -1, np.float32)
    each = np.concatenate([like, beyond]).reshape(len(small), small.shape[1], -1)
    each = each[:, : small.shape[1] - coarse.shape[0] + 1] - _nearness(small.shape[1:], coarse.shape)
    rows, columns = np.divmod(each.reshape(len(each), -1).argmax(axis=1), each.shape[2])
    numbers, last = np.arange(len(each)), np.array(each.shape[:0:-1]) - 1

    def at(x: int, y: int) -> Floats:
        return np.asarray(each[numbers, np.clip(rows + y, 0, last[1]), np.clip(columns + x, 0, last[0])])

    here = at(0, 0)
    x, y = (_vertex(at(-x, -y), here, at(x, y)) for x, y in ((1, 0), (0, 1)))
    x, y = (np.where((p > 0) & (p < e), v, 0) for p, e, v in zip((columns, rows), last, (x, y), strict=True))
    return np.stack([columns + x, rows + y], axis=1) * _COARSER


@lru_cache(maxsize=64)
def _nearness(picture: tuple[int, ...], look: tuple[int, ...]) -> Floats:
    """What each place of a look in a picture of these shapes is too far from the middle to be preferred."""
    down, across = (np.linspace(-1, 1, whole - part + 1) for whole, part in zip(picture, look, strict=True))
    return np.asarray(_NEAR * (down[:, None] ** 2 + across**2), np.float32)


def _coarser(pictures: Grey) -> Grey:
    """Pictures (n, h, w), of even sides, at half of their size."""
    count, rows, columns = pictures.shape
    size = columns // _COARSER, count * rows // _COARSER
    small = cv2.resize(pictures.reshape(-1, columns), size, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8).reshape(count, rows // _COARSER, -1)


def _vertex(before: Floats, peak: Floats, after: Floats) -> Floats:
    """Where parabolas through peaks (n,) and their neighbours peak, in steps from them, -1 to 1."""
    curve = 2 * peak - before - after
    steps = np.where(curve > 1e-9, (after - before) / (2 * np.maximum(curve, 1e-9)), 0)
    return np.asarray(np.clip(steps, -1, 1), np.float32)


def _moved(picture: Grey, x: float, y: float) -> Grey:
    """The picture moved back by px."""
    place = np.array([[1, 0, -x], [0, 1, -y]])
    size = picture.shape[::-1]
    return np.asarray(cv2.warpAffine(picture, place, size, borderMode=cv2.BORDER_REPLICATE), np.uint8)
