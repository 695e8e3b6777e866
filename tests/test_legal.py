"""Legal values: what a field cannot hold goes to review, with what it may mean; nothing is changed."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omrgrade.errors import TemplateError
from omrgrade.grading.legal import CHECKS, check_legal, illegal, likeliest
from omrgrade.marking import check_page
from omrgrade.records import BoxReading, FieldReading, Legal, PageReading, Pupil, Roster
from omrgrade.template import load_template

HEAD = """omrgrade: 1
name: quiz
title: Quiz
page: A4
registration: {method: aruco, dictionary: 4x4_50, ids: [12, 13, 14, 15], size: 9, margin: 9}
fields:
"""
NUMBER = (
    "  - {id: n, kind: digits, role: identifier, boxes: 3, at: [40, 40], size: [8, 10], gap: 3, legal: %s}\n"
)


def template(tmp_path, legal, more=""):
    path = tmp_path / "quiz.yaml"
    path.write_text(HEAD + NUMBER % legal + more)
    return load_template(path)


def box(*shares):
    """A box with (digit, probability) choices, likeliest first."""
    probabilities = [0.0] * 10
    for digit, share in shares:
        probabilities[digit] = share
    return BoxReading(
        value=str(shares[0][0]), confidence=shares[0][1], status="read", probabilities=tuple(probabilities)
    )


def reading(*boxes, status="read", reason="", runner_up=""):
    value = "".join(b.value for b in boxes)
    return FieldReading(
        field="n", kind="digits", value=value, confidence=0.9, status=status, reason=reason,
        runner_up=runner_up, boxes=boxes,
    )  # fmt: skip


def checked(sheet, one):
    page = PageReading(source="a.png", page=1, fields=(one,))
    return check_legal(page, sheet).fields[0]


# ---------------------------------------------------------------- what is legal


@pytest.mark.parametrize(
    "legal, good, bad, why",
    [
        (Legal(low=0, high=100), "100", "101", "between 0 and 100"),
        (Legal(low=0, high=100), "007", "-1", "between 0 and 100"),
        (Legal(low=1.5, high=4), "2.5", "1.25", "between 1.5 and 4"),
        (Legal(lengths=(6,)), "000123", "12345", "5 digits, not 6"),
        (Legal(lengths=(1, 2)), "42", "142", "not 1 or 2"),
        (Legal(check="luhn"), "79927398713", "79927398710", "check digit"),
        (Legal(check="ean"), "4006381333931", "4006381333913", "check digit"),
        (Legal(check="mod11"), "0306406152", "0306406125", "check digit"),
        (Legal(), "5", "5+", "not a number"),
    ],
)
def test_a_value_is_legal_or_says_why_not(legal, good, bad, why):
    assert illegal(good, legal) == ""
    assert why in illegal(bad, legal)


@given(st.sampled_from(sorted(CHECKS)), st.text("0123456789", min_size=1, max_size=9), st.data())
def test_a_check_digit_finds_every_single_slip(rule, number, data):
    legal = Legal(check=rule)
    whole = next((number + d for d in "0123456789" if not illegal(number + d, legal)), None)
    if whole is None:
        assert rule == "mod11"  # there, one number in eleven has no check digit
        return
    place = data.draw(st.integers(0, len(whole) - 1))
    other = data.draw(st.sampled_from([d for d in "0123456789" if d != whole[place]]))
    assert illegal(whole[:place] + other + whole[place + 1 :], legal)


# ---------------------------------------------------------------- what becomes of a reading


def test_an_impossible_value_goes_to_review_unchanged_with_the_likeliest_legal_one(tmp_path):
    sheet = template(tmp_path, "{range: [0, 399]}")
    found = checked(sheet, reading(box((7, 0.97), (1, 0.02), (2, 0.005)), box((4, 0.99)), box((0, 0.99))))
    assert (found.value, found.status, found.runner_up) == ("740", "review", "140")
    assert "between 0 and 399" in found.reason


def test_the_suggestion_goes_by_the_boxes_probabilities(tmp_path):
    sheet = template(tmp_path, "{check: luhn}")
    boxes = box((1, 0.99), (7, 0.005)), box((8, 0.6), (3, 0.39)), box((9, 0.7), (3, 0.29))
    found = checked(sheet, reading(*boxes))
    assert found.value == "189" and found.status == "review" and found.runner_up == "133"


def test_a_legal_value_stays_read_and_a_blank_stays_blank(tmp_path):
    sheet = template(tmp_path, "{range: [0, 399]}")
    good = reading(box((1, 0.97)), box((4, 0.99)), box((0, 0.99)))
    blank = FieldReading(field="n", kind="digits", value="", confidence=1.0, status="blank")
    assert checked(sheet, good) is good and checked(sheet, blank) is blank


def test_a_doubt_is_offered_a_legal_alternative(tmp_path):
    sheet = template(tmp_path, "{range: [0, 399]}")
    boxes = box((7, 0.5), (1, 0.4)), box((4, 0.9)), box((0, 0.9))
    found = checked(sheet, reading(*boxes, status="review", reason="box 1: 7 or 1", runner_up="940"))
    assert (found.value, found.runner_up, found.reason) == ("740", "140", "box 1: 7 or 1")
    certain = reading(box((1, 0.5), (7, 0.4)), *boxes[1:], status="review", reason="?", runner_up="740")
    assert checked(sheet, certain).runner_up != "740"


def test_what_a_person_decided_stands(tmp_path):
    sheet = template(tmp_path, "{range: [0, 99]}")
    settled = dataclasses.replace(reading(box((7, 0.9)), box((4, 0.9)), box((0, 0.9))), settled="corrected")
    assert checked(sheet, settled) is settled


def test_checking_twice_changes_nothing_more(tmp_path):
    sheet = template(tmp_path, "{range: [0, 99]}")
    once = checked(sheet, reading(box((7, 0.9), (0, 0.05)), box((4, 0.9)), box((0, 0.9))))
    assert checked(sheet, once) == once


@given(st.lists(st.lists(st.floats(0.001, 1), min_size=10, max_size=10), min_size=1, max_size=6))
def test_any_boxes_give_a_legal_offer_or_none(shares):
    boxes = [box(*sorted(enumerate(row), key=lambda choice: -choice[1])) for row in shares]
    one, legal = reading(*boxes), Legal(check="ean")
    offer = likeliest(one, legal)
    assert offer == "" or (not illegal(offer, legal) and len(offer) == len(boxes) and offer != one.value)


# ---------------------------------------------------------------- with roster and bubbles


def test_the_rosters_pupil_is_offered_for_a_number_that_cannot_be(tmp_path):
    sheet = template(tmp_path, "{range: [100, 199]}")
    roster = Roster(pupils=(Pupil(student_id="140", name="Ada"), Pupil(student_id="141", name="Ben")))
    one = reading(box((7, 0.97), (1, 0.02)), box((4, 0.99)), box((0, 0.6), (1, 0.39)))
    page = check_page(PageReading(source="a.png", page=1, fields=(one,)), sheet, roster)
    assert (page.fields[0].status, page.fields[0].value, page.fields[0].runner_up) == ("review", "740", "140")


def test_digits_and_bubbles_that_differ_are_both_shown(tmp_path):
    twin = (
        '  - {id: b, kind: grid, role: identifier, same_as: n, boxes: 3, options: "0123456789",'
        " at: [120, 40], size: [5, 5], gap: [6, 2]}\n"
    )
    sheet = template(tmp_path, "{range: [0, 399]}", twin)
    one = reading(box((7, 0.97), (1, 0.02)), box((4, 0.99)), box((0, 0.99)))
    two = FieldReading(field="b", kind="grid", value="140", confidence=0.99, status="read")
    page = check_page(PageReading(source="a.png", page=1, fields=(one, two)), sheet, None)
    assert [f.status for f in page.fields] == ["review", "review"]
    assert [f.value for f in page.fields] == ["740", "140"] and page.fields[0].runner_up == "140"


# ---------------------------------------------------------------- in the template


@pytest.mark.parametrize(
    "legal, key",
    [
        ("{range: [9, 0]}", "range"),
        ("{range: [9]}", "range"),
        ("{digits: 0}", "digits"),
        ("{digits: [2, 2.5]}", "digits"),
        ("{check: mod7}", "check"),
        ("{ranges: [0, 9]}", "ranges"),
        ("7", "legal"),
    ],
)
def test_mistakes_name_the_key(tmp_path, legal, key):
    with pytest.raises(TemplateError, match=key):
        template(tmp_path, legal)


def test_rules_are_kept_with_the_field(tmp_path):
    found = template(tmp_path, "{range: [0, 100], digits: [1, 2, 3], check: ean}").field("n").legal
    assert found == Legal(low=0, high=100, lengths=(1, 2, 3), check="ean")
