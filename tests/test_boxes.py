"""What a box's reading promises: only sure, plain ink is read; doubts keep their reason."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from omrgrade.boxes import (
    DIGITS,
    among_others,
    both_views,
    either_view,
    fuller_view,
    read_box,
    vouched_for,
)
from omrgrade.records import Ink, Policy

EMPTY = np.zeros((28, 28), np.uint8)
STROKE = EMPTY.copy()
STROKE[6:22, 13:15] = 255

shares = st.floats(0, 1, width=32)
thresholds = st.floats(0, 1)


@st.composite
def probabilities(draw, classes=(10, 11)):
    """(C,) float32 that sum to 1, from nearly certain to undecided."""
    count = draw(st.sampled_from(classes))
    weights = np.array(draw(st.lists(st.floats(0, 1), min_size=count, max_size=count))) + 1e-9
    weights = weights ** draw(st.sampled_from([1, 3, 10, 40]))
    if not weights.sum():
        weights[:] = 1
    return (weights / weights.sum()).astype(np.float32)


def one_sure(value, confidence=0.999, classes=11):
    """Nearly all on one class, the rest on the last."""
    found = np.zeros(classes, np.float32)
    found[value], found[-1 if value != classes - 1 else 0] = confidence, 1 - confidence
    return found


@st.composite
def inks(draw):
    """Empty, plain or doubtful boxes on any paper."""
    image = draw(st.sampled_from([EMPTY, STROKE]))
    uncut = draw(st.sampled_from([None, STROKE]))
    contrast, noise = draw(st.floats(0, 255)), draw(st.floats(0.5, 40))
    lines, through = draw(st.integers(0, 4)), draw(st.booleans())
    return Ink(image=image, uncut=uncut, contrast=contrast, noise=noise, lines=lines, through=through)


def plain_ink(contrast=120.0):
    return Ink(image=STROKE, contrast=contrast, noise=1.0, lines=4)


# ---------------------------------------------------------------- for whatever comes


@given(inks(), probabilities(), thresholds)
@example(plain_ink(), one_sure(3), 0.0)
@example(plain_ink(), one_sure(3, 1.0), 1.0)
def test_read_means_plain_ink_of_a_digit_that_is_sure_enough(ink, found, accept):
    policy = Policy(accept=accept)
    reading = read_box(ink, found, policy)
    if reading.status == "read":
        assert found[int(reading.value)] == found[:10].max()
        assert not ink.through
        assert reading.confidence >= accept and reading.confidence == pytest.approx(float(found[:10].max()))
        assert not ink.empty and ink.contrast >= policy.faint
        assert reading.reason == ""
    elif reading.status == "review":
        assert reading.reason and reading.value in DIGITS
        assert len(reading.reason) < 60 and reading.reason[0] != " "
    else:
        assert reading.value == reading.runner_up == reading.reason == "" and reading.probabilities == ()


@given(inks(), probabilities(), thresholds, thresholds)
def test_raising_accept_only_turns_read_into_review(ink, found, one, two):
    low, high = (read_box(ink, found, Policy(accept=accept)) for accept in sorted((one, two)))
    assert (low.status, high.status) in {
        ("read", "read"), ("read", "review"), ("review", "review"), ("blank", "blank"),
    }  # fmt: skip
    assert (low.value, low.confidence, low.runner_up) == (high.value, high.confidence, high.runner_up)


@given(probabilities(), thresholds, st.floats(0, 255), st.floats(0.5, 40))
def test_a_box_without_ink_is_blank_whatever_the_network_would_say(found, accept, contrast, noise):
    ink = Ink(image=EMPTY, contrast=contrast, noise=noise, lines=0)
    reading = read_box(ink, found, Policy(accept=accept))
    assert reading.status == "blank" and reading.value == ""


@given(probabilities(), thresholds, st.floats(0, 255), st.floats(0, 60))
@example(one_sure(3), 0.9, 17.9, 18.0)
def test_faint_ink_is_never_accepted(found, accept, contrast, faint):
    reading = read_box(plain_ink(contrast), found, Policy(accept=accept, faint=faint))
    assert contrast >= faint or reading.status != "read"


@given(probabilities(), probabilities(), thresholds)
def test_what_may_be_the_outline_is_never_accepted(cut, uncut, accept):
    ink = Ink(image=EMPTY, uncut=STROKE, contrast=120, noise=1, lines=1)
    if len(cut) == len(uncut):
        assert read_box(ink, either_view(cut, uncut), Policy(accept=accept)).status != "read"


@given(inks(), probabilities(), thresholds)
def test_the_runner_up_is_another_digit_and_no_likelier(ink, found, accept):
    reading = read_box(ink, found, Policy(accept=accept))
    if reading.status != "blank":
        assert reading.runner_up in DIGITS and reading.runner_up != reading.value
        assert found[int(reading.runner_up)] <= found[int(reading.value)]
        assert len(reading.probabilities) == 10
        assert reading.probabilities == pytest.approx(found[:10].tolist(), abs=1e-5)


@given(st.floats(0, 255), st.floats(0, 255), st.floats(0.5, 40))
def test_a_blank_is_surer_the_cleaner_its_paper(one, two, noise):
    """Least sure at a half: that nothing was taken for writing says something too."""
    clean, dirty = (
        read_box(Ink(image=EMPTY, contrast=c, noise=noise, lines=0), one_sure(1), Policy()).confidence
        for c in sorted((one, two))
    )
    assert 0.5 <= dirty <= clean < 1


# ---------------------------------------------------------------- two views of a doubtful outline


@given(probabilities(classes=[11]), probabilities(classes=[11]))
def test_merged_views_are_probabilities_between_the_two(one, two):
    merged = either_view(one, two)
    assert merged.dtype == np.float32 and merged.sum() == pytest.approx(1, abs=1e-5)
    assert (merged >= np.minimum(one, two) - 1e-6).all() and (merged <= np.maximum(one, two) + 1e-6).all()


@given(probabilities())
def test_two_equal_views_are_that_view(found):
    assert either_view(found, found) == pytest.approx(found, abs=1e-6)


@given(st.integers(0, 9), st.integers(0, 9), st.floats(0.995, 1), st.floats(0.995, 1))
def test_of_two_sure_views_the_uncut_one_prevails_but_is_not_sure_any_more(one, two, sure, also_sure):
    merged = either_view(one_sure(one, sure), one_sure(two, also_sure))
    ink = Ink(image=STROKE, uncut=STROKE, contrast=120, noise=1, lines=1)
    reading = read_box(ink, merged, Policy(accept=0.98))
    assert reading.value == DIGITS[two]
    assert reading.status == ("read" if one == two else "review")
    if one != two:
        assert reading.runner_up == DIGITS[one]


@given(st.integers(0, 9), st.floats(0.995, 1))
def test_a_view_that_is_no_digit_leaves_the_word_to_the_other(digit, sure):
    merged = either_view(one_sure(digit, sure), one_sure(10, 0.9999))
    assert merged[digit] == pytest.approx(sure, abs=0.01)
    with_nothing = either_view(np.zeros(11, np.float32), one_sure(digit, sure))
    assert with_nothing[digit] == pytest.approx(sure, abs=0.01)


@given(probabilities(classes=[11]), probabilities(classes=[11]), thresholds)
def test_with_ink_under_the_outline_a_digit_is_as_likely_as_the_worse_view_says(cut, restored, accept):
    merged = both_views(cut, restored)
    assert merged == pytest.approx(both_views(restored, cut))
    reading = read_box(plain_ink(), merged, Policy(accept=accept))
    if reading.status == "read":
        assert min(cut[int(reading.value)], restored[int(reading.value)]) >= accept


# ---------------------------------------------------------------- reasons


def undecided(**values):
    found = np.zeros(11, np.float32)
    for name, value in values.items():
        found[10 if name == "not_digit" else int(name[1:])] = value
    return found


@pytest.mark.parametrize(
    "found, reason",
    [
        (undecided(d1=0.6, d7=0.4), "1 or 7"),
        (undecided(d1=0.3, not_digit=0.7), "not one digit"),
        (undecided(d5=0.8, not_digit=0.15, d6=0.05), "unclear 5"),
    ],
)
def test_a_doubt_says_what_it_is(found, reason):
    reading = read_box(plain_ink(), found, Policy())
    assert (reading.status, reading.reason) == ("review", reason)


def test_weak_ink_is_a_doubt_where_it_is_plainly_a_digit_and_blank_where_it_is_not():
    policy = Policy()
    weak = plain_ink(contrast=policy.faint - 1)
    sure, unsure = read_box(weak, one_sure(4, 0.995), policy), read_box(weak, one_sure(4, 0.7), policy)
    assert (sure.status, sure.value, sure.reason) == ("review", "4", "very faint")
    assert (unsure.status, unsure.value) == ("blank", "")
    outline = replace(weak, image=EMPTY, uncut=STROKE, contrast=120.0)
    reading = read_box(outline, one_sure(1, 0.995), policy)
    assert (reading.status, reading.reason) == ("review", "the box's outline, or 1")


@given(st.integers(0, 9), st.integers(0, 9), st.floats(0.9, 1), st.floats(0.6, 1))
def test_a_faint_stroke_that_makes_another_digit_is_a_doubt(one, two, sure, also_sure):
    merged = fuller_view(one_sure(one, sure), one_sure(two, also_sure), one_sure(one, sure))
    if one == two:
        assert merged == pytest.approx(one_sure(one, sure))
    else:
        reading = read_box(plain_ink(), merged, Policy(accept=0.5))
        assert reading.status == "review" and {reading.value, reading.runner_up} == {str(one), str(two)}


@given(st.integers(0, 9), st.floats(0.9, 1))
def test_faint_ink_that_makes_no_digit_changes_nothing(digit, sure):
    plain = one_sure(digit, sure)
    assert fuller_view(plain, one_sure(10, 0.99), plain) == pytest.approx(plain)


@given(st.integers(0, 9), st.integers(0, 9), st.integers(0, 10))
def test_faint_ink_beside_a_line_says_nothing_of_a_digit_that_was_read_with_the_line(seven, two, one):
    assume(seven != one)  # its bar was taken for a line: what is left is another digit, or none
    merged = fuller_view(one_sure(seven, 0.97), one_sure(two, 0.9), one_sure(one, 0.99))
    assert merged == pytest.approx(one_sure(seven, 0.97))


def test_a_box_whose_outline_may_hide_ink_is_neither_blank_nor_read():
    reading = read_box(
        Ink(image=EMPTY, contrast=60.0, noise=1.0, lines=4, clings=True), one_sure(1), Policy()
    )
    assert (reading.value, reading.status, reading.reason) == ("", "review", "empty, or ink on the outline")


# ---------------------------------------------------------------- a paper's boxes beside one another

UNCLEAR = one_sure(4, 0.9)
"""A 4 of confidence 0.9; the rest says that it is no digit."""


def paper(*boxes):
    """Class probabilities of a paper's boxes, all of plain ink, after they were compared."""
    return among_others(np.stack(boxes), np.ones(len(boxes), bool))


