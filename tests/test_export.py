"""Marks where they are needed: every byte of a gradebook's file but the marks stays, nobody is guessed."""

import contextlib
import csv
import dataclasses
import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from classroom import grade, save, slip_pixels, write_slip
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from mock_sheets import make_page, make_template, read, review

from omrgrade.classify import load_classifier
from omrgrade.cli import cli
from omrgrade.corrections import Corrections, Decision, page_digest
from omrgrade.errors import OmrgradeError, OutputError
from omrgrade.grading import absent_pupils, mark_sheets
from omrgrade.kept import RUN_FILE
from omrgrade.outputs import load_results
from omrgrade.outputs.export import Options, export
from omrgrade.outputs.export.people import load_people
from omrgrade.outputs.export.pupils import marked
from omrgrade.outputs.export.rawcsv import RawTable
from omrgrade.outputs.results import Results
from omrgrade.records import AnswerKey, Batch, KeyItem, PageReading, Pupil, Roster
from omrgrade.store import Store
from omrgrade.training.boxes import load_boxes, read_all

TEMPLATE = make_template(title="Quiz 1")
KEY = AnswerKey(
    items=(
        KeyItem(item="q1", answers=("12",), points=2),
        KeyItem(item="q2", answers=("7",), points=1.5),
        KeyItem(item="q3", answers=("B",)),
        KeyItem(item="q4", answers=("A+C",), points=0.5),
    )
)
PUPILS = {
    "1001": "Ada Lovelace",
    "1002": "Žofie Malá",
    "0007": "=cmd|x",
    "1004": "Bo Öst",
    "1005": "Eve Absent",
}
ROSTER = Roster(pupils=tuple(Pupil(student_id=n, name=name) for n, name in PUPILS.items()))
FULL = {"1001": 5.0, "1002": 3.0, "0007": 4.0, "1004": 1.5}
"""Points of those with a mark."""


def a_class():
    return [
        make_page("1.png", student="1001"),
        make_page("2.png", student="1002", q1="21"),
        make_page("3.png", student="0007", q3="C"),
        make_page("4.png", student="1004", q1="9", q3="C", q4="D"),
    ]


def results(pages=None, *, key=KEY, roster=ROSTER):
    pages = a_class() if pages is None else pages
    marks = mark_sheets(pages, TEMPLATE, key, roster)
    batch = Batch(pages=tuple(pages), marks=marks, absent=absent_pupils(marks, roster))
    return Results(batch=batch, template=TEMPLATE, key=key, roster=roster)


def run(folder, form, *, given=None, into=None, path=None, **options):
    if into is not None:
        (folder / "download.csv").write_bytes(into)
        options["into"] = folder / "download.csv"
    return export(given or results(), path, form, Options(**options), out=folder)


def cells(data, separator=","):
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), delimiter=separator))


# ---------------------------------------------------------------- who gets a mark


def test_everybody_with_one_sheet_has_a_mark_and_the_others_are_listed_with_the_reason():
    pages = [
        *a_class(),
        make_page("5.png", student="4711"),
        make_page("6.png", student=review("student", "1005"), student_bubbles=read("student_bubbles", "")),
        PageReading(source="7.png", page=1, problem="no printed marks found"),
        make_page("8.png", student="1001", q1="0"),
    ]
    found = marked(results(pages))
    assert {m.student_id: m.points for m in found.marks} == {k: FULL[k] for k in ("1002", "0007", "1004")}
    assert [(u.student_id, u.reason) for u in found.without_mark] == [
        ("1001", "several sheets bear this number"),
        ("1005", "no sheet"),
    ]
    reasons = {u.who: u.reason for u in found.without_pupil}
    assert list(reasons) == [f"{n}.png page 1" for n in (1, 5, 6, 7, 8)]
    assert "also stands on 8.png" in reasons["1.png page 1"]
    assert "not on the roster" in reasons["5.png page 1"]
    assert reasons["6.png page 1"] == "the student number is in doubt"
    assert reasons["7.png page 1"] == "no printed marks found"


