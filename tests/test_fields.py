"""From boxes to a field's value: what is an answer and what a person must see."""

import pytest

from omrgrade.fields import KINDS
from omrgrade.records import BoxReading, Field, Rect


def read(value, confidence=0.99):
    return BoxReading(value=value, confidence=confidence, status="read", runner_up="9")


def doubt(value, confidence=0.4):
    return BoxReading(value=value, confidence=confidence, status="review", reason="faint mark", runner_up="9")


BLANK = BoxReading(value="", confidence=0.99, status="blank")


def field(kind, boxes, **more):
    rects = tuple(Rect(x=10.0 * n, y=0, width=5, height=5) for n in range(boxes))
    return Field(id="f", kind=kind, role=more.pop("role", "item"), boxes=rects, **more)


def choice(*boxes, multiple=False):
    options = tuple("ABCDE"[: len(boxes)])
    return KINDS["choice"](field("choice", len(boxes), options=options, multiple=multiple), boxes)


def grid(*columns):
    options = tuple("012")
    boxes = [box for column in columns for box in column]
    return KINDS["grid"](field("grid", len(boxes), options=options), boxes)


def number(*boxes, role="item"):
    return KINDS["digits"](field("digits", len(boxes), role=role), boxes)


@pytest.mark.parametrize(
    ("boxes", "multiple", "value", "status"),
    [
        ([BLANK, BLANK, BLANK], False, "", "blank"),
        ([BLANK, read("B"), BLANK], False, "B", "read"),
        ([read("A"), BLANK, read("C")], False, "A+C", "review"),
        ([read("A"), BLANK, read("C")], True, "A+C", "read"),
        ([BLANK, doubt("B"), BLANK], False, "B", "review"),
        ([read("A"), doubt("B", 0.8), BLANK], False, "A", "review"),
        ([read("A"), doubt("B", 0.8), doubt("C", 0.2)], True, "A+B", "review"),
        ([doubt("A", 0.3), doubt("B", 0.6), BLANK], False, "B", "review"),
    ],
)
def test_a_choice_is_none_one_or_several(boxes, multiple, value, status):
    reading = choice(*boxes, multiple=multiple)
    assert (reading.value, reading.status) == (value, status)
    assert reading.boxes == tuple(boxes)


def test_a_doubtful_choice_names_each_bubble_and_why():
    assert choice(read("A"), doubt("B"), read("C")).reason == "B: faint mark; several marks: A, C"


def test_a_guess_that_leaves_a_likely_mark_out_is_unsure():
    likely, unlikely = choice(read("A"), doubt("B", 0.8)), choice(read("A"), doubt("B", 0.1))
    assert likely.confidence == pytest.approx(0.99 * 0.2)
    assert unlikely.confidence == pytest.approx(0.99 * 0.9)
    assert likely.runner_up == "B"


@pytest.mark.parametrize(
    ("columns", "value", "status", "reason"),
    [
        ([[BLANK] * 3, [BLANK] * 3], "", "blank", ""),
        ([[BLANK, read("1"), BLANK], [read("0"), BLANK, BLANK]], "10", "read", ""),
        ([[BLANK, read("1"), BLANK], [BLANK] * 3], "1", "review", "no mark in column 2"),
        (
            [[BLANK, read("1"), read("2")], [read("0"), BLANK, BLANK]],
            "[1+2]0",
            "review",
            "column 1: several marks: 1, 2",
        ),
        (
            [[BLANK, doubt("1"), BLANK], [read("0"), BLANK, BLANK]],
            "10",
            "review",
            "column 1: 1: faint mark",
        ),
    ],
)
def test_a_grid_has_one_mark_a_column(columns, value, status, reason):
    reading = grid(*columns)
    assert (reading.value, reading.status, reading.reason) == (value, status, reason)


@pytest.mark.parametrize(
    ("boxes", "role", "value", "status"),
    [
        ([BLANK, BLANK, BLANK], "item", "", "blank"),
        ([read("4"), read("2"), BLANK], "item", "42", "read"),
        ([BLANK, read("4"), read("2")], "item", "42", "read"),
        ([read("4"), BLANK, read("2")], "item", "42", "review"),
        ([read("4"), read("2"), BLANK], "identifier", "42", "review"),
        ([read("4"), doubt("2"), BLANK], "item", "42", "review"),
    ],
)
def test_a_number_has_no_gap(boxes, role, value, status):
    reading = number(*boxes, role=role)
    assert (reading.value, reading.status) == (value, status)


def test_a_number_is_as_sure_as_its_boxes_together():
    reading = number(read("4", 0.9), read("2", 0.5))
    assert reading.confidence == pytest.approx(0.45)
    assert reading.runner_up == "49"
