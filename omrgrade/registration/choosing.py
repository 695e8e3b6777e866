"""Which page of a set a scan is, and where it lies."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from omrgrade.errors import RegistrationError
from omrgrade.records import Registration, Scan, Template
from omrgrade.registration import register, survey
from omrgrade.registration.aruco import _search_corners

ALIKE = 0.15
"""Share (0-1) of its boxes that one page must show more than another to be taken without a code for it."""

Decide = Callable[[Scan, Template, Registration], bool | None]
"""Whether a code on the scan says that it is this page; None when there is no such code."""


def register_any(
    scan: Scan, template: Template, decide: Decide, *, max_residual: float, flag_residual: float
) -> tuple[Template, Registration]:
    """The template's page, or of a set the one that fits, and where it lies; see `register`.

    Of several that fit, a code on the scan decides, else how many of their boxes are there. Raises
    `RegistrationError` that names all pages if none fits, or if it cannot be told which.
    """
    if not template.pages:
        return template, register(scan, template, max_residual=max_residual, flag_residual=flag_residual)
    fitting: list[tuple[float, Template, Registration]] = []
    refused: dict[str, list[str]] = {}  # pages by why they do not fit
    for page in _likeliest_first(scan, template.pages):
        found = survey(scan, page, max_residual=max_residual, flag_residual=flag_residual)
        if found.refusal is not None:
            refused.setdefault(found.refusal.reason, []).append(page.name)
            continue
        place = found.registration(page, flag_residual)
        if _own_markers(page, template.pages):
            return page, place
        fitting.append((found.fits[0].share, page, place))
    if not fitting:
        why = sorted(f"{', '.join(sorted(names))}: {reason}" for reason, names in refused.items())
        raise RegistrationError("no page of the set fits", where=scan.source, fix="; ".join(why))
    return _choose(scan, fitting, decide)


def _choose(
    scan: Scan, fitting: list[tuple[float, Template, Registration]], decide: Decide
) -> tuple[Template, Registration]:
    """The one of several pages that it is."""
    if len(fitting) > 1:
        said = [decide(scan, page, place) for _, page, place in fitting]
        fitting = [one for one, code in zip(fitting, said, strict=True) if code is not False]
        if True in said:
            _, page, place = fitting[[code for code in said if code is not False].index(True)]
            return page, place
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
