"""The files a user meets: golden copies, and what must hold for any input."""

import csv
import dataclasses
import errno
import io
import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mock_sheets import make_page, make_template, read, review

from omrgrade.errors import OutputError
from omrgrade.grading import absent_pupils, cross_check, mark_sheets
from omrgrade.outputs import WRITERS, write_outputs
from omrgrade.outputs.csvtext import csv_bytes, number_text, original_text, safe_text
from omrgrade.outputs.drawing import GREEN, shortened, text_width
from omrgrade.outputs.frames import marks_frame, readings_frame
from omrgrade.outputs.items import statistics
from omrgrade.outputs.labels import Label, Word, ink_integral, place
from omrgrade.outputs.names import file_names
from omrgrade.outputs.results import Results
from omrgrade.outputs.summary import marks_table, summary
from omrgrade.records import (
    PREVIEW_PX_PER_MM,
    AnswerKey,
    Batch,
    KeyItem,
    PageReading,
    Pupil,
    Roster,
    RunInfo,
)
from omrgrade.staging import check_directory

GOLDEN = Path(__file__).parent / "golden"
TABLES = ("marks.csv", "readings.csv", "review.csv", "absent.csv", "items.csv", "answers.csv")
TEMPLATE = make_template()
KEY = AnswerKey(
    items=(
        KeyItem(item="q1", answers=("12", "21"), points=2),
        KeyItem(item="q2", answers=("7",), points=1.5),
        KeyItem(item="q3", answers=("B",), penalty=0.25),
        KeyItem(item="q4", answers=("A+C",)),
    ),
    digest="k" * 64,
)
ROSTER = Roster(
    pupils=(
        Pupil(student_id="1001", name="Ada Lovelace"),
        Pupil(student_id="42", name="Žižek, Bo"),
        Pupil(student_id="0007", name="=HYPERLINK(1)"),
    ),
    digest="r" * 64,
)


def blank_preview(width=210, height=297):
    paper = np.full((round(height * PREVIEW_PX_PER_MM), round(width * PREVIEW_PX_PER_MM)), 250, np.uint8)
    return cv2.imencode(".jpg", paper)[1].tobytes()


def make_batch(key=KEY, roster=ROSTER, preview=b""):
    pages = [
        make_page("a.png"),
        make_page("b, c.pdf", 1, student="42", q1="13", q3="C", q4=""),
        make_page("b, c.pdf", 2, student="9999", q2=review("q2", "071", "box 2: torn", runner_up="011")),
        make_page("=cmd.png", student="1234", student_bubbles=read("student_bubbles", "1284"), q3="A"),
        PageReading(source="photo.jpg", page=1, problem="no printed marks found"),
        make_page("d.png", student="42", q3=review("q3", "B+C", "several marks: B, C", confidence=0.2)),
    ]
    pages.append(dataclasses.replace(pages[0], source="copy of a.png"))
    pages = tuple(dataclasses.replace(cross_check(page, TEMPLATE), preview=preview) for page in pages)
    marks = mark_sheets(pages, TEMPLATE, key, roster)
    return Batch(pages=pages, marks=marks, absent=absent_pupils(marks, roster), seconds=1.5)


def write(directory, batch=None, **options):
    batch = batch or make_batch()
    return write_outputs(batch, directory, **{"template": TEMPLATE, "key": KEY, "roster": ROSTER, **options})


def table(path):
    return list(csv.DictReader(io.StringIO(path.read_bytes().decode(), newline=""), strict=True))


# ---------------------------------------------------------------- tables


@pytest.mark.parametrize("name", TABLES)
def test_tables_equal_their_golden_copies(tmp_path, name):
    """`UPDATE_GOLDEN=1 pytest tests/test_outputs.py` renews them; look at the diff before you commit it."""
    write(tmp_path)
    if os.environ.get("UPDATE_GOLDEN"):
        (GOLDEN / name).write_bytes((tmp_path / name).read_bytes())
    assert (tmp_path / name).read_bytes() == (GOLDEN / name).read_bytes()