def test_a_box_alone_stays_as_it_is():
    assert paper(UNCLEAR)[0] == pytest.approx(UNCLEAR, abs=1e-6)


def test_an_unclear_digit_among_thirty_clear_ones_is_likelier_a_digit():
    found = paper(UNCLEAR, *[one_sure(n % 10) for n in range(30)])
    assert found[0, 4] > 0.96


def test_an_unclear_digit_among_struck_out_ones_is_less_likely_one():
    found = paper(UNCLEAR, *[one_sure(n) for n in range(10)], *[one_sure(10) for _ in range(5)])
    assert found[0, 4] < 0.85


def test_struck_out_digits_among_clear_ones_stay_no_digits():
    found = paper(one_sure(10), *[one_sure(n % 10) for n in range(200)])
    assert found[0].argmax() == 10 and found[0, 10] > 0.97


@given(st.lists(probabilities(classes=(11,)), min_size=1, max_size=12), st.data())
def test_the_company_of_a_box_never_makes_another_digit_of_it(boxes, data):
    plain = np.array(data.draw(st.lists(st.booleans(), min_size=len(boxes), max_size=len(boxes))))
    before = np.stack(boxes)
    after = among_others(before, plain)
    assert after.shape == before.shape and (after >= 0).all()
    assert after[~plain] == pytest.approx(before[~plain])
    assert after.sum(axis=1) == pytest.approx(before.sum(axis=1), abs=1e-5)
    digits = slice(0, len(DIGITS))
    shares = before[:, digits] / before[:, digits].sum(axis=1, keepdims=True)
    again = after[:, digits] / after[:, digits].sum(axis=1, keepdims=True)
    assert again == pytest.approx(shares, abs=1e-4)  # only how likely it is a digit at all may change


def test_two_views_that_contradict_one_another_are_no_sign_of_other_ink():
    torn = both_views(one_sure(3), one_sure(8))
    found = paper(torn, *[one_sure(n % 10) for n in range(30)])
    assert found[0] == pytest.approx(torn)


def test_a_network_that_knows_digits_only_has_nothing_to_compare():
    assert paper(one_sure(4, 0.9, classes=10))[0] == pytest.approx(one_sure(4, 0.9, classes=10))


@pytest.mark.parametrize(
    ("lightest", "seen"), [(200.0, True), (90.0, True), (40.0, False), (10.0, False), (0.0, False)]
)
def test_ink_far_lighter_than_the_rest_of_a_paper_may_not_be_the_pupils(lightest, seen):
    contrast = np.array([210.0, 200.0, 0.0, 180.0, 0.0, lightest])
    assert vouched_for(contrast).tolist() == [True, True, False, True, False, seen]


def test_a_paper_written_in_faint_pencil_is_one_pupils_ink():
    assert vouched_for(np.array([25.0, 30.0, 22.0])).all()
    assert not vouched_for(np.zeros(3)).any()
