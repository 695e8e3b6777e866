"""Whole numbers in one wide box: what is written is read, what is no number is refused, doubt stays doubt."""

import dataclasses
import functools
import json

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from omrgrade.classify import load_classifier
from omrgrade.cli import cli
from omrgrade.normalize.strings import MOST_PIECES, segment
from omrgrade.numbers import LONGEST, read_number
from omrgrade.numbers.hand import of_one_hand
from omrgrade.pipeline import policy_for, read_numbers
from omrgrade.records import Crop, NumberInk, Policy, Rect, Span
from omrgrade.simulate.handwriting import Digits, Hand, Pen, write_number

PX = 8.0  # per mm
BOX = Rect(x=2, y=2, width=28, height=10)
HAND = Hand(pen=Pen(width=0.5, darkness=0.8), size=0.6, slant=0.05, unsteady=0.3)


@functools.lru_cache
def digits():
    return Digits.load()


@functools.lru_cache
def classifier():
    return load_classifier()


def policy(**changes):
    return dataclasses.replace(policy_for(classifier()), **changes)


def paper(outline=True):
    page = np.full((round(14 * PX), round(32 * PX)), 235, np.uint8)
    if outline:
        corners = ((BOX.x, BOX.y), (BOX.right, BOX.bottom))
        cv2.rectangle(page, *(tuple(round(v * PX) for v in corner) for corner in corners), 60, 2)
    return page


def written(number, *, seed=0, hand=HAND, outline=True):
    """A crop of a box with `number` in it, its outline 2 mm inside."""
    page, ink = paper(outline), np.zeros((round(14 * PX), round(32 * PX)), np.uint8)
    rng = np.random.default_rng(seed)
    write_number(ink, [digits().pick(int(d), rng) for d in number], BOX, (PX, PX), hand, rng)
    page = (page * (1 - hand.pen.darkness * (ink / 255))).astype(np.uint8)
    return Crop(pixels=cv2.GaussianBlur(page, (0, 0), 0.8), margin=round(2 * PX))


def lines(*points, thick=4):
    """A crop with pen strokes: polylines in mm from the box's corner."""
    page = paper()
    for line in points:
        px = np.rint((np.array(line) + np.array([BOX.x, BOX.y])) * PX).astype(np.int32)
        cv2.polylines(page, [px], False, 50, thick, cv2.LINE_AA)
    return Crop(pixels=page, margin=round(2 * PX))


def read(*crops, **changes):
    return read_numbers(crops, classifier(), policy(**changes))


# ---------------------------------------------------------------- what is written is read


def test_numbers_of_one_to_four_digits_are_read():
    truth = [str(n) for n in (0, 7, 10, 42, 95, 100, 368, 507, 1984, 2600)]
    crops = [written(number, seed=seed) for number in truth for seed in range(5)]
    readings = read(*crops)
    wanted = [number for number in truth for _ in range(5)]
    accepted = [(r.value, w) for r, w in zip(readings, wanted, strict=True) if r.status == "read"]
    assert len(accepted) >= 0.75 * len(wanted)
    assert sum(value != want for value, want in accepted) <= 1
    right = sum(r.value == w for r, w in zip(readings, wanted, strict=True))
    assert right >= 0.85 * len(wanted)


def test_the_same_without_knowing_where_the_outline_is():
    crops = [dataclasses.replace(written("368", seed=seed), margin=0) for seed in range(8)]
    values = [reading.value for reading in read(*crops)]
    assert values.count("368") >= 6


def test_touching_digits_are_cut():
    """A 4 and a 2 joined by a stroke are one component, and still two digits."""
    crop = written("42", seed=2)
    ink = segment(crop)
    assert ink.pieces >= 2
    page = crop.pixels.copy()
    dark = np.argwhere(page[24:-24, 24:-24] < 130) + 24
    columns = np.flatnonzero((page[24:-24, 24:-24] < 130).any(axis=0)) + 24
    gap = columns[np.argmax(np.diff(columns))], columns[np.argmax(np.diff(columns)) + 1]
    rows = [int(np.median(dark[dark[:, 1] == column][:, 0])) for column in gap]
    cv2.line(page, (int(gap[0]), rows[0]), (int(gap[1]), rows[1]), 60, 3)
    (reading,) = read(Crop(pixels=page, margin=crop.margin))
    assert reading.value == "42"