def test_identical_runs_differ_in_run_json_only(tmp_path):
    batch = make_batch(preview=blank_preview())
    one = write(tmp_path / "one", batch)
    later = dataclasses.replace(batch, seconds=99.0)
    two = write(tmp_path / "two", later, run_info=RunInfo(started="2024-05-01T08:00:00+00:00"))
    assert [path.relative_to(tmp_path / "one") for path in one] == [
        p.relative_to(tmp_path / "two") for p in two
    ]
    different = {a.name for a, b in zip(one, two, strict=True) if a.read_bytes() != b.read_bytes()}
    assert different == {"run.json"}


def test_changed_results_have_statistics_of_their_own():
    results = Results(batch=make_batch(), template=TEMPLATE, key=KEY, roster=ROSTER)
    assert statistics(results) is statistics(results) and statistics(results).sheets > 0
    assert statistics(dataclasses.replace(results, batch=Batch(pages=(), marks=(), absent=()))).sheets == 0


def test_without_a_key_there_are_no_points(tmp_path):
    write(tmp_path, make_batch(key=None), key=None)
    row = table(tmp_path / "marks.csv")[0]
    assert list(row) == ["source", "page", "student_id", "status", "total", "max", "percent", "to_review"]
    assert row["total"] == row["percent"] == ""


def test_an_item_named_like_a_column_does_not_double_it(tmp_path):
    field = dataclasses.replace(TEMPLATE.field("q1"), id="total")
    template = make_template(fields=(field,))
    key = AnswerKey(items=(KeyItem(item="total", answers=("1",)),))
    page = PageReading(source="a", page=1, fields=(read("total", "1", kind="digits"),))
    batch = Batch(pages=(page,), marks=mark_sheets([page], template, key), absent=())
    write_outputs(batch, tmp_path, template=template, key=key, formats=["marks"])
    assert table(tmp_path / "marks.csv")[0]["item_total"] == "1"


def test_review_starts_with_pages_then_the_least_sure_reading(tmp_path):
    write(tmp_path)
    rows = table(tmp_path / "review.csv")
    assert [row["field"] for row in rows[:5]] == [""] * 5
    assert rows[0]["reason"] == "no printed marks found"
    confidences = [float(row["confidence"]) for row in rows[5:]]
    assert confidences == sorted(confidences)
    assert len(confidences) == make_batch().to_review


def test_an_absent_list_of_an_earlier_run_does_not_outlive_its_roster(tmp_path):
    write(tmp_path)
    assert (tmp_path / "absent.csv").exists()
    write(tmp_path, make_batch(roster=None), roster=None)
    assert not (tmp_path / "absent.csv").exists()


def test_the_run_is_described(tmp_path):
    info = RunInfo(started="2024-05-01T08:00:00+00:00", model="m" * 64, settings={"accept": 0.99})
    write(tmp_path, run_info=info)
    run = json.loads((tmp_path / "run.json").read_text("utf-8"))
    assert run["sha256"] == {"template": "t" * 64, "key": "k" * 64, "roster": "r" * 64, "model": "m" * 64}
    assert run["versions"]["numpy"] == np.__version__
    assert run["settings"] == {"accept": 0.99}
    assert run["counts"]["pages"] == 7
    assert sum(run["counts"]["sheets_by_status"].values()) == 7
    assert (run["started"], run["seconds"]) == ("2024-05-01T08:00:00+00:00", 1.5)


def test_data_frames_hold_the_same_tables():
    results = Results(batch=make_batch(), template=TEMPLATE, key=KEY, roster=ROSTER)
    marks = marks_frame(results)
    assert marks["student_id"].tolist()[:2] == ["1001", "42"]
    assert marks["q1"].sum() == 8
    assert len(readings_frame(results)) == 6 * len(TEMPLATE.fields)


# ---------------------------------------------------------------- cells


