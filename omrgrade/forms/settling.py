"""Bubbles of an imported template laid on those of a real page.

Templates measured by hand in pixels are off by up to half a bubble, and give the size of what was looked at,
not of what is printed. A page that the template was made for shows where its bubbles are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from omrgrade.errors import PageError
from omrgrade.forms.blank import PX_PER_MM, Blank
from omrgrade.forms.omrchecker import Group, Line
from omrgrade.forms.shapes import find_shapes
from omrgrade.records import Scan, Template
from omrgrade.registration import METHODS, survey
from omrgrade.registration.fitting import every_box

Array = NDArray[np.float64]

ENOUGH = 0.6  # share of the bubbles that must be seen for a page to say something
HALF = 0.4  # share of a block's bubbles that must be seen to say how they are spaced
MANY = 8  # bubbles of a block that say by how much it is off otherwise than the others
FEW = 2  # bubbles of a block that say where it is
ROUGHLY = 1.2  # mm: a page whose boxes lie no further off is that of the template, if not quite as it says
PLENTY = 0.85  # share that says enough: later attempts go by print, which hand-measured px put elsewhere
OFF = 0.55  # of the distance between bubbles: by so much a bubble may be off its place
SIZES = 0.6, 1.9  # times the size in the template: outlines of other sizes are not its bubbles


@dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """How the px of the imported template become mm."""

    x: float  # mm, of px 0
    y: float
    across: float  # mm a px
    down: float


def settled(groups: Sequence[Group], scale: Scale, template: Template, scan: Scan) -> list[Group] | None:
    """The groups with their bubbles where this page has them; None where it does not show them."""
    best = _Found()
    try:
        for attempt in METHODS[template.fiducials.method](scan, template):
            for place in attempt:
                if not _upright(place.page_to_scan):
                    continue  # such templates are of pictures as they are, never turned
                found = _on_page(groups, scale, _flattened(scan, template, place.page_to_scan))
                if found.share > ENOUGH and found.closeness > best.closeness:
                    best = found
            if best.share > PLENTY:
                break
    except PageError:
        pass  # the attempts are at an end
    return best.groups or None


def settled_by_looks(
    groups: Sequence[Group], scale: Scale, template: Template, scan: Scan
) -> list[Group] | None:
    """The same for bubbles without an outline that stands out, laid where registration by looks sees them.

    None where it does not see them, or tells them by their outline.
    """
    found = survey(scan, template, max_residual=ROUGHLY)
    if found.refusal is not None or not found.fits[0].by_looks:
        return None
    marks = every_box(scan, template, found.fits[0])
    lines = [line for group in groups for line in group.lines]
    seen: dict[str, list[_Seen]] = defaultdict(list)
    for bubble in (bubble for line in lines for bubble in _bubbles(line, scale)):
        own = int(np.hypot(*(marks.points - (bubble.x, bubble.y)).T).argmin())
        if np.isfinite(marks.shifts[own]).all():
            seen[bubble.line.block].append((bubble, marks.points[own] + marks.shifts[own]))
    if sum(map(len, seen.values())) < ENOUGH * len(marks.points):
        return None
    sizes = {_said(line): _said_mm(line, scale) for line in lines}
    return _moved(groups, lines, seen, np.zeros(2), sizes, scale)


def _moved(
    groups: Sequence[Group],
    lines: Sequence[Line],
    seen: Mapping[str, Sequence[_Seen]],
    shift: Array,
    sizes: Mapping[tuple[float, float], Array],
    scale: Scale,
) -> list[Group]:
    """The groups with each block's lines laid on what was seen of it; sizes: mm, by the template's."""
    moved: dict[str, Line] = {}
    for block in dict.fromkeys(line.block for line in lines):
        own = [line for line in lines if line.block == block]
        laid = _laid(own, seen[block], shift, sizes[_said(own[0])], scale)
        moved |= {line.label: line for line in laid}
    return [replace(group, lines=tuple(moved[line.label] for line in group.lines)) for group in groups]


def _said(line: Line) -> tuple[float, float]:
    """The size of a line's bubbles as the template says it, px."""
    return line.width, line.height


