"""A class list: a row a pupil; whose a mark is follows from its row and the page's part."""

import csv
import io

import numpy as np
import pypdfium2
import pytest

from omrgrade.errors import TemplateError
from omrgrade.grading.classlist import class_rows
from omrgrade.marking import mark_batch
from omrgrade.outputs import write_outputs
from omrgrade.pipeline import read_page
from omrgrade.records import FieldReading, PageReading, Pupil, Roster, Scan
from omrgrade.render import pdf_bytes
from omrgrade.template import load_template

TEMPLATE = load_template("marklist-a4")
ROWS = 36
ROSTER = Roster(pupils=tuple(Pupil(student_id=str(100 + n), name=f"Pupil {n}") for n in range(50)))


def page(marks, part="1", source="list.png"):
    """A page as read: row -> mark, and which part of the list it says it is."""
    fields = [
        FieldReading(
            field="part", kind="choice", value=part, confidence=0.99, status="read" if part else "blank"
        )
    ]
    for row in range(1, ROWS + 1):
        value = marks.get(row, "")
        fields.append(
            FieldReading(
                field=f"row{row}",
                kind="number",
                value=value,
                confidence=0.99,
                status="read" if value else "blank",
            )
        )
    return PageReading(source=source, page=1, fields=tuple(fields))


def table(directory):
    return list(csv.DictReader(io.StringIO((directory / "marklist.csv").read_text(encoding="utf-8-sig"))))


def test_each_mark_goes_to_the_pupil_of_its_row_on_its_part(tmp_path):
    pages = [page({1: "42", 36: "7"}), page({1: "13", 14: "99"}, part="2", source="two.png")]
    batch = mark_batch(pages, TEMPLATE, roster=ROSTER)
    write_outputs(batch, tmp_path, template=TEMPLATE, roster=ROSTER, formats=["marklist", "absent"])
    marks = {row["student_id"]: row["value"] for row in table(tmp_path) if row["value"]}
    assert marks == {"100": "42", "135": "7", "136": "13", "149": "99"}
    assert len(table(tmp_path)) == 50  # everybody has a row, also without a mark
    assert len(batch.absent) == 46 and ROSTER.pupils[0] not in batch.absent


def test_a_page_that_does_not_say_its_part_is_a_doubt():
    rows = list(class_rows(page({1: "42"}, part=""), TEMPLATE, ROSTER))
    assert [row.pupil for row in rows] == [None] and "which part" in rows[0].problem
    few = Roster(pupils=ROSTER.pupils[:20])  # one page: there is nothing to doubt
    (first, *_) = class_rows(page({1: "42"}, part=""), TEMPLATE, few)
    assert first.pupil == few.pupils[0]


def test_a_mark_beyond_the_roster_is_named():
    few = Roster(pupils=ROSTER.pupils[:20])
    beyond = [row for row in class_rows(page({21: "5"}), TEMPLATE, few) if row.pupil is None]
    assert [(row.row, row.reading.value) for row in beyond] == [(21, "5")] and beyond[0].problem


def test_without_a_roster_the_rows_are_listed_by_their_place(tmp_path):
    write_outputs(mark_batch([page({3: "8"})], TEMPLATE), tmp_path, template=TEMPLATE, formats=["marklist"])
    assert [(row["row"], row["value"], row["student_id"]) for row in table(tmp_path)] == [("3", "8", "")]


def test_other_sheets_have_no_mark_list(tmp_path):
    (tmp_path / "marklist.csv").write_text("old")
    sheet = load_template("numeric-a4")
    write_outputs(mark_batch([], sheet), tmp_path, template=sheet, formats=["marklist"])
    assert not (tmp_path / "marklist.csv").exists()


def test_names_are_printed_on_as_many_pages_as_it_takes():
    document = pypdfium2.PdfDocument(pdf_bytes(TEMPLATE, ROSTER))
    texts = [document[n].get_textpage().get_text_range() for n in range(len(document))]
    assert len(texts) == 2
    assert "Pupil 0" in texts[0] and "Pupil 35" in texts[0] and "Pupil 36" in texts[1]
    with pytest.raises(TemplateError, match="room for 144"):
        pdf_bytes(TEMPLATE, Roster(pupils=ROSTER.pupils * 3))
    with pytest.raises(TemplateError, match="no rows"):
        pdf_bytes(load_template("numeric-a4"), ROSTER)


def test_the_printed_bubble_says_which_part_a_page_is():
    document = pypdfium2.PdfDocument(pdf_bytes(TEMPLATE, ROSTER))
    for number in range(2):
        pixels = document[number].render(scale=200 / 72, grayscale=True).to_numpy()
        scan = Scan(
            source="list", page=1, pixels=np.ascontiguousarray(pixels.reshape(pixels.shape[:2])), dpi=200
        )
        readings = {f.field: f for f in read_page(scan, TEMPLATE).fields}
        assert (readings["part"].status, readings["part"].value) == ("read", str(number + 1))
        assert all(readings[f"row{n}"].status == "blank" for n in range(1, ROWS + 1))


@pytest.mark.parametrize("profile", ["scanner", "copier", "photo"])
def test_simulated_lists_are_read(page_factory, profile):
    simulated = page_factory("marklist-a4", seed=4, profile=profile, turn=0)
    image = simulated.image if simulated.image.ndim == 2 else simulated.image.mean(axis=2).astype(np.uint8)
    found = read_page(Scan(source="list", page=1, pixels=np.ascontiguousarray(image), dpi=0), TEMPLATE)
    assert not found.problem
    pairs = [(f.value, simulated.truth[f.field], f.status) for f in found.fields if f.kind == "number"]
    accepted = [(value, truth) for value, truth, status in pairs if status != "review"]
    assert len(accepted) >= 0.6 * len(pairs)
    assert sum(value != truth for value, truth in accepted) <= 1
