"""A crop shows its box where it should, upright, at the right scale, and without aliasing."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omrgrade.cropping import crop_boxes, upright_preview
from omrgrade.records import PREVIEW_PX_PER_MM, Rect, Registration, Scan
from omrgrade.template import load_template

BOX = Rect(x=40, y=60, width=10, height=12)


def placed(angle=0.0, dpi=300.0, centre=(300, 400), lean=0.0):
    """Page mm -> scan px: turned about `BOX`, whose centre comes to `centre`."""
    k, c, s = dpi / 25.4, np.cos(np.radians(angle)), np.sin(np.radians(angle))
    to_centre = np.array([[1, 0, -BOX.centre[0]], [0, 1, -BOX.centre[1]], [0, 0, 1]])
    tilt = np.array([[1, 0, 0], [0, 1, 0], [lean, lean, 1]])
    return np.array([[k * c, -k * s, centre[0]], [k * s, k * c, centre[1]], [0, 0, 1]]) @ tilt @ to_centre


def registration(matrix) -> Registration:
    rows = tuple(tuple(row) for row in (matrix / matrix[2, 2]).tolist())
    return Registration(page_to_scan=rows, residual=0, rotation=0, method="aruco", landmarks=9)


def paint(matrix, grey, shape=(800, 600)) -> Scan:
    """A scan whose pixel centres show grey(x mm, y mm), a function of the page."""
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(float)
    back = np.linalg.inv(matrix)
    w = back[2, 0] * x + back[2, 1] * y + back[2, 2]
    mm = [(back[k, 0] * x + back[k, 1] * y + back[k, 2]) / w for k in (0, 1)]
    return Scan(source="", page=1, pixels=np.clip(np.round(grey(*mm)), 0, 255).astype(np.uint8), dpi=0)


def crop(scan, matrix, rects=(BOX,), margin=1.5, scale=6.0):
    return crop_boxes(scan, registration(matrix), rects, margin=margin, scale=scale)


@settings(max_examples=60, deadline=None)
@given(
    angle=st.floats(0, 360), dpi=st.floats(100, 600), scale=st.floats(3, 14), margin=st.floats(0, 2),
    lean=st.floats(-0.001, 0.001),
)  # fmt: skip
def test_every_pixel_shows_its_place_on_the_page(angle, dpi, scale, margin, lean):
    matrix = placed(angle, dpi, lean=lean)
    scan = paint(matrix, lambda x, y: 120 + 6 * (x - BOX.x - 5) + 4 * (y - BOX.y - 6))
    (found,) = crop(scan, matrix, margin=margin, scale=scale)
    assert found.margin == round(margin * scale)
    height, width = found.pixels.shape
    assert (width, height) == (round(10 * scale) + 2 * found.margin, round(12 * scale) + 2 * found.margin)
    y, x = np.mgrid[0:height, 0:width]
    x_mm = (x + 0.5 - found.margin) * 10 / (width - 2 * found.margin)
    y_mm = (y + 0.5 - found.margin) * 12 / (height - 2 * found.margin)
    truth = 120 + 6 * (x_mm - 5) + 4 * (y_mm - 6)
    # One grey level is 1/6 mm in x, or half a px at the coarsest scale; the mean is better than that.
    difference = found.pixels - truth
    assert abs(difference.mean()) < 0.5 and np.abs(difference).max() < 3


@pytest.mark.parametrize("angle", [0, 90, 180, 270])
def test_a_turned_page_gives_the_upright_crop(angle):
    matrix = placed(angle)
    scan = paint(matrix, lambda x, y: np.where((x < BOX.x + 5) & (y < BOX.y + 6), 0, 200))
    (found,) = crop(scan, matrix, margin=0)
    height, width = found.pixels.shape
    dark = found.pixels < 100
    assert dark[: height // 2 - 1, : width // 2 - 1].all()
    assert not dark[height // 2 + 1 :].any() and not dark[:, width // 2 + 1 :].any()


@pytest.mark.parametrize("scale", [3.0, 4.0, 5.0, 6.0, 8.0])
def test_fine_patterns_of_a_1_bit_scan_become_grey(scale):
    matrix = placed(3)
    scan = paint(matrix, lambda x, y: np.full_like(x, 255))
    scan.pixels[::2] = 0  # alternate rows: 150 lines per inch, finer than any crop shows
    (found,) = crop(scan, matrix, margin=0, scale=scale)
    # 127 without any smoothing; 1/3 of that is what averaging three rows leaves of this worst of patterns.
    assert abs(found.pixels.mean() - 127.5) < 2 and found.pixels.std() < 127 / 3


def test_crops_come_in_the_order_of_the_boxes():
    matrix = placed()
    rects = [Rect(x=30 + 5 * k, y=60, width=4, height=4) for k in range(5)]
    scan = paint(matrix, lambda x, y: 10 * np.floor((x - 30) / 5) + 20)
    assert [int(c.pixels.mean().round()) for c in crop(scan, matrix, rects, margin=0)] == [20, 30, 40, 50, 60]


@pytest.mark.parametrize("at", [(-500, -500), (40, 60), (599, 799), (5000, 100)])
def test_what_lies_outside_of_the_scan_is_no_ink(at):
    matrix = placed(centre=at)
    scan = paint(matrix, lambda x, y: np.full_like(x, 210))
    (found,) = crop(scan, matrix)
    assert found.pixels.shape == (90, 78) and (found.pixels == 210).all()


def test_the_preview_is_the_upright_page():
    template = load_template("numeric-a4")
    k = 150 / 25.4
    matrix = np.array([[0, -k, 297 * k - 0.5], [k, 0, -0.5], [0, 0, 1]])  # a quarter turn clockwise
    scan = paint(
        matrix, lambda x, y: np.where((x > 20) & (x < 40) & (y > 30) & (y < 80), 40, 220), (1240, 1754)
    )
    jpeg = upright_preview(scan, registration(matrix), template)
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert image.shape == (297 * PREVIEW_PX_PER_MM, 210 * PREVIEW_PX_PER_MM)
    dark = cv2.boundingRect((image < 130).astype(np.uint8))
    assert np.abs(np.array(dark) - np.array([20, 30, 20, 50]) * PREVIEW_PX_PER_MM).max() <= 1