def test_a_page_scanned_twice_or_set_aside_is_not_listed():
    pages = a_class()
    pages += [
        dataclasses.replace(pages[0], source="copy.png"),
        dataclasses.replace(pages[1], source="x", digest="x", aside=True),
    ]
    found = marked(results(pages))
    assert len(found.marks) == 4
    assert found.without_pupil == ()


def test_without_a_roster_every_number_counts():
    found = marked(results(roster=None))
    assert [m.student_id for m in found.marks] == list(FULL)
    assert found.without_mark == ()


@pytest.mark.parametrize("form", ["csv", "xlsx", "parquet", "moodle", "blackboard"])
def test_unfinished_reviews_are_refused_unless_asked(tmp_path, form):
    given = results([*a_class()[:3], make_page("4.png", student="1004", q1=review("q1", "12"))])
    with pytest.raises(OutputError, match="not final, readings await review: 1"):
        run(tmp_path, form, given=given)
    assert list(tmp_path.iterdir()) == []
    assert run(tmp_path, form, given=given, even_unreviewed=True).paths


def test_without_a_key_there_is_nothing_to_export(tmp_path):
    with pytest.raises(OutputError, match="without a key"):
        run(tmp_path, "csv", given=results(key=None))


# ---------------------------------------------------------------- files that go back as they came

words = st.text(st.characters(codec="utf-8", exclude_characters="\x00\r"), max_size=8)


@settings(deadline=None)
@given(
    st.lists(st.lists(words, min_size=2, max_size=4), min_size=1, max_size=5),
    st.sampled_from(",;\t"),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_a_table_is_read_as_the_csv_module_reads_it_and_written_as_it_came(
    rows, separator, end, quoting, encoding
):
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, delimiter=separator, lineterminator=end, quoting=quoting)
    writer.writerows([["a", "b", "c"], *rows])
    data = stream.getvalue().encode(encoding)
    table = RawTable(data, "x")
    assert table.bytes() == data
    expected = list(csv.reader(io.StringIO(stream.getvalue(), newline=""), delimiter=separator))
    plain = [row for row in expected if all(c == c.strip() and '"' not in c for c in row)]
    found = [[table.text(n, m) for m in range(len(row))] for n, row in enumerate(table.rows)]
    assert all(row in found for row in plain)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_go_back_as_they_came(data):
    assert RawTable(data, "x").bytes() == data


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 4), words), max_size=6))
def test_what_is_put_is_there_and_nothing_else_changes(changes):
    table = RawTable(b'a,"b, c",d\r\n1,"2"\r\n"x ""y""",,\r\n', "x")
    expected = [["a", "b, c", "d"], ["1", "2"], ['x "y"', "", ""]]
    for row, column, text in changes:
        table.put(row, column, text)
        expected[row] += [""] * (column + 1 - len(expected[row]))
        expected[row][column] = text
    again = list(csv.reader(io.StringIO(table.bytes().decode(), newline="")))
    assert again == expected


# ---------------------------------------------------------------- Canvas

CANVAS = (
    "\ufeffStudent,ID,SIS User ID,SIS Login ID,Section,Notes,Homework 1 (311),Quiz 1 (312),Quiz 2 (313),"
    "Assignments Current Score,Current Score,Final Grade\r\n"
    ",,,,,,,Manual Posting,,,,\r\n"
    "    Points Possible,,,,,,10.00,5.00,20.00,(read only),(read only),(read only)\r\n"
    '"Lovelace, Ada",81,1001,alove,"7b and 7c",,9.50,,,95,95,A\r\n'
    '"Malá, Žofie",82,1002,zmala,7b,"says ""hi""",8,1,,80,80,B\r\n'
    '"cmd, x",83,0007,cmdx,7b,,,,,,,\r\n'
    '"Öst, Bo",84,1004,bost,7b,,7,EX,,70,70,C\r\n'
    '"Absent, Eve",85,1005,eabs,7b,,7,4,,70,70,C\r\n'
    '"Student, Test",86,,5d2a,7b,,,,,,,\r\n'
).encode()


