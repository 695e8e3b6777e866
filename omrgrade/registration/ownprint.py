"""Whether what a form has printed besides its boxes is where a fit says, or a row or column of boxes further.

Boxes in ruled rows look alike one row further, heading included; only words and row numbers do not. What is
compared is where the form and the same form moved differ, so that what they share says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from omrgrade.records import Scan, Template
from omrgrade.registration.geometry import Array
from omrgrade.registration.outlines import outlines

PX = 3.0
"""px per mm at which print is compared."""
CLEARLY = 0.3
"""Correlation (0-1) with what only the moved form has above which a page lies there."""
_SOFT = 1.5  # px of blur that forgive half a mm
_DIFFERENT, _LEAST = 30, 100  # grey levels by which two places of a form differ, and in how many px they must
_ROUND = 1.0  # mm round boxes that are not looked at: what is written there may stick out

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]


def better_move(
    scan: Scan, template: Template, matrix: Array, moves: Sequence[tuple[float, float]]
) -> Array | None:
    """The page (page mm -> scan px) moved by that of some moves (mm) which its print speaks for.

    None where it speaks for none of them, or there is no blank form.
    """
    words = _words(template)
    if words is None or not moves:
        return None
    seen = _laid(scan, matrix, words[0].shape).ravel()
    scored = [(own.speaks_for(seen), own.move) for own in _differences(template, tuple(moves))]
    score, (x, y) = max(scored, default=(0.0, (0.0, 0.0)))
    return matrix @ np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]]) if score > CLEARLY else None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Difference:
    """Where a form and the same form moved differ."""

    move: tuple[float, float]  # mm
    places: NDArray[np.intp]  # (n,) of the form's px
    only: Floats  # (n,) the form moved less the form itself, with mean 0 and length 1

    def speaks_for(self, seen: Floats) -> float:
        """Correlation (-1 to 1) of a page's darkness, laid flat, (px,), with what only the moved form has."""
        own = seen[self.places]
        own = own - own.mean()
        length = float(np.linalg.norm(own))
        return float(own @ self.only) / length if length else 0.0


@lru_cache(maxsize=4)
def _differences(template: Template, moves: tuple[tuple[float, float], ...]) -> list[_Difference]:
    """Those of the moves that tell."""
    words = _words(template)
    return [own for move in moves if words and (own := _difference(words, move)) is not None]


def _difference(words: tuple[Floats, Bools], move: tuple[float, float]) -> _Difference | None:
    form, paper = words
    right, down = (round(side * PX) for side in move)
    place = np.array([[1, 0, right], [0, 1, down]], np.float32)
    size = form.shape[::-1]
    only = cv2.warpAffine(form, place, size, flags=cv2.INTER_NEAREST) - form
    both = paper & (cv2.warpAffine(paper.astype(np.uint8), place, size, flags=cv2.INTER_NEAREST) > 0)
    places = np.flatnonzero(both & (abs(only) > _DIFFERENT))
    if len(places) < _LEAST:
        return None
    own = only.ravel()[places]
    own = own - own.mean()
    length = float(np.linalg.norm(own))
    return _Difference(move=move, places=places, only=own / np.float32(length)) if length else None


def _laid(scan: Scan, matrix: Array, shape: tuple[int, ...]) -> Floats:
    """The darkness of a scan where the page lies, (h, w) at `PX`."""
    pixel = np.array([[1 / PX, 0, 0.5 / PX], [0, 1 / PX, 0.5 / PX], [0, 0, 1]])
    laid = cv2.warpPerspective(
        scan.pixels, matrix @ pixel, shape[::-1], flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    return np.asarray(255.0 - cv2.GaussianBlur(laid, (0, 0), _SOFT), np.float32)


@lru_cache(maxsize=4)
def _words(template: Template) -> tuple[Floats, Bools] | None:
    """The blank form's darkness, (h, w) at `PX`, and where nothing is to be written; None without a form."""
    file = template.blank or (template.fiducials.picture if template.fiducials.method == "reference" else b"")
    if not file:
        return None
    size = round(template.page_width * PX), round(template.page_height * PX)
    whole = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_GRAYSCALE)
    form = 255.0 - cv2.GaussianBlur(cv2.resize(whole, size, interpolation=cv2.INTER_AREA), (0, 0), _SOFT)
    paper = np.ones(form.shape, bool)
    for box in (outline.rect for outline in outlines(template)):
        x, y = round((box.x - _ROUND) * PX), round((box.y - _ROUND) * PX)
        right, bottom = round((box.right + _ROUND) * PX), round((box.bottom + _ROUND) * PX)
        paper[max(y, 0) : max(bottom, 0), max(x, 0) : max(right, 0)] = False
    return np.asarray(form, np.float32), paper
