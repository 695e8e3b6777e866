"""Small sums of registration that have an answer known from elsewhere."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from omrgrade.records import Fiducials, Rect
from omrgrade.registration.corners import _matrices, _places, _unlike_a_page
from omrgrade.registration.geometry import Landmarks, homography, median, project
from omrgrade.registration.looks import PX, _symmetric
from omrgrade.registration.marks import Blobs, _without_doubles
from omrgrade.registration.outlines import STEP, _project_lines

POINTS = np.array([(x, y) for x in (10.0, 60, 110, 160, 200) for y in (15.0, 90, 150, 210, 285)])
small = st.floats(-1, 1)


@given(arrays(np.float64, st.integers(1, 60), elements=st.floats(0, 1e6)))
def test_the_median_is_numpys(values):
    assert median(values) == float(np.median(values))


@given(st.integers(-12, 12), st.sampled_from([4.0, 5.0, 6.0]))
def test_two_lines_are_found_by_the_middle_between_them(off, side):
    profile = np.zeros(round(16 * PX) + 1, np.float32)
    middle, half = len(profile) // 2 + off, round(side * PX / 2)
    profile[[middle - half, middle + half]] = 0.5
    where = _symmetric(profile, side, reach=4.0, px=PX, apart=np.inf)
    assert where is not None and abs(where * PX - off) <= 0.5
    profile[middle + half] = 0
    assert _symmetric(profile, side, reach=4.0, px=PX, apart=np.inf) is None


def test_no_next_boxs_line_is_taken_for_a_side():
    """A box of 5 mm whose right line is not printed, and a next one's line 6 mm from its left."""
    profile = np.zeros(round(16 * PX) + 1, np.float32)
    middle, half = len(profile) // 2, round(2.5 * PX)
    profile[[middle - half, middle - half + round(6.0 * PX)]] = 0.5
    assert _symmetric(profile, 5.0, reach=2.0, px=PX, apart=np.inf) is not None
    assert _symmetric(profile, 5.0, reach=2.0, px=PX, apart=6.0) is None


@given(st.integers(-8, 8))
def test_a_large_bubbles_thick_lines_are_found_whatever_letter_is_in_it(off):
    """Lines of 1.1 mm round 22 mm, and a letter's stem, darker than these, left of the middle."""
    profile = np.zeros(round(30 * PX) + 1, np.float32)
    middle, half = len(profile) // 2 + off, round(11 * PX)
    for place in (middle - half, middle + half):
        profile[place - 4 : place + 5] = 0.16 - 0.004 * abs(np.arange(-4, 5))
    profile[middle - 25 : middle - 19] = 0.35
    where = _symmetric(profile, 18.0, reach=1.6, px=PX, apart=np.inf)
    assert where is not None and abs(where * PX - off) <= 1


@given(st.tuples(*[small] * 6), st.tuples(small, small))
def test_what_was_seen_from_one_place_is_known_seen_from_another(affine, tilt):
    a, b, c, d, x, y = affine
    one = np.array([[11.8, 0.1, 30], [-0.1, 11.8, 40], [0, 0, 1]])
    move = np.array(
        [[1 + 1e-3 * a, 1e-3 * b, x], [1e-3 * c, 1 + 1e-3 * d, y], [1e-6 * tilt[0], 1e-6 * tilt[1], 1]]
    )
    seen = Landmarks(points=POINTS, shifts=project(move, POINTS) - POINTS)  # the page lies at one @ move
    assert np.allclose(seen.seen_from(one, one @ move).shifts, 0, atol=1e-9)
    own, others = seen.parted(7)
    assert np.array_equal(np.concatenate([own.shifts, others.shifts]), seen.shifts) and len(own.points) == 7


