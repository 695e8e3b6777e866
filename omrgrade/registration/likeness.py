"""Print as landmarks: how far patches of the blank page lie from where a pose puts them.

The scan is flattened on to the page by the pose, both are reduced to ink on white, and each patch of the
blank page is looked for round its place by normalised cross-correlation. Large patches with a wide reach find
a page that is centimetres off; small ones follow a bend.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from omrgrade.records import Template
from omrgrade.registration.geometry import Array, Landmarks, Pose, percentile
from omrgrade.registration.outlines import outlines

PX = 4.0
"""px per mm of flattened pages: a printed line is 1 to 2 px wide."""
RIM = 16.0
"""mm of surroundings kept on each side of a flattened page: farther no patch is looked for."""
LIKE = 0.35
"""Correlation (0-1): less is another print, or none."""

_NEAR = 0.06  # correlation that the farthest place must have more than the nearest: rows of bubbles repeat
_BLUR = 0.7  # mm
_INKY = 0.012  # share of a patch that must be print, or it is not distinct
_LINE = 0.3  # mm

Grey = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class View:
    """A scan reduced to about `PX` px per mm."""

    pixels: Grey
    factor: int  # scan px per px of `pixels`

    @classmethod
    def of(cls, pixels: Grey, pose: Pose, page: tuple[float, float]) -> View:
        """Reduce a scan on which `pose` puts a page of that size, mm."""
        corners = pose(np.array([(0, 0), (page[0], 0), (page[0], page[1]), (0, page[1])], dtype=np.float64))
        area = abs(cv2.contourArea(corners.astype(np.float32)))
        factor = int(max(np.sqrt(area / (page[0] * page[1])) / PX * 0.9, 1))
        rows, columns = (side // factor for side in pixels.shape)
        even = pixels[: rows * factor, : columns * factor]
        small = cv2.resize(even, (columns, rows), interpolation=cv2.INTER_AREA) if factor > 1 else pixels
        return cls(pixels=np.asarray(small, np.uint8), factor=factor)

    def contrast(self, pose: Pose, page: tuple[float, float]) -> float:
        """Grey levels between paper and print, of every other px."""
        darker = _darker(self._grey(pose, page, PX / 2), 4)
        rim = round(RIM * PX / 2)
        return max(percentile(darker[rim:-rim, rim:-rim], 98), 10.0)

    def flattened(self, pose: Pose, page: tuple[float, float]) -> Grey:
        """The page of that size, mm, and `RIM` round it, as ink (0 paper .. 255 print) at `PX`."""
        return ink(self._grey(pose, page))

    def _grey(self, pose: Pose, page: tuple[float, float], px: float = PX) -> Grey:
        width, height = (round((side + 2 * RIM) * px) for side in page)
        step = 16
        x, y = np.meshgrid(np.arange(width // step + 2.0), np.arange(height // step + 2.0))
        points = np.stack([x, y], axis=-1) * (step / px) + (0.5 / px - RIM)
        coarse = ((pose(points) + 0.5) / self.factor - 0.5).astype(np.float32)
        scale = np.array([[1 / step, 0, 0], [0, 1 / step, 0]], np.float32)
        where = cv2.warpAffine(coarse, scale, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        grey = cv2.remap(self.pixels, where, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(grey, np.uint8)


def ink(grey: Grey) -> Grey:
    """What is darker than the paper round it, at `PX`: 0 paper .. 255 print; shadows are evened out."""
    darker = _darker(grey)
    # A line is thinner than what pupils fill: clipped at a line's darkness, fillings do not outweigh it.
    full = max(percentile(darker[::3, ::3], 97) * 0.6, 12.0)
    return cv2.convertScaleAbs(cv2.GaussianBlur(darker, (0, 0), 0.7), alpha=255 / full)


def _darker(grey: Grey, patch: int = 8) -> Grey:
    """How much darker than the paper round it each px is; patch: px in each of which there is paper."""
    height, width = grey.shape
    size = (max(width // patch, 1), max(height // patch, 1))
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    paper = cv2.blur(cv2.dilate(small, np.ones((7, 7), np.uint8)), (7, 7))
    return np.asarray(cv2.subtract(cv2.resize(paper, (width, height)), grey), np.uint8)


@lru_cache(maxsize=4)
def blank_ink(template: Template) -> Grey:
    """The blank page as `View.flattened` would show it: its picture, or its boxes and marks."""
    rim = round(RIM * PX)
    if template.fiducials.method == "reference":
        size = (round(template.page_width * PX), round(template.page_height * PX))
        whole = cv2.imdecode(np.frombuffer(template.fiducials.picture, np.uint8), cv2.IMREAD_GRAYSCALE)
        page = cv2.resize(whole, size, interpolation=cv2.INTER_AREA)
        return ink(cv2.copyMakeBorder(page, rim, rim, rim, rim, cv2.BORDER_CONSTANT, value=255))
    return cv2.GaussianBlur(_drawn(template), (0, 0), 0.7)


def _drawn(template: Template) -> Grey:
    shape = tuple(round((side + 2 * RIM) * PX) for side in (template.page_height, template.page_width))
    page = np.zeros(shape, np.uint8)

    def px(value: float) -> int:
        return round(((value + RIM) * PX - 0.5) * 16)

    thick = max(round(_LINE * PX), 1)
    for outline in outlines(template):
        box = outline.rect
        if outline.round:
            centre, axes = box.centre, (round(box.width / 2 * PX * 16), round(box.height / 2 * PX * 16))
            cv2.ellipse(
                page, (px(centre[0]), px(centre[1])), axes, 0, 0, 360, 255, thick, cv2.LINE_AA, 4
            )  # fmt: skip
        else:
            cv2.rectangle(
                page, (px(box.x), px(box.y)), (px(box.right), px(box.bottom)), 255, thick, cv2.LINE_AA, 4
            )  # fmt: skip
    for box in template.fiducials.boxes:
        cv2.rectangle(page, (px(box.x), px(box.y)), (px(box.right), px(box.bottom)), 255, -1, cv2.LINE_AA, 4)
    return page


def coarser(page: Grey) -> Grey:
    """A page as ink, blurred, at half of `PX`: lines of any thickness are alike."""
    small = cv2.resize(
        cv2.GaussianBlur(page, (0, 0), _BLUR * PX), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA
    )
    return np.asarray(small, np.uint8)


def patch_centres(blank: Grey, side: float) -> Array:
    """Centres (n, 2) mm of square patches of `side` mm, half overlapping, that have print in them."""
    half, step = round(side * PX / 2), max(round(side * PX * 0.55), 1)
    rim = round(RIM * PX)
    rows = _spaced(rim + half - step // 2, blank.shape[0] - rim - half + step // 2, step)
    columns = _spaced(rim + half - step // 2, blank.shape[1] - rim - half + step // 2, step)
    total = cv2.integral((blank > 100).astype(np.uint8))
    result = [
        ((x + 0.0) / PX - RIM, (y + 0.0) / PX - RIM)
        for y in rows
        for x in columns
        if _sum(total, x, y, half) >= _INKY * (2 * half) ** 2
    ]
    return np.array(result, dtype=np.float64).reshape(-1, 2)


def _spaced(first: int, last: int, step: int) -> list[int]:
    if last <= first:
        return [(first + last) // 2]
    count = int(np.ceil((last - first) / step)) + 1
    return [round(v) for v in np.linspace(first, last, count)]


def _sum(total: NDArray[np.int32], x: int, y: int, half: int) -> int:
    top, bottom = max(y - half, 0), min(y + half, total.shape[0] - 1)
    left, right = max(x - half, 0), min(x + half, total.shape[1] - 1)
    return int(total[bottom, right] - total[top, right] - total[bottom, left] + total[top, left])


def patch_landmarks(
    flat: Grey, blank: Grey, centres: Array, side: float, reach: float, px: float = PX
) -> tuple[Landmarks, Array]:
    """Look for the blank's patches (`side` mm, centres (n, 2) mm) within `reach` mm of their places.

    flat: as `View.flattened`. px: of both pages, per mm.
    Returns shifts in mm, nan where nothing is like it, and the correlations (n,).
    """
    shifts, scores = np.full((len(centres), 2), np.nan), np.zeros(len(centres))
    half, around = round(side * px / 2), round(reach * px)
    nearness = _nearness(around)
    for n, (x, y) in enumerate(np.round((centres + RIM) * px).astype(int)):
        top, left = max(y - half, 0), max(x - half, 0)
        patch = blank[top : y + half, left : x + half]
        reached = (max(top - around, 0), max(left - around, 0))
        area = flat[reached[0] : top + patch.shape[0] + around, reached[1] : left + patch.shape[1] + around]
        if area.shape[0] < patch.shape[0] + 2 or area.shape[1] < patch.shape[1] + 2:
            continue
        like = cv2.matchTemplate(area, patch, cv2.TM_CCOEFF_NORMED)
        first = (reached[0] - top + around, reached[1] - left + around)
        preferred = like - nearness[first[0] :, first[1] :][: like.shape[0], : like.shape[1]]
        row, column = np.unravel_index(int(preferred.argmax()), like.shape)
        scores[n] = like[row, column]
        if scores[n] < LIKE or not (0 < row < like.shape[0] - 1 and 0 < column < like.shape[1] - 1):
            continue
        dy, dx = _vertex(like[row - 1 : row + 2, column]), _vertex(like[row, column - 1 : column + 2])
        shifts[n] = (
            (column + dx + reached[1] - left) / px,
            (row + dy + reached[0] - top) / px,
        )
    return Landmarks(points=centres, shifts=shifts), scores


@lru_cache(maxsize=8)
def _nearness(around: int) -> NDArray[np.float32]:
    offset = np.arange(-around, around + 1) / max(around, 1)
    return (_NEAR * (offset[:, None] ** 2 + offset**2)).astype(np.float32)


def _vertex(values: NDArray[np.float32]) -> float:
    """Where a parabola through three values peaks, in steps from the middle one."""
    before, peak, after = (float(v) for v in values)
    curve = 2 * peak - before - after
    return float(np.clip((after - before) / (2 * curve), -1, 1)) if curve > 1e-9 else 0.0
