"""Marks that are not simply filled bubbles: halves, dots, and what is left of marks that were taken back."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from omrgrade.records import Rect
from omrgrade.simulate.handwriting import Grey, Pen
from omrgrade.simulate.marking import mark_bubble, smudge

Scale = tuple[float, float]
"""px a mm, across and down."""


def half(ink: Grey, printed: Grey, box: Rect, scale: Scale, pen: Pen, rng: np.random.Generator) -> None:
    """Filled, but on one side of a slanting line only."""
    layer = np.zeros_like(ink)
    mark_bubble(layer, box, scale, pen, "full", rng)
    y, x = np.mgrid[: ink.shape[0], : ink.shape[1]]
    angle = rng.uniform(0, 2 * np.pi)
    side = (x / scale[0] - box.centre[0]) * np.cos(angle) + (y / scale[1] - box.centre[1]) * np.sin(angle)
    np.maximum(ink, np.where(side > rng.normal(0, 0.06) * box.width, layer, 0), out=ink)


def dot(ink: Grey, printed: Grey, box: Rect, scale: Scale, pen: Pen, rng: np.random.Generator) -> None:
    """A dot in the middle, half as wide as the bubble."""
    width, height = box.width * rng.uniform(0.4, 0.6), box.height * rng.uniform(0.4, 0.6)
    small = Rect(x=box.centre[0] - width / 2, y=box.centre[1] - height / 2, width=width, height=height)
    mark_bubble(ink, small, scale, pen, "full", rng)


def erased(ink: Grey, printed: Grey, box: Rect, scale: Scale, pen: Pen, rng: np.random.Generator) -> None:
    """What an eraser leaves."""
    smudge(ink, box, scale, rng)


def fluid(ink: Grey, printed: Grey, box: Rect, scale: Scale, pen: Pen, rng: np.random.Generator) -> None:
    """Filled, then covered with correction fluid: print and ink are gone, and a faint rim shows."""
    centre = tuple(round(v * s) for v, s in zip(box.centre, scale, strict=True))
    axes = tuple(
        round(rng.uniform(0.6, 0.8) * side * s)
        for side, s in zip((box.width, box.height), scale, strict=True)
    )
    covered = np.zeros_like(ink)
    cv2.ellipse(covered, centre, axes, rng.uniform(-20, 20), 0, 360, 255, -1, cv2.LINE_AA)
    printed[covered > 0] = np.maximum(printed, covered)[covered > 0]
    ink[covered > 128] = 0
    rim = cv2.morphologyEx(covered, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    np.maximum(ink, (rim * rng.uniform(0.02, 0.1)).astype(np.uint8), out=ink)


def struck(ink: Grey, printed: Grey, box: Rect, scale: Scale, pen: Pen, rng: np.random.Generator) -> None:
    """Filled, then crossed out with two long strokes, or one."""
    mark_bubble(ink, box, scale, pen, "full", rng)
    angles = (45, 135) if rng.random() < 0.7 else (rng.uniform(-20, 20),)
    for angle in np.radians(np.array(angles) + rng.normal(0, 8)):
        reach = 0.5 * np.array([box.width, box.height]) * rng.uniform(1.6, 2.0)
        offset = np.array([np.cos(angle), np.sin(angle)]) * reach
        ends = [(np.array(box.centre) + sign * offset) * scale for sign in (-1, 1)]
        a, b = (tuple(int(v) for v in end.round()) for end in ends)
        cv2.line(ink, a, b, 255, max(round(pen.width * scale[0]), 1), cv2.LINE_AA)


def beside(ink: Grey, printed: Grey, box: Rect, scale: Scale, pen: Pen, rng: np.random.Generator) -> None:
    """A ring round the bubble instead of a mark in it."""
    centre = tuple(round(v * s) for v, s in zip(box.centre, scale, strict=True))
    axes = tuple(
        round((side / 2 + rng.uniform(0.3, 0.5)) * s)
        for side, s in zip((box.width, box.height), scale, strict=True)
    )
    cv2.ellipse(ink, centre, axes, 0, 0, 360, 255, max(round(pen.width * scale[0]), 1), cv2.LINE_AA)


SLIPS: dict[str, Callable[[Grey, Grey, Rect, Scale, Pen, np.random.Generator], None]] = {
    "half": half,
    "dot": dot,
    "erased": erased,
    "fluid": fluid,
    "struck": struck,
    "beside": beside,
}
"""name -> draws it on `ink` (255 = covered) and takes from `printed` (0 = printed) what it covers."""
