"""The roster: numbers as the school writes them, zeros included; faults named."""

import datetime

import openpyxl
import pytest

from omrgrade.errors import RosterError
from omrgrade.records import Pupil
from omrgrade.roster import load_roster

ADA_BO = (Pupil(student_id="0012", name="Ada Lovelace"), Pupil(student_id="345", name="Bo Žižek"))


def roster_of(tmp_path, content):
    path = tmp_path / "roster.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return load_roster(path)


@pytest.mark.parametrize(
    "content",
    [
        "student_id,name\n0012,Ada Lovelace\n345,Bo Žižek\n",
        "Name,Student Number\nAda Lovelace,0012\nBo Žižek,345\n",
        "ID;Full name;Class\r\n0012;Ada Lovelace;7b\r\n345;Bo Žižek;7b\r\n",
        "id,First Name,Surname\n0012,Ada,Lovelace\n345,Bo,Žižek\n",
        ",student-id,NAME\n0,0012,Ada Lovelace\n1,345,Bo Žižek\n",
        "number\tname\n0012\tAda Lovelace\n345\tBo Žižek\n".encode("utf-16"),
    ],
    ids=[
        "plain",
        "synonyms",
        "european with extra columns",
        "name in two columns",
        "unnamed column",
        "utf-16 tabs",
    ],
)
def test_rosters_out_of_different_systems_are_understood(tmp_path, content):
    assert roster_of(tmp_path, content).pupils == ADA_BO


def test_numbers_alone_are_enough(tmp_path):
    assert roster_of(tmp_path, "student_id\n7\n07\n").pupils == (
        Pupil(student_id="7"),
        Pupil(student_id="07"),
    )


def test_the_exact_heading_wins_over_its_synonyms(tmp_path):
    assert roster_of(tmp_path, "id,student_id\n99,0012\n").pupils == (Pupil(student_id="0012"),)


def test_numbers_in_a_workbook_stay_what_they_look_like(tmp_path):
    book = openpyxl.Workbook()
    for number in ("student_id", 345, "0012", 12345678901234, 678.0, 42):
        book.active.append([number])
    book.active["A6"].number_format = "00000"
    book.save(tmp_path / "roster.xlsx")
    ids = [pupil.student_id for pupil in load_roster(tmp_path / "roster.xlsx").pupils]
    assert ids == ["345", "0012", "12345678901234", "678", "00042"]


def test_a_date_made_by_the_spreadsheet_is_refused(tmp_path):
    book = openpyxl.Workbook()
    book.active.append(["student_id"])
    book.active.append([datetime.date(2024, 1, 2)])
    book.save(tmp_path / "roster.xlsx")
    with pytest.raises(RosterError, match="row 2: column A: the spreadsheet has made a date of this"):
        load_roster(tmp_path / "roster.xlsx")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("student_id,name\n1,A\n1,B\n", 'roster.csv:3: column "student_id": this number already stands at'),
        ("student_id,name\n,A\n", 'roster.csv:2: column "student_id": is empty'),
        ("student_id\n1.23457E+11\n", "the spreadsheet has shortened this number"),
        ("name\nAda\n", "roster.csv:1: column 'student_id' is missing"),
        ("student_id,name\n", "has a header but no pupils"),
        ("", "is empty; write a header: student_id"),
        ("student_id,name\n1,Müller\n".encode("latin-1"), "roster.csv:2: is not UTF-8 text"),
    ],
)
def test_faults_are_named(tmp_path, content, expected):
    with pytest.raises(RosterError) as caught:
        roster_of(tmp_path, content)
    assert expected in str(caught.value)