@pytest.mark.parametrize(
    "text", ["=1+1", "+49 123", "-x", "@SUM(A1)", "\tx", "\rx", "\nx", "＝1", "'=1", "-1-1"]
)
def test_what_a_spreadsheet_would_run_is_made_harmless(text):
    assert safe_text(text) == "'" + text


@pytest.mark.parametrize("text", ["-5", "-0.25", "12", "a=b", "'t Hooft", "", "'"])
def test_other_text_stays_as_it_is(text):
    assert safe_text(text) == text


@given(st.lists(st.lists(st.text(max_size=20), min_size=3, max_size=3), max_size=5))
def test_any_text_survives_the_round_trip_and_runs_nowhere(rows):
    data = csv_bytes(("a", "b", "c"), rows).decode("utf-8")
    back = list(csv.reader(io.StringIO(data, newline=""), strict=True))[1:]
    assert [[original_text(cell) for cell in row] for row in back] == rows
    for cell in (cell for row in back for cell in row):
        assert cell[:1] not in tuple("=+@\t\r\n＝＋－＠")
        assert not cell.startswith("-") or float(cell) <= 0


def test_lines_end_as_rfc_4180_wants_and_odd_file_names_are_kept_readable():
    assert csv_bytes(("a",), [["x\ny"], ['"'], ["\udcff"]]) == b'a\r\n"x\ny"\r\n""""\r\n\\udcff\r\n'


@pytest.mark.parametrize(
    ("value", "text"),
    [(2, "2"), (2.0, "2"), (2.5, "2.5"), (0.1 + 0.2, "0.3"), (-0.25, "-0.25"), (-0.0, "0"), (100, "100")],
)
def test_numbers_carry_no_float_noise(value, text):
    assert number_text(value) == text


# ---------------------------------------------------------------- writing


def leftovers(directory):
    return sorted(path.name for path in directory.iterdir() if path.name.startswith("."))


def test_nothing_but_the_results_stays_behind(tmp_path):
    write(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*TABLES, "run.json", "report.html"])


def test_a_full_disk_leaves_the_older_results_whole(tmp_path, monkeypatch):
    write(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}

    def full(_):
        yield "marks.csv", b"half"
        raise OSError(errno.ENOSPC, "No space left on device", "review.csv")

    monkeypatch.setitem(WRITERS, "review", full)
    with pytest.raises(OutputError) as caught:
        write(tmp_path)
    assert str(caught.value).startswith(
        f"{tmp_path}: the results cannot be written: No space left on device; "
    )
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("x")
    for folder in (tmp_path / "file", tmp_path / "file" / "out"):
        with pytest.raises(OutputError, match="the results cannot be written") as caught:
            write(folder)
        assert str(folder) in str(caught.value)
        with pytest.raises(OutputError):
            check_directory(folder)


def test_a_target_in_the_way_is_named_and_nothing_half_written_stays(tmp_path):
    (tmp_path / "run.json").mkdir()
    (tmp_path / "run.json" / "mine").write_text("x")
    with pytest.raises(OutputError, match=r"received '.*run\.json'"):
        write(tmp_path)
    assert leftovers(tmp_path) == []
    assert (tmp_path / "run.json" / "mine").exists()


def test_checking_a_folder_makes_it_and_leaves_nothing_in_it(tmp_path):
    check_directory(tmp_path / "new" / "out")
    assert list((tmp_path / "new" / "out").iterdir()) == []


def test_a_format_nobody_knows_is_refused(tmp_path):
    with pytest.raises(OutputError, match=r"no such format; choose from marks, .*received 'ods'"):
        write(tmp_path, formats=["marks", "ods"])


# ---------------------------------------------------------------- overlays


def overlay(tmp_path, page, key=KEY):
    batch = Batch(pages=(page,), marks=mark_sheets([page], TEMPLATE, key, ROSTER), absent=())
    paths = write(tmp_path, batch, key=key, formats=["overlays"], preview=lambda _: blank_preview())
    return cv2.imread(str(paths[0])).astype(int)