def test_canvas_gets_its_own_file_back_with_one_column_filled(tmp_path):
    done = run(tmp_path, "canvas", into=CANVAS, assignment="Quiz 1")
    after = done.paths[0].read_bytes()
    expected = CANVAS.replace(b'alove,"7b and 7c",,9.50,,', b'alove,"7b and 7c",,9.50,5,')
    expected = expected.replace(b'"says ""hi""",8,1,', b'"says ""hi""",8,3,')
    expected = expected.replace(b"cmdx,7b,,,,", b"cmdx,7b,,,4,")
    assert after == expected
    assert done.paths[0].name == "download-filled.csv"
    assert done.filled.marks == 3
    assert done.filled.changed == ["Malá, Žofie: 1 is now 3"]
    assert done.filled.left == ["Öst, Bo: excused there", "Absent, Eve: no mark"]
    assert done.filled.missing == done.filled.names == done.filled.notes == []


@pytest.mark.parametrize("assignment", ["Quiz 1 (312)", "312", "quiz  1", ""])
def test_the_assignment_is_found_by_title_id_or_the_tests_own_name(tmp_path, assignment):
    after = run(tmp_path, "canvas", into=CANVAS, assignment=assignment).paths[0].read_bytes()
    assert cells(after)[3][7] == "5"


def test_an_assignment_that_is_not_clear_is_not_guessed(tmp_path):
    for wanted in ("Quiz", "Current Score"):
        with pytest.raises(OutputError, match=r"Homework 1 \(311\)', 'Quiz 1 \(312\)', 'Quiz 2 \(313\)"):
            run(tmp_path, "canvas", into=CANVAS, assignment=wanted)
    twins = CANVAS.replace(b"Quiz 2 (313)", b"Quiz 1 (313)")
    with pytest.raises(OutputError, match="several columns"):
        run(tmp_path, "canvas", into=twins, assignment="Quiz 1")
    assert run(tmp_path, "canvas", into=twins, assignment="313").filled.marks == 4


def test_canvas_own_ids_are_no_student_numbers(tmp_path):
    """81 to 84 are Canvas's; a pupil whose number is 82 must not get them."""
    roster = Roster(pupils=tuple(Pupil(student_id=n) for n in ("81", "82", "83", "84")))
    pages = [make_page(f"{n}.png", student=f"00{n}") for n in (81, 82, 83, 84)]
    with pytest.raises(OutputError, match="not in this file"):
        run(tmp_path, "canvas", into=CANVAS, given=results(pages, roster=roster))
    assert (
        run(tmp_path, "canvas", into=CANVAS, given=results(pages, roster=roster), match="ID").filled.marks
        == 3
    )


def test_points_are_converted_only_when_asked(tmp_path):
    as_is = run(tmp_path, "canvas", into=CANVAS, assignment="Quiz 2")
    assert cells(as_is.paths[0].read_bytes())[4][8] == "3"
    assert "worth 20 points there, the test 5" in as_is.filled.notes[0]
    scaled = run(tmp_path, "canvas", into=CANVAS, assignment="Quiz 2", scale=True)
    assert [row[8] for row in cells(scaled.paths[0].read_bytes())[3:7]] == ["20", "12", "16", "6"]


def test_numbers_that_excel_robbed_of_zeros_are_found(tmp_path):
    done = run(tmp_path, "canvas", into=CANVAS.replace(b",0007,", b",7,"), assignment="Quiz 1")
    assert done.filled.marks == 3


