"""Bubbles -> readings: how much of each is inked, judged beside its own paper."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from omrgrade.records import BoxReading, Crop, Policy

INNER = 0.72  # the share of a bubble's radius that is looked at: the printed ring stays out of it
INK = 0.22  # a pixel this much darker than its paper (share of the paper's brightness) is ink
NOISE_FACTOR = 4.0


def fill(crop: Crop) -> float:
    """Share (0-1) of a bubble's inside that is inked.

    The crop shows the bubble's bounding box with `crop.margin` px of paper round it; the paper's brightness
    is taken from that surrounding.
    """
    grey = cv2.GaussianBlur(crop.pixels, (3, 3), 0)
    inside, around = _masks(grey.shape[0], grey.shape[1], crop.margin)
    surround = grey[around]
    paper = float(np.median(surround))
    grain = float(np.median(abs(surround - paper))) * 1.48
    threshold = paper - max(INK * paper, NOISE_FACTOR * grain)
    return float((grey[inside] < threshold).mean())


def read_bubbles(crops: Sequence[Crop], labels: Sequence[str], policy: Policy) -> tuple[BoxReading, ...]:
    """Read each bubble as marked (value = its label), empty (value "") or doubtful."""
    return tuple(_reading(fill(crop), label, policy) for crop, label in zip(crops, labels, strict=True))


def _reading(share: float, label: str, policy: Policy) -> BoxReading:
    """The further the inked share lies from the two thresholds, the surer."""
    if share >= policy.mark_filled:
        sure = 1 - 0.1 * np.exp(-(share - policy.mark_filled) / 0.06)
        return BoxReading(value=label, confidence=float(sure), status="read")
    if share < policy.mark_empty:
        sure = 1 - 0.1 * (share / policy.mark_empty) ** 2
        return BoxReading(value="", confidence=float(sure), status="blank")
    doubt = (share - policy.mark_empty) / (policy.mark_filled - policy.mark_empty)
    return BoxReading(
        value=label, confidence=float(0.05 + 0.9 * doubt), status="review", reason="partly filled"
    )


_MASKS: dict[tuple[int, int, int], tuple[NDArray[np.bool_], NDArray[np.bool_]]] = {}


def _masks(height: int, width: int, margin: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Pixels well inside a bubble's ring, and pixels outside its bounding box's ellipse. Cached by size."""
    key = height, width, margin
    if key not in _MASKS:
        y, x = np.ogrid[:height, :width]
        radius_y, radius_x = max(1.0, height / 2 - margin), max(1.0, width / 2 - margin)
        distance = np.hypot((y - (height - 1) / 2) / radius_y, (x - (width - 1) / 2) / radius_x)
        _MASKS[key] = distance <= INNER, distance >= 1.15
    return _MASKS[key]
