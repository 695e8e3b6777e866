"""Marked copies: whose they are, what was right, and the same marks as everywhere else."""

import contextlib
import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np
import pypdfium2
import pytest
from classroom import grade, save, slip_pixels, write_slip
from click.testing import CliRunner
from mock_sheets import make_page, make_template, read, review

from omrgrade.cli import cli
from omrgrade.grading import absent_pupils, mark_sheets
from omrgrade.outputs import load_results
from omrgrade.outputs.annotate import class_file, pupils_files
from omrgrade.outputs.results import Results
from omrgrade.records import PREVIEW_PX_PER_MM, AnswerKey, Batch, KeyItem, PageReading, Pupil, Roster, Sheet

TEMPLATE = make_template()
KEY = AnswerKey(
    items=(
        KeyItem(item="q1", answers=("12",), points=2),
        KeyItem(item="q2", answers=("7", "8"), points=1.5),
        KeyItem(item="q3", answers=("B",)),
        KeyItem(item="q4", answers=("A+C",)),
    )
)
ROSTER = Roster(
    pupils=(
        Pupil(student_id="42", name="王小明"),
        Pupil(student_id="1001", name="Ada/../Love*lace"),
        Pupil(student_id="7", name="Přemysl Dvořák"),
    )
)


def paper():
    size = round(297 * PREVIEW_PX_PER_MM), round(210 * PREVIEW_PX_PER_MM)
    return cv2.imencode(".jpg", np.full(size, 245, np.uint8))[1].tobytes()


def results(*pages, roster=ROSTER):
    pages = [dataclasses.replace(page, preview=paper()) for page in pages]
    marks = mark_sheets(pages, TEMPLATE, KEY, roster)
    batch = Batch(pages=tuple(pages), marks=marks, absent=absent_pupils(marks, roster))
    return Results(batch=batch, template=TEMPLATE, key=KEY, roster=roster)


def texts(data):
    """The text of every page."""
    return [page.get_textpage().get_text_range() for page in pypdfium2.PdfDocument(data)]


def pixels(data, page=0, scale=2.0):
    return pypdfium2.PdfDocument(data)[page].render(scale=scale).to_numpy()[..., :3].astype(int)


def colours_near(data, box, scale=4.0):
    """Whether there is red and green (as in the marks) within 2 mm of a box on the first page."""
    factor = (297 - 13) / 297
    left, right = ((1 - factor) * 105 + factor * v for v in (box.x - 2, box.right + 2))
    top, bottom = (13 + factor * v for v in (box.y - 2, box.bottom + 2))
    mm = scale * 72 / 25.4
    part = pixels(data, scale=scale)[
        round(top * mm) : round(bottom * mm), round(left * mm) : round(right * mm)
    ]
    blue, green, red = part[..., 0], part[..., 1], part[..., 2]
    return bool((red - np.maximum(green, blue) > 60).any()), bool((green - np.maximum(red, blue) > 40).any())


def one(page, **options):
    ((_, data),) = pupils_files(results(page), **options)
    return data


def test_a_pupils_copy_has_name_total_points_and_the_right_answers():
    (text,) = texts(one(make_page(student="7", q1="13", q2="", q4="A+C")))
    for expected in ("7", "2 / 5.5", "36 %", "12", "0/2", "7 or 8", "0/1.5", "1/1"):
        assert expected in text


def test_right_answers_can_be_left_out():
    (text,) = texts(one(make_page(student="1001", q1="13", q2="", q3="D"), answers=False))
    assert "7 or 8" not in text
    assert "0/2" in text


def test_the_marked_bubble_has_its_verdict_and_the_missed_one_is_shown():
    boxes = dict(zip("ABCDE", TEMPLATE.field("q3").boxes, strict=True))
    wrong = one(make_page(student="1001", q3="D"))
    assert colours_near(wrong, boxes["D"]) == (True, False)
    assert colours_near(wrong, boxes["B"]) == (False, True)
    assert colours_near(one(make_page(student="1001", q3="D"), answers=False), boxes["B"]) == (False, False)
    assert colours_near(one(make_page(student="1001", q3="B")), boxes["B"]) == (False, True)


def test_what_awaits_review_gets_a_question_mark_and_no_verdict():
    (text,) = texts(one(make_page(student="1001", q1=review("q1", "12"))))
    assert "?" in text
    assert "2/2" not in text
    assert "1 not settled yet" in text


def test_names_in_any_script_are_printed():
    def strip(name):
        roster = Roster(pupils=(Pupil(student_id="42", name=name),))
        ((_, data),) = pupils_files(results(make_page(student="42"), roster=roster))
        return (pixels(data)[:60, :300] < 120).sum()

    assert strip("王小明") > strip("") + 50
    assert strip("Přemysl Dvořák") > strip("") + 200