def test_people_are_found_by_login_where_there_are_no_student_numbers(tmp_path):
    into = CANVAS.replace(b"SIS User ID,", b"").replace(b",1001,", b",").replace(b",1002,", b",")
    into = (
        into.replace(b",0007,", b",")
        .replace(b",1004,", b",")
        .replace(b",1005,", b",")
        .replace(b"86,,", b"86,")
    )
    into = into.replace(b"Possible,,,,,,", b"Possible,,,,,").replace(b",,,,,,,Manual", b",,,,,,Manual")
    with pytest.raises(OutputError, match="--people"):
        run(tmp_path, "canvas", into=into, assignment="Quiz 1")
    table = tmp_path / "people.csv"
    table.write_text("student_id,login\n1001,ALOVE\n1002,zmala\n0007,cmdx\n1004,bost\n")
    done = run(tmp_path, "canvas", into=into, assignment="Quiz 1", people=load_people(table))
    assert done.filled.marks == 3


def test_a_number_that_fits_with_a_name_that_does_not_is_reported(tmp_path):
    into = CANVAS.replace("Malá, Žofie".encode(), b"Somebody, Else")
    assert run(tmp_path, "canvas", into=into, assignment="312").filled.names == [
        "1002: Žofie Malá here, Somebody, Else there"
    ]


def test_a_number_in_two_rows_gets_no_mark_in_either(tmp_path):
    into = CANVAS.replace(b",1005,", b",1001,")
    done = run(tmp_path, "canvas", into=into, assignment="312")
    assert [line for line in done.filled.left if "several rows" in line] == [
        "Lovelace, Ada: 1001 stands in several rows", "Absent, Eve: 1001 stands in several rows",
    ]  # fmt: skip
    assert cells(done.paths[0].read_bytes())[3][7] == ""


def test_marks_whose_pupil_is_not_in_the_gradebook_are_listed(tmp_path):
    into = b"\r\n".join(line for line in CANVAS.split(b"\r\n") if b"Lovelace" not in line)
    assert run(tmp_path, "canvas", into=into, assignment="312").filled.missing == ["1001 Ada Lovelace"]


def test_the_download_itself_is_never_overwritten(tmp_path):
    with pytest.raises(OutputError, match="would overwrite"):
        run(tmp_path, "canvas", into=CANVAS, assignment="312", path=tmp_path / "download.csv")
    assert (tmp_path / "download.csv").read_bytes() == CANVAS


@pytest.mark.parametrize("into", [b"a,b\n1,2\n", b"PK\x03\x04zip", b""])
def test_other_files_are_refused(tmp_path, into):
    for form in ("canvas", "moodle", "blackboard"):
        with pytest.raises(OutputError, match="is not"):
            run(tmp_path, form, into=into)


def test_a_semicolon_file_with_last_and_first_names(tmp_path):
    into = (
        "LastName;FirstName;ID;SIS User ID;SIS Login ID;Section;Quiz 1 (312)\n"
        "    Points Possible;;;;;;5,00\nLovelace;Ada;81;1001;alove;7b;\nMalá;Žofie;82;1002;zmala;7b;\n"
        "x;cmd;83;0007;c;7b;\nStudent;Test;9;;;7b;\n"
    ).encode()
    done = run(tmp_path, "canvas", into=into)
    assert done.paths[0].read_bytes() == into.replace(b"alove;7b;", b"alove;7b;5").replace(
        b"zmala;7b;", b"zmala;7b;3"
    ).replace(b"c;7b;", b"c;7b;4")
    assert done.filled.notes == []


# ---------------------------------------------------------------- Moodle