@given(small, st.tuples(small, small), st.sampled_from([0.7, 2.0]))
def test_lines_across_outlines_lie_where_the_page_is_photographed(angle, tilt, reach):
    """By 0.02 mm, also where the far corner of the page is a quarter smaller than the near one."""
    c, s = np.cos(angle), np.sin(angle)
    matrix = np.array(
        [[8 * c, -8 * s, 900], [8 * s, 8 * c, 300], [1.5e-3 * tilt[0] / 2, 1.5e-3 * tilt[1] / 2, 1]]
    )
    along = np.tile(np.eye(2), (len(POINTS), 1))[: len(POINTS)]
    sides = POINTS[:, None] + np.linspace(-4, 4, 11)[None, :, None] * along[:, None, ::-1]
    distance = np.arange(-reach, reach + STEP, STEP)
    x, y = _project_lines(matrix, sides, along, distance)
    found = np.stack([x, y], axis=-1).reshape(11, len(POINTS), -1, 2).swapaxes(0, 1)
    exact = sides[:, :, None] + distance[:, None] * along[:, None, None]
    back = project(np.linalg.inv(matrix), found.astype(np.float64))
    assert np.abs(back - exact).max() < 0.02 * (1 if reach > 1 else 0.3)


@given(arrays(np.float64, (4, 2), elements=st.floats(-30, 30)))
def test_four_points_give_opencvs_homography_or_none_where_it_mirrors_the_page(moved):
    page = np.array([(10.0, 10), (200, 12), (198, 280), (11, 285)])
    scan = (page + moved) * 11.8
    ours, theirs = _matrices(page, scan[None])[0], homography(page, scan)
    assert np.allclose(project(ours, page), scan, atol=1e-5)
    assert np.allclose(project(ours, page / 2), project(theirs, page / 2), atol=1e-3)
    assert np.isnan(_matrices(page, scan[None] * (-1, 1))).all()


def test_three_points_give_an_affine_map_and_points_on_one_line_none():
    page = np.array([(10.0, 10), (200, 12), (11, 285)])
    line = np.array([(0.0, 0), (5, 5), (9, 9)])
    with np.errstate(all="ignore"):
        found = _matrices(page, np.stack([page * 3 + 7, line]))
    assert np.allclose(found[0], [[3, 0, 7], [0, 3, 7], [0, 0, 1]]) and np.isnan(found[1]).all()
    flat, sheared = np.eye(3), np.array([[1, 0.5, 0], [0, 1, 0], [0, 0, 1.0]])
    assert np.allclose(_unlike_a_page(np.stack([flat]), page), 0, atol=1e-9)
    assert _unlike_a_page(np.stack([sheared]), page)[0] > 0.3


@given(arrays(np.float64, st.tuples(st.integers(0, 60), st.just(3)), elements=st.floats(1, 40)))
def test_of_blobs_seen_several_times_the_first_is_kept(blobs):
    rows = np.column_stack([blobs, np.zeros(len(blobs))])
    rows[:, 2] = np.maximum(rows[:, 2], 3)
    kept = []
    for x, y, size, _ in rows:
        if not any(np.hypot(x - a, y - b) < 0.2 * size and abs(np.log(c / size)) < 0.12 for a, b, c in kept):
            kept.append((x, y, size))
    assert [tuple(row[:3]) for row in _without_doubles(rows)] == kept


@given(st.integers(0, 3))
def test_three_marks_of_a_nearly_square_page_are_not_taken_for_a_page_turned_by_a_quarter(hidden):
    """180 by 145 mm: it is as likely as one at a slant, and its marks may look even more like the mark."""
    corners = [(6.0, 6.0), (186.0, 6.0), (186.0, 151.0), (6.0, 151.0)]
    marks = Fiducials(
        method="corners",
        marker="square",
        boxes=tuple(Rect(x=x, y=y, width=12, height=12) for x, y in corners),
    )
    seen = [n for n in range(4) if n != hidden]
    blobs = Blobs(
        centres=(np.array(corners)[seen] + 6) * 3, sizes=np.full(3, 36.0), like=np.array([0.9, 0.8, 0.9])
    )
    places = _places(blobs, marks, 3)
    assert len(places) == 2 and all(abs(matrix[0, 0]) > 2.9 > 0.1 > abs(matrix[0, 1]) for matrix in places)
