"""Bubbles -> readings: a page's bubbles are judged beside one another, so a pupil's own pen is the measure.

Two things are measured inside each: how dark its ink is (against its own paper) and how much of the inside is
inked. A faint pencil that fills bubbles and a fine pen that ticks them both make plain marks; an erased mark
is light beside the pupil's others, a touch of the pen is small.
"""

from __future__ import annotations

import functools
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
REMAINS = 0.35  # share of a mark's darkness below which other ink in its question is what an eraser left
SLOPE, OFFSET = 6.0, 2.5  # confidence = logistic(SLOPE * distance + OFFSET), on simulated marks


@dataclass(frozen=True, slots=True)
class Marks:
    """The ink of one question's bubbles, an element each."""

    dark: Floats  # of the darkest ink, 0 paper .. 1 black
    area: Floats  # share (0-1) of the inside that ink of that darkness would cover

    @property
    def ink(self) -> Floats:
        """Mean darkness of the inside, 0-1."""
        return self.dark * self.area


def read_bubbles(questions: Sequence[Question], policy: Policy) -> list[tuple[BoxReading, ...]]:
    """Read the bubbles of one page, a tuple a question: marked (value = label), empty ("") or doubtful.

    The more of a page's questions are given at once, the better the pupil's way of marking is known.
    """
    marks = measure([crops for crops, _ in questions])
    usual = usual_darkness(marks, policy)
    labels = [labels for _, labels in questions]
    return [_read_question(mark, names, usual, policy) for mark, names in zip(marks, labels, strict=True)]


def usual_darkness(questions: Sequence[Marks], policy: Policy) -> float:
    """Darkness (0-1) of the pupil's marks on this page: the median of each question's strongest."""
    found = []
    for marks in questions:
        first = int(marks.ink.argmax())
        if marks.dark[first] >= policy.mark_seen and marks.area[first] >= policy.mark_area:
            found.append(float(marks.dark[first]))
    return float(np.median(found)) if len(found) >= MARKS else USUAL


# ---------------------------------------------------------------- decisions


def _read_question(
    marks: Marks, labels: Sequence[str], usual: float, policy: Policy
) -> tuple[BoxReading, ...]:
    """One question's bubbles, each beside the one with most ink. Distances to borders are in powers of e."""
    plain = np.minimum(
        _log(marks.dark / max(policy.mark_dark * usual, policy.mark_seen)),
        _log(marks.area / policy.mark_area),
    )
    first = int(np.where(plain > 0, marks.ink, -1).argmax())
    return tuple(
        _read_bubble(n, first if plain[first] > 0 else None, marks, float(plain[n]), labels, policy)
        for n in range(len(labels))
    )


def _read_bubble(
    n: int, first: int | None, marks: Marks, plain: float, labels: Sequence[str], policy: Policy
) -> BoxReading:
    """`first` is the question's plainest mark; `plain` > 0: this one is plain too, when looked at alone."""
    label = labels[n]
    seen = float(_log(marks.dark[n] / policy.mark_seen))
    if seen < 0:
        return BoxReading(value="", confidence=_sure(-seen), status="blank")
    if first is None:
        return _doubt(label, plain, "small mark" if marks.area[n] < policy.mark_area else "faint mark")
    like = float(_log(marks.ink[n] / (policy.mark_like * marks.ink[first])))
    if min(plain, like) > 0:
        return BoxReading(value=label, confidence=_sure(min(plain, like)), status="read")
    remains = float(_log(REMAINS * marks.dark[first] / marks.dark[n]))
    if remains > 0:
        return BoxReading(value="", confidence=_sure(remains), status="blank")
    return _doubt(label, min(plain, like), f"lighter than {labels[first]}")


def _doubt(label: str, distance: float, reason: str) -> BoxReading:
    """In doubt whether this is a mark: at the border as likely as not, the less the further below."""
    confidence = float(1 / (1 + np.exp(-SLOPE * min(distance, 0.0))))
    return BoxReading(value=label, confidence=confidence, status="review", reason=reason)


def _sure(distance: float) -> float:
    """Calibrated probability that a decision so far (powers of e) from its nearest border is right."""
    return float(np.clip(1 / (1 + np.exp(-SLOPE * distance - OFFSET)), 0.5, 0.9999))


def _log(ratio: Floats | float) -> Floats:
    return np.log(np.maximum(ratio, 1e-3))


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
        inside = _zones(dark.shape[1], dark.shape[2], margin / step).inside
        ends = np.cumsum([len(questions[n]) for n in members])[:-1]
        for n, part in zip(members, np.split(dark, ends), strict=True):
            result[n] = _marks(_settled(part, margin / step)[:, inside])
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


def _settled(dark: Floats, margin: float) -> Floats:
    """A question's bubbles (n, h, w), moved so that their rings are where they belong."""
    typical = np.ascontiguousarray(np.median(dark, axis=0))
    ring = _ring(*typical.shape, margin)
    found = cv2.matchTemplate(typical, ring, cv2.TM_CCORR)
    centre = np.array(found.shape) // 2
    down, right = np.array(np.unravel_index(int(found.argmax()), found.shape)) - centre
    return dark if down == right == 0 else np.roll(dark, (-down, -right), axis=(1, 2))


def _marks(inside: Floats) -> Marks:
    """From the darkness (n, px) of the insides."""
    rank = int(inside.shape[1] * (1 - DARKEST))
    dark = np.maximum(np.partition(inside, rank, axis=1)[:, rank], 1e-3)
    area = np.clip(inside.mean(axis=1) / dark, 0, 1)
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
def _ring(height: int, width: int, margin: float) -> Floats:
    """A picture of the printed ring, smaller than a crop of (height, width) by the reach on every side."""
    down, across = height / 2 - margin, width / 2 - margin
    reach = min(round(REACH * min(down, across)), int(margin))
    _, _, distance = _polar(height - 2 * reach, width - 2 * reach, down, across)
    ring = np.exp(-0.5 * ((distance - 1) * (down + across) / 2 / 0.7) ** 2)
    return np.asarray(ring / ring.sum(), np.float32)


def _polar(
    height: int, width: int, down: float, across: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """x (1, w) and y (h, 1) in px from the middle; distance (h, w) in radii of the ellipse."""
    y, x = np.ogrid[:height, :width]
    y, x = y - (height - 1) / 2, x - (width - 1) / 2
    return x, y, np.hypot(y / max(down, 1.0), x / max(across, 1.0))