MOODLE = (
    'Identifier,"Full name","ID number","Email address",Status,Grade,"Maximum grade","Grade can be changed",'
    '"Last modified (submission)","Last modified (grade)","Feedback comments"\n'
    '"Participant 7001","Ada Lovelace",1001,ada@x.org,"No submission - Not marked",,5.00,Yes,-,-,\n'
    '"Participant 7002","Žofie Malá",1002,zm@x.org,"No submission - Graded",2.00,5.00,Yes,-,'
    '"Thursday, 1 October 2026, 10:15 AM","<p>well, ""done""</p>"\n'
    '"Participant 7003","x cmd",0007,c@x.org,"No submission - Not marked",,5.00,No,-,-,\n'
    '"Participant 7004","Bo Öst",1004,bo@x.org,"No submission - Not marked",,5.00,Yes,-,-,\n'
).encode()


def test_moodle_gets_its_worksheet_back_with_the_grades_filled_in(tmp_path):
    done = run(tmp_path, "moodle", into=MOODLE)
    expected = MOODLE.replace(
        b'ada@x.org,"No submission - Not marked",,', b'ada@x.org,"No submission - Not marked",5,'
    )
    expected = expected.replace(b'Graded",2.00,', b'Graded",3,')
    expected = expected.replace(
        b'bo@x.org,"No submission - Not marked",,', b'bo@x.org,"No submission - Not marked",1.5,'
    )
    assert done.paths[0].read_bytes() == expected
    assert done.filled.left == ["x cmd: locked there"]


def test_moodle_numbers_follow_the_worksheets_own_way_of_writing(tmp_path):
    done = run(tmp_path, "moodle", into=MOODLE.replace(b",5.00,", b',"5,00",'))
    assert b'Not marked","1,5",' in done.paths[0].read_bytes()


def test_a_worksheet_in_another_language_needs_its_columns_named(tmp_path):
    into = (
        MOODLE.replace(b"Identifier", b"ID")
        .replace(b",Grade,", b",Bewertung,")
        .replace(b"ID number", b"Matrikelnummer")
    )
    with pytest.raises(OutputError, match="--assignment"):
        run(tmp_path, "moodle", into=into)
    assert (
        run(tmp_path, "moodle", into=into, assignment="Bewertung", match="Matrikelnummer").filled.marks == 3
    )


def test_more_points_than_moodle_accepts_are_refused_not_lost(tmp_path):
    into = MOODLE.replace(b",5.00,", b",4.00,")
    with pytest.raises(OutputError, match="Ada Lovelace has 5 points, more than the 4 allowed"):
        run(tmp_path, "moodle", into=into)
    assert run(tmp_path, "moodle", into=into, scale=True).filled.marks == 3


def test_a_table_for_moodles_gradebook_by_id_or_email(tmp_path):
    done = run(tmp_path, "moodle", assignment="Quiz, 1")
    rows = cells(done.paths[0].read_bytes())
    assert rows[:2] == [["ID number", "Full name", "Quiz, 1"], ["1001", "Ada Lovelace", "5"]]
    with pytest.raises(OutputError, match="no e-mail"):
        run(tmp_path, "moodle", by="email")
    people = {"1001": ("ada@x.org", "alove"), "1002": ("zm@x.org",), "0007": ("nologin",)}
    done = run(tmp_path, "moodle", by="email", people=people)
    assert [row[0] for row in cells(done.paths[0].read_bytes())] == ["Email address", "ada@x.org", "zm@x.org"]
    assert done.filled.missing == ["0007 =cmd|x", "1004 Bo Öst"]


# ---------------------------------------------------------------- Blackboard