@pytest.mark.parametrize("lean", [4.0, 5.0, 6.5])
def test_a_slanted_stroke_is_one_digit(lean):
    """It is as wide as two digits that touch; cut in the middle, both halves looked like a 1."""
    crop = lines([(10, 8.5), (10 + lean, 2)])
    assert {span.cut for span in segment(crop).spans} == {False}
    (reading,) = read(crop)
    assert len(reading.value) <= 1 or reading.status == "review"


def test_an_empty_box_is_blank():
    clean, grainy = paper(), paper().astype(np.int16)
    grainy += np.random.default_rng(0).normal(0, 3, grainy.shape).astype(np.int16)
    for page in (clean, np.clip(grainy, 0, 255).astype(np.uint8)):
        for margin in (0, round(2 * PX)):
            (reading,) = read(Crop(pixels=page, margin=margin))
            assert (reading.status, reading.value) == ("blank", "")


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
def test_resolution_does_not_matter(scale):
    crop = written("95", seed=2)
    size = tuple(round(scale * side) for side in crop.pixels.shape[::-1])
    resized = Crop(
        pixels=cv2.resize(crop.pixels, size, interpolation=cv2.INTER_AREA), margin=round(scale * 16)
    )
    (reading,) = read(resized)
    assert reading.value == "95"


# ---------------------------------------------------------------- what is no number is refused


def test_grades_and_signs_are_not_accepted():
    a = [(9, 8), (11, 2), (13, 8)], [(10, 6), (12.3, 6)]
    plus = [(16, 5), (19, 5)], [(17.5, 3.5), (17.5, 6.5)]
    minus = ([(15, 5), (18, 5)],)
    e = [(13, 2), (10, 2), (10, 8), (13, 8)], [(10, 5), (12.5, 5)]
    h = [(9, 2), (9, 8)], [(9, 5), (13, 5)], [(13, 2), (13, 8)]
    for strokes in (a, (*a, *plus), (*a, *minus), minus, plus, e, (*e, *plus), h, (*h, *a)):
        (reading,) = read(lines(*strokes))
        assert reading.status == "review", reading


def test_a_struck_out_number_is_not_accepted():
    for seed in range(4):
        crop = written("85", seed=seed)
        page = crop.pixels.copy()
        columns = np.flatnonzero((page[30:-30] < 130).sum(axis=0) > 3)[8:-8]
        middle = page.shape[0] // 2
        cv2.line(page, (int(columns[0]) - 12, middle - 6), (int(columns[-1]) + 12, middle + 6), 50, 4)
        cv2.line(page, (int(columns[0]) - 12, middle + 8), (int(columns[-1]) + 12, middle - 4), 50, 4)
        (reading,) = read(Crop(pixels=page, margin=crop.margin))
        assert reading.status == "review"


def test_a_scribble_of_many_pieces_is_a_doubt():
    strokes = [[(1 + 1.6 * n, 2 + n % 3), (1.3 + 1.6 * n, 7)] for n in range(MOST_PIECES + 3)]
    crop = lines(*strokes, thick=2)
    (reading,) = read(crop)
    assert reading.status == "review" and segment(crop).pieces > MOST_PIECES


def test_a_one_at_the_edge_is_not_lost():
    """An upright 1 beside the outline is as straight as print: the number may not be accepted without it."""
    crops = [written("36", seed=seed) for seed in range(20)]
    inked = [np.flatnonzero((crop.pixels[30:-30, 30:-30] < 130).any(axis=0)) + 30 for crop in crops]
    rest = next(crop for crop, columns in zip(crops, inked, strict=True) if columns[0] > 70)  # room for a 1
    for x in (2.6, 3.0, 3.6, 4.2):
        page = rest.pixels.copy()
        cv2.line(page, (round(x * PX), round(3.4 * PX)), (round(x * PX), round(10.4 * PX)), 50, 4)
        for margin in (0, rest.margin):
            (reading,) = read(Crop(pixels=page, margin=margin))
            assert reading.value == "136" or reading.status == "review", (x, margin, reading)


def test_faint_ink_beside_a_number_is_a_doubt():
    crop = written("36", seed=3, outline=False)
    page = crop.pixels.copy()
    cv2.line(page, (34, 40), (30, 80), 205, 4)
    (reading,) = read(Crop(pixels=page, margin=crop.margin))
    assert reading.status == "review"


