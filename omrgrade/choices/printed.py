"""What is printed in and round a page's bubbles, so that only what was added to it counts as ink.

It is learned from the page itself: of the many bubbles with the same letter most are empty, so their
lightest show the print, as dark and blurred as this scan shows it. Where a letter stands only once, or where
too many are filled, the blank form shows it, made as dark and as blurred as the rest of the page.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

from omrgrade.choices.ranks import median, quantile
from omrgrade.choices.zones import Bools, Floats, Zones

Group = tuple[str, int]
"""A label, and how many options it stands among: bubbles that are printed alike."""

ENOUGH = 3  # bubbles printed alike show what is printed,
LIGHTEST = 0.5  # in this share of them, the lightest ones:
DARK_ONES = 0.8  # where less than this share of these is as dark, it is ink
NONE = 0.03  # mean darkness of the inside: less print than this is none
TOO_MUCH = 1.5, 0.03  # times the usual print, and darkness on top: more is marks, not print
SOLID = (
    0.25,
    0.3,
)  # where all but this share of the inside is darker than this, it is filled: print leaves paper
UNSTEADY = 1.5, 0.1  # times the usual spread of darkness, and at least so much: marks, not print
RESTLESS = 0.06  # spread, blurred, on half of a page's groups: marks, unless
STANDING = 0.12  # more than this share of the bubbles stand out from what is taken for print,
OUTSTANDING = 2.0, 0.05  # times what bubbles usually show beside it, and at least so much
BLUR = 5  # parts of a crop's height: finer differences are a copy's grain
DIFFERENT = 0.12  # spread, blurred, above which those with paper between their ink may be filled as well
COMMON = 0.1  # share of the bubbles, at most, that do not show print
HALF = 0.5  # times what is printed elsewhere: so lightly nothing is
MORE = 1.2  # times the usual print: with more, the usual spread is the measure alone
PART = 0.33  # where some of a form's bubbles show print, so much of `NONE` is print on the others
PAPER = 0.22  # lighter than this is paper between print
UNFAITHFUL = 0.4  # times the page's print: a blank form that has less is not of this edition
FILLED = 0.6  # darkness of the inside: no print, but a mark on what should be a blank form
CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)  # widens print by less than 3 x 3 px do
NUDGE = 2  # px by which single bubbles are moved onto their print
UNKNOWN = 4  # bubbles whose print nothing shows: so many together tell how much there is
USUAL_SHARE = 1.25  # times their median ink is taken off these,
MOST_SHARE = 0.5  # unless it is more than this share of the inside: no print covers that
_MOVES = sorted(
    product(range(-NUDGE, NUDGE + 1), repeat=2), key=lambda move: abs(move[0]) + abs(move[1])
)  # (y, x) px, of equals the least first
_ROUNDING = 1e-5  # parts of a sum of products: less must not choose between moves
_BLURS = (0.0, 0.6, 1.0, 1.5, 2.2, 3.0)  # px, of the blank form to look like the scan
_GAINS = (0.6, 0.8, 1.0, 1.2)


@dataclass(frozen=True, slots=True)
class Prints:
    """What is printed on bubbles of one size."""

    pictures: dict[Group, Floats]  # darkness (h, w), widened; groups without print are left out
    unknown: dict[Group, float]  # share (0-1) of the inside that print covers, where no more is known


def printed(
    dark: Floats,
    blank: Floats | None,
    groups: Sequence[Group],
    where: Zones,
    *,
    fine: bool,
    shaded: bool = False,
) -> Prints:
    """The print of each group of bubbles; moves bubbles of `dark` (n, h, w) onto it, in place.

    dark, blank: darkness on the page and on the blank form, bubble by bubble. fine: whether a px is no more
    than scans waver by; then print is taken to be wider by a whole one. shaded: whether the edge of a shadow
    runs through some of the bubbles.
    """
    members: dict[Group, list[int]] = defaultdict(list)
    for n, group in enumerate(groups):
        members[group].append(n)
    stacks = {group: dark[m] for group, m in members.items() if len(m) >= ENOUGH}
    learned = _learned(stacks, where.inside, shaded=shaded)
    fitted = _fitted(blank, members, learned) if blank is not None else {}
    fitted = _faithful(fitted, learned, where.inside)
    learned = _plausible(learned, fitted, where.inside)
    pictures = fitted | learned
    pictures |= _borrowed(pictures, dark, members, where.inside)
    shown = {group: _inside(picture, where.inside) for group, picture in pictures.items()}
    least = NONE * (PART if max(shown.values(), default=0.0) > NONE else 1.0)
    inked = {group: picture for group, picture in pictures.items() if shown[group] > least}
    for group, picture in inked.items():
        _nudge(dark, members[group], picture)
    wide = {
        group: cv2.dilate(picture, np.ones((3, 3), np.uint8) if fine else CROSS)
        for group, picture in inked.items()
    }
    rest = {group: own for group, own in members.items() if group not in pictures}
    known = [_inside(picture, where.inside) for picture in (inked or pictures).values()]
    usual = float(np.median(known)) if known else None
    return Prints(wide, _unknown_share(dark, rest, usual, where.inside))


def _learned(stacks: dict[Group, Floats], inside: Bools, *, shaded: bool) -> dict[Group, Floats]:
    """What the lightest of each group's pictures (n, h, w) show, as dark as their darker ones show it (h, w).

    Where these differ as marks do and print does not, a group's lightest far more than others' or all of a
    page's, only what nearly all bubbles share is print: ticks at one letter, or everywhere, are not. But in
    the edge of a shadow print differs, too: it is none if they share far less than others have printed.
    """
    if not stacks:
        return {}
    light = {group: _lightest(stack, inside) for group, stack in stacks.items()}
    pictures = {group: picture for group, (_, picture) in light.items()}
    ink = {group: _inside(picture, inside) for group, picture in pictures.items()}
    if max(ink.values()) <= PART * NONE:
        return pictures  # nothing that might be marks
    spread = {group: float(own[:, inside].std(axis=0).mean()) for group, (own, _) in light.items()}
    times, least = UNSTEADY
    most = max(times * float(np.median(list(spread.values()))), least)
    if _restless(stacks, light, inside):
        most = 0.0
    share = 0.0 if _one_without(stacks, light, inside) else COMMON
    usual, calm = (float(np.median(list(values.values()))) for values in (ink, spread))
    marked = {
        group
        for group in light
        if spread[group] > most or (ink[group] > MORE * usual and spread[group] > UNSTEADY[0] * calm)
    }
    others = [ink[group] for group in light if group not in marked]
    least = HALF * float(np.median(others)) if others and shaded else -np.inf
    for group in marked:
        own = _shared(stacks[group], light[group][1], share)
        if _inside(own, inside) >= least:
            pictures[group] = own
    return pictures


def _restless(stacks: dict[Group, Floats], light: dict[Group, tuple[Floats, Floats]], inside: Bools) -> bool:
    """Whether what is taken for print differs all over the page, and hardly any mark stands out from it."""
    if float(np.median([_blurred_spread(own, inside) for own, _ in light.values()])) <= RESTLESS:
        return False
    standing = []
    times, least = OUTSTANDING
    for group, (_, picture) in light.items():
        more = np.maximum(stacks[group] - picture, 0)[:, inside].mean(axis=1)
        standing.append(float((more > max(times * float(median(more)), least)).mean()))
    return float(np.mean(standing)) < STANDING


def _blurred_spread(stack: Floats, inside: Bools) -> float:
    """How far pictures (n, h, w) differ, blurred: mean standard deviation of darkness."""
    wide = max(3, stack.shape[1] // BLUR | 1)
    return float(np.stack([cv2.blur(one, (wide, wide)) for one in stack])[:, inside].std(axis=0).mean())


def _one_without(
    stacks: dict[Group, Floats], light: dict[Group, tuple[Floats, Floats]], inside: Bools
) -> bool:
    """Whether in every group the lightest bubble shows far less than what is taken for print."""
    times, more = TOO_MUCH
    return all(
        _inside(picture, inside) > times * float(stacks[group][:, inside].mean(axis=1).min()) + more
        for group, (_, picture) in light.items()
    )


def _shared(stack: Floats, picture: Floats, share: float) -> Floats:
    """What all but `share` of a group's pictures (n, h, w) show, each laid best on `picture`."""
    laid = stack.copy()
    _nudge(laid, range(len(laid)), picture)
    return quantile(laid, share)


