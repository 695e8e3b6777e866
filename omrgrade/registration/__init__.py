"""Scan + template -> where the page lies in the scan, or why it cannot be told.

A method (one file each, one line in `METHODS`) says about where the page is; where that is not certain, as
with four equal markers, it names several places. What follows is the same for all (`fitting`): the page is
laid on its printed boxes, bent where paper is, and the residual is measured on boxes that were not used for
it. A page on which the boxes are not where the template says is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import cast

import numpy as np

from omrgrade.errors import RegistrationError
from omrgrade.records import Matrix, Registration, Scan, Template
from omrgrade.registration import aruco, byhand, corners, page, reference, timing
from omrgrade.registration.bylooks import fit_looks
from omrgrade.registration.fitting import (
    FINE,
    GOOD,
    WHOLE,
    Fit,
    fit_bent,
    fit_fine,
    fit_flat,
    off_together,
    rank,
    worst_part,
)
from omrgrade.registration.geometry import Array, Located, Pose, quarter_turns
from omrgrade.registration.ownprint import better_move
from omrgrade.registration.search import LIKE, likeness
from omrgrade.registration.slips import Further, box_steps, further, repeated, unslipped

Attempts = Iterator[Sequence[Located]]
"""Places where the page may be. Those of one attempt compete; the next is made only if none is it."""

Locate = Callable[[Scan, Template], Attempts]


def _or_by_print(locate: Locate) -> Locate:
    """A method by marks, and then, as these may be covered or not told from others, the print as a whole."""

    def attempts(scan: Scan, template: Template) -> Attempts:
        refusal = None
        try:
            yield from locate(scan, template)
        except RegistrationError as error:
            refusal = error
        yield from page.by_print(scan, template, page.sheets(scan.pixels))
        if refusal is not None:
            raise refusal

    return attempts


METHODS: dict[str, Locate] = {
    "aruco": lambda scan, template: iter([[aruco.locate(scan, template)]]),
    "corners": _or_by_print(corners.locate),
    "page": page.locate,
    "reference": reference.locate,
    "timing": _or_by_print(timing.locate),
}
"""method -> where the page may be, likeliest first; `RegistrationError` when there is no such place."""

FIRST: dict[str, Locate] = {
    "corners": corners.plainly,
    "page": page.plainly,
    "reference": page.plainly,
    "timing": timing.plainly,
}
"""method -> where the page is looked for before all else, as that takes a tenth to a third of the time."""

MIN_FOUND = 0.5
"""Share of the verifying boxes, filled ones aside, that must be there at all."""
_WORTH_BENDING = 2
"""Candidates of an attempt that are followed with a bend if none fits as it is."""
_HOPEFUL = 0.25
"""Share of boxes that the less likely places must show on a flat page to be followed further."""
_ALIKE = 0.7
"""Of the likest place's correlation with the page: places that are less like it are not followed further."""
_PART = 0.8  # share of the boxes in each part of a bent page: one bent on to the next row has fewer
_SLIPS = 3
"""Rows or columns of boxes by which a page may be off."""
_AS_GOOD = 0.3  # of `rank`: so much worse may boxes lie where a form's words say that it is
_PLAIN, _OFF = 0.7, 0.5
"""Share of boxes seen, and residual in mm, with which boxes look as the template says."""
_TELLING = 4
"""Boxes, others than the page was laid on, that must be seen where nothing else says where it is."""
_CLEARLY = 0.15
"""Share of boxes that one way up must show more than another to be preferred without a doubt."""