def colour_between_boxes(picture, field_id):
    """The name of the colour on the paper just right of a digit field's first box."""
    box = TEMPLATE.field(field_id).boxes[0]
    x, y = round((box.right + 0.8) * PREVIEW_PX_PER_MM), round(box.centre[1] * PREVIEW_PX_PER_MM)
    header = picture.shape[0] - round(TEMPLATE.page_height * PREVIEW_PX_PER_MM)
    blue, green, red = picture[header + y - 2 : header + y + 3, x - 1 : x + 2].mean(axis=(0, 1))
    if max(blue, green, red) - min(blue, green, red) < 6:
        return "grey"
    if blue > red and blue >= green:
        return "blue"
    if green > red:
        return "green"
    return "red" if green - blue < 6 else "amber"


@pytest.mark.parametrize(
    ("reading", "key", "colour"),
    [
        (read("q1", "12"), KEY, "green"),
        (read("q1", "13"), KEY, "red"),
        (review("q1", "12"), KEY, "amber"),
        (review("q1", "12"), None, "amber"),
        (read("q1", ""), KEY, "grey"),
        (read("q1", "12"), None, "blue"),
    ],
)
def test_the_colour_of_a_field_tells_its_outcome(tmp_path, reading, key, colour):
    assert colour_between_boxes(overlay(tmp_path, make_page(q1=reading), key), "q1") == colour


def test_a_wrong_choice_is_ringed_red_and_the_right_one_green(tmp_path):
    picture = overlay(tmp_path, make_page(q3="D"))
    header = picture.shape[0] - round(TEMPLATE.page_height * PREVIEW_PX_PER_MM)

    def top_of_ring(option):
        box = TEMPLATE.field("q3").boxes["ABCDE".index(option)]
        x, y = round(box.centre[0] * PREVIEW_PX_PER_MM), round(box.y * PREVIEW_PX_PER_MM)
        return picture[header + y - 2 : header + y, x - 2 : x + 3].mean(axis=(0, 1)).argmax()

    assert (top_of_ring("D"), top_of_ring("B")) == (2, 1)  # blue, green, red


def label(text, size=17):
    return Label((Word(text, GREEN),), size)


def free_page(height=300, width=400):
    return ink_integral(np.full((height, width, 3), 240, np.uint8))


def test_a_label_goes_right_of_its_field_if_that_is_free():
    _, box = place([label("12")], (50, 100, 150, 130), [], free_page())
    assert box[0] > 150
    assert (box[1] + box[3]) / 2 == pytest.approx(115, abs=1)


def test_a_label_goes_elsewhere_rather_than_over_a_field_or_print():
    field, neighbour = (50, 100, 150, 130), (155, 90, 300, 140)
    _, box = place([label("12")], field, [neighbour], free_page())
    assert box[3] < 100  # above
    page = np.full((300, 400, 3), 240, np.uint8)
    cv2.putText(page, "PRINTED WORDS", (40, 92), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (20, 20, 20), 2)
    _, box = place([label("12")], field, [neighbour], ink_integral(page))
    assert box[1] > 130  # below
    shadow = np.full((300, 400, 3), 240, np.uint8)
    shadow[:, 150:] = 60
    _, box = place([label("12")], field, [], ink_integral(cv2.blur(shadow, (61, 61))))
    assert box[0] > 150  # a shadow is no print


def test_where_a_full_label_finds_no_place_a_smaller_one_is_taken():
    around = [(0, 0, 400, 90), (0, 140, 400, 300), (0, 90, 45, 140), (220, 90, 400, 140)]
    full, small = label("a rather long label"), label("short", 13)
    chosen, box = place([full, small], (50, 92, 150, 138), around, free_page())
    assert chosen is small
    assert 150 < box[0] < box[2] <= 220


def test_long_text_in_the_header_is_cut_and_cannot_carry_control_characters():
    text = shortened("a\nvery " * 50, 17, 200)
    assert text.endswith("…")
    assert "\n" not in text
    assert text_width(text, 17) <= 200