def _lightest(stack: Floats, inside: Bools) -> tuple[Floats, Floats]:
    """Half of the pictures (n, h, w), the lightest, and what they show (h, w).

    Print is the same on all: where half of them leave hardly any paper, or differ much, and the very lightest
    show far less, so many are marked that half is too many.
    """
    ink = stack[:, inside].mean(axis=1)
    order = np.argsort(ink)[: max(2, round(LIGHTEST * len(stack)))]
    half, picture = stack[order], _usual(stack[order])
    times, more = TOO_MUCH
    most = times * max(float(median(ink[order[:ENOUGH]])), 0.0) + more
    if picture[inside].mean() <= most or (
        quantile(picture[inside], SOLID[0]) < PAPER and _blurred_spread(half, inside) <= DIFFERENT
    ):
        return half, picture
    light = stack[order[ink[order] <= most]]
    return light, _usual(light)


def _usual(stack: Floats) -> Floats:
    return quantile(stack, DARK_ONES)


def _inside(picture: Floats, inside: Bools) -> float:
    """Mean darkness of the inside, 0-1."""
    return float(picture[inside].mean())


def _faithful(
    fitted: dict[Group, Floats], learned: dict[Group, Floats], inside: Bools
) -> dict[Group, Floats]:
    """The blank form's print, without what was filled on it; none of it if this page has more printed."""
    both = [group for group in learned if group in fitted]
    seen = [_inside(learned[group], inside) for group in both]
    drawn = [_inside(fitted[group], inside) for group in both]
    if (
        both
        and float(np.median(seen)) > NONE
        and float(np.median(drawn)) < UNFAITHFUL * float(np.median(seen))
    ):
        return {}
    return {group: picture for group, picture in fitted.items() if _inside(picture, inside) < FILLED}


