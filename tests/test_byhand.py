"""A page whose corners a person shows: found as precisely as others, and refused where it is not."""

import numpy as np
import pytest
from classroom import slip_pixels, write_slip
from hypothesis import given, settings
from hypothesis import strategies as st

from omrgrade.errors import RegistrationError
from omrgrade.records import Scan
from omrgrade.registration import register
from omrgrade.registration.byhand import reference_points

SCALE = 200 / 25.4  # px per mm


@pytest.fixture(scope="module")
def torn(tmp_path_factory):
    """A slip without its upper markers, its template, and where its four marks are or were, px."""
    template = write_slip(tmp_path_factory.mktemp("slip"))
    pixels = slip_pixels(template, "12")
    pixels[: pixels.shape[0] // 8] = 255
    scan = Scan(source="torn.png", page=1, pixels=pixels, dpi=200)
    return scan, template, reference_points(template) * SCALE - 0.5


def test_without_help_it_is_refused(torn):
    with pytest.raises(RegistrationError, match="corner marker"):
        register(torn[0], torn[1], max_residual=1.0)


@settings(max_examples=8, deadline=None)
@given(st.lists(st.floats(-1, 1), min_size=8, max_size=8))
def test_corners_shown_a_millimetre_off_find_the_page(torn, slips):
    scan, template, truth = torn
    shown = truth + SCALE * np.array(slips).reshape(4, 2)
    found = register(scan, template, max_residual=1.0, shown=[tuple(point) for point in shown])
    boxes = np.array([box.centre for field in template.fields for box in field.boxes])
    matrix = np.array(found.page_to_scan)
    placed = np.c_[boxes, np.ones(len(boxes))] @ matrix.T
    placed = placed[:, :2] / placed[:, 2:]
    off = np.hypot(*(placed - (boxes * SCALE - 0.5)).T) / SCALE
    assert off.max() < 0.5, "mm"


@pytest.mark.parametrize("move", [(25, 0), (0, -12)])
def test_corners_of_another_place_are_refused(torn, move):
    scan, template, truth = torn
    with pytest.raises(RegistrationError):
        register(scan, template, max_residual=1.0, shown=[tuple(p) for p in truth + SCALE * np.array(move)])


@pytest.mark.parametrize("shown", [[(0, 0)] * 4, [(0, 0), (1, 1), (2, 2), (3, 3)]])
def test_corners_that_span_no_sheet_are_refused(torn, shown):
    with pytest.raises(RegistrationError, match="not the corners of a sheet"):
        register(torn[0], torn[1], max_residual=1.0, shown=shown)
