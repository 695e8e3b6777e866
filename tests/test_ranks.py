"""Medians and quantiles are NumPy's."""

import numpy as np
import pytest

from omrgrade.choices.ranks import median, quantile


@pytest.mark.parametrize("shape", [(1,), (2,), (7,), (250,), (5, 6, 4)])
@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.8, 1.0])
def test_quantiles_are_numpys_bit_by_bit(shape, share):
    rng = np.random.default_rng(len(shape))
    for digits in (1, 7):  # with ties and without
        values = rng.random(shape).astype(np.float32).round(digits)
        assert np.array_equal(quantile(values, share), np.quantile(values, share, axis=0))


@pytest.mark.parametrize("shape", [(1,), (2,), (7,), (250,), (5, 6, 4), (4, 3, 5)])
@pytest.mark.parametrize("axis", [-1, 0])
@pytest.mark.parametrize("kind", [np.float32, np.uint8])
def test_medians_are_numpys_bit_by_bit(shape, axis, kind):
    values = (255 * np.random.default_rng(len(shape)).random(shape)).astype(kind)
    assert np.array_equal(median(values, axis), np.median(values, axis=axis))
