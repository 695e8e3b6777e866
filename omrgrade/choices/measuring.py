"""The ink in a page's bubbles: darker than the paper, and darker than what is printed there."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields

import cv2
import numpy as np
from numpy.typing import NDArray

from omrgrade.choices.printed import Group, Prints, printed
from omrgrade.choices.ranks import median, quantile, ranked
from omrgrade.choices.zones import SECTORS, Bools, Floats, Sector, Zones, polar, zones
from omrgrade.records import Crop

COARSE = 40  # crops of so many px or more are halved: a quarter of a millimetre shows every stroke
LIGHTER = 1.05  # times as light inside as in the crop's corners: these are not all paper,
LIGHT = 0.75  # and so much of each may be darker
SHADOW = 0.35  # of the light that the lightest bubble of a question has: no shadow is darker
EDGE = 0.2  # of the light: a corner that lacks more, unlike others, is in a shadow
SHADED = 3  # bubbles with such a corner: a shadow lies on the page
UNMARKED = 0.2  # share of a page's bubbles in which there is nothing at all, at least
REACH = 0.22  # share of the radius: rings this far off their place are followed
STREAK = 0.3  # darkness up to which a line right through the crop is dirt on the scanner's glass
GAPS = 0.1  # share of such a line that may be lighter
DARKEST = 0.05  # share of the inside by which a mark's darkness is judged; specks are smaller
LEAST = 1e-3  # of darkness and area, so that both have a logarithm
HIDDEN = 0.3  # darkness of print under which no ink is looked for,
NO_MORE = 0.2  # share of the inside: where print is only guessed, less ink than this is part of it,
UNLIKE = 1.32  # unless it is so many times what is taken for print,
CERTAIN, DOUBTED = 0.4, 0.25  # and less than this is counted so many times: too small a mark to be sure of
ALIKE = 4  # bubbles: fewer do not show what is printed round them
CLEAR = 0.35  # but so much of the inside, its lightest print, is looked at in any case

Question = tuple[Sequence[Crop], Sequence[str]]
"""The bubbles, of one size, that answer one thing (a question, a grid's column), and their labels."""


@dataclass(frozen=True, slots=True)
class Marks:
    """The ink of bubbles, an element each."""

    dark: Floats  # of the darkest ink, 0 paper .. 1 black
    area: Floats  # share (0-1) of the inside that ink of that darkness would cover
    around: Floats  # (n, SECTORS) darkest ink outside of the outline, by direction
    middle: Floats  # (n, RAYS) darkest ink half way out
    near: Floats  # (n, RAYS) darkest ink just outside of the outline, finer by direction
    far: Floats  # (n, RAYS) lightest place from there on outwards
    room: Bools  # (n, RAYS) rays along which the crop shows enough to tell a stroke from a bulge
    uneven: Floats  # share of the light that the darkest corner round the bubble lacks beside the lightest

    @property
    def ink(self) -> Floats:
        """Mean darkness of the inside, 0-1."""
        return self.dark * self.area


def measure(questions: Sequence[Question]) -> Marks:
    """The ink in all bubbles, question by question.

    A crop shows the bubble's bounding box with `crop.margin` px of paper round it. What is printed inside of
    bubbles is taken off: see `printed`.
    """
    parts, order = [], []
    starts = np.cumsum([0, *(len(labels) for _, labels in questions)])
    for (shape, margin), members in _by_size(questions).items():
        chosen = [questions[n] for n in members]
        seen = _seen(chosen, margin, 2 if min(shape) >= COARSE else 1)
        if seen.prints.pictures and min(shape) >= COARSE:  # ink between a letter's strokes shows only in full
            seen = _seen(chosen, margin, 1)
        parts.append(_marks(seen))
        order += [place for n in members for place in range(starts[n], starts[n + 1])]
    if len(parts) == 1:
        return parts[0]
    back = np.argsort(order)
    names = [field.name for field in fields(Marks)]
    return Marks(**{name: np.concatenate([getattr(p, name) for p in parts])[back] for name in names})


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """Bubbles of one size, and what is printed on them."""

    dark: Floats  # (n, h, w), 0 paper .. 1 black
    uneven: Floats  # (n,): see `Marks`
    groups: list[Group]  # each bubble's label, and how many options it stands among
    where: Zones
    prints: Prints


def _seen(questions: Sequence[Question], margin: int, step: int) -> _Seen:
    """All bubbles of some questions of one size, by every `step`-th px."""
    dark, uneven = _settled([[crop.pixels for crop in crops] for crops, _ in questions], margin, step)
    blank = None
    if all(crop.blank is not None for crops, _ in questions for crop in crops):
        blank, _ = _settled([[crop.blank for crop in crops] for crops, _ in questions], margin, step)
    groups = [(label, len(labels)) for _, labels in questions for label in labels]
    where = zones(dark.shape[1], dark.shape[2], margin / step)
    for stack in (dark,) if blank is None else (dark, blank):
        _lift(stack, where.inside)
    uneven = _unusual(uneven[:, None], groups)[:, 0]
    shaded = int((uneven > EDGE).sum()) >= SHADED
    prints = printed(dark, blank, groups, where, fine=step == 1, shaded=shaded)
    return _Seen(dark, uneven, groups, where, prints)


def _by_size(questions: Sequence[Question]) -> dict[tuple[tuple[int, ...], int], list[int]]:
    """Questions by their crops' (height, width) and margin."""
    sizes: dict[tuple[tuple[int, ...], int], list[int]] = {}
    for n, (crops, _) in enumerate(questions):
        sizes.setdefault((crops[0].pixels.shape, crops[0].margin), []).append(n)
    return sizes


def _settled(
    pictures: Sequence[Sequence[NDArray[np.uint8] | None]], margin: int, step: int
) -> tuple[Floats, Floats]:
    """Darkness (n, h, w) of all bubbles of these questions, each question moved to where it belongs.

    And how unevenly their corners are lit, (n,).
    """
    stack = np.stack([pixels for question in pictures for pixels in question if pixels is not None])
    starts = np.cumsum([0, *(len(question) for question in pictures)])
    dark, uneven = _darkness(_coarse(stack, step), margin / step, starts[:-1])
    for part in np.split(dark, starts[1:-1]):
        _settle(part, margin / step)
    return dark, uneven


def _coarse(stack: NDArray[np.uint8], step: int) -> NDArray[np.uint8]:
    """(N, H, W) averaged over blocks of step x step px."""
    count, height, width = (stack.shape[0], stack.shape[1] // step, stack.shape[2] // step)
    tall = np.ascontiguousarray(stack[:, : height * step, : width * step]).reshape(-1, width * step)
    small = cv2.resize(tall, (width, count * height), interpolation=cv2.INTER_AREA) if step > 1 else tall
    return np.asarray(small, np.uint8).reshape(count, height, width)


def _darkness(stack: NDArray[np.uint8], margin: float, starts: NDArray[np.intp]) -> tuple[Floats, Floats]:
    """(N, h, w) grey -> share of the paper's light that is missing, 0 paper .. 1 black; (N,) of a corner's.

    starts: each question's first bubble.

    The paper is a plane through the brightness of the crop's corners. Ink in one corner neither lifts its
    level nor tilts it: of opposite sides the lesser slope counts, none when they disagree. Where most
    bubbles are lighter inside than that, their own outline lies in the corners, as a square's does; where
    a bubble's are much darker than its neighbours', there is a mark in them.
    """
    where = zones(stack.shape[1], stack.shape[2], margin)
    corners = np.stack([median(stack[:, zone]) for zone in where.corners], axis=1)
    middle = median(stack[:, where.inside][:, ::4])
    if median(middle / np.maximum(median(corners), 1)) > LIGHTER:
        corners = np.stack([_light(stack[:, zone]) for zone in where.corners], axis=1)
    level = np.sort(corners, axis=1)[:, 1:3].mean(axis=1)
    lightest = np.maximum.reduceat(level, starts)
    level = np.maximum(level, SHADOW * np.repeat(lightest, np.diff([*starts, len(stack)])))
    right = _lesser(corners[:, 1] - corners[:, 0], corners[:, 3] - corners[:, 2])
    down = _lesser(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])
    paper = level[:, None, None] + right[:, None, None] * where.x + down[:, None, None] * where.y
    dark: Floats = 1 - stack / np.maximum(paper, 1)
    lit = np.stack([_light(stack[:, zone]) for zone in where.corners], axis=1)
    uneven = 1 - lit.min(axis=1) / np.maximum(lit.max(axis=1), 1)
    return _without_streaks(dark), uneven


def _light(values: NDArray[np.uint8]) -> Floats:
    """Of (N, px) grey what is lighter than most, (N,)."""
    place = int(LIGHT * (values.shape[1] - 1))
    return ranked(values)[:, place].astype(np.float32)


def _lesser(a: Floats, b: Floats) -> Floats:
    """Element by element the one nearer to zero; zero where the signs differ."""
    return np.where(a * b > 0, np.where(abs(a) < abs(b), a, b), 0).astype(np.float32)


def _without_streaks(dark: Floats) -> Floats:
    """Take off faint lines that run right through a crop, from rim to rim: no mark does.

    Neighbours' outlines and letters lie on opposite rims as well, but not between them.
    """
    for axis in (1, 2):
        ends = np.take(dark, [0, 1], axis).mean(axis), np.take(dark, [-1, -2], axis).mean(axis)
        line = np.minimum(*(cv2.dilate(end, np.ones((1, 3))) for end in ends))  # a page may lie askew
        hit = np.flatnonzero((line.max(axis=1) > STREAK / 6) & (line.max(axis=1) < STREAK))
        if len(hit):
            wide = np.ones((1, 3) if axis == 1 else (3, 1))
            between = np.quantile([cv2.dilate(crop, wide) for crop in dark[hit]], GAPS, axis=axis)
            dark[hit] -= np.expand_dims(np.clip(line[hit], 0, np.maximum(between, 0)), axis)
    return dark


def _settle(dark: Floats, margin: float) -> None:
    """Move a question's bubbles (n, h, w) so that their rings are where they belong."""
    shifts, rings = _rings(dark.shape[1], dark.shape[2], margin)
    common = dark.min(axis=0)  # the rings, hardly any ink
    down, right = shifts[int((rings @ common.ravel()).argmax())]
    if down or right:
        dark[:] = np.roll(dark, (-down, -right), axis=(1, 2))


@functools.lru_cache(maxsize=64)
def _rings(height: int, width: int, margin: float) -> tuple[list[tuple[int, int]], Floats]:
    """Moves (down, right) in px that leave a bubble inside its crop, and the ring's picture at each."""
    radii = height / 2 - margin, width / 2 - margin
    reach = min(round(REACH * min(radii)), int(margin) - 1)
    shifts = [(dy, dx) for dy in range(-reach, reach + 1) for dx in range(-reach, reach + 1)]
    _, _, distance = polar(height, width, *radii)
    ring = np.exp(-0.5 * ((distance - 1) * sum(radii) / 2 / 0.7) ** 2)
    return shifts, np.stack([np.roll(ring, shift, axis=(0, 1)).ravel() for shift in shifts]).astype(
        np.float32
    )


# ---------------------------------------------------------------- ink


def _marks(seen: _Seen) -> Marks:
    """The ink of bubbles, without what is printed."""
    dark, groups, where, prints = seen.dark, seen.groups, seen.where, seen.prints
    darkest, area = _inked(dark[:, where.inside])
    for group, picture in prints.pictures.items():
        members = np.array([n for n, other in enumerate(groups) if other == group])
        level = max(HIDDEN, float(np.quantile(picture[where.inside], CLEAR)))
        light = where.inside & (picture <= level)
        more = np.maximum(dark[members][:, light] - picture[light], 0) / (1 - min(level, 0.6))
        darkest[members], area[members] = _inked(more)
    for group, share in prints.unknown.items():
        members = np.array([n for n, other in enumerate(groups) if other == group])
        ink = darkest[members] * area[members]
        left = np.maximum((ink - share) / (1 - share), 0) / darkest[members]
        area[members] = np.maximum(np.where(left < CERTAIN, left * DOUBTED, left), LEAST)
        darkest[members[(left < NO_MORE) & (ink < UNLIKE * share)]] = LEAST
    around, middle, near, far = _strokes(dark, where, groups)
    return Marks(
        dark=darkest,
        area=area,
        around=around,
        middle=middle,
        near=near,
        far=far,
        room=np.broadcast_to(where.room, far.shape),
        uneven=seen.uneven,
    )


def _lift(dark: Floats, inside: Bools) -> None:
    """Where a quarter of a bubble's inside is lighter than the paper round it, take that for the paper.

    A small bubble's thick outline, blurred or a little off its place, darkens the corners of its crop. A
    quarter, as a tick over a letter covers half; lighter than half by no more than grain makes it.
    """
    insides = dark[:, inside].T
    quarter, half = quantile(insides, 0.25), quantile(insides, 0.5)
    grain = quantile(half - quarter, UNMARKED)
    paper = np.minimum(np.minimum(quarter + grain, half), 0).astype(np.float32)[:, None, None]
    dark -= paper
    dark /= 1 - paper


def _inked(inside: Floats) -> tuple[Floats, Floats]:
    """Darkness and area of ink from the darkness (n, px) of insides.

    Where half of one is lighter than paper, it is paper.
    """
    half, most = inside.shape[1] // 2, int(inside.shape[1] * (1 - DARKEST))
    every = ranked(inside)
    paper = np.minimum(every[:, half], 0)
    dark = np.clip(every[:, most] - paper, LEAST, 1)
    area = np.clip((inside.mean(axis=1) - paper) / dark, LEAST, 1)
    return dark.astype(np.float32), area.astype(np.float32)


def _strokes(dark: Floats, where: Zones, groups: Sequence[Group]) -> list[Floats]:
    """`around`, `middle`, `near` and `far` of `Marks`."""
    parts = [
        _around(dark, where.sectors),
        _along(dark, where.middle).max(axis=2),
        _along(dark, where.near).max(axis=2),
        _along(dark, where.far).min(axis=2),
    ]
    ends = np.cumsum([part.shape[1] for part in parts])[:-1]
    return np.split(_unusual(np.concatenate(parts, axis=1), groups), ends, axis=1)


def _around(dark: Floats, sectors: Sequence[Sector]) -> Floats:
    """The darkest ink (n, SECTORS) on the paper round bubbles (n, h, w), by direction."""
    result = np.zeros((len(dark), SECTORS), np.float32)
    for directions, places in sectors:
        result[:, directions] = _darkest(_along(dark, places))
    return result


def _along(dark: Floats, rays: NDArray[np.intp]) -> Floats:
    """Bubbles (n, h, w) at the places along each ray: (n, rays, places)."""
    return dark.reshape(len(dark), -1)[:, rays]


def _unusual(around: Floats, groups: Sequence[Group]) -> Floats:
    """Ink round bubbles without what most bubbles printed alike have: a form's lines and words are no marks.

    Nothing where too few are printed alike to tell.
    """
    result = np.zeros_like(around)
    for group, count in Counter(groups).items():
        if count >= ALIKE:
            members = np.array([n for n, other in enumerate(groups) if other == group])
            result[members] = np.maximum(around[members] - median(around[members], axis=0), 0)
    return result


def _darkest(values: Floats) -> Floats:
    """Of (..., px) the mean of the darkest quarter, so that single specks do not count."""
    count = max(values.shape[-1] // 4, 1)
    return np.asarray(np.sort(values)[..., -count:].mean(axis=-1), np.float32)
