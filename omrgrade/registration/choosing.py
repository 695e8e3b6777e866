"""Which page of a set a scan is, and where it lies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from omrgrade.errors import RegistrationError
from omrgrade.records import Registration, Scan, Template
from omrgrade.registration import register, survey
from omrgrade.registration.aruco import _search_corners

ALIKE = 0.15
"""Share (0-1) of its boxes that one page must show more than another to be taken without a code for it."""

FINE, SOFT = 3.0, 1.5
"""px per mm at which print is compared, and the blur in px that forgives half a mm."""
DIFFERENT, LEAST = 30, 60
"""Grey levels from which on blank forms differ at a place, and in how many px they must."""
LIKER = 0.4
"""How much more (in correlation, -1..1) of one page's own print than of another's must show to choose it."""

Fitting = tuple[float, Template, Registration]
"""A page that a scan may be: share (0-1) of its boxes that are there, the page, and where it lies."""
Decide = Callable[[Scan, Template, Registration], bool | None]
"""Whether a code on the scan says that it is this page; None when there is no such code."""


def register_any(
    scan: Scan, template: Template, decide: Decide, *, max_residual: float, flag_residual: float
) -> tuple[Template, Registration]:
    """The template's page, or of a set the one that fits, and where it lies; see `register`.

    Of several that fit, a code on the scan decides, else their blank forms where they differ, else how many
    of their boxes are there. Raises `RegistrationError` that names all pages if none fits, or if it cannot be
    told which.
    """
    if not template.pages:
        return template, register(scan, template, max_residual=max_residual, flag_residual=flag_residual)
    fitting: list[Fitting] = []
    refused: dict[str, list[str]] = {}  # pages by why they do not fit
    for page in _likeliest_first(scan, template.pages):
        found = survey(scan, page, max_residual=max_residual, flag_residual=flag_residual)
        if found.refusal is not None:
            refused.setdefault(found.refusal.reason, []).append(page.name)
            continue
        place = found.registration(page, flag_residual)
        if _own_markers(page, template.pages) or decide(scan, page, place):
            return page, place
        fitting.append((found.fits[0].share, page, place))
    if not fitting:
        why = sorted(f"{', '.join(sorted(names))}: {reason}" for reason, names in refused.items())
        raise RegistrationError("no page of the set fits", where=scan.source, fix="; ".join(why))
    return _choose(scan, fitting, decide)


def _choose(scan: Scan, fitting: list[Fitting], decide: Decide) -> tuple[Template, Registration]:
    """The one of several pages that it is, of none of which a code says so."""
    if len(fitting) > 1:
        fitting = [one for one in fitting if decide(scan, *one[1:]) is None]
    if len(fitting) > 1 and all(page.blank for _, page, _ in fitting):
        fitting = _by_print(scan, fitting)
    fitting.sort(key=lambda one: -one[0])
    if not fitting or (len(fitting) > 1 and fitting[0][0] - fitting[1][0] < ALIKE):
        names = ", ".join(sorted(page.name for _, page, _ in fitting))
        raise RegistrationError(
            "it cannot be told which page of the set this is",
            where=scan.source,
            fix="give the pages other markers, or a QR code",
            received=names or "the code of another sheet",
        )
    _, page, place = fitting[0]
    return page, place


def _by_print(scan: Scan, fitting: list[Fitting]) -> list[Fitting]:
    """The page whose own print is on the scan, and not that of any other; all of them if none is."""

    def beats(one: Fitting, other: Fitting) -> bool:
        mine, theirs = _own_print(scan, one, other), _own_print(scan, other, one)
        if mine is None:
            return theirs is not None and theirs < LIKER / 2
        return mine > (theirs or 0.0) + LIKER

    best = [one for one in fitting if all(beats(one, other) for other in fitting if other is not one)]
    return best or fitting


def _own_print(scan: Scan, one: Fitting, other: Fitting) -> float | None:
    """How much (correlation, -1..1) a scan shows what is printed on one page only; None if that is little."""
    mine, theirs = _blank(one[1]), _blank(other[1])
    if mine.shape != theirs.shape:
        return None
    only = cv2.subtract(theirs, mine)
    if np.count_nonzero(only > DIFFERENT) < LEAST:
        return None
    near = cv2.dilate((only > DIFFERENT).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    pixel = np.array([[1 / FINE, 0, 0.5 / FINE], [0, 1 / FINE, 0.5 / FINE], [0, 0, 1]])
    laid = cv2.warpPerspective(
        scan.pixels,
        np.array(one[2].page_to_scan) @ pixel,
        mine.shape[::-1],
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    dark = 255 - cv2.GaussianBlur(laid, (0, 0), SOFT)
    return float(np.corrcoef(dark[near], only[near])[0, 1]) if dark[near].std() else 0.0


@lru_cache(maxsize=8)
def _blank(page: Template) -> NDArray[np.uint8]:
    """The blank form, FINE px/mm, as soft as scans are made."""
    pixels = cv2.imdecode(np.frombuffer(page.blank, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert pixels is not None, "checked when the template was read"
    size = round(page.page_width * FINE), round(page.page_height * FINE)
    return np.asarray(
        cv2.GaussianBlur(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), (0, 0), SOFT), np.uint8
    )


def _likeliest_first(scan: Scan, pages: Sequence[Template]) -> list[Template]:
    """Those whose markers stand in the picture's corners first: looking for others takes far longer."""
    dictionaries = {page.fiducials.dictionary for page in pages if page.fiducials.method == "aruco"}
    seen = {name: set(_search_corners(scan.pixels, name)) for name in dictionaries}

    def unseen(page: Template) -> int:
        return -len(seen.get(page.fiducials.dictionary, set()).intersection(page.fiducials.ids))

    return sorted(pages, key=unseen)


def _own_markers(page: Template, pages: Sequence[Template]) -> bool:
    """Whether a page's markers are on no other page of the set: where they are, it is this one."""
    others = [other.fiducials for other in pages if other is not page]
    return page.fiducials.method == "aruco" and all(
        other.method == "aruco"
        and (other.dictionary == page.fiducials.dictionary and not set(other.ids) & set(page.fiducials.ids))
        for other in others
    )