BLACKBOARD = (
    '"Last Name"\t"First Name"\t"Username"\t"Student ID"\t"Last Access"\t"Availability"\t'
    '"Quiz 1 [Total Pts: 5 Score] |1281892"\t"Weighted Total [Total Pts: up to 55 Score] |1281890"\n'
    '"Lovelace"\t"Ada"\t"alove"\t"1001"\t"2026-09-01 20:20:47"\t"Yes"\t""\t"12"\n'
    '"Malá"\t"Žofie"\t"zmala"\t"1002"\t""\t"Yes"\t"3.00"\t""\n'
    '"x"\t"cmd"\t"cmdx"\t"0007"\t""\t"Yes"\t""\t""\n'
)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "utf-8"])
def test_blackboard_gets_its_own_file_back(tmp_path, encoding):
    done = run(tmp_path, "blackboard", into=BLACKBOARD.encode(encoding), path=tmp_path / "up.xls")
    expected = BLACKBOARD.replace('47"\t"Yes"\t""', '47"\t"Yes"\t"5"').replace(
        '07"\t""\t"Yes"\t""', '07"\t""\t"Yes"\t"4"'
    )
    assert done.paths[0].read_bytes() == expected.encode(encoding)
    assert done.filled.changed == []  # 3.00 was 3 already, and stays as it was
    assert done.filled.missing == ["1004 Bo Öst"]


def test_a_column_that_blackboard_works_out_itself_is_not_filled(tmp_path):
    with pytest.raises(OutputError, match=r"'Quiz 1 \[Total Pts: 5 Score\] \|1281892'"):
        run(tmp_path, "blackboard", into=BLACKBOARD.encode(), assignment="Weighted Total")


def test_a_new_column_for_blackboard(tmp_path):
    rows = cells(run(tmp_path, "blackboard").paths[0].read_bytes())
    assert rows[:2] == [["Username", "Quiz 1"], ["1001", "5"]]


# ---------------------------------------------------------------- tables of one's own


def test_csv_has_a_row_a_pupil_and_names_the_rest(tmp_path):
    pages = [*a_class(), make_page("9.png", student="4711")]
    data = run(tmp_path, "csv", given=results(pages)).paths[0].read_bytes()
    rows = list(csv.DictReader(io.StringIO(data.decode(), newline="")))
    assert [row["student_id"] for row in rows] == ["1001", "1002", "0007", "1004", "1005", "4711"]
    assert rows[1]["points"] == "3" and rows[1]["q1"] == "0" and rows[1]["percent"] == "60.0"
    assert rows[2]["name"] == "'=cmd|x"
    assert (rows[4]["status"], rows[4]["points"]) == ("no_mark", "")
    assert rows[5]["status"] == "no_pupil" and "9.png" in rows[5]["note"]


