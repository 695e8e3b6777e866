"""Quantiles are NumPy's."""

import numpy as np
import pytest

from omrgrade.choices.ranks import quantile


@pytest.mark.parametrize("shape", [(1,), (2,), (7,), (250,), (5, 6, 4)])
@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.8, 1.0])
def test_quantiles_are_numpys_bit_by_bit(shape, share):
    rng = np.random.default_rng(len(shape))
    for digits in (1, 7):  # with ties and without
        values = rng.random(shape).astype(np.float32).round(digits)
        assert np.array_equal(quantile(values, share), np.quantile(values, share, axis=0))