def register(
    scan: Scan,
    template: Template,
    *,
    max_residual: float,
    flag_residual: float = np.inf,
    shown: Sequence[tuple[float, float]] = (),
) -> Registration:
    """Find the template's page in a scan.

    `max_residual` in mm: a page whose boxes lie further off (90th percentile) is refused. Raises
    `RegistrationError` with a reason. Over `flag_residual` mm, unless boxes are so large that they are read
    alike, or when it may as well lie the other way up, the result has a `doubt`. shown: the template's
    `byhand.reference_points` in scan px, if a person has shown them; they take the method's place.
    """
    found = survey(scan, template, max_residual=max_residual, flag_residual=flag_residual, shown=shown)
    if found.refusal is not None:
        raise found.refusal
    return found.registration(template, flag_residual)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Survey:
    """What was found of a page, whether it is accepted or not."""

    fits: tuple[Fit, ...]  # of the best attempt, best first; none where not even a place was found
    refusal: RegistrationError | None  # why the page is not accepted

    def registration(self, template: Template, flag_residual: float = np.inf) -> Registration:
        """The best fit; there must be one."""
        return _registration(template, self.fits, flag_residual)


def survey(
    scan: Scan,
    template: Template,
    *,
    max_residual: float,
    flag_residual: float = np.inf,
    shown: Sequence[tuple[float, float]] = (),
) -> Survey:
    """`register`, but a page that is refused is shown, too."""
    found = _survey(scan, template, max_residual, flag_residual, shown)
    best = found.fits[0] if found.fits else None
    if best is None or best.pose.bend is None or template.fiducials.looks or best.by_looks:
        return found
    worst = max(best.residual, off_together(scan, template, best))
    return replace(found, fits=(replace(best, residual=worst), *found.fits[1:]))


def _survey(
    scan: Scan,
    template: Template,
    max_residual: float,
    flag_residual: float,
    shown: Sequence[tuple[float, float]],
) -> Survey:
    refusal = RegistrationError("the sheet was not found", where=scan.source)
    best, accepted = Survey(fits=(), refusal=refusal), False
    if template.fiducials.method in FIRST and not shown:
        seen = _at_first_sight(scan, template, max_residual, flag_residual)
        if seen is not None:
            return seen
    method = partial(byhand.locate, shown=shown) if shown else METHODS[template.fiducials.method]
    try:
        for number, candidates in enumerate(method(scan, template)):
            fits = tuple(_fits(scan, template, candidates, hopeful=_HOPEFUL * (number > 1)))
            if not fits:
                continue
            fits, best_further = _unslipped(scan, template, fits)
            problem = _problem(scan, template, fits[0], max_residual, best_further)
            refusal = problem if problem and not number else refusal  # of the likeliest place
            better = not best.fits or rank(fits[0]) < rank(best.fits[0])
            if (problem is None and not accepted) or (better and accepted == (problem is None)):
                best, accepted = Survey(fits=fits, refusal=problem), problem is None
            sure = template.fiducials.method == "aruco" or best.fits[0].whole
            if accepted and sure and _lies_well(best.fits[0], flag_residual):
                break  # a page that lies badly, or without some of its boxes, may lie better elsewhere
    except RegistrationError as error:
        refusal = error if not best.fits else refusal
    return best if accepted else replace(best, refusal=refusal)


def _fits(scan: Scan, template: Template, candidates: Sequence[Located], *, hopeful: float) -> list[Fit]:
    """The candidates laid on the boxes, best first; bent only if needed and a flat page shows that many."""
    looks: list[Fit] = []
    if template.fiducials.looks and len(candidates) == 1:  # nothing to choose between
        looks = [fit_looks(scan, template, candidates[0])]
        if _surely(looks[0]):
            return looks
    flat = sorted((fit_flat(scan, template, located) for located in candidates), key=rank)
    if not flat or flat[0].share < hopeful:
        return flat
    if flat[0].good:
        return flat if flat[0].residual <= FINE else [fit_fine(scan, template, flat[0]), *flat[1:]]
    surely = template.fiducials.method == "aruco"  # no other page has these markers
    worth = flat[:1] if surely else _like_the_page(scan, template, flat)[:_WORTH_BENDING]
    if template.fiducials.looks:
        looks = looks or [fit_looks(scan, template, fit.located) for fit in worth]
        if any(map(_surely, looks)):
            return sorted([*looks, *flat], key=rank)
    bent = [fit_bent(scan, template, fit.located) for fit in worth]
    fits = sorted([*bent, *flat], key=rank)
    if surely or (fits and fits[0].share > _PLAIN and fits[0].residual < _OFF):
        return fits  # sheets printed from the template look as it says
    if not template.fiducials.looks:
        looks = [fit_looks(scan, template, fit.located) for fit in worth]
    return sorted([*looks, *fits], key=rank)