def test_the_workbook_keeps_numbers_numbers_and_text_text(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    path = run(tmp_path, "xlsx").paths[0]
    book = openpyxl.load_workbook(path)
    assert book.sheetnames == ["Marks", "Items", "Answers", "To review"]
    sheet = book["Marks"]
    assert sheet.freeze_panes == "C2"
    header = [cell.value for cell in sheet[1]]
    rows = [dict(zip(header, row, strict=True)) for row in sheet.iter_rows(min_row=2)]
    third = rows[2]
    assert (third["student_id"].value, third["student_id"].data_type) == ("0007", "s")
    assert (third["name"].value, third["name"].data_type) == ("=cmd|x", "s")  # no formula
    assert (third["points"].value, third["points"].number_format) == (4, "0.##")
    assert third["percent"].number_format == "0.0"
    assert len(sheet.conditional_formatting) >= 2 + len(KEY.items)
    assert all(book[name].freeze_panes for name in book.sheetnames)
    assert book["Items"]["A2"].value == "q1"


def test_parquet_keeps_types(tmp_path):
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    paths = run(tmp_path, "parquet").paths
    assert [path.name for path in paths] == [
        "marks.parquet",
        "readings.parquet",
        "items.parquet",
        "answers.parquet",
    ]
    marks = pd.read_parquet(paths[0])
    assert marks["student_id"].tolist() == list(PUPILS)
    assert marks["points"].tolist()[:4] == list(FULL.values())
    assert marks["points"].isna().tolist() == [False] * 4 + [True]
    assert len(pd.read_parquet(paths[1])) == 4 * len(TEMPLATE.fields)


def test_parquet_is_written_part_by_part_with_the_same_rows(tmp_path, monkeypatch):
    pd = pytest.importorskip("pandas")
    parquet = pytest.importorskip("pyarrow.parquet")
    whole = [pd.read_parquet(path) for path in run(tmp_path / "whole", "parquet").paths]
    monkeypatch.setattr("omrgrade.outputs.arrow.GROUP", 3)
    paths = run(tmp_path / "parts", "parquet").paths
    assert parquet.ParquetFile(paths[1]).num_row_groups > 4
    for path, table in zip(paths, whole, strict=True):
        pd.testing.assert_frame_equal(pd.read_parquet(path), table)


def test_formats_that_are_none_are_refused(tmp_path):
    with pytest.raises(OmrgradeError, match="choose from csv"):
        run(tmp_path, "pdf")
    with pytest.raises(OutputError, match="--into"):
        run(tmp_path, "csv", into=CANVAS)
    with pytest.raises(OutputError, match="only a gradebook that it gave out"):
        run(tmp_path, "canvas")
    assert not [p for p in Path(tmp_path).iterdir() if p.name != "download.csv"]


# ---------------------------------------------------------------- the command


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """Two pupils' slips, graded."""
    folder = tmp_path_factory.mktemp("class")
    template = write_slip(folder)
    for pupil in ("11", "12"):
        save(slip_pixels(template, pupil), folder / "scans" / f"{pupil}.png")
    assert grade(folder, "-r", "roster.csv", "--no-overlays").exit_code == 0
    return folder


def cli_export(folder, *arguments):
    with contextlib.chdir(folder):
        return CliRunner().invoke(cli, ["export", "out", *arguments])


def test_the_command_says_where_and_who_is_missing(graded):
    result = cli_export(graded, "-f", "csv", "--even-unreviewed")
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{Path('out/marks-by-pupil.csv')}\n"
    assert "2 marks written" in result.stderr
    assert "13 Cleo Cole: no sheet" in result.stderr
    rows = cells((graded / "out" / "marks-by-pupil.csv").read_bytes())
    assert [row[1] for row in rows[1:3]] == ["Ada Abel", "Ben Berg"]


def settle(folder, page, field, value, **more):
    """A person says what a field of the run says."""
    results = load_results(folder / "out")
    reading = next(p for p in results.batch.pages if p.source.endswith(page))
    with Store.open(folder / "out" / RUN_FILE) as store:
        log = Corrections(store)
        seen = [e.id for e in log.entries(page=(reading.source, 1)) if e.field == field]
        decision = Decision(
            source=reading.source, page=1, digest=page_digest(reading, results.template), action="set",
            version=max(seen, default=0), field=field, value=value, **more,
        )  # fmt: skip
        log.decide([decision], "tester")


def test_confirmed_boxes_are_labelled_as_the_person_said(graded):
    assert cli_export(graded, "-f", "boxes").exit_code != 0  # nobody has confirmed any
    settle(graded, "11.png", "n1", "12")
    settle(graded, "12.png", "n3", "48")  # read as 40
    result = cli_export(graded, "-f", "boxes", "-o", "boxes.npz")
    assert result.exit_code == 0, result.output
    boxes = load_boxes(graded / "boxes.npz")
    assert sorted(boxes.truth.tolist()) == [1, 2, 4, 8]
    assert set(boxes.groups) == {"slip"}
    readings = read_all(boxes, load_classifier())
    values = [reading.value for reading in readings]
    assert values == ["1", "2", "4", "0"]
    with np.load(graded / "boxes.npz") as file:
        assert sorted(set(file["page"])) == ["scans/11.png#1", "scans/12.png#1"]


def test_boxes_of_scans_that_have_moved_are_left_out(graded, tmp_path):
    moved = tmp_path / "moved"
    shutil.copytree(graded / "out", moved / "out")
    settle(moved, "11.png", "n2", "7")
    result = cli_export(moved, "-f", "boxes")
    assert "no longer where they were" in str(result.exception)