def test_previews_are_asked_for_one_page_at_a_time_and_pages_without_one_are_left_out(tmp_path):
    batch = make_batch()
    asked, done = [], []

    def preview(page):
        asked.append(page.source)
        assert len(done) >= len(asked) - 2  # at most one page has no preview
        return blank_preview() if len(asked) != 2 else b""

    paths = write(tmp_path, batch, formats=["overlays"], preview=preview, progress=done.append)
    assert asked == [page.source for page in batch.pages if not page.problem]
    assert [path.parent for path in paths] == [tmp_path / "overlays"] * 5
    assert done == [f"overlays/{path.name}" for path in paths]


def test_a_damaged_preview_costs_only_that_overlay(tmp_path):
    assert write(tmp_path, formats=["overlays"], preview=lambda _: b"\xff\xd8 no jpeg") == ()


@given(
    st.lists(
        st.tuples(
            st.text(max_size=30)
            | st.sampled_from(["../../x.png", "/etc/passwd", "A.png", "a.jpg", ".", "é" * 300]),
            st.integers(1, 3),
        ),
        max_size=8,
    )
)
def test_overlay_names_are_unique_stay_in_their_folder_and_fit_any_system(pages):
    names = file_names(PageReading(source=source, page=page) for source, page in pages)
    assert len({name.casefold() for name in names}) == len(pages)
    for name in names:
        assert Path(name).name == name
        assert not name.startswith(".")
        assert name.endswith(".jpg")
        assert len(name.encode()) <= 255
        assert not set(name) & set('<>:"/\\|?*\0\n')


def test_overlay_names_tell_their_page():
    pages = [
        PageReading(source=s, page=p) for s, p in (("7b/scan 1.jpg", 1), ("all.pdf", 12), ("/abs/x.TIF", 1))
    ]
    assert file_names(pages) == ["7b_scan_1-p1.jpg", "all-p12.jpg", "x-p1.jpg"]


# ---------------------------------------------------------------- words


def test_the_marks_table_has_a_row_a_sheet_in_aligned_columns():
    lines = marks_table(make_batch()).splitlines()
    assert len(lines) == 8
    assert lines[0].split() == ["source", "page", "student_id", "status", "total", "percent", "to_review"]
    assert lines[1].split() == ["a.png", "1", "1001", "ok", "5.5/5.5", "100.0", "0"]
    starts = {line.index(word) for line, word in ((lines[0], "status"), (lines[1], "ok"), (lines[5], "unr"))}
    assert len(starts) == 1
    assert lines[5].split() == ["photo.jpg", "1", "unreadable"]


def test_a_file_name_cannot_steer_the_terminal():
    page = make_page("\x1b[2J王.png")
    batch = Batch(pages=(page,), marks=mark_sheets([page], TEMPLATE), absent=())
    assert "\x1b" not in marks_table(batch)


def test_the_summary_says_what_there_is_to_say():
    assert summary(make_batch(), unkeyed=["q9"]).splitlines() == [
        "7 pages, 1 unreadable, 1.5 s",
        "  photo.jpg page 1: no printed marks found",
        "mean 3.90 of 5.5 points (70.9 %) over 5 sheets before review",
        "4 readings to review on 3 sheets",
        "1 sheet without a known student number",
        "2 sheets with a student number that others claim too",
        "1 page scanned twice, counted once",
        "1 absent (1 sheet without a sure number may be theirs): 0007 =HYPERLINK(1)",
        "not in the key, so not scored: q9",
    ]


def test_the_summary_of_a_clean_batch_is_short():
    page = make_page()
    batch = Batch(pages=(page,), marks=mark_sheets([page], TEMPLATE, KEY), absent=())
    assert summary(batch).splitlines() == ["1 page", "mean 5.50 of 5.5 points (100.0 %) over 1 sheet"]
    assert summary(Batch(pages=(), marks=(), absent=())) == "no pages"