def _surely(fit: Fit) -> bool:
    """Whether the page is there: no other way of laying it is tried.

    Of paper that is much bent a corner may lie off whose few boxes are not seen.
    """
    seen = fit.share == 1 if fit.much_bent else fit.whole
    return seen and fit.residual < max(_OFF, fit.slack)


def _lies_well(fit: Fit, flag_residual: float) -> bool:
    """Whether there is no need to look for the page elsewhere."""
    return fit.residual <= max(min(flag_residual, _OFF), fit.slack)


def _at_first_sight(
    scan: Scan, template: Template, max_residual: float, flag_residual: float
) -> Survey | None:
    """The page where it plainly is, if that is clear at once: nearly all boxes lie well there."""
    for candidates in FIRST[template.fiducials.method](scan, template):
        fits = [fit for fit in _quick_fits(scan, template, candidates) if fit.share >= MIN_FOUND]
        if fits and fits[0].good and _surely(fits[0]) and _lies_well(fits[0], flag_residual):
            moved, best = _unslipped(scan, template, tuple(fits))
            clear = moved[0] is fits[0] and _problem(scan, template, fits[0], max_residual, best) is None
            return Survey(fits=moved, refusal=None) if clear else None
    return None


def _quick_fits(scan: Scan, template: Template, candidates: Sequence[Located]) -> list[Fit]:
    """The candidates laid on the boxes as `_fits` does, best first, but without following print."""
    if template.fiducials.looks and len(candidates) == 1:  # nothing to choose between
        return [fit_looks(scan, template, candidates[0], follow=False)]
    flat = sorted((fit_flat(scan, template, located) for located in candidates), key=rank)
    if not flat:
        return []
    if flat[0].good:
        return flat if flat[0].residual <= FINE else [fit_fine(scan, template, flat[0]), *flat[1:]]
    if not (
        template.fiducials.looks or flat[0].slack > GOOD
    ):  # where outlines must do, looks are too inexact
        return []
    worth = _like_the_page(scan, template, flat)[:1]
    return [*(fit_looks(scan, template, fit.located, follow=False) for fit in worth), *flat]


def _unslipped(
    scan: Scan, template: Template, fits: tuple[Fit, ...]
) -> tuple[tuple[Fit, ...], Further | None]:
    """The fits, the best one moved by rows and columns of boxes for as long as more boxes are there then.

    And where boxes are best one row or column further than that one has them, if that was looked for.
    """
    if template.fiducials.method == "aruco":
        return fits, None  # markers are like no others
    fits = _by_own_print(scan, template, fits)
    for _ in range(_SLIPS):
        whole = fits[0].good and fits[0].share > WHOLE
        if fits[0].share < MIN_FOUND or (whole and not fits[0].by_looks):
            return fits, None
        best = further(scan, template, fits[0])
        moved = unslipped(fits[0], best)
        better = _fits(scan, template, [moved], hopeful=0.0) if moved else []
        if not better or rank(better[0]) >= rank(fits[0]):
            return fits, best
        fits = (better[0], *fits[1:])
    return fits, None


def _by_own_print(scan: Scan, template: Template, fits: tuple[Fit, ...]) -> tuple[Fit, ...]:
    """The fits, the best one moved by a row or column of boxes if the form's words are there then."""
    matrix = better_move(scan, template, fits[0].pose.matrix, box_steps(template))
    if matrix is None:
        return fits
    better = _fits(scan, template, [replace(fits[0].located, page_to_scan=matrix)], hopeful=0.0)
    return (better[0], *fits[1:]) if better and rank(better[0]) < rank(fits[0]) + _AS_GOOD else fits