def _plausible(
    learned: dict[Group, Floats], fitted: dict[Group, Floats], inside: Bools
) -> dict[Group, Floats]:
    """What was learned, without groups that are filled so often that their marks were learned as print."""
    learned = {group: picture for group, picture in learned.items() if not _solid(picture[inside])}
    if not learned:
        return {}
    ink = {group: _inside(picture, inside) for group, picture in learned.items()}
    usual = float(np.median(list(ink.values())) if len(ink) > 2 else min(ink.values()))
    times, more = TOO_MUCH
    return {
        group: picture
        for group, picture in learned.items()
        if ink[group] <= times * max(_inside(fitted[group], inside) if group in fitted else 0.0, usual) + more
    }


def _solid(inside: Floats) -> bool:
    """Whether the darkness (px,) of an inside is that of a filled bubble."""
    share, dark = SOLID
    return bool(quantile(inside, share) > dark)


def _fitted(
    blank: Floats, members: dict[Group, list[int]], learned: dict[Group, Floats]
) -> dict[Group, Floats]:
    """The blank form's print as this page would show it."""
    clean = {group: np.median(blank[m], axis=0).astype(np.float32) for group, m in members.items()}
    known = sorted(group for group in learned if group in clean)
    blur, gain, wide = 0.0, 1.0, 1
    if known:
        seen = np.stack([learned[group] for group in known])
        drawn = np.stack([clean[group] for group in known])
        soft = {(b, w): _softened(drawn, b, w) for b in _BLURS for w in (1, 3)}
        tries = [(b, g, w) for b in _BLURS for g in _GAINS for w in (1, 3)]
        # The median over groups: those of which most are filled do not count.
        costs = [np.median(np.abs(_darker(soft[b, w], g) - seen).mean(axis=(1, 2))) for b, g, w in tries]
        blur, gain, wide = tries[int(np.argmin(costs))]
    return {group: _darker(_softened(picture[None], blur, wide), gain)[0] for group, picture in clean.items()}


