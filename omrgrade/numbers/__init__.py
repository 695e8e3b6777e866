"""Pieces of ink and class probabilities -> the whole number in one wide box, or a doubt with its reason.

Every way to read all pieces, left to right, as one to four digits is a reading; its weight is the product of
its digits' probabilities and of what its cuts and joins cost. The best reading is as sure as its digits are,
less what all other readings weigh beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from omrgrade.records import BoxReading, NumberInk, Policy, Span

DIGITS = "0123456789"
LONGEST = 4
"""Digits a number may have."""

CUT = 0.1  # weight of a cut through ink: most digits do not touch
JOINED = 0.3  # weight of one digit made of pieces that overlap from left to right, as a 5 and its hat do
APART = 0.06  # the same if there is paper between them
SMALL = 0.1  # weight of a digit less than `LOW` as tall as the tallest: a sign, a dot, a splinter
LOW = 0.45
PRINT = 0.5  # weight of taking a piece along the outline for print
BEAM = 24  # readings kept for each piece: far more than ever matter


def read_number(ink: NumberInk, probabilities: NDArray[np.float32], policy: Policy) -> BoxReading:
    """Decide what one wide box says.

    probabilities: (len(ink.spans), C) calibrated, the ten digits first, a row a span.
    """
    if ink.empty:
        return BoxReading(value="", confidence=_blank_confidence(ink), status="blank")
    readings = _readings(ink, probabilities)
    if not readings:
        return BoxReading(value="", confidence=0.0, status="review", reason="not a number")
    (value, best), *others = readings
    total = best.weight + sum(other.weight for _, other in others)
    confidence = float(np.clip(best.clear * best.weight / max(total, 1e-12), 0, 1))
    runner_up = others[0][0] if others else ""
    reason = ""
    if ink.contrast < policy.faint:
        reason = "very faint"
    elif ink.through:
        reason = "a line runs through the box"
    elif ink.faint:
        reason = "fainter ink beside it"
    elif confidence < policy.accept_number:
        doubt = f"{value} or {runner_up}" if runner_up and confidence > 0.1 else f"unclear {value}"
        reason = "not a number" if best.clear < 0.2 or not value else doubt
    return BoxReading(
        value=value,
        confidence=confidence,
        status="review" if reason else "read",
        reason=reason,
        runner_up=runner_up,
    )


# ---------------------------------------------------------------- signs and points

_DASH = 0.45  # height over width: a flatter stroke is a minus
_ARMS = 0.6  # width over height and the other way round: a plus is about as wide as tall
_CORNERS = 0.06  # share of a plus's ink in the four corners of its square
_DOT = 0.45  # of the box's smaller side: larger ink is no point or comma
_PLAIN = 0.98  # confidence in a mark that its shape tells


def read_sign(ink: NumberInk) -> BoxReading:
    """What stands in a sign's own box: "-", or nothing for a plus, written or not."""
    if ink.empty:
        return BoxReading(value="", confidence=_blank_confidence(ink), status="blank")
    wide, tall = ink.width, ink.height
    if _is_one(ink) and wide > 0.15 and tall < _DASH * wide:
        return BoxReading(value="-", confidence=_PLAIN, status="read")
    if ink.spans and min(wide, tall) > _ARMS * max(wide, tall) and _is_plus(ink.spans):
        return BoxReading(value="+", confidence=_PLAIN, status="read")
    return BoxReading(value="", confidence=0.5, status="review", reason="no clear sign", runner_up="-")


def read_point(ink: NumberInk) -> BoxReading:
    """What stands in a decimal point's own box: a point or comma, both read as ".", or nothing."""
    if ink.empty:
        return BoxReading(value="", confidence=_blank_confidence(ink), status="blank")
    if _is_one(ink) and max(ink.width, ink.height) < _DOT:
        return BoxReading(value=".", confidence=_PLAIN, status="read")
    return BoxReading(value="", confidence=0.5, status="review", reason="no clear point", runner_up=".")


def _is_one(ink: NumberInk) -> bool:
    """Whether the ink is one component, however it may be cut."""
    return bool(ink.spans) and not any(span.joints for span in ink.spans)


def _is_plus(spans: tuple[Span, ...]) -> bool:
    """Whether all the ink is a cross of an upright and a level stroke: nothing in the corners."""
    image = max(spans, key=lambda span: span.stop - span.start).image
    rows, columns = np.flatnonzero(image.max(axis=1) > 60), np.flatnonzero(image.max(axis=0) > 60)
    part = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.float64)
    across, down = part.shape[1] // 3, part.shape[0] // 3
    corners = sum(float(c.sum()) for c in (
        part[:down, :across], part[:down, -across:], part[-down:, :across], part[-down:, -across:],
    ))  # fmt: skip
    middle = part[down:-down, across:-across].mean() > 100 if across and down else False
    return bool(middle and corners < _CORNERS * part.sum())


# ---------------------------------------------------------------- ways to read


@dataclass(frozen=True, slots=True)
class _Way:
    """What speaks for one reading of the pieces so far."""

    weight: float = 0.0  # probability of its digits, and of such cuts and joins, over all ways to it
    clear: float = 0.0  # probability of its digits alone on the heaviest of these ways
    heaviest: float = 0.0

    def also(self, weight: float, clear: float) -> _Way:
        heavier = weight > self.heaviest
        return _Way(self.weight + weight, clear if heavier else self.clear, max(weight, self.heaviest))


_Ways = dict[str, _Way]


def _readings(ink: NumberInk, probabilities: NDArray[np.float32]) -> list[tuple[str, _Way]]:
    """Numbers that all pieces can be read as, with their weights, heaviest first."""
    ways: list[_Ways] = [{} for _ in range(ink.pieces + 1)]
    ways[0][""] = _Way(1.0, 1.0, 1.0)
    for span, row in zip(ink.spans, probabilities, strict=True):
        ways[span.start] = before = _heaviest(ways[span.start])
        after = ways[span.stop]
        prior = _prior(span)
        if span.print_like:
            for value, way in before.items():
                after[value] = after.get(value, _Way()).also(PRINT * way.weight, way.clear)
        for digit in np.argsort(row[: len(DIGITS)])[:-4:-1]:
            seen = float(row[digit])
            for value, way in before.items():
                if len(value) < LONGEST:
                    longer = value + DIGITS[digit]
                    after[longer] = after.get(longer, _Way()).also(
                        way.weight * prior * seen, way.clear * seen
                    )
    return list(_heaviest(ways[-1]).items())


def _heaviest(ways: _Ways) -> _Ways:
    return dict(sorted(ways.items(), key=lambda item: (-item[1].weight, item[0]))[:BEAM])


def _prior(span: Span) -> float:
    """How likely such pieces are one digit, whatever they look like."""
    weight = CUT if span.cut else 1.0
    if span.joints:
        weight *= JOINED if span.gap < 0 else APART
    return weight * (SMALL if span.height < LOW else 1.0)


def _blank_confidence(ink: NumberInk) -> float:
    """Nearly 1 for clean paper, falling as something stands out from its grain."""
    return float(np.clip(1 - 0.0005 * max(0.0, ink.contrast - 2 * ink.noise) ** 1.5, 0.5, 0.9999))
