"""Crop -> 28x28: the digit comes back as MNIST has it, whatever the box looks like."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omrgrade.normalize import normalize, normalize_all, to_mnist
from omrgrade.normalize.paper import flatten
from omrgrade.records import Crop
from omrgrade.resources import bundled


@pytest.fixture(scope="module")
def digits():
    with np.load(bundled("models", "mnist.npz")) as data:
        return data["x_test"][:300]


def drawn(digit: np.ndarray, height_px: int) -> np.ndarray:
    """The digit as smooth ink at scan resolution, (h, w) uint8 ink-high."""
    zoom = height_px / 20
    large = cv2.resize(digit, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC)
    return large


def boxed(ink: np.ndarray, *, paper=235, pen=40, line=0.3, side=10.0, dpi=300, line_at=1.0) -> np.ndarray:
    """Put ink into the middle of a printed box of `side` mm with `line` mm thick outline."""
    px = dpi / 25.4
    size = round((side + 2 * line_at) * px)
    page = np.full((size, size), float(paper))
    a, b = round(line_at * px), round((line_at + side) * px)
    if line:
        cv2.rectangle(page, (a, a), (b, b), 20, max(1, round(line * px)))
    top, left = (size - ink.shape[0]) // 2, (size - ink.shape[1]) // 2
    part = page[top : top + ink.shape[0], left : left + ink.shape[1]]
    np.minimum(part, paper - (paper - pen) * (ink / 255.0), out=part)
    return np.clip(page, 0, 255).astype(np.uint8)


def alike(a: np.ndarray, b: np.ndarray) -> float:
    """Best correlation over shifts of a pixel: centring rounds to whole pixels."""
    a, b = (cv2.GaussianBlur(image.astype(np.float32), (0, 0), 0.8) for image in (a, b))
    shifted = [np.roll(a, (dy, dx), (0, 1)).ravel() for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    return max(float(np.corrcoef(view, b.ravel())[0, 1]) for view in shifted)


def test_mnist_digits_are_a_fixed_point_of_their_own_recipe(digits):
    likeness = [alike(to_mnist(digit), digit) for digit in digits]
    assert np.median(likeness) > 0.99
    assert np.mean(np.array(likeness) > 0.9) > 0.97


def test_a_digit_drawn_at_300_dpi_comes_back(digits):
    """7 mm high ink in a 10 mm box, scanned at 300 dpi."""
    likeness = [alike(normalize(Crop(pixels=boxed(drawn(d, 83)), margin=0)).image, d) for d in digits]
    assert np.median(likeness) > 0.97
    assert np.mean(np.array(likeness) > 0.9) > 0.97


@pytest.mark.parametrize("line", [0.15, 0.3, 0.6, 1.2])
@pytest.mark.parametrize("line_at", [0.3, 0.8, 1.2])
def test_the_outline_leaves_no_trace_whatever_its_thickness_and_place(digits, line, line_at):
    likeness = []
    for digit in digits[:40]:
        plain = normalize(Crop(pixels=boxed(drawn(digit, 70), line=0), margin=0))
        lined = normalize(Crop(pixels=boxed(drawn(digit, 70), line=line, line_at=line_at), margin=0))
        assert lined.lines == 4
        likeness.append(alike(plain.image, lined.image))
    assert np.min(likeness) > 0.9


@pytest.mark.parametrize("line", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("paper", [120, 250])
def test_an_empty_box_is_empty(line, paper):
    rng = np.random.default_rng(3)
    box = boxed(np.zeros((4, 4), np.uint8), line=line, paper=paper).astype(float)
    noisy = np.clip(box + rng.normal(0, 3, box.shape), 0, 255).astype(np.uint8)
    assert normalize(Crop(pixels=noisy, margin=0)).empty


@pytest.mark.parametrize("levels", [12, 30, 150])
def test_faint_and_strong_ink_look_the_same(digits, levels):
    for digit in digits[:20]:
        ink = normalize(Crop(pixels=boxed(drawn(digit, 80), paper=230, pen=230 - levels), margin=0))
        assert abs(ink.contrast - levels) < 0.2 * levels + 3
        assert alike(ink.image, digit) > 0.85


def test_a_shadow_across_the_box_is_not_ink(digits):
    for digit in digits[:20]:
        box = boxed(drawn(digit, 80)).astype(float)
        shade = 1 - 0.35 / (1 + np.exp(-(np.arange(box.shape[1]) - box.shape[1] * 0.6) / 4))
        ink = normalize(Crop(pixels=(box * shade).astype(np.uint8), margin=0))
        assert alike(ink.image, digit) > 0.85


def test_a_single_line_may_be_the_bar_of_a_seven():
    """Without a margin to go by, a lone straight stroke along the rim is offered both ways."""
    seven = np.full((40, 40), 255, np.uint8)
    cv2.line(seven, (0, 2), (39, 2), 0, 4)
    cv2.line(seven, (38, 2), (12, 39), 0, 4)
    ink = normalize(Crop(pixels=seven, margin=0))
    assert ink.lines == 1
    assert ink.uncut is not None
    assert ink.uncut.sum() > ink.image.sum()


def test_boxes_do_not_see_their_neighbours(digits):
    """Together or alone, whatever their size and place in the row: the same ink."""
    crops = [
        Crop(pixels=boxed(drawn(digit, 60 + n % 20), line=0.1 * (n % 4), side=9 + n % 3), margin=12 * (n % 2))
        for n, digit in enumerate(digits[:90])
    ]
    crops += [Crop(pixels=np.full((90, 80), 200 + n, np.uint8), margin=0) for n in range(3)]
    crops.append(Crop(pixels=np.zeros((1, 40), np.uint8), margin=0))
    for alone, together in zip(map(normalize, crops), normalize_all(crops), strict=True):
        for name in ("image", "uncut", "restored"):
            one, other = getattr(alone, name), getattr(together, name)
            assert (one is None) == (other is None)
            assert one is None or (one == other).all()
        for name in ("contrast", "noise", "lines", "through"):
            assert getattr(alone, name) == getattr(together, name)


@given(
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    fill=st.sampled_from(["noise", "black", "white", "ramp"]),
    seed=st.integers(0, 9),
)
@settings(max_examples=60, deadline=None)
def test_any_crop_gives_a_28x28_image(height, width, fill, seed):
    rng = np.random.default_rng(seed)
    pixels = {
        "noise": rng.integers(0, 256, (height, width), np.uint8),
        "black": np.zeros((height, width), np.uint8),
        "white": np.full((height, width), 255, np.uint8),
        "ramp": np.linspace(0, 255, height * width).reshape(height, width).astype(np.uint8),
    }[fill]
    ink = normalize(Crop(pixels=pixels, margin=0))
    assert ink.image.shape == (28, 28)
    assert ink.image.dtype == np.uint8
    if fill == "white":
        assert ink.empty


@given(angle=st.floats(0, 6.28), length=st.integers(8, 30), width=st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_mass_is_centred_and_ink_fits_20x20(angle, length, width):
    canvas = np.zeros((80, 80), np.uint8)
    end = int(40 + length * np.cos(angle)), int(40 + length * np.sin(angle))
    cv2.line(canvas, (40, 40), end, 255, width)
    image = to_mnist(canvas)
    y, x = np.indices((28, 28))
    assert image.max() == 255
    assert abs((x * image).sum() / image.sum() - 14) <= 0.6
    assert abs((y * image).sum() / image.sum() - 14) <= 0.6
    assert max(np.ptp(np.nonzero(image)[0]), np.ptp(np.nonzero(image)[1])) < 20


@pytest.mark.parametrize("thickness", [2, 5, 20])
def test_a_nought_that_fills_its_crop_is_never_an_empty_box(thickness):
    """It lies where an outline would; a thick one leaves less paper than ink."""
    crop = np.full((64, 64), 250, np.uint8)
    cv2.ellipse(crop, (32, 32), (31 - thickness // 2, 31 - thickness // 2), 0, 0, 360, 10, thickness)
    ink = normalize(Crop(pixels=crop, margin=0))
    assert not ink.empty or ink.uncut is not None


def test_two_lines_that_meet_at_the_edge_are_a_grids_where_nothing_is_inside():
    crop = np.full((64, 64), 240, np.uint8)
    crop[4:6] = 60
    crop[:, 57:60] = 40
    assert normalize(Crop(pixels=crop, margin=0)).uncut is None
    cv2.line(crop, (40, 20), (25, 50), 40, 4)
    assert not normalize(Crop(pixels=crop, margin=0)).empty


@pytest.mark.parametrize("width", [18, 22, 26])
def test_strokes_thicker_than_any_pen_stay_black_up_to_their_blur(width):
    """A 1 that reaches both edges of its crop is no shadow, nor is the blur along it."""
    grey = np.full((1, 64, 64), 230, np.uint8)
    cv2.line(grey[0], (24, -5), (40, 70), 20, width)
    grey[0] = cv2.GaussianBlur(grey[0], (0, 0), 3)
    ink = grey[0] < 125
    assert flatten(grey)[0][ink].min() > 70


def test_the_bar_of_a_seven_that_hardly_pressed_is_seen_in_a_view_of_its_own():
    """Without it the stem is a 1, and surely so."""
    grey = np.full((120, 90), 235, np.uint8)
    cv2.line(grey, (62, 22), (36, 100), 110, 5, cv2.LINE_AA)
    cv2.line(grey, (12, 24), (60, 22), 208, 5, cv2.LINE_AA)
    ink = normalize(Crop(pixels=cv2.GaussianBlur(grey, (0, 0), 1), margin=0))
    assert ink.faint is not None
    (_, _, wide, _), (_, _, narrow, _) = cv2.boundingRect(ink.faint), cv2.boundingRect(ink.image)
    assert wide > narrow + 3