def _softened(stack: Floats, blur: float, wide: int) -> Floats:
    """Pictures (n, h, w) drawn with a thicker line and blurred (px)."""
    thick = [cv2.dilate(picture, np.ones((wide, wide))) for picture in stack] if wide > 1 else [*stack]
    return np.stack([cv2.GaussianBlur(one, (0, 0), blur) for one in thick] if blur else thick)


def _darker(stack: Floats, gain: float) -> Floats:
    return np.clip(stack * np.float32(gain), 0, 1).astype(np.float32)


def _borrowed(
    pictures: dict[Group, Floats], dark: Floats, members: dict[Group, list[int]], inside: Bools
) -> dict[Group, Floats]:
    """For letters that stand alone, the print of the same letter elsewhere, of several the likest.

    Also where it is not alike: that is a mark, or for a person to see.
    """
    found = {}
    for group, own in members.items():
        same = [picture for other, picture in pictures.items() if other[0] == group[0]]
        if group in pictures or not same:
            continue
        found[group] = min(same, key=lambda picture: _difference(dark[own], picture, inside))
    return found


def _difference(stack: Floats, picture: Floats, inside: Bools) -> float:
    """Mean distance of pictures (n, h, w), each laid best on `picture`, from it."""
    laid = stack.copy()
    _nudge(laid, range(len(laid)), picture)
    return float(np.abs(laid - picture)[:, inside].mean())


def _unknown_share(
    dark: Floats, rest: dict[Group, list[int]], usual: float | None, inside: Bools
) -> dict[Group, float]:
    """How much of the inside print covers in groups of which nothing is known: most bubbles are empty.

    usual: mean darkness of other bubbles' print, None without any; it stands in where there are few bubbles,
    or where so much more covers most of these that it can only be marks: who likes A fills many of them.
    """
    bubbles = [n for own in rest.values() for n in own]
    insides = np.clip(dark[bubbles][:, inside], 0, 1)
    ink = float(np.median(insides.mean(axis=1))) if bubbles else 0.0
    times, more = TOO_MUCH
    light = float(np.sort(insides.mean(axis=1))[:ENOUGH].mean()) if bubbles else 0.0
    if (
        len(bubbles) < UNKNOWN
        or ink > times * light + more  # some show far less
        or USUAL_SHARE * ink > MOST_SHARE
        or (usual is not None and ink > times * usual + more)
        or float(np.median(np.quantile(insides, SOLID[0], axis=1))) > SOLID[1]
    ):
        ink = usual or 0.0
    share = USUAL_SHARE * ink
    return {group: min(share, MOST_SHARE) for group in rest} if share > NONE else {}


@lru_cache(maxsize=16)
def _rolled(height: int, width: int) -> NDArray[np.intp]:
    """For each move, from which place of a picture each px of the moved one is: (moves, height * width)."""
    places = np.arange(height * width).reshape(height, width)
    return np.stack([np.roll(places, move, (0, 1)).ravel() for move in _MOVES])


def _nudge(dark: Floats, own: Sequence[int], picture: Floats) -> None:
    """Move each bubble by the few px that lay it best on its print."""
    stack = dark[list(own)].reshape(len(own), -1)
    match = picture.ravel()[_rolled(*picture.shape)] @ stack.T
    most = match.max(axis=0)
    alike = match >= most - _ROUNDING * np.abs(most)
    for n, best in zip(own, alike.argmax(axis=0).tolist(), strict=True):
        down, right = _MOVES[best]
        if down or right:
            dark[n] = np.roll(dark[n], (-down, -right), axis=(0, 1))
