"""A page laid a row or column off is seen, and looking at each place once says what looking at all would."""

from dataclasses import replace

import numpy as np
import pytest
from warped_pages import CONDITIONS, warped_page, with_method

from omrgrade.registration import survey
from omrgrade.registration.fitting import BENT_LANDMARKS, judged, rank, shared_out
from omrgrade.registration.geometry import Pose
from omrgrade.registration.slips import _further, box_steps, further, unslipped


@pytest.fixture(scope="module")
def laid():
    """A template, a flat page of it, and the fit that lays it there."""
    template = with_method("choice-a4", "page")
    page = warped_page(template, CONDITIONS["as it is"], 11)
    fit = survey(page.scan, template, max_residual=1.0).fits[0]
    return template, page.scan, replace(fit, pose=Pose(matrix=fit.pose.matrix))


def moved(fit, x, y):
    """The same fit, laid (x, y) mm off."""
    matrix = fit.pose.matrix @ np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]])
    return replace(fit, pose=Pose(matrix=matrix), located=replace(fit.located, page_to_scan=matrix))


def test_places_shared_between_moves_say_what_each_move_by_itself_does(laid):
    template, scan, fit = laid
    _, verifying = shared_out(template, BENT_LANDMARKS)
    steps = box_steps(template)
    assert len(steps) >= 4
    for (x, y), (shared, matrix) in zip(steps, _further(scan, template, fit, BENT_LANDMARKS), strict=True):
        alone = judged(scan, Pose(matrix=matrix), fit.located, verifying)
        assert np.allclose(matrix, moved(fit, x, y).pose.matrix)
        assert shared == pytest.approx(rank(alone), abs=0.05)


def test_a_page_that_lies_right_stays_and_one_that_is_a_row_off_comes_back(laid):
    template, scan, fit = laid
    assert unslipped(fit, further(scan, template, fit)) is None
    for x, y in box_steps(template):
        off = moved(fit, x, y)
        _, verifying = shared_out(template, BENT_LANDMARKS)
        there = judged(scan, off.pose, off.located, verifying)
        back = unslipped(there, further(scan, template, there))
        assert back is not None
        assert np.allclose(back.page_to_scan / back.page_to_scan[2, 2], fit.pose.matrix, rtol=1e-6, atol=1e-4)