def _said_mm(line: Line, scale: Scale) -> Array:
    return np.array([line.width * scale.across, line.height * scale.down])


def _upright(page_to_scan: Array) -> bool:
    """Whether the page's right is about the picture's."""
    across = page_to_scan[:2, 0] - page_to_scan[2, 0] * page_to_scan[:2, 2]
    return bool(across[0] > abs(across[1]))


def _flattened(scan: Scan, template: Template, page_to_scan: Array) -> Blank:
    """The page as the matrix lays it flat, like a blank form."""
    width, height = round(template.page_width * PX_PER_MM), round(template.page_height * PX_PER_MM)
    step = 1 / PX_PER_MM
    to_mm = np.array([[step, 0, step / 2], [0, step, step / 2], [0, 0, 1.0]])
    flat = cv2.warpPerspective(
        scan.pixels, page_to_scan @ to_mm, (width, height), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    pixels = np.asarray(flat, np.uint8)
    return Blank(source=scan.source, pixels=pixels, width=template.page_width, height=template.page_height)


# ---------------------------------------------------------------- matching


@dataclass(frozen=True, slots=True)
class _Bubble:
    """A bubble of the template: which line, the how many-th in it, and where, mm."""

    line: Line
    number: int
    x: float
    y: float


_Seen = tuple[_Bubble, Array]
"""A bubble of the template, and where (2,) mm the page has it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Found:
    """What a page, laid flat in some way, shows of a template's bubbles."""

    share: float = 0.0  # of the bubbles that are seen
    closeness: float = 0.0  # 0-1, 1: all where the template has them; rows off, as many are seen, less near
    groups: list[Group] = field(default_factory=list)  # laid on those seen


def _on_page(groups: Sequence[Group], scale: Scale, page: Blank) -> _Found:
    """How many of the bubbles are seen on the page, how near, and the groups laid on them."""
    lines = [line for group in groups for line in group.lines]
    bubbles = [bubble for line in lines for bubble in _bubbles(line, scale)]
    places = np.array([(b.x, b.y) for b in bubbles])
    usual = np.array([_said_mm(bubble.line, scale).mean() for bubble in bubbles])
    shapes = [
        s
        for s in find_shapes(page, largest=SIZES[1] * float(usual.max()), widest=0.0)
        if not s.solid and SIZES[0] * usual.min() < max(s.size) < SIZES[1] * usual.max()
    ]
    if len(shapes) < ENOUGH * len(bubbles):
        return _Found()
    centres = np.array([shape.rect.centre for shape in shapes])
    reach = OFF * _to_the_next(places, lines, scale)
    shift = _common_shift(places, centres, float(np.median(reach)))
    closeness = np.maximum(1 - _nearest(places + shift, centres)[1] / reach, 0)
    nearest, distance = _nearest(places + shift, centres)
    printed = np.array([shape.size for shape in shapes])[nearest]
    fits = (SIZES[0] * usual < printed.max(axis=1)) & (printed.max(axis=1) < SIZES[1] * usual)
    near = (distance < reach) & fits
    sizes = {}
    for line in {_said(line): line for line in lines}.values():
        alike = near & np.array([_said(bubble.line) == _said(line) for bubble in bubbles])
        sizes[_said(line)] = np.median(printed[alike], axis=0) if alike.any() else _said_mm(line, scale)
    seen: dict[str, list[_Seen]] = defaultdict(list)
    for bubble, shape, good in zip(bubbles, nearest, near, strict=True):
        if good:
            seen[bubble.line.block].append((bubble, centres[shape]))
    return _Found(
        share=float(near.mean()),
        closeness=float(closeness.mean()),
        groups=_moved(groups, lines, seen, shift, sizes, scale),
    )


def _to_the_next(places: Array, lines: Sequence[Line], scale: Scale) -> Array:
    """How far (mm) the nearest other bubble of the template is from each."""
    if len(places) < 2:
        return np.full(len(places), lines[0].gap * scale.across)
    distance = np.hypot(*(places[:, None] - places[None]).transpose(2, 0, 1))
    np.fill_diagonal(distance, np.inf)
    return np.asarray(distance.min(axis=1), np.float64)


def _bubbles(line: Line, scale: Scale) -> list[_Bubble]:
    result = []
    for n in range(len(line.options)):
        x = line.x + line.width / 2 + (0 if line.down else n * line.gap)
        y = line.y + line.height / 2 + (n * line.gap if line.down else 0)
        result.append(_Bubble(line, n, scale.x + x * scale.across, scale.y + y * scale.down))
    return result


def _common_shift(places: Array, centres: Array, reach: float) -> Array:
    """By how much (mm) most bubbles are off together: the fullest spot among their neighbours' offsets."""
    offsets = np.concatenate(
        [
            near
            for place in places
            if len(near := (centres - place)[np.abs(centres - place).max(axis=1) < reach])
        ]
        or [np.zeros((1, 2))]
    )
    sample = offsets[:: max(len(offsets) // 400, 1)]
    votes = (np.hypot(*(sample[:, None] - offsets[None]).transpose(2, 0, 1)) < reach / 4).sum(axis=1)
    middle = sample[int(votes.argmax())]
    close = offsets[np.hypot(*(offsets - middle).T) < reach / 3]
    return np.asarray(np.median(close, axis=0), np.float64)


def _nearest(places: Array, centres: Array) -> tuple[NDArray[np.intp], Array]:
    """For each place the nearest centre, and how far it is (mm)."""
    distance = np.hypot(*(places[:, None] - centres[None]).transpose(2, 0, 1))
    nearest = distance.argmin(axis=1)
    return nearest, distance[np.arange(len(places)), nearest]


def _laid(
    lines: Sequence[Line], seen: Sequence[_Seen], shift: Array, size: Array, scale: Scale
) -> list[Line]:
    """One block's lines, evenly spaced, through the bubbles seen; with too few of these only shifted."""
    width, height = float(size[0]) / scale.across, float(size[1]) / scale.down
    number = {line.label: n for n, line in enumerate(lines)}
    if len(seen) >= FEW:
        shift = np.median([(there[0] - b.x, there[1] - b.y) for b, there in seen], axis=0)
    enough = len(seen) >= max(HALF * sum(len(line.options) for line in lines), 4)
    design = np.array([(1.0, b.number, number[b.line.label]) for b, _ in seen]).reshape(-1, 3)
    if not enough or len(set(design[:, 1])) < 2 or (len(lines) > 1 and len(set(design[:, 2])) < 2):
        dx, dy = shift[0] / scale.across, shift[1] / scale.down
        return [
            replace(
                line, x=line.x + dx + (line.width - width) / 2, y=line.y + dy + (line.height - height) / 2,
                width=width, height=height,
            )
            for line in lines
        ]  # fmt: skip
    centres = np.array([there for _, there in seen])
    across, down = (_even(design, centres[:, axis]) for axis in (0, 1))
    result = []
    for n, line in enumerate(lines):
        x = (across[0] + n * across[2] - scale.x) / scale.across - width / 2
        y = (down[0] + n * down[2] - scale.y) / scale.down - height / 2
        gap = down[1] / scale.down if line.down else across[1] / scale.across
        result.append(replace(line, x=x, y=y, width=width, height=height, gap=gap))
    return result


def _even(design: Array, places: Array) -> Array:
    """First place, step from bubble to bubble, step from line to line: fitted, twice, without the worst."""
    kept = np.ones(len(places), bool)
    for _ in range(3):
        fit = np.linalg.lstsq(design[kept], places[kept], rcond=None)[0]
        error = np.abs(design @ fit - places)
        kept = error <= max(3 * float(np.median(error)), 0.05)
    return np.asarray(fit, np.float64)
