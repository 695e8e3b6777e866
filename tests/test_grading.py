"""Scoring: right is right however it is written, and a doubt is neither right nor wrong."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mock_sheets import make_page, make_template, read, review

from omrgrade.grading import (
    absent_pupils,
    confirm_pupils,
    cross_check,
    mark_sheets,
    score_field,
    suggest_pupils,
)
from omrgrade.grading.register import Register
from omrgrade.records import AnswerKey, BoxReading, FieldReading, KeyItem, PageReading, Pupil, Roster

TEMPLATE = make_template()
KEY = AnswerKey(
    items=(
        KeyItem(item="q3", answers=("B",), penalty=0.25),
        KeyItem(item="q1", answers=("12", "21"), points=2),
        KeyItem(item="q2", answers=("7",), points=1.5, tolerance=0.5),
        KeyItem(item="q4", answers=("A+C", "D")),
    )
)
ROSTER = Roster(
    pupils=(
        Pupil(student_id="1001", name="Ada"),
        Pupil(student_id="42", name="Bo"),
        Pupil(student_id="7"),
        Pupil(student_id="007"),
    )
)


def one(page, key=KEY, roster=None):
    return mark_sheets([page], TEMPLATE, key, roster)[0]


# ---------------------------------------------------------------- one item


@pytest.mark.parametrize(
    ("value", "answers", "tolerance", "outcome"),
    [
        ("007", ("7",), 0, "correct"),
        ("7", ("007",), 0, "correct"),
        ("21", ("12", "21"), 0, "correct"),
        ("8", ("7",), 0, "incorrect"),
        ("8", ("7",), 1, "correct"),
        ("9", ("7",), 1, "incorrect"),
        ("3", ("3.1",), 0.1, "correct"),  # in binary, 3.1 - 3 is more than 0.1
        ("0", ("0",), 0, "correct"),
        ("", ("7",), 0, "omitted"),
        ("", ("0",), 0, "omitted"),
    ],
)
def test_numbers_are_compared_as_numbers(value, answers, tolerance, outcome):
    item = KeyItem(item="q2", answers=answers, tolerance=tolerance, points=3, penalty=1)
    score = score_field(read("q2", value), item)
    assert score.outcome == outcome
    assert score.points == {"correct": 3, "incorrect": -1, "omitted": 0}[outcome]
    assert score.max_points == 3


@pytest.mark.parametrize(
    ("value", "answer", "right"),
    [
        ("A+C", "A+C", True),
        ("A+C", "C+A", True),
        ("A", "A+C", False),
        ("A+B+C", "A+C", False),
        ("D", "A+C|D", True),
        ("b", "B", True),
        ("1", "01", False),  # labels, not numbers
    ],
)
def test_choices_are_compared_as_sets_of_marks(value, answer, right):
    item = KeyItem(item="q4", answers=tuple(answer.split("|")))
    assert (score_field(read("q4", value), item).outcome == "correct") is right
    assert score_field(read("q4", value), item).answer == answer


@given(st.text(max_size=5), st.floats(0, 10), st.floats(0, 10))
def test_a_reading_under_review_earns_and_costs_nothing(value, points, penalty):
    item = KeyItem(item="q1", answers=(value or "1",), points=points, penalty=penalty)
    score = score_field(review("q1", value), item)
    assert (score.outcome, score.points, score.max_points) == ("unresolved", 0, points)


# ---------------------------------------------------------------- a sheet


def test_a_sheet_is_scored_in_sheet_order_with_penalties_for_wrong_answers_only():
    sheet = one(make_page(q3="C", q1=""))
    assert [(s.item, s.outcome, s.points) for s in sheet.scores] == [
        ("q1", "omitted", 0),
        ("q2", "correct", 1.5),
        ("q3", "incorrect", -0.25),
        ("q4", "correct", 1),
    ]
    assert (sheet.total, sheet.maximum, sheet.status, sheet.student_id) == (2.25, 5.5, "ok", "1001")


def test_a_total_does_not_fall_below_zero():
    assert one(make_page(q1="", q2="", q3="C", q4="")).total == 0


def test_points_add_up_without_float_noise():
    key = AnswerKey(items=tuple(KeyItem(item=f"q{n}", answers=("1",), points=0.1) for n in (1, 2, 3)))
    sheet = one(make_page(q1="1", q2="1", q3="1"), key)
    assert (sheet.total, sheet.maximum) == (0.3, 0.3)


def test_without_a_key_nothing_is_scored():
    sheet = one(make_page(), key=None)
    assert (sheet.scores, sheet.total, sheet.maximum, sheet.status) == ((), 0, 0, "ok")


def test_a_reading_missing_from_a_page_is_unresolved_not_wrong():
    page = make_page()
    page = dataclasses.replace(page, fields=tuple(f for f in page.fields if f.field != "q1"))
    assert one(page).scores[0].outcome == "unresolved"


def test_an_unreadable_page_keeps_its_reason():
    sheet = one(PageReading(source="x.pdf", page=3, problem="two corners are missing"))
    assert (sheet.status, sheet.problem, sheet.scores) == ("unreadable", "two corners are missing", ())
    assert sheet.maximum == 5.5


VALUES = st.sampled_from(["", "7", "12", "21", "99"])
CHOICES = st.sampled_from(["", "A", "B", "A+C", "D"])
PAGES = st.builds(make_page, q1=VALUES, q2=VALUES, q3=CHOICES, q4=CHOICES)


@given(PAGES, st.sampled_from(["q1", "q2", "q3", "q4"]), VALUES)
def test_what_a_doubtful_reading_guesses_never_changes_the_total(page, field, guess):
    def with_guess(value):
        fields = tuple(review(field, value) if f.field == field else f for f in page.fields)
        return one(dataclasses.replace(page, fields=fields))

    assert with_guess(guess).total == with_guess("").total
    assert with_guess(guess).status == "review"


@given(st.lists(PAGES, max_size=6), st.floats(0, 5, allow_subnormal=False), st.floats(0, 5))
def test_totals_lie_between_zero_and_the_maximum_in_page_order(pages, points, penalty):
    pages = [dataclasses.replace(page, source=f"{n}.png", digest=str(n)) for n, page in enumerate(pages)]
    key = AnswerKey(
        items=tuple(dataclasses.replace(item, points=points, penalty=penalty) for item in KEY.items)
    )
    marks = mark_sheets(pages, TEMPLATE, key)
    assert [sheet.source for sheet in marks] == [page.source for page in pages]
    for sheet in marks:
        assert 0 <= sheet.total <= sheet.maximum
        assert 0 <= sheet.percent <= 100 + 1e-9


# ---------------------------------------------------------------- the same number twice on a sheet


@pytest.mark.parametrize(
    ("digits", "bubbles", "student_id", "to_review"),
    [
        (read("student", "0042"), read("student_bubbles", "0042"), "0042", 0),
        (read("student", "42"), read("student_bubbles", "0042"), "42", 0),
        (read("student", ""), read("student_bubbles", "0042"), "0042", 0),
        (read("student", "0042"), read("student_bubbles", ""), "0042", 0),
        (review("student", "0042"), read("student_bubbles", "0042"), "0042", 1),
        (review("student", "0043"), read("student_bubbles", "0042"), "", 1),
        (review("student", "0042"), read("student_bubbles", ""), "", 1),
        (read("student", "0043"), read("student_bubbles", "0042"), "", 2),
        (review("student", "0042"), review("student_bubbles", "0042"), "", 2),
    ],
)
def test_digits_and_bubbles_of_one_number_support_or_contradict_each_other(
    digits, bubbles, student_id, to_review
):
    sheet = one(make_page(student=digits, student_bubbles=bubbles))
    assert (sheet.student_id, sheet.to_review) == (student_id, to_review)
    assert sheet.status == ("review" if to_review else "ok")


def test_a_contradiction_shows_both_numbers_in_both_fields():
    page = cross_check(make_page(student="1234", student_bubbles=read("student_bubbles", "1284")), TEMPLATE)
    digits, bubbles = page.fields[:2]
    assert (digits.status, digits.value, digits.runner_up) == ("review", "1234", "1284")
    assert digits.reason == "student says 1234, student_bubbles says 1284"
    assert (bubbles.value, bubbles.runner_up) == ("1284", "1234")
    assert digits.confidence == pytest.approx(0.5)
    assert cross_check(page, TEMPLATE) is page


def test_a_page_without_contradictions_is_left_as_it_is():
    page = make_page()
    assert cross_check(page, TEMPLATE) is page


# ---------------------------------------------------------------- roster


@pytest.mark.parametrize(
    ("written", "student_id", "status", "problem"),
    [
        ("1001", "1001", "ok", ""),
        ("0042", "42", "ok", ""),  # the roster's spelling, so that it fits the gradebook
        ("007", "007", "ok", ""),
        ("0007", "0007", "unknown_student", "student number 0007 is not on the roster"),  # 7 or 007?
        ("9999", "9999", "unknown_student", "student number 9999 is not on the roster"),
        ("", "", "unknown_student", "no student number on the sheet"),
    ],
)
def test_numbers_are_looked_up_exactly_then_as_numbers_if_only_one_fits(written, student_id, status, problem):
    sheet = one(make_page(student=written), roster=ROSTER)
    assert (sheet.student_id, sheet.status, sheet.problem.split("; nearest")[0]) == (
        student_id,
        status,
        problem,
    )
    assert sheet.total == 5.5  # flagged, never dropped


def digit_boxes(*likely):
    """A number whose boxes give each digit of `likely` its probability: "12" 0.6/0.3 says 1, perhaps 2."""
    boxes = []
    for digits, shares in likely:
        chances = [0.001] * 10
        for digit, share in zip(digits, shares, strict=True):
            chances[int(digit)] = share
        boxes.append(
            BoxReading(value=digits[0], confidence=shares[0], status="read", probabilities=tuple(chances))
        )
    value = "".join(box.value for box in boxes)
    return FieldReading(
        field="student", kind="digits", value=value, confidence=0.5, status="read", boxes=tuple(boxes)
    )


CLASS = Roster(pupils=tuple(Pupil(student_id=n, name=f"Pupil {n}") for n in ("111", "171", "771", "999")))


def test_an_unknown_number_is_offered_the_pupils_whom_its_boxes_make_likeliest():
    reading = digit_boxes(("1", [0.9]), ("47", [0.7, 0.28]), ("1", [0.95]))  # 141, perhaps 171
    nearest = [pupil.student_id for pupil in Register(CLASS).nearest(reading)]
    assert nearest[0] == "171" and "999" not in nearest
    page = suggest_pupils(PageReading(source="a.png", page=1, fields=(reading,)), TEMPLATE, CLASS)
    assert (page.fields[0].value, page.fields[0].status, page.fields[0].runner_up) == ("141", "read", "171")


def test_a_known_number_is_offered_nobody_else():
    reading = digit_boxes(("1", [0.9]), ("1", [0.9]), ("1", [0.9]))
    page = PageReading(source="a.png", page=1, fields=(reading,))
    assert suggest_pupils(page, TEMPLATE, CLASS).fields[0].runner_up == ""


def doubtful_number(second: tuple[str, list[float]]) -> PageReading:
    """A page whose student number is 1?1, the second box under review."""
    reading = digit_boxes(("1", [0.99]), second, ("1", [0.99]))
    doubt = dataclasses.replace(reading.boxes[1], status="review", reason="unclear")
    boxes = (reading.boxes[0], doubt, reading.boxes[2])
    reading = dataclasses.replace(reading, boxes=boxes, status="review", reason="box 2: unclear")
    return PageReading(source="a.png", page=1, fields=(reading,))


def confirmed(second: tuple[str, list[float]], *numbers: str) -> FieldReading:
    roster = Roster(pupils=tuple(Pupil(student_id=n, name="") for n in numbers))
    return confirm_pupils(doubtful_number(second), TEMPLATE, roster).fields[0]


def test_a_doubtful_number_that_only_one_pupil_can_have_is_accepted():
    reading = confirmed(("47", [0.7, 0.28]), "141", "888")
    assert (reading.value, reading.status, reading.reason) == ("141", "read", "")
    assert 0.999 <= reading.confidence <= 1


def test_a_doubtful_number_stays_one_where_another_pupil_has_the_other_digit():
    assert confirmed(("47", [0.7, 0.28]), "141", "171").status == "review"


def test_a_doubtful_number_of_nobody_on_the_roster_stays_one():
    assert confirmed(("47", [0.7, 0.28]), "171", "888").status == "review"  # offered, see suggest_pupils


def test_a_struck_out_digit_says_nothing_about_which_of_two_pupils_it_is():
    """The reader saw no digit; that it looks a little like a 4 proves nothing."""
    assert confirmed(("47", [0.03, 0.0001]), "141", "171").status == "review"


def test_a_crowded_roster_confirms_nobody():
    every = [f"{n:03d}" for n in range(1000)]
    assert confirmed(("47", [0.9, 0.08]), *every).status == "review"


def test_what_a_person_decided_about_a_number_stands():
    page = doubtful_number(("47", [0.7, 0.28]))
    field = dataclasses.replace(page.fields[0], settled="illegible")
    page = dataclasses.replace(page, fields=(field,))
    roster = Roster(pupils=(Pupil(student_id="141", name=""),))
    assert confirm_pupils(page, TEMPLATE, roster) == page


def test_a_bubbled_number_is_compared_by_its_looks():
    reading = FieldReading(field="student", kind="grid", value="172", confidence=0.9, status="read")
    assert Register(CLASS).nearest(reading)[0].student_id == "171"


def test_a_number_claimed_twice_is_flagged_on_every_sheet():
    pages = [make_page("a.png", student="0042"), make_page("b.png"), make_page("c.pdf", 2, student="42")]
    marks = mark_sheets(pages, TEMPLATE, KEY, ROSTER)
    assert [sheet.status for sheet in marks] == ["duplicate_student", "ok", "duplicate_student"]
    assert marks[0].problem == "student number 42 also stands on c.pdf page 2"
    assert [sheet.total for sheet in marks] == [5.5, 5.5, 5.5]


def test_an_unknown_number_claimed_twice_is_both():
    marks = mark_sheets([make_page("a", student="9"), make_page("b", student="9")], TEMPLATE, KEY, ROSTER)
    assert marks[1].status == "unknown_student"
    assert (
        marks[1].problem == "student number 9 is not on the roster; student number 9 also stands on a page 1"
    )


def test_the_same_page_twice_counts_once():
    first = make_page("a.png", q1=review("q1", "1"))
    marks = mark_sheets([first, dataclasses.replace(first, source="copy.png")], TEMPLATE, KEY, ROSTER)
    assert [sheet.status for sheet in marks] == ["review", "duplicate_page"]
    assert marks[1].problem == "the same page as a.png page 1, not counted"
    assert (marks[1].scores, marks[1].to_review, marks[1].student_id) == ((), 0, "")


def test_absent_are_those_of_whom_no_counted_sheet_is_known():
    copy = dataclasses.replace(make_page("b.png", student="007"), digest="a.png#1")
    marks = mark_sheets([make_page("a.png"), copy], TEMPLATE, KEY, ROSTER)
    assert [pupil.student_id for pupil in absent_pupils(marks, ROSTER)] == ["42", "7", "007"]
    assert absent_pupils(marks, None) == ()


def test_a_sheet_without_identifier_fields_is_nobodys_and_that_is_fine():
    template = make_template(fields=tuple(TEMPLATE.items))
    page = make_page()
    page = dataclasses.replace(page, fields=page.fields[2:])
    assert mark_sheets([page], template, KEY)[0].status == "ok"
