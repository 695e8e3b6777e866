"""Medians and quantiles without NumPy's checks, which cost more than the ranking does at a bubble's size."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from omrgrade.choices.zones import Floats


def median(values: NDArray[Any], axis: int = -1) -> Floats:
    """What `np.median(values, axis=axis)` says of finite float32 or uint8 values, n > 0 along the axis."""
    middle = values.shape[axis] // 2
    if values.shape[axis] % 2:
        return np.asarray(np.partition(values, middle, axis=axis).take(middle, axis), np.float32)
    ranked = np.partition(values, (middle - 1, middle), axis=axis)
    low, high = (np.asarray(ranked.take(place, axis), np.float32) for place in (middle - 1, middle))
    return np.asarray((low + high) / 2, np.float32)


def quantile(values: Floats, share: float) -> Floats:
    """What `np.quantile(values, share, axis=0)` says of finite float32 values (n, ...), n > 0."""
    place = share * (len(values) - 1)
    low = int(place)
    high = min(low + 1, len(values) - 1)
    ranked = np.partition(values, (low, high), axis=0)
    part, step = place - low, ranked[high] - ranked[low]
    found = ranked[low] + step * part if part < 0.5 else ranked[high] - step * (1 - part)
    return np.asarray(found, np.float32)
