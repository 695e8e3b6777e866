"""Where on paper a page's print lies, by correlation of the whole blank page with what is dark on the scan.

At two millimetres a pixel, bubbles and words blur to blocks: their layout tells a page from others, and its
place, scale and quarter turn to a few millimetres, which is where following its print patch by patch begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from omrgrade.records import Template
from omrgrade.registration.geometry import Array, percentile
from omrgrade.registration.likeness import PX as BLANK_PX
from omrgrade.registration.likeness import RIM, blank_ink

LIKE = 0.33
"""Correlation (0-1): what is less like the page is another one, or something else."""
REACH = 6.0
"""mm by which a place found by search may be off."""

_PX = 2.0  # px per mm of a view, in which print is told from paper
_COARSE = 0.5  # px per mm at which pages are compared
_BLUR = 1.5  # mm
_AROUND = 4.0  # mm round printed boxes that are compared when only these are
_BEYOND = 12.0  # mm by which a page may lie beyond the view
_MOST_SKEW, _SKEW_STEP = 16.0, 0.25  # degrees

Grey = NDArray[np.uint8]
Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class View:
    """A part of a scan, flattened: `to_scan` (3, 3) maps its mm -> scan px."""

    to_scan: Array
    width: float  # mm
    height: float  # mm


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Hint:
    """Where a page may lie."""

    like: float  # correlation (-1 to 1) with the page's print
    page_to_scan: Array  # (3, 3) maps page mm -> scan px


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Blank:
    """The blank page in one quarter turn, at `_COARSE`."""

    print: Floats
    to_page: Array  # (3, 3) maps mm of the turned page -> page mm
    mask: Floats  # 1 on and round boxes
    boxes: Floats  # print under the mask, with mean 0 there
    energy: float


def page_view(matrix: Array, template: Template) -> View:
    """The view of a page that a matrix (3, 3), page mm -> scan px, lays in a scan."""
    return View(to_scan=matrix, width=template.page_width, height=template.page_height)


def whole_view(pixels: Grey, template: Template) -> View:
    """The whole picture, straightened by its print; as many mm as the page across its diagonal."""
    height, width = pixels.shape
    px_per_mm = float(np.hypot(height, width) / np.hypot(template.page_width, template.page_height))
    middle = np.array([[1, 0, (width - 1) / 2], [0, 1, (height - 1) / 2], [0, 0, 1]])
    straight = View(
        to_scan=middle
        @ np.diag([px_per_mm, px_per_mm, 1])
        @ _moved(-width / px_per_mm / 2, -height / px_per_mm / 2),
        width=width / px_per_mm,
        height=height / px_per_mm,
    )
    angle = _skew(_ink(pixels, straight))
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    across = straight.width * abs(c) + straight.height * abs(s)
    down = straight.width * abs(s) + straight.height * abs(c)
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    to_scan = middle @ turn @ np.diag([px_per_mm, px_per_mm, 1]) @ _moved(-across / 2, -down / 2)
    return View(to_scan=to_scan, width=across, height=down)


def likeness(pixels: Grey, matrix: Array, template: Template) -> float:
    """How like the page (-1 to 1) what lies about there is; matrix (3, 3): page mm -> scan px."""
    (hint,) = search(pixels, page_view(matrix, template), template, turns=(0,), scales=(1.0,))
    return hint.like


def both_ways(pixels: Grey, matrix: Array, template: Template) -> tuple[float, float]:
    """`likeness` there and upside down, in one look at the page."""
    ink, blanks = _ink(pixels, page_view(matrix, template)), _blanks(template)
    small, _ = _small(ink, 1.0)
    return _best(small, blanks[0])[0], _best(small, blanks[2])[0]


def search(
    pixels: Grey, view: View, template: Template, *, turns: Sequence[int], scales: Sequence[float]
) -> list[Hint]:
    """The likeliest place of the page in a view for each of these quarter turns and scales; best first.

    turns: 0 to 3, clockwise. scales: mm of the view per mm of the page.
    """
    ink = _ink(pixels, view)
    blanks = _blanks(template)
    hints = []
    for scale in scales:
        small, size = _small(ink, scale)
        to_view = np.array([view.width / size[0], view.height / size[1]])  # mm per px
        for turn in turns:
            blank = blanks[turn]
            like, (x, y) = _best(small, blank)
            place = np.diag([to_view[0] * _COARSE, to_view[1] * _COARSE, 1.0])
            place[:2, 2] = np.array([x, y]) * to_view
            hints.append(Hint(like=like, page_to_scan=view.to_scan @ place @ np.linalg.inv(blank.to_page)))
    return sorted(hints, key=lambda hint: -hint.like)


def _small(ink: Grey, scale: float) -> tuple[Floats, tuple[int, int]]:
    """A view, `scale` mm of it a mm of the page, as pages are compared; and its size in px."""
    columns, rows = (max(round(side / _PX / scale * _COARSE), 2) for side in ink.shape[::-1])
    small = cv2.resize(ink, (columns, rows), interpolation=cv2.INTER_AREA).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(small, (0, 0), _BLUR * _COARSE), np.float32), (columns, rows)


def _best(small: Floats, blank: _Blank) -> tuple[float, tuple[float, float]]:
    """How like the page its likeliest place is, and where its top left corner is then, px."""
    rows, columns = blank.print.shape
    beyond = round(_BEYOND * _COARSE)
    down = max((rows - small.shape[0]) // 2, 0) + beyond
    across = max((columns - small.shape[1]) // 2, 0) + beyond
    area = cv2.copyMakeBorder(small, down, down, across, across, cv2.BORDER_CONSTANT, value=0)
    like = 0.5 * cv2.matchTemplate(area, blank.print, cv2.TM_CCOEFF_NORMED)
    # Forms have print that a template says nothing of: beside the page, its boxes alone are compared.
    total = cv2.matchTemplate(area, blank.mask, cv2.TM_CCORR)
    squares = cv2.matchTemplate(area * area, blank.mask, cv2.TM_CCORR)
    own = cv2.matchTemplate(area, blank.boxes, cv2.TM_CCORR)
    spread = np.maximum(squares - total * total / max(float(blank.mask.sum()), 1.0), 1.0)
    like += 0.5 * own / np.sqrt(spread * blank.energy)
    row, column = np.unravel_index(int(np.nan_to_num(like, nan=-1.0).argmax()), like.shape)
    return float(like[row, column]), (float(column) - across, float(row) - down)


# ---------------------------------------------------------------- the blank page


@lru_cache(maxsize=4)
def _blanks(template: Template) -> tuple[_Blank, ...]:
    """The blank page in its four quarter turns."""
    rim = round(RIM * BLANK_PX)
    page = blank_ink(template)[rim:-rim, rim:-rim]
    around = 2 * round(_AROUND * BLANK_PX) + 1
    near = cv2.dilate((page > 100).astype(np.uint8), np.ones((around, around), np.uint8))
    return tuple(_blank(page, near, turn, template) for turn in range(4))


def _blank(page: Grey, near: Grey, turn: int, template: Template) -> _Blank:
    width, height = template.page_width, template.page_height
    turned = [np.ascontiguousarray(np.rot90(picture, -turn)) for picture in (page, near)]
    size = tuple(round(side / BLANK_PX * _COARSE) for side in turned[0].shape[::-1])
    small, mask = (cv2.resize(t, size, interpolation=cv2.INTER_AREA).astype(np.float32) for t in turned)
    small = np.asarray(cv2.GaussianBlur(small, (0, 0), _BLUR * _COARSE), np.float32)
    mask = np.asarray(mask > 0.5, np.float32)
    boxes = (small - (small * mask).sum() / max(float(mask.sum()), 1.0)) * mask
    to_page = {
        0: np.eye(3),
        1: np.array([[0, 1, 0], [-1, 0, height], [0, 0, 1.0]]),
        2: np.array([[-1, 0, width], [0, -1, height], [0, 0, 1.0]]),
        3: np.array([[0, -1, width], [1, 0, 0], [0, 0, 1.0]]),
    }[turn]
    return _Blank(
        print=small, to_page=to_page, mask=mask, boxes=boxes, energy=max(float((boxes * boxes).sum()), 1.0)
    )


# ---------------------------------------------------------------- the scan


def _ink(pixels: Grey, view: View) -> Grey:
    """What is darker than the paper round it in a view, at `_PX`: 0 paper .. 255 print."""
    size = (max(round(view.width * _PX), 8), max(round(view.height * _PX), 8))
    corners = np.array([(0, 0, 1), (view.width, 0, 1), (view.width, view.height, 1), (0, view.height, 1.0)])
    there = corners @ view.to_scan.T
    area = cv2.contourArea((there[:, :2] / there[:, 2:]).astype(np.float32))
    factor = max(int(np.sqrt(area / (size[0] * size[1]))), 1)
    small = _reduced(pixels, factor)
    matrix = np.diag([1 / factor, 1 / factor, 1.0])
    matrix[:2, 2] = 0.5 / factor - 0.5
    to_small = matrix @ view.to_scan @ np.diag([1 / _PX, 1 / _PX, 1]) @ _moved(0.5, 0.5)
    grey = cv2.warpPerspective(
        small, to_small, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE
    )
    paper = cv2.resize(grey, (max(size[0] // 4, 1), max(size[1] // 4, 1)), interpolation=cv2.INTER_AREA)
    # Closed, not only spread: the edge of a shadow stays where it is, and is no print.
    paper = cv2.blur(cv2.morphologyEx(paper, cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8)), (3, 3))
    darker = cv2.subtract(cv2.resize(paper, size), grey)
    full = max(percentile(np.asarray(darker[::2, ::2], np.uint8), 95) * 0.7, 8.0)
    return np.asarray(cv2.convertScaleAbs(darker, alpha=255 / full), np.uint8)


def _reduced(pixels: Grey, factor: int) -> Grey:
    if factor == 1:
        return pixels
    rows, columns = (max(side // factor, 1) for side in pixels.shape)
    even = pixels[: rows * factor, : columns * factor]
    return np.asarray(cv2.resize(even, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)


def _skew(ink: Grey) -> float:
    """How far print is turned in a view, degrees clockwise: where its rows are sharpest."""
    small = np.asarray(cv2.resize(ink, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8)
    coarse = np.arange(-_MOST_SKEW, _MOST_SKEW + 0.5, 1.0)
    near = coarse[int(np.argmax([_sharpness(small, angle) for angle in coarse]))]
    fine = near + np.arange(-1, 1 + _SKEW_STEP / 2, _SKEW_STEP)
    return float(fine[int(np.argmax([_sharpness(small, angle) for angle in fine]))])


def _sharpness(ink: Grey, angle: float) -> float:
    """How sharply rows and columns of print tell from the gaps between them, turned back by an angle."""
    height, width = ink.shape
    side = int(np.hypot(height, width))
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1)
    turn[:, 2] += (side / 2 - width / 2, side / 2 - height / 2)
    turned = cv2.warpAffine(ink, turn, (side, side), flags=cv2.INTER_LINEAR)
    profiles = (turned.sum(axis=axis, dtype=np.float64) for axis in (0, 1))
    return sum(float((np.diff(profile) ** 2).sum()) for profile in profiles)


def _moved(x: float, y: float) -> Array:
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]])
