"""How a blank form's page can be found again: the markers it has, else the form itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from omrgrade.forms.blank import PX_PER_MM, Blank
from omrgrade.forms.repeated import find_repeated
from omrgrade.forms.shapes import Shape
from omrgrade.forms.tracks import find_tracks
from omrgrade.records import Rect

DICTIONARIES = tuple(f"{side}x{side}_50" for side in (4, 5, 6))
SIZES = 2.5, 16.0  # mm: sides of solid corner marks
NEAR = 0.3  # of the page's width and height: corner marks are no further from a corner
EVEN = 0.4  # mm: markers so equally far from the page's edges have one margin


@dataclass(frozen=True, kw_only=True, slots=True)
class Marks:
    """The registration that suits a form, as the template writes it."""

    text: str  # YAML, one line
    rects: tuple[Rect, ...]  # what it goes by, mm
    why: str  # for the template's reader
    picture: bytes = b""  # of the marker, where it is one of the form's own: for the file that `text` names


def find_marks(blank: Blank, shapes: Sequence[Shape], marker: str, taken: Sequence[Rect]) -> Iterator[Marks]:
    """What pages may be found by, best first: ArUco markers, timing marks, equal marks in the corners.

    marker: file that is to hold a corner mark's picture. taken: areas of fields, mm.
    """
    for found in (_aruco(blank), _timing(blank, shapes), _corners(blank, shapes), _own(blank, marker, taken)):
        if found is not None:
            yield found


def by_itself(reference: str) -> Marks:
    """The form's own print, of which the file `reference` is a picture."""
    return Marks(
        text=f"{{method: reference, blank: {reference}}}",
        rects=(),
        why="no markers were found: pages are laid on the blank form itself",
    )


def _timing(blank: Blank, shapes: Sequence[Shape]) -> Marks | None:
    tracks = find_tracks(shapes, blank)
    if not tracks:
        return None
    return Marks(
        text=f"{{method: timing, tracks: [{', '.join(track.text for track in tracks)}]}}",
        rects=tuple(bar for track in tracks for bar in track.bars),
        why=f"{sum(len(track.bars) for track in tracks)} timing marks",
    )


def _own(blank: Blank, marker: str, taken: Sequence[Rect]) -> Marks | None:
    """A picture of the form's own in three or four corners."""
    found = find_repeated(blank, taken)
    if found is None:
        return None
    places = ", ".join(f"[{rect.x:.2f}, {rect.y:.2f}]" for rect in found.rects)
    size = f"[{found.rects[0].width:.2f}, {found.rects[0].height:.2f}]"
    return Marks(
        text=f"{{method: corners, marker: {marker}, size: {size}, at: [{places}]}}",
        rects=found.rects,
        why=f"{len(found.rects)} equal pictures in the corners",
        picture=found.picture,
    )


def _aruco(blank: Blank) -> Marks | None:
    """Four square markers equally far from the page's edges."""
    for name in DICTIONARIES:
        dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, f"DICT_{name.upper()}"))
        corners, ids, _ = cv2.aruco.ArucoDetector(dictionary, _detection()).detectMarkers(blank.pixels)
        if ids is None or len(ids) != 4:
            continue
        found = {
            int(marker): _marker_rect(corner) for marker, corner in zip(ids.ravel(), corners, strict=True)
        }
        order = _clockwise(list(found.values()), blank)
        if order is None:
            continue
        margins = [gap for rect in order for gap in _margins(rect, blank)]
        size = float(np.mean([rect.width for rect in order]))
        if np.ptp(margins) > EVEN:
            continue
        numbers = [next(marker for marker, rect in found.items() if rect is place) for place in order]
        text = (
            f"{{method: aruco, dictionary: {name}, ids: {numbers}, "
            f"size: {round(size, 1):g}, margin: {round(float(np.mean(margins)), 1):g}}}"
        )
        return Marks(text=text, rects=tuple(order), why="four ArUco markers")
    return None


def _detection() -> Any:
    parameters = cv2.aruco.DetectorParameters()
    parameters.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
    return parameters


def _marker_rect(corners: Any) -> Rect:
    points = corners.reshape(4, 2) + 0.5
    (x, y), (right, bottom) = points.min(axis=0) / PX_PER_MM, points.max(axis=0) / PX_PER_MM
    return Rect(x=float(x), y=float(y), width=float(right - x), height=float(bottom - y))


def _margins(rect: Rect, blank: Blank) -> tuple[float, float]:
    """How far a marker is from the nearest edges, mm."""
    return min(rect.x, blank.width - rect.right), min(rect.y, blank.height - rect.bottom)


def _corners(blank: Blank, shapes: Sequence[Shape]) -> Marks | None:
    """Solid squares or discs of one size, one near each corner; one corner may have something else."""
    solid = [s for s in shapes if s.solid and SIZES[0] <= min(s.size) and max(s.size) <= SIZES[1]]
    best: list[Rect] = []
    ellipse = False
    for model in solid:
        alike = [
            s.rect
            for s in solid
            if s.round == model.round and abs(s.rect.width - model.rect.width) < 0.4
            and abs(s.rect.height - model.rect.height) < 0.4
        ]  # fmt: skip
        chosen = _one_a_corner(alike, blank)
        if len(chosen) > len(best):
            best, ellipse = chosen, model.round
    if len(best) < 3:
        return None
    width, height = (float(np.mean([getattr(rect, side) for rect in best])) for side in ("width", "height"))
    places = ", ".join(f"[{r.centre[0] - width / 2:.2f}, {r.centre[1] - height / 2:.2f}]" for r in best)
    text = (
        f"{{method: corners, marker: {'circle' if ellipse else 'square'}, "
        f"size: [{width:.2f}, {height:.2f}], at: [{places}]}}"
    )
    return Marks(text=text, rects=tuple(best), why=f"{len(best)} solid corner marks")


def _one_a_corner(rects: Sequence[Rect], blank: Blank) -> list[Rect]:
    """The outermost mark in each corner region of the page, clockwise from top left."""
    chosen = []
    for right, bottom in ((0, 0), (1, 0), (1, 1), (0, 1)):
        corner = right * blank.width, bottom * blank.height
        inside = [r for r in rects if _in_region(r, corner, blank)]
        if inside:
            chosen.append(min(inside, key=lambda r: _distance(r, corner)))
    return chosen


def _in_region(rect: Rect, corner: tuple[float, float], blank: Blank) -> bool:
    x, y = rect.centre
    return abs(x - corner[0]) < NEAR * blank.width and abs(y - corner[1]) < NEAR * blank.height


def _distance(rect: Rect, corner: tuple[float, float]) -> float:
    return float(np.hypot(rect.centre[0] - corner[0], rect.centre[1] - corner[1]))


def _clockwise(rects: Sequence[Rect], blank: Blank) -> list[Rect] | None:
    """The four markers, top left first; None unless there is one in each quarter of the page."""
    quarters = {(r.centre[0] > blank.width / 2, r.centre[1] > blank.height / 2): r for r in rects}
    order = [(False, False), (True, False), (True, True), (False, True)]
    return [quarters[q] for q in order] if len(quarters) == 4 else None
