"""The key: what teachers write is understood; every mistake is named with its place and its cure."""

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mock_sheets import make_template

from omrgrade.errors import AnswerKeyError
from omrgrade.key import load_key, unkeyed_items
from omrgrade.records import KeyItem

TEMPLATE = make_template()
PLAIN = "item,answer,points,tolerance,penalty\nq1,12|21,2,,\nq2,7,1.5,0.5,\nq3,b,,,0.25\nq4,c+a|D,1,,\n"
EXPECTED = (
    KeyItem(item="q1", answers=("12", "21"), points=2),
    KeyItem(item="q2", answers=("7",), points=1.5, tolerance=0.5),
    KeyItem(item="q3", answers=("B",), penalty=0.25),
    KeyItem(item="q4", answers=("A+C", "D")),
)


def key_of(tmp_path, content, template=TEMPLATE, name="key.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return load_key(path, template)


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        PLAIN.encode("utf-8-sig"),
        PLAIN.encode("utf-16"),
        PLAIN.encode("utf-16-le"),
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        PLAIN.replace("\n", "\n\n"),
        PLAIN.replace(",", ";").replace(".", ","),
        PLAIN.replace(",", "\t"),
        "sep=;\r\n" + PLAIN.replace(",", ";"),
        PLAIN.replace("item,answer", ' Item ,"ANSWER"'),
        PLAIN.replace("q3", " Q3 ").rstrip("\n"),
        PLAIN.replace("\n", ",\n").replace("penalty,", "penalty,Version"),
        "\n\n,,,,\n" + PLAIN + ",,,,\n",
    ],
    ids=[
        "plain", "bom", "utf-16", "utf-16 without bom", "crlf", "cr", "blank lines", "european",
        "tabs", "sep hint", "header case", "item case", "empty version column", "empty rows",
    ],
)  # fmt: skip
def test_every_common_dress_of_a_csv_gives_the_same_key(tmp_path, content):
    assert key_of(tmp_path, content).items == EXPECTED


def test_a_workbook_gives_the_same_key(tmp_path):
    book = openpyxl.Workbook()
    for row in (
        ["Item", "Answer", "Points", "Tolerance", "Penalty"],
        ["q1", "12|21", 2, None, None],
        [None, None, None, None, None],
        ["q2", 7, 1.5, 0.5, None],
        ["q3", "b", None, None, 0.25],
        ["q4", "c+a|D", 1.0, None, None],
    ):
        book.active.append(row)
    book.save(tmp_path / "key.xlsx")
    assert load_key(tmp_path / "key.xlsx", TEMPLATE).items == EXPECTED


def test_the_digest_is_of_the_file(tmp_path):
    assert (
        key_of(tmp_path, PLAIN).digest
        == key_of(tmp_path, PLAIN).digest
        != key_of(tmp_path, PLAIN + "\n").digest
    )


def test_without_a_template_answers_stay_as_written(tmp_path):
    key = key_of(tmp_path, "item,answer\nanything,x y\n", template=None)
    assert key.items == (KeyItem(item="anything", answers=("x y",)),)


def test_items_of_the_sheet_without_an_answer_are_listed(tmp_path):
    assert unkeyed_items(TEMPLATE, key_of(tmp_path, "item,answer\nq3,A\nq1,1\n")) == ("q2", "q4")