# ---------------------------------------------------------------- deciding


def ink_of(spans, pieces, **changes):
    facts = {"contrast": 150.0, "noise": 1.0, "lines": 4, **changes}
    return NumberInk(spans=tuple(spans), pieces=pieces, **facts)


def span(start, stop, **changes):
    facts = {"joints": stop - start - 1, "gap": 0.1, "cut": False, "height": 1.0, "width": 0.6, **changes}
    return Span(start=start, stop=stop, image=np.zeros((28, 28), np.uint8), **facts)


def rows(*values):
    """Probabilities: (digit, share) a row, the rest "not a digit"."""
    table = np.zeros((len(values), 11), np.float32)
    for row, (digit, share) in zip(table, values, strict=True):
        row[digit], row[10] = share, 1 - share
    return table


def test_a_number_is_as_sure_as_its_digits_together():
    ink = ink_of([span(0, 1), span(1, 2)], 2)
    reading = read_number(ink, rows((4, 0.99), (2, 0.98)), Policy())
    assert (reading.value, reading.status) == ("42", "read")
    assert reading.confidence == pytest.approx(0.99 * 0.98, abs=1e-4)


def test_two_ways_to_cut_leave_a_doubt_with_both():
    spans = [span(0, 1), span(0, 2, joints=0), span(1, 2, cut=True)]
    reading = read_number(ink_of(spans, 2), rows((1, 0.98), (4, 0.6), (1, 0.99)), Policy())
    assert reading.status == "review"
    assert {reading.value, reading.runner_up} == {"4", "11"}


def test_a_piece_of_the_outline_may_be_left_out():
    spans = [span(0, 1), span(1, 2, print_like=True)]
    reading = read_number(ink_of(spans, 2), rows((7, 0.99), (1, 0.99)), Policy())
    assert reading.status == "review" and {reading.value, reading.runner_up} == {"7", "71"}
    sure = read_number(ink_of(spans, 2), rows((7, 0.99), (1, 0.01)), Policy())
    assert (sure.value, sure.status) == ("7", "read")


def test_more_digits_than_a_number_has_are_a_doubt():
    count = LONGEST + 1
    reading = read_number(
        ink_of([span(n, n + 1) for n in range(count)], count), rows(*[(3, 0.99)] * count), Policy()
    )
    assert reading.status == "review" and reading.value == ""


@given(
    st.lists(st.tuples(st.integers(0, 9), st.floats(0, 1)), min_size=1, max_size=4),
    st.floats(0.5, 1),
)
def test_confidence_lies_between_0_and_1_and_decides(found, accept):
    spans = [span(n, n + 1) for n in range(len(found))]
    reading = read_number(ink_of(spans, len(spans)), rows(*found), Policy(accept_number=accept))
    assert 0 <= reading.confidence <= 1
    assert (reading.status == "read") == (reading.confidence >= accept)
    assert (
        reading.value == "".join(str(digit) for digit, share in found if share > 0) or not reading.confidence
    )


@settings(max_examples=30, deadline=None)
@given(st.integers(5, 90), st.integers(5, 300), st.integers(0, 12), st.integers(0, 2**32 - 1))
def test_any_picture_gives_a_reading(height, width, margin, seed):
    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 256, (height, width), dtype=np.uint8)
    blotches = cv2.GaussianBlur(noise, (0, 0), 4)
    for pixels in (noise, cv2.normalize(blotches, None, 0, 255, cv2.NORM_MINMAX)):
        (reading,) = read(Crop(pixels=pixels, margin=margin))
        assert 0 <= reading.confidence <= 1


# ---------------------------------------------------------------- evaluate


def test_evaluate_measures_numbers(tmp_path):
    crops = [written("42"), written("1984", seed=3), Crop(pixels=paper(), margin=0), lines([(9, 8), (11, 2)])]
    path = tmp_path / "numbers.npz"
    np.savez(path, x=np.stack([c.pixels for c in crops]), y=[42, 1984, -1, -2], group=np.array(["a"] * 4))
    result = CliRunner().invoke(cli, ["evaluate", "--boxes", str(path), "--kind", "number", "--json"])
    assert result.exit_code == 0, result.output
    scores = json.loads(result.stdout)
    assert (scores["digits"], scores["blanks"], scores["not_digits"]) == (2, 1, 1)
    assert scores["accuracy"] == 1.0 and scores["blank_correct_rate"] == 1.0
    single = CliRunner().invoke(cli, ["evaluate", "--boxes", str(path), "--json"])
    assert single.exit_code != 0 and "--kind number" in str(single.exception)


