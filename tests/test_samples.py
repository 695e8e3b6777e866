"""The bundled class set end to end: what is accepted is right, and the marks are those expected."""

import csv
from pathlib import Path

import pytest

from omrgrade.key import load_key
from omrgrade.pipeline import grade_batch
from omrgrade.roster import load_roster
from omrgrade.template import load_template

SAMPLES = Path(__file__).parent.parent / "samples"
MAX_REVIEW = 0.03  # share of all fields


def rows(name):
    with (SAMPLES / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def batch():
    template = load_template("mixed-letter")
    key = load_key(SAMPLES / "key.csv", template)
    roster = load_roster(SAMPLES / "roster.csv")
    return grade_batch([SAMPLES / "scans"], template, key, roster, jobs=1)


def test_every_page_is_read(batch):
    assert len(batch.pages) == 16
    assert [page.problem for page in batch.pages] == [""] * 16


def test_every_field_is_right_or_under_review(batch):
    truth = {(r["source"], int(r["page"]), r["field"]): r["value"] for r in rows("truth.csv")}
    wrong = [
        (
            page.source,
            page.page,
            field.field,
            truth[Path(page.source).name, page.page, field.field],
            field.value,
        )
        for page in batch.pages
        for field in page.fields
        if field.status != "review" and field.value != truth[Path(page.source).name, page.page, field.field]
    ]
    assert wrong == []


def test_few_fields_are_under_review(batch):
    fields = [field for page in batch.pages for field in page.fields]
    assert sum(field.status == "review" for field in fields) <= MAX_REVIEW * len(fields)


def test_marks_are_those_expected_but_for_what_is_under_review(batch):
    expected = {(r["source"], int(r["page"])): r for r in rows("expected_marks.csv")}
    for sheet in batch.marks:
        row = expected[Path(sheet.source).name, sheet.page]
        waiting = sum(score.max_points for score in sheet.scores if score.outcome == "unresolved")
        assert sheet.total <= float(row["total"]) <= sheet.total + waiting
        assert sheet.maximum == float(row["max"])
        if sheet.status == "ok":
            assert sheet.student_id == row["student_id"]


def test_the_absent_pupil_is_missed(batch):
    present = {row["student_id"] for row in rows("expected_marks.csv")}
    (absent,) = {pupil.student_id for pupil in load_roster(SAMPLES / "roster.csv").pupils} - present
    assert absent in {pupil.student_id for pupil in batch.absent}