FAULTS = {
    "": "key.csv: is empty; write a header: item,answer",
    "item,points\nq1,2\n": "key.csv:1: column 'answer' is missing",
    "item,answer,point\nq1,2,1\n": "key.csv:1: unknown column; did you mean 'points'? (received 'point')",
    "item,answer,item\nq1,2,q2\n": "key.csv:1: column 'item' is there twice",
    "item,answer\n": "key.csv:1: has a header but no items",
    "item,answer\nq1,1\n\nq1,2\n": 'key.csv:4: column "item": this item already stands at',
    "item,answer\nq1,\n": 'key.csv:2: column "answer": is empty; write what is right for q1',
    "item,answer\n,1\n": 'key.csv:2: column "item": is empty',
    "item,answer\nq1,1|\n": 'key.csv:2: column "answer": nothing stands beside a "|"',
    "item,answer\nq1,1,5\n": "key.csv:2: has a cell under no heading",
    "item,answer,points\nq1,1,two\n": 'key.csv:2: column "points": is not a number; write e.g. 1 or 2.5',
    "item,answer,points\nq1,1,-2\n": 'key.csv:2: column "points": is negative',
    "item,answer,points\nq1,1,nan\n": 'key.csv:2: column "points": is not a number',
    "item,answer,points\nq1,1,inf\n": 'key.csv:2: column "points": is not a number',
    "item,answer,points\nq1,1,1e400\n": 'key.csv:2: column "points": is not a number',
    'item,answer,points\nq1,1,"1,000"\n': 'key.csv:2: column "points": is not a number',
    "item,answer,points\nq1,1,99999999\n": 'key.csv:2: column "points": is larger than 1000000',
    "item,answer,tolerance\nq1,1,-1\n": 'key.csv:2: column "tolerance": is negative',
    "item,answer,tolerance\nq3,B,1\n": 'key.csv:2: column "tolerance": q3 is a choice, not a number',
    "item,answer,penalty\nq1,1,-1\n": 'key.csv:2: column "penalty": is negative; write it without the minus',
    "item,answer,version\nq1,1,A\n": "key.csv:1: column \"version\": sheet 'quiz' has no field",
    "item,answer\nq11,1\n": "sheet 'quiz' has no such item; did you mean 'q1'? (received 'q11')",
    "item,answer\nfoo,1\n": "its items are q1, q2, q3, q4 (received 'foo')",
    "item,answer\nstudent,1001\n": "this says whose sheet it is, not an answer; remove the line",
    "item,answer\nq3,F\n": "q3 has no bubble of that name; its bubbles are A B C D E (received 'F')",
    "item,answer\nq3,A+B\n": 'asks for 2 together; if each of them is right, write "A|B"',
    "item,answer\nq2,1234\n": "q2 holds whole numbers from 0 to 999 (received '1234')",
    "item,answer\nq2,-4\n": "q2 holds whole numbers from 0 to 999",
    "item,answer\nq2,3.5\n": "q2 holds whole numbers from 0 to 999",
    "item,answer\nq2,B\n": "is not a number; q2 is a number, write e.g. 12 (received 'B')",
    'item,answer\nq1,"1\n': "key.csv:2: is not CSV: unexpected end of data",
}


@pytest.mark.parametrize("content", FAULTS, ids=lambda c: repr(c)[:45])
def test_every_mistake_says_where_and_what_to_do(tmp_path, content):
    with pytest.raises(AnswerKeyError) as caught:
        key_of(tmp_path, content)
    assert FAULTS[content] in str(caught.value)
    assert str(tmp_path / "key.csv") in str(caught.value)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "is not UTF-8 text"),
        (
            "item,answer\nq1,é\n".encode("latin-1"),
            'key.csv:2: is not UTF-8 text; save it in the spreadsheet as "CSV',
        ),
        (b"item,answer\nq1,\x001\n", "key.csv:2: is not text"),
        (b"PK\x03\x04 not a zip", "cannot be opened as an Excel workbook"),
        (b"\xd0\xcf\x11\xe0 old", "is an old or password-protected Excel file"),
        (b"\xff\xfei\0t", "is not UTF-8 text"),
    ],
)
def test_files_that_are_no_table_are_refused(tmp_path, content, expected):
    with pytest.raises(AnswerKeyError) as caught:
        key_of(tmp_path, content)
    assert expected in str(caught.value)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(AnswerKeyError, match=r"none\.csv: cannot be read: No such file"):
        load_key(tmp_path / "none.csv")
    with pytest.raises(AnswerKeyError, match="is a folder"):
        load_key(tmp_path)
    with pytest.raises(AnswerKeyError, match="cannot be read"):
        load_key("a\0b")


def test_a_workbook_names_the_sheet_and_row_of_a_mistake(tmp_path):
    book = openpyxl.Workbook()
    book.active.title = "My key"
    book.active.append(["item", "answer"])
    book.active.append(["q1", "x"])
    book.save(tmp_path / "key.xlsx")
    with pytest.raises(
        AnswerKeyError, match=r"key\.xlsx, sheet 'My key', row 2: column \"answer\": is not a number"
    ):
        load_key(tmp_path / "key.xlsx", TEMPLATE)


@given(st.binary(max_size=300) | st.text(max_size=200).map(lambda text: ("item,answer\n" + text).encode()))
def test_any_bytes_give_a_key_or_a_key_error(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(content)
    try:
        key = load_key(path, TEMPLATE)
    except AnswerKeyError:
        return
    assert key.items