# ---------------------------------------------------------------- one hand


def shape(kind, rng):
    """A closed ring, or an upright stroke; a little different every time: (28, 28)."""
    image = np.zeros((112, 112), np.uint8)
    middle = 56 + rng.integers(-4, 5, 2)
    if kind == "ring":
        cv2.ellipse(image, middle.tolist(), (22 + int(rng.integers(3)), 36), 0, 0, 360, 255, 9)
    else:
        cv2.line(image, (int(middle[0] - 6), 18), (int(middle[0] + 6), 94), 255, 10)
    return cv2.resize(image, (28, 28), interpolation=cv2.INTER_AREA)


def paper_of(kinds, shares, seed=0):
    """Numbers of one digit each, and what a network makes of them: shares of 0, 6 and 1."""
    rng = np.random.default_rng(seed)
    inks = [ink_of([dataclasses.replace(span(0, 1), image=shape(kind, rng))], 1) for kind in kinds]
    table = np.full((len(kinds), 11), 0.001, np.float32)
    table[:, [0, 6, 1]] += np.array(shares, np.float32)
    return inks, list((table / table.sum(axis=1, keepdims=True))[:, None])


def test_a_doubtful_digit_is_what_its_likes_on_the_paper_are():
    kinds = ["ring"] * 9 + ["stroke"] * 9
    shares = [(0.97, 0.02, 0.01)] * 8 + [(0.45, 0.54, 0.01)] + [(0.01, 0.02, 0.97)] * 9
    inks, rows_of = paper_of(kinds, shares)
    found = of_one_hand(inks, rows_of)
    assert found[8][0].argmax() == 0 and found[8][0, 0] > 0.9
    assert all(rows[0].argmax() == (0 if n < 9 else 1) for n, rows in enumerate(found))
    assert all(np.allclose(rows.sum(axis=1), 1, atol=1e-4) for rows in found)


def test_likes_that_disagree_make_a_digit_less_sure():
    inks, rows_of = paper_of(["ring"] * 12, [(0.95, 0.04, 0.01), (0.04, 0.95, 0.01)] * 6)
    assert max(rows[0].max() for rows in of_one_hand(inks, rows_of)) < 0.9


@pytest.mark.parametrize("count", [1, 2])
def test_a_digit_without_likes_stays_as_it_is(count):
    inks, rows_of = paper_of(["ring", "stroke"][:count], [(0.8, 0.19, 0.01), (0.01, 0.19, 0.8)][:count])
    for before, after in zip(rows_of, of_one_hand(inks, rows_of), strict=True):
        assert np.allclose(before, after, atol=0.03)


def test_where_letters_stand_alone_what_looks_like_a_nought_is_doubted():
    letters = [(0.0, 0.0, 0.0)] * 12
    inks, rows_of = paper_of(["stroke"] * 12 + ["ring"], [*letters, (0.95, 0.0, 0.0)])
    rows_of[-1][0, 10] = 0.05
    for rows in rows_of[:-1]:
        rows[0, 10] = 1.0
    assert of_one_hand(inks, rows_of)[-1][0, 0] < 0.9
    assert of_one_hand(inks[-1:], rows_of[-1:])[0][0, 0] > 0.9


def test_papers_are_read_apart_and_in_order():
    crops = [written(number, seed=seed) for seed, number in enumerate(("12", "34", "56", "78", "90", "17"))]
    together = read_numbers(crops, classifier(), policy(), "ababab")
    apart = [read_numbers(crops[n::2], classifier(), policy(), "aaa") for n in (0, 1)]
    assert together[0::2] == apart[0] and together[1::2] == apart[1]


def test_no_paper_no_numbers():
    assert of_one_hand([], []) == []
    assert read_numbers([], classifier(), policy(), []) == []
    (reading,) = read_numbers([Crop(pixels=paper(), margin=0)], classifier(), policy(), ["a"])
    assert reading.status == "blank"
