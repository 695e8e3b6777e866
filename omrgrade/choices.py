"""Bubbles -> readings: a page's bubbles are judged beside one another, so a pupil's own pen is the measure.

Two things are measured inside each: how dark its ink is (against its own paper) and how much of the inside is
inked. A faint pencil that fills bubbles and a fine pen that ticks them both make plain marks; an erased mark
is light beside the pupil's others, a touch of the pen is small.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from omrgrade.records import BoxReading, Crop, Policy

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
Question = tuple[Sequence[Crop], Sequence[str]]
"""The bubbles, of one size, that answer one thing (a question, a grid's column), and their labels."""

INNER = 0.78  # the share of a bubble's radius that is looked at: the printed ring stays out of it
OUTER = 1.18  # from this share of the radius on there is paper again
COARSE = 40  # crops of so many px or more are halved: a quarter of a millimetre shows every stroke
REACH = 0.22  # share of the radius: rings this far off their place are followed
STREAK = 0.3  # darkness up to which a line right through the crop is dirt on the scanner's glass
DARKEST = 0.05  # share of the inside by which a mark's darkness is judged; specks are smaller
MARKS = 5  # so many marks or more show what a pupil's pen is like
USUAL = 0.5  # darkness of the marks of a pupil who made fewer
GRAIN = 4.0  # ink is so many times darker than what the typical bubble, an empty one, shows
LEAST = 1e-3  # of darkness and area, so that both have a logarithm
REMAINS = 0.35  # share of a mark's darkness below which other ink in its question is what an eraser left
TOUCH = 0.1  # share of a mark's ink below which other ink in its question is a touch of the pen
# Confidence = logistic(slope * distance + offset), fitted on simulated marks, most of them faint or erased.
DECIDED = 10.0, 2.2
DOUBTED = 1.5, 0.4


@dataclass(frozen=True, slots=True)
class Marks:
    """The ink of one question's bubbles, an element each."""

    dark: Floats  # of the darkest ink, 0 paper .. 1 black
    area: Floats  # share (0-1) of the inside that ink of that darkness would cover

    @property
    def ink(self) -> Floats:
        """Mean darkness of the inside, 0-1."""
        return self.dark * self.area


@dataclass(frozen=True, slots=True)
class Levels:
    """What ink looks like on one page, as darkness (0-1)."""

    seen: float  # lighter is paper
    plain: float  # darker is a pen's mark; lighter is faint


def read_bubbles(questions: Sequence[Question], policy: Policy) -> list[tuple[BoxReading, ...]]:
    """Read the bubbles of one page, a tuple a question: marked (value = label), empty ("") or doubtful.

    The more of a page's questions are given at once, the better the pupil's way of marking is known.
    """
    marks = measure([crops for crops, _ in questions])
    levels = page_levels(marks, policy)
    labels = [labels for _, labels in questions]
    return [_read_question(mark, names, levels, policy) for mark, names in zip(marks, labels, strict=True)]


def page_levels(questions: Sequence[Marks], policy: Policy) -> Levels:
    """From all of a page's bubbles: most are empty and show the paper, each question's plainest the pen."""
    if not questions:
        return Levels(seen=policy.mark_seen, plain=policy.mark_dark * USUAL)
    grain = float(np.median(np.concatenate([marks.dark for marks in questions])))
    seen = min(max(GRAIN * grain, policy.mark_seen / 2), policy.mark_seen)
    first = [(marks, int(marks.ink.argmax())) for marks in questions]
    pen = [marks.dark[n] for marks, n in first if marks.dark[n] > seen and marks.area[n] > policy.mark_area]
    usual = float(np.median(pen)) if len(pen) >= MARKS else USUAL
    return Levels(seen=min(seen, policy.mark_dark * usual), plain=max(seen, policy.mark_dark * usual))


# ---------------------------------------------------------------- decisions


def _read_question(
    marks: Marks, labels: Sequence[str], levels: Levels, policy: Policy
) -> tuple[BoxReading, ...]:
    """One question's bubbles, each beside the one with most ink. Distances to borders are in powers of e."""
    plain = np.log(np.minimum(marks.dark / levels.plain, marks.area / policy.mark_area))
    seen = np.log(marks.dark / levels.seen)
    first = int(np.where(plain > 0, marks.ink, -1).argmax())
    readings = []
    for n, label in enumerate(labels):
        if seen[n] < 0:
            readings.append(_empty(-seen[n]))
        elif plain[first] > 0:
            readings.append(_read_beside(n, first, marks, plain[n], labels, policy))
        else:
            faint = marks.dark[n] < levels.plain
            readings.append(_doubt(label, plain[n], "faint mark" if faint else "small mark"))
    return tuple(readings)


def _read_beside(
    n: int, first: int, marks: Marks, plain: float, labels: Sequence[str], policy: Policy
) -> BoxReading:
    """A bubble with ink, in a question whose plainest mark is `first`; `plain` > 0: alone, this were one."""
    lighter = min(marks.dark[n] / marks.dark[first], marks.ink[n] / marks.ink[first])
    like = math.log(lighter / policy.mark_like)
    if min(plain, like) > 0:
        return BoxReading(value=labels[n], confidence=_sure(min(plain, like)), status="read")
    erased = math.log(REMAINS * marks.dark[first] / marks.dark[n])
    touched = math.log(TOUCH * marks.ink[first] / marks.ink[n])
    if max(erased, touched) > 0:
        return _empty(max(erased, touched))
    return _doubt(labels[n], min(plain, like), f"lighter than {labels[first]}")


def _empty(distance: float) -> BoxReading:
    return BoxReading(value="", confidence=_sure(distance), status="blank")


def _doubt(label: str, distance: float, reason: str) -> BoxReading:
    """Perhaps a mark, the less likely the further below the border."""
    confidence = _logistic(min(distance, 0.0), *DOUBTED)
    return BoxReading(value=label, confidence=confidence, status="review", reason=reason)


def _sure(distance: float) -> float:
    """Probability that a decision so far (powers of e) from its nearest border is right."""
    return min(_logistic(distance, *DECIDED), 0.9999)


def _logistic(distance: float, slope: float, offset: float) -> float:
    return 1 / (1 + math.exp(-slope * distance - offset))


# ---------------------------------------------------------------- measuring


def measure(questions: Sequence[Sequence[Crop]]) -> list[Marks]:
    """The ink in each bubble of each question.

    A crop shows the bubble's bounding box with `crop.margin` px of paper round it.
    """
    result: dict[int, Marks] = {}
    for (shape, margin), members in _by_size(questions).items():
        crops = [crop.pixels for n in members for crop in questions[n]]
        step = 2 if min(shape) >= COARSE else 1
        dark = _darkness(_coarse(np.stack(crops), step), margin / step)
        ends = np.cumsum([len(questions[n]) for n in members])[:-1]
        for part in np.split(dark, ends):
            _settle(part, margin / step)
        inside = _zones(dark.shape[1], dark.shape[2], margin / step).inside
        marks = _marks(dark[:, inside])
        parts = zip(members, np.split(marks.dark, ends), np.split(marks.area, ends), strict=True)
        result |= {n: Marks(darkness, area) for n, darkness, area in parts}
    return [result[n] for n in range(len(questions))]


def _by_size(questions: Sequence[Sequence[Crop]]) -> dict[tuple[tuple[int, ...], int], list[int]]:
    """Questions by their crops' (height, width) and margin."""
    sizes: dict[tuple[tuple[int, ...], int], list[int]] = {}
    for n, crops in enumerate(questions):
        sizes.setdefault((crops[0].pixels.shape, crops[0].margin), []).append(n)
    return sizes


def _coarse(stack: NDArray[np.uint8], step: int) -> NDArray[np.uint8]:
    """(N, H, W) averaged over blocks of step x step px."""
    count, height, width = (stack.shape[0], stack.shape[1] // step, stack.shape[2] // step)
    tall = np.ascontiguousarray(stack[:, : height * step, : width * step]).reshape(-1, width * step)
    small = cv2.resize(tall, (width, count * height), interpolation=cv2.INTER_AREA) if step > 1 else tall
    return np.asarray(small, np.uint8).reshape(count, height, width)


def _darkness(stack: NDArray[np.uint8], margin: float) -> Floats:
    """(N, h, w) grey -> share of the paper's light that is missing, 0 paper .. 1 black.

    The paper is a plane through the brightness of the crop's corners. Ink in one corner neither lifts its
    level nor tilts it: of opposite sides the lesser slope counts, none when they disagree.
    """
    zones = _zones(stack.shape[1], stack.shape[2], margin)
    corners = np.stack([np.median(stack[:, zone], axis=1) for zone in zones.corners], axis=1)
    corners = corners.astype(np.float32)
    level = np.sort(corners, axis=1)[:, 1:3].mean(axis=1)
    right = _lesser(corners[:, 1] - corners[:, 0], corners[:, 3] - corners[:, 2])
    down = _lesser(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])
    paper = level[:, None, None] + right[:, None, None] * zones.x + down[:, None, None] * zones.y
    dark: Floats = 1 - stack / np.maximum(paper, 1)
    return _without_streaks(dark)


def _lesser(a: Floats, b: Floats) -> Floats:
    """Element by element the one nearer to zero; zero where the signs differ."""
    return np.where(a * b > 0, np.where(abs(a) < abs(b), a, b), 0).astype(np.float32)


def _without_streaks(dark: Floats) -> Floats:
    """Take off faint lines that run right through a crop, from rim to rim: no mark does."""
    for axis in (1, 2):
        ends = np.take(dark, [0, 1], axis).mean(axis), np.take(dark, [-1, -2], axis).mean(axis)
        line = np.minimum(*(cv2.dilate(end, np.ones((1, 3))) for end in ends))  # a page may lie askew
        hit = np.flatnonzero((line.max(axis=1) > STREAK / 6) & (line.max(axis=1) < STREAK))
        dark[hit] -= np.expand_dims(line[hit], axis)
    return dark


def _settle(dark: Floats, margin: float) -> None:
    """Move a question's bubbles (n, h, w) so that their rings are where they belong."""
    shifts, rings = _rings(dark.shape[1], dark.shape[2], margin)
    common = dark.min(axis=0)  # the rings, hardly any ink
    down, right = shifts[int((rings @ common.ravel()).argmax())]
    if down or right:
        dark[:] = np.roll(dark, (-down, -right), axis=(1, 2))


def _marks(inside: Floats) -> Marks:
    """From the darkness (n, px) of the insides; where half of one is lighter than paper, it is paper."""
    half, most = inside.shape[1] // 2, int(inside.shape[1] * (1 - DARKEST))
    ranked = np.partition(inside, (half, most), axis=1)
    paper = np.minimum(ranked[:, half], 0)
    dark = np.maximum(ranked[:, most] - paper, LEAST)
    area = np.clip((inside.mean(axis=1) - paper) / dark, LEAST, 1)
    return Marks(dark.astype(np.float32), area.astype(np.float32))


@dataclass(frozen=True, slots=True)
class _Zones:
    """Where to look in a crop of (h, w) px."""

    inside: Bools  # (h, w)
    corners: tuple[Bools, ...]  # paper: top left, top right, bottom left, bottom right
    x: Floats  # (1, w) across, a corner's typical place is at -0.5 or 0.5
    y: Floats  # (h, 1) down, the same


@functools.lru_cache(maxsize=64)
def _zones(height: int, width: int, margin: float) -> _Zones:
    x, y, distance = _polar(height, width, height / 2 - margin, width / 2 - margin)
    paper = distance >= OUTER
    corners = tuple(paper & (down == (y > 0)) & (right == (x > 0)) for down in (0, 1) for right in (0, 1))
    far_y, far_x = abs(y * corners[0]).sum() / corners[0].sum(), abs(x * corners[0]).sum() / corners[0].sum()
    return _Zones(
        inside=distance <= INNER,
        corners=corners,
        x=(x / (2 * far_x)).astype(np.float32),
        y=(y / (2 * far_y)).astype(np.float32),
    )


@functools.lru_cache(maxsize=64)
def _rings(height: int, width: int, margin: float) -> tuple[list[tuple[int, int]], Floats]:
    """Moves (down, right) in px that leave a bubble inside its crop, and the ring's picture at each."""
    radii = height / 2 - margin, width / 2 - margin
    reach = min(round(REACH * min(radii)), int(margin) - 1)
    shifts = [(dy, dx) for dy in range(-reach, reach + 1) for dx in range(-reach, reach + 1)]
    _, _, distance = _polar(height, width, *radii)
    ring = np.exp(-0.5 * ((distance - 1) * sum(radii) / 2 / 0.7) ** 2)
    return shifts, np.stack([np.roll(ring, shift, axis=(0, 1)).ravel() for shift in shifts]).astype(
        np.float32
    )


def _polar(
    height: int, width: int, down: float, across: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """x (1, w) and y (h, 1) in px from the middle; distance (h, w) in radii of the ellipse."""
    y, x = np.ogrid[:height, :width]
    y, x = y - (height - 1) / 2, x - (width - 1) / 2
    return x, y, np.hypot(y / max(down, 1.0), x / max(across, 1.0))
