"""Versions of a sheet: the field that says which one it is picks the answers; else nothing is scored."""

import pytest

from omrgrade.errors import AnswerKeyError
from omrgrade.key import load_key, unkeyed_items
from omrgrade.marking import mark_batch
from omrgrade.records import FieldReading, PageReading
from omrgrade.template import load_template

SHEET = """omrgrade: 1
name: quiz
title: Quiz
page: A4
registration: {method: aruco, dictionary: 4x4_50, ids: [12, 13, 14, 15], size: 9, margin: 9}
fields:
  - {id: form, kind: choice, role: info, options: [A, B], version: true, at: [40, 40], size: [5, 5], gap: 4}
  - {id: q1..q3, kind: choice, role: item, options: [A, B, C], at: [40, 60],
     size: [5, 5], gap: 4, step: [0, 10]}
"""
KEY = "item,answer,points,version\nq1,A,1,A\nq1,B,2,B\nq2,C,1,a\nq2,A,1,b\nq3,B,1,\n"


@pytest.fixture
def sheet(tmp_path):
    path = tmp_path / "quiz.yaml"
    path.write_text(SHEET)
    return load_template(path)


def key(tmp_path, text, sheet=None):
    path = tmp_path / "key.csv"
    path.write_text(text)
    return load_key(path, sheet)


def page(form, *answers, status="read"):
    said = [("form", form), *((f"q{n}", answer) for n, answer in enumerate(answers, 1))]
    return PageReading(
        source=f"{form}.png",
        page=1,
        fields=tuple(
            FieldReading(
                field=name, kind="choice", value=value, confidence=0.9,
                status=("blank" if not value else status if name == "form" else "read"),
                reason="two marks" if status == "review" and name == "form" and value else "",
            )
            for name, value in said
        ),
    )  # fmt: skip


def test_each_version_has_its_own_right_answers(tmp_path, sheet):
    found = key(tmp_path, KEY, sheet)
    assert found.versions == ("A", "B") and unkeyed_items(sheet, found) == ()
    assert found.total == 4  # of version B, whose q1 is worth 2
    batch = mark_batch(
        [page("A", "A", "C", "B"), page("B", "A", "C", "B"), page("B", "B", "A", "B")], sheet, found
    )
    assert [marks.total for marks in batch.marks] == [3, 1, 4]
    assert [score.answer for score in batch.marks[1].scores] == ["B", "A", "B"]


@pytest.mark.parametrize("unknown", [page("", "A", "C", "B"), page("A", "A", "C", "B", status="review")])
def test_while_the_version_is_not_known_nothing_that_depends_on_it_is_scored(tmp_path, sheet, unknown):
    (marks,) = mark_batch([unknown], sheet, key(tmp_path, KEY, sheet)).marks
    assert [score.outcome for score in marks.scores] == ["unresolved", "unresolved", "correct"]
    assert marks.status == "review" and marks.to_review == 1 and marks.total == 1


def test_a_version_that_the_key_does_not_have_is_not_guessed(tmp_path, sheet):
    only_a = key(tmp_path, "item,answer,version\nq1,A,A\nq2,B,\n", sheet)
    (marks,) = mark_batch([page("B", "A", "B", "B")], sheet, only_a).marks
    assert [score.outcome for score in marks.scores] == ["unresolved", "correct"]


@pytest.mark.parametrize(
    "text, words",
    [
        ("item,answer,version\nq1,A,C\n", "no bubble of that name"),
        ("item,answer,version\nq1,A,A\nq1,B,A\n", "already stands"),
        ("item,answer,version\nq1,A,A\nq2,A,A\nq1,B,B\n", "version B lacks items"),
    ],
)
def test_mistakes_in_the_column_are_named(tmp_path, sheet, text, words):
    with pytest.raises(AnswerKeyError, match=words):
        key(tmp_path, text, sheet)


def test_a_sheet_without_a_version_field_takes_no_versions(tmp_path):
    with pytest.raises(AnswerKeyError, match="version: true"):
        key(tmp_path, "item,answer,version\nq1,12,A\n", load_template("numeric-a4"))
