"""Small sums of registration that have an answer known from elsewhere."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from omrgrade.registration.geometry import median
from omrgrade.registration.looks import PX, _symmetric


@given(arrays(np.float64, st.integers(1, 60), elements=st.floats(0, 1e6)))
def test_the_median_is_numpys(values):
    assert median(values) == float(np.median(values))


@given(st.integers(-12, 12), st.sampled_from([4.0, 5.0, 6.0]))
def test_two_lines_are_found_by_the_middle_between_them(off, side):
    profile = np.zeros(round(16 * PX) + 1, np.float32)
    middle, half = len(profile) // 2 + off, round(side * PX / 2)
    profile[[middle - half, middle + half]] = 0.5
    where = _symmetric(profile, side, reach=4.0)
    assert where is not None and abs(where * PX - off) <= 0.5
    profile[middle + half] = 0
    assert _symmetric(profile, side, reach=4.0) is None


@given(st.integers(-8, 8))
def test_a_large_bubbles_thick_lines_are_found_whatever_letter_is_in_it(off):
    """Lines of 1.1 mm round 22 mm, and a letter's stem, darker than these, left of the middle."""
    profile = np.zeros(round(30 * PX) + 1, np.float32)
    middle, half = len(profile) // 2 + off, round(11 * PX)
    for place in (middle - half, middle + half):
        profile[place - 4 : place + 5] = 0.16 - 0.004 * abs(np.arange(-4, 5))
    profile[middle - 25 : middle - 19] = 0.35
    where = _symmetric(profile, 18.0, reach=1.6)
    assert where is not None and abs(where * PX - off) <= 1