def test_a_file_a_pupil_safe_on_any_system_and_a_file_for_all_in_roster_order():
    given = results(
        make_page("1.png", student="1001"),
        make_page("2.png", student="7"),
        make_page("3.png", student="42"),
        make_page("4.png", student=review("student", "7"), student_bubbles=read("student_bubbles", "")),
        make_page("5.png", student="9999"),
        PageReading(source="6.png", page=1, problem="no printed marks found"),
    )
    names = [name for name, _ in pupils_files(given)]
    assert names == [
        "1001_Ada_.._Love_lace.pdf", "7_Přemysl_Dvořák.pdf", "42_王小明.pdf", "unknown_4.png.pdf", "9999.pdf",
    ]  # fmt: skip
    name, data = class_file(given)
    assert name == "class.pdf"
    assert ["1001" in text for text in texts(data)] == [False, True, False, False, False]
    bookmarks = [entry.get_title() for entry in pypdfium2.PdfDocument(data).get_toc()]
    assert bookmarks[0] == "王小明  42"
    assert len(bookmarks) == len(pypdfium2.PdfDocument(data)) == 5


def test_the_same_sheets_give_the_same_bytes_and_the_sheets_own_size():
    page = make_page(student="1001")
    assert one(page) == one(page)
    width, height = pypdfium2.PdfDocument(one(page))[0].get_size()
    assert (width * 25.4 / 72, height * 25.4 / 72) == pytest.approx((210, 297), abs=0.1)


def test_a_page_without_a_picture_still_gets_its_marks():
    given = results(make_page(student="1001"))
    given = dataclasses.replace(given, preview=lambda page: b"")
    ((_, data),) = pupils_files(given)
    assert "5.5 / 5.5" in texts(data)[0]


# ---------------------------------------------------------------- the command


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("class")
    template = write_slip(folder)
    for pupil in ("11", "12"):
        save(
            slip_pixels(template, pupil, turn=180 if pupil == "12" else 0), folder / "scans" / f"{pupil}.png"
        )
    assert grade(folder, "-r", "roster.csv").exit_code == 0  # which keeps pictures of the pages
    return folder


def annotate(folder, *arguments):
    with contextlib.chdir(folder):
        return CliRunner().invoke(cli, ["annotate", "out", *arguments])


def test_unfinished_reviews_are_refused_unless_asked(graded):
    if load_results(graded / "out").batch.to_review:
        assert "await review" in str(annotate(graded, "-o", "copies").exception)
        assert not (graded / "copies").exists()
    result = annotate(graded, "-o", "copies", "--even-unreviewed")
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in (graded / "copies").iterdir()) == [
        "11_Ada_Abel.pdf",
        "12_Ben_Berg.pdf",
    ]
    result = annotate(graded, "-o", "copies", "--even-unreviewed", "--together", "--no-answers")
    assert result.stdout.endswith("class.pdf\n")


def test_pages_come_from_the_scans_while_these_are_there_upright_and_finer(graded):
    def page():
        result = annotate(graded, "-o", "all", "--even-unreviewed", "--together")
        assert result.exit_code == 0, result.output
        data = (graded / "all" / "class.pdf").read_bytes()
        (picture,) = pypdfium2.PdfDocument(data)[1].get_objects(filter=[pypdfium2.raw.FPDF_PAGEOBJ_IMAGE])
        return picture.get_px_size()[0], pixels(data, 1)

    fine, scanned = page()
    (graded / "scans").rename(graded / "moved")
    coarse, kept = page()
    (graded / "moved").rename(graded / "scans")
    assert (fine, coarse) == (round(105 * 7.0), round(105 * PREVIEW_PX_PER_MM))
    assert np.abs(scanned - kept).mean() < 12  # the same page, the same way up


class OneByOne(Sequence):
    """Pages that count how many of them have been asked for, as a long run's come from its file."""

    def __init__(self, pages):
        self.pages, self.taken = pages, 0

    def __len__(self):
        return len(self.pages)

    def __getitem__(self, index):
        self.taken = index + 1
        return self.pages[index]


def test_pages_are_held_only_until_the_last_one_of_their_pupil_has_come():
    given = results(*(make_page(f"{n}.png", student=pupil) for n, pupil in enumerate(("1001", "7", "42"))))
    pages, marks = OneByOne(given.batch.pages), given.batch.marks
    apart = dataclasses.replace(given, batch=dataclasses.replace(given.batch, pages=pages))
    found = [(name, pages.taken) for name, _ in pupils_files(apart)]
    assert [taken for _, taken in found] == [1, 2, 3]
    marks = (*marks[:2], dataclasses.replace(marks[2], student_id="1001"))
    sheets = tuple(
        Sheet(marks=marks[places[0]], pages=places, templates=("",) * len(places), complete=True)
        for places in ((0, 2), (1,))
    )
    batch = dataclasses.replace(given.batch, pages=pages, marks=marks, sheets=sheets)
    together = list(pupils_files(dataclasses.replace(given, batch=batch)))
    assert [name for name, _ in together] == ["7_Přemysl_Dvořák.pdf", "1001_Ada_.._Love_lace.pdf"]
    assert [len(texts(data)) for _, data in together] == [1, 2]
