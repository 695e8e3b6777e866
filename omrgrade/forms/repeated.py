"""A small picture that a blank form repeats in its corners: a target, a cross, a logo, to find pages by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from omrgrade.forms.blank import PX_PER_MM, Blank
from omrgrade.records import Rect

SIZES = 4.0, 22.0  # mm: sides of such pictures; headings have smaller letters
CORNER = 0.25  # of the page's sides: they are no further from a corner
JOINED = 1.2  # mm: print nearer to one another is one picture
DARK = 0.62  # of the paper's brightness
SAME_SIZE = 0.5  # mm
SAME = 0.9  # least correlation (0-1) of the pictures in two corners
EMPTY = 0.02, 0.9  # share of a picture that is ink

Grey = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Repeated:
    """Equal pictures in corners of a page."""

    rects: tuple[Rect, ...]  # mm, all of one size, clockwise from the top left
    picture: bytes  # one of them, grey PNG


def find_repeated(blank: Blank, taken: Sequence[Rect]) -> Repeated | None:
    """The picture in three or four corners, apart from the areas of fields (mm) that are `taken`."""
    found = [rect for rect in _things(blank) if not any(rect.overlaps(area) for area in taken)]
    corners = [
        [rect for rect in found if _is_in(rect, right, bottom, blank)]
        for right, bottom in ((0, 0), (1, 0), (1, 1), (0, 1))
    ]
    best: list[Rect] = []
    for model in sorted((rect for corner in corners for rect in corner), key=lambda r: -r.width * r.height):
        chosen = [alike for corner in corners if (alike := _likest(blank, model, corner))]
        if len(chosen) > len(best):
            best = chosen
    if len(best) < 3:
        return None
    width, height = (float(np.median([getattr(r, side) for r in best])) for side in ("width", "height"))
    rects = tuple(
        Rect(x=r.centre[0] - width / 2, y=r.centre[1] - height / 2, width=width, height=height) for r in best
    )
    return Repeated(rects=rects, picture=bytes(cv2.imencode(".png", _cut(blank, rects[0]))[1]))


def _things(blank: Blank) -> list[Rect]:
    """Boxes round what stands by itself and has the size of a mark."""
    paper = float(np.percentile(blank.pixels, 90))
    dark = (cv2.GaussianBlur(blank.pixels, (0, 0), 0.8) < DARK * paper).astype(np.uint8)
    side = round(JOINED * PX_PER_MM) | 1
    joined = cv2.morphologyEx(dark, cv2.MORPH_CLOSE, np.ones((side, side), np.uint8))
    contours, _ = cv2.findContours(joined, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    rects = []
    for x, y, width, height in map(cv2.boundingRect, contours):
        ink = float(dark[y : y + height, x : x + width].mean())
        sized = all(SIZES[0] <= side / PX_PER_MM <= SIZES[1] for side in (width, height))
        if sized and EMPTY[0] < ink < EMPTY[1] and 0.5 < width / height < 2:
            rects.append(
                Rect(x=x / PX_PER_MM, y=y / PX_PER_MM, width=width / PX_PER_MM, height=height / PX_PER_MM)
            )
    return rects


def _is_in(rect: Rect, right: int, bottom: int, blank: Blank) -> bool:
    x, y = rect.centre
    return (
        abs(x - right * blank.width) < CORNER * blank.width
        and abs(y - bottom * blank.height) < CORNER * blank.height
    )


def _likest(blank: Blank, model: Rect, corner: Sequence[Rect]) -> Rect | None:
    """What is most like the model in a corner, None if nothing is."""
    sized = [
        rect
        for rect in corner
        if abs(rect.width - model.width) < SAME_SIZE and abs(rect.height - model.height) < SAME_SIZE
    ]
    scored = [(1.0 if rect is model else _alike(blank, model, rect), n) for n, rect in enumerate(sized)]
    score, best = max(scored, default=(0.0, 0))
    return sized[best] if score > SAME else None


def _alike(blank: Blank, one: Rect, two: Rect) -> float:
    """Correlation of two cut-outs, laid on one another as well as they can be within half a mm."""
    rim = round(0.5 * PX_PER_MM)
    look, room = _cut(blank, one), _cut(blank, two, rim)
    if room.shape[0] < look.shape[0] or room.shape[1] < look.shape[1] or not look.std():
        return 0.0
    return float(cv2.matchTemplate(room, look, cv2.TM_CCOEFF_NORMED).max())


def _cut(blank: Blank, rect: Rect, rim: int = 0) -> Grey:
    x, y = round(rect.x * PX_PER_MM) - rim, round(rect.y * PX_PER_MM) - rim
    right, bottom = round(rect.right * PX_PER_MM) + rim, round(rect.bottom * PX_PER_MM) + rim
    return blank.pixels[max(y, 0) : bottom, max(x, 0) : right]