def _like_the_page(scan: Scan, template: Template, fits: Sequence[Fit]) -> list[Fit]:
    """Those where print is about the page's, likest first.

    It tells sooner than boxes, and more of a curled page, of which no box is where a flat one has it.
    """
    if len(fits) == 1 and fits[0].share > _HOPEFUL:
        return [*fits]
    like = [likeness(scan.pixels, fit.located.page_to_scan, template) for fit in fits]
    least = max(LIKE, _ALIKE * max(like))
    kept = [(own, fit) for own, fit in zip(like, fits, strict=True) if own > least or fit.share > _HOPEFUL]
    return [fit for _, fit in sorted(kept, key=lambda pair: -pair[0] - pair[1].share)]


def _problem(
    scan: Scan, template: Template, fit: Fit, max_residual: float, best: Further | None
) -> RegistrationError | None:
    """Why this is not the page, all of it; None if it is."""
    if fit.share < MIN_FOUND:
        return RegistrationError(
            "the boxes of this template are not on the page",
            where=scan.source,
            fix="is it another sheet, or is the print too faint",
            received=f"{fit.share:.0%} of its boxes",
        )
    if not _inside(fit.pose, scan, template):
        return RegistrationError(
            "part of the sheet is outside of the picture", where=scan.source, fix="scan the whole sheet"
        )
    if fit.residual > max_residual:
        return RegistrationError(
            "the printed boxes are not where the template says",
            where=scan.source,
            fix="another sheet or edition, or badly creased paper",
            received=f"residual {fit.residual:.1f} mm",
        )
    bent = fit.pose.bend is not None and not fit.by_looks and template.fiducials.method != "aruco"
    if bent and fit.share < WHOLE and worst_part(scan, template, fit) < _PART:
        return RegistrationError(
            "boxes are missing in a part of the page",
            where=scan.source,
            fix="lay it flat, with nothing on it",
        )
    if fit.by_looks and fit.share < WHOLE and repeated(fit, best or further(scan, template, fit)):
        return RegistrationError(
            "the boxes of this template may be any of a table's", where=scan.source, fix="is it another sheet"
        )
    return None


def _inside(pose: Pose, scan: Scan, template: Template) -> bool:
    """Whether all boxes lie in the picture: one outside of it would be read as blank."""
    where = pose(_corners(template))
    return bool((where >= 0).all() and (where <= np.array(scan.pixels.shape[::-1]) - 1).all())


@lru_cache(maxsize=8)
def _corners(template: Template) -> Array:
    """Two opposite corners of every box, (n, 2) mm."""
    boxes = [box for field in template.fields for box in field.boxes]
    return np.array([corner for b in boxes for corner in ((b.x, b.y), (b.right, b.bottom))])


def _registration(template: Template, fits: Sequence[Fit], flag_residual: float) -> Registration:
    fit = fits[0]
    centre = (template.page_width / 2, template.page_height / 2)
    turn = quarter_turns(fit.pose.matrix, centre)
    others = [other for other in fits if quarter_turns(other.pose.matrix, centre) != turn]
    doubt = ""
    if others and others[0].residual <= flag_residual and others[0].share > fit.share - _CLEARLY:
        doubt = "the page may lie the other way up"
    elif template.fiducials.method == "page" and fit.seen < _TELLING:
        doubt = "hardly any boxes tell where the page lies"
    elif fit.residual > max(flag_residual, fit.slack):
        doubt = f"the boxes lie up to {fit.residual:.1f} mm from where they should"
    return Registration(
        page_to_scan=cast(Matrix, tuple(tuple(row) for row in fit.pose.matrix.tolist())),
        residual=fit.residual,
        rotation=turn,
        method=template.fiducials.method,
        landmarks=fit.seen,
        bend=fit.pose.bend,
        doubt=doubt,
    )
