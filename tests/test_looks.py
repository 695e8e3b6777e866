"""Boxes told by what an empty one looks like lie where they were drawn, whatever stands in or near them."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omrgrade.records import Rect
from omrgrade.registration.between import gap_moves
from omrgrade.registration.geometry import Pose, percentile
from omrgrade.registration.looks import Flat, learned_landmarks, look_landmarks
from omrgrade.registration.outlines import Outline

SCALE = 8.0  # px per mm
SIDE, STEP = 3.4, 4.6  # mm
BOXES = [
    Outline(rect=Rect(x=10 + column * STEP, y=10 + row * STEP, width=SIDE, height=SIDE), round=True)
    for row in range(8)
    for column in range(5)
]
POSE = Pose(matrix=np.array([[SCALE, 0, -0.5], [0, SCALE, -0.5], [0, 0, 1.0]]))


def drawn(off=(0.0, 0.0), *, filled=(), ring=150, letters="     "):
    """A page of rings with a stroke in each, right of its middle, all `off` mm from where they should be.

    off: one for all, or one a ring. letters: one a column, instead of the stroke.
    """
    offs = np.broadcast_to(off, (len(BOXES), 2))
    page = np.full((480, 360), 225, np.uint8)
    for n, box in enumerate(BOXES):
        x, y = (round((side + o) * SCALE * 16 - 8) for side, o in zip(box.rect.centre, offs[n], strict=True))
        size = round(SIDE / 2 * SCALE * 16)
        cv2.ellipse(page, (x, y), (size, size), 0, 0, 360, ring, 2, cv2.LINE_AA, 4)
        if (letter := letters[n % 5]) != " ":
            (width, height), _ = cv2.getTextSize(letter, cv2.FONT_HERSHEY_SIMPLEX, 0.6, 2)
            at = (x // 16 - width // 2, y // 16 + height // 2)
            cv2.putText(page, letter, at, cv2.FONT_HERSHEY_SIMPLEX, 0.6, ring, 2, cv2.LINE_AA)
        else:
            cv2.line(page, (x + 50, y - 100), (x + 50, y + 100), ring, 2, cv2.LINE_AA, 4)
        if n in filled:
            cv2.circle(page, (x, y), size, 30, -1, cv2.LINE_AA, 4)
    return page


def seen(page, boxes=BOXES, reach=1.5):
    flat = Flat.of(page, POSE, BOXES, room=5.0, contrast=195, apart=(STEP, STEP))
    return learned_landmarks(flat, POSE, boxes, reach=reach)


@pytest.mark.parametrize("off", [(0.0, 0.0), (0.3, -0.2), (-0.7, 0.6)])
def test_boxes_are_seen_where_they_are_and_not_where_their_letter_is(off):
    marks, _ = seen(drawn(off))
    assert np.nanmedian(marks.shifts, axis=0) == pytest.approx(off, abs=0.1)
    assert np.ptp(marks.shifts, axis=0).max() < 0.1


def test_other_boxes_are_found_by_the_look_that_was_learned():
    _, looks = seen(drawn((0.4, 0.1)), BOXES[::2])
    marks = look_landmarks(looks, POSE, BOXES[1::2], reach=1.5)
    assert marks.shifts == pytest.approx(np.tile((0.4, 0.1), (len(marks.shifts), 1)), abs=0.1)


def test_boxes_of_which_each_part_lies_otherwise_are_seen_by_the_look_of_neighbours():
    """As on paper that is bent, under a template that was measured by hand: their median shows no box."""
    parts = np.array([(1.1, -1.0), (-1.2, 0.9), (-0.9, -1.1), (0.8, 1.2)])
    offs = parts[[n // 10 for n in range(len(BOXES))]]
    marks, _ = seen(drawn(offs))
    there = np.isfinite(marks.shifts).all(axis=1)
    assert there.mean() > 0.9
    assert np.abs(marks.shifts - offs)[there].max() < 0.15


def test_learning_may_begin_with_a_look_that_is_known():
    _, looks = seen(drawn())
    offs = np.random.default_rng(3).uniform(-0.5, 0.5, (len(BOXES), 2))
    flat = Flat.of(drawn(offs), POSE, BOXES, room=5.0, contrast=195, apart=(STEP, STEP))
    marks, _ = learned_landmarks(flat, POSE, BOXES, reach=1.5, known=looks)
    assert np.abs(marks.shifts - offs).max() < 0.15


def test_pale_boxes_beside_filled_ones_are_found_as_well():
    filled = {6, 12, 18, 27, 33}
    marks, _ = seen(drawn(filled=filled, ring=195))
    others = [n for n in range(len(BOXES)) if n not in filled]
    assert np.isfinite(marks.shifts[others]).all()
    assert np.abs(marks.shifts[others]).max() < 0.15


def test_boxes_beside_pencil_in_a_coarse_photo_are_seen():
    """Pencil wider than its box, which the photo smears into the next one."""
    filled = {6, 13, 22, 28, 36}
    page = drawn(ring=205)
    for n in filled:
        x, y = (round(side * SCALE) for side in BOXES[n].rect.centre)
        cv2.circle(page, (x, y), round(0.75 * SIDE * SCALE), 30, -1)
    marks, _ = seen(coarse(page, 3.2))
    others = [n for n in range(len(BOXES)) if n not in filled]
    assert np.isfinite(marks.shifts[others]).all()
    assert np.abs(marks.shifts[others]).max() < 0.3


@pytest.mark.parametrize("letters", ["ABCDE", "12345", "PPPPP", "EEEEE"])
@pytest.mark.parametrize("px", [2.4, 3.2, 8.0])
def test_no_letter_and_no_next_box_is_taken_for_a_side_however_coarse_the_photo_is(letters, px):
    page = drawn(letters=letters)
    marks, _ = seen(coarse(page, px))
    assert np.isfinite(marks.shifts).all()
    assert np.abs(np.median(marks.shifts, axis=0)).max() < 0.1


def coarse(page, px):
    """The page photographed at `px` a mm."""
    small = cv2.resize(page, None, fx=px / SCALE, fy=px / SCALE, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, page.shape[::-1], interpolation=cv2.INTER_LINEAR)


def moved(x, y):
    return Pose(matrix=POSE.matrix @ np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]]))


@given(
    st.floats(-0.6, 0.6), st.floats(-0.6, 0.6), st.sampled_from(["     ", "ABCDE", "11111"]), st.booleans()
)
@settings(max_examples=30, deadline=None)
def test_boxes_are_told_from_the_gaps_between_them(x, y, letters, below):
    """A page laid half a row or column off is told so, one that is a little off is not."""
    page = drawn(letters=letters)
    flat = Flat.of(page, POSE, BOXES, room=5.0, contrast=195, apart=(STEP, STEP))
    _, looks = learned_landmarks(flat, POSE, BOXES, reach=1.5)
    assert gap_moves(looks, moved(0.5 * x, 0.5 * y), BOXES) == []
    beside = moved(0.3 * x, STEP / 2) if below else moved(STEP / 2, 0.3 * y)
    (first, second) = gap_moves(looks, beside, BOXES)
    assert first == ((0.0, STEP / 2) if below else (STEP / 2, 0.0)) and second == (-first[0], -first[1])


def test_paper_has_no_boxes():
    marks, looks = seen(np.full((480, 360), 225, np.uint8))
    assert np.isnan(marks.shifts).all()
    assert not looks.sizes


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 255), min_size=1, max_size=60), st.floats(0, 100))
def test_percentiles_of_bytes_are_numpys(values, share):
    assert percentile(np.array(values, np.uint8), share) == pytest.approx(np.percentile(values, share))
