"""Several pages a pupil: which scan is which page of whom, whatever the order; what is missing, double or
foreign is listed, and never marked as if all were there."""

import contextlib
import csv
import io
import random
import re
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import zxingcpp
from classroom import grade, run_omrgrade, save, table, tables
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pypdfium2 import PdfDocument
from test_grading import read

from omrgrade.cli import cli
from omrgrade.errors import TemplateError
from omrgrade.grading import NOT_COUNTED
from omrgrade.grading.collate import Placed, group_pages
from omrgrade.grading.sheets import mark_set
from omrgrade.outputs import load_results
from omrgrade.pipeline import read_page
from omrgrade.records import AnswerKey, KeyItem, PageReading, Pupil, Roster, Scan
from omrgrade.render import pdf_bytes
from omrgrade.render.prefilled import prefilled_pdf
from omrgrade.review.byhand import read_by_hand, templates_offered
from omrgrade.review.desk import Desk
from omrgrade.review.pictures import Pictures
from omrgrade.roster import load_roster
from omrgrade.simulate import simulate_page
from omrgrade.template import load_template
from omrgrade.template.pages import sheet_set

SIDE = """\
omrgrade: 1
name: {name}
title: Quiz, {name}
page: [105, 148]
registration: {{method: aruco, dictionary: 4x4_50, ids: {ids}, size: 8, margin: 6}}
fields:
  {number}
  - {{id: {items}, kind: choice, role: item, options: ABCD, at: [22, 70], size: [5, 5], gap: 4,
     step: [0, 10]}}
"""
NUMBER = """- {id: pupil, kind: grid, role: identifier, options: "0123456789", boxes: 2,
     at: [70, 24], size: [4.5, 4.5], gap: [5, 1.5]}"""
IDS = {"front": [20, 21, 22, 23], "back": [24, 25, 26, 27]}
ITEMS = {"front": "q1..q4", "back": "q5..q7"}
ANSWERS = {"front": "ABCD", "back": "DCB"}
PUPILS = ("11", "12", "13")
KEY = "item,answer,points\n" + "".join(
    f"q{n},{answer},1\n" for n, answer in enumerate(ANSWERS["front"] + ANSWERS["back"], 1)
)
ROSTER = "student_id,name\n11,Ada Abel\n12,Ben Berg\n13,Cleo Cole\n"


def side_text(name, *, number=NUMBER, ids=None, items=None):
    return SIDE.format(name=name, ids=ids or IDS[name], number=number, items=items or ITEMS[name])


def load_sides(folder, texts):
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text)
    return [load_template(folder / f"{name}.yaml") for name in texts]


@pytest.fixture(scope="module")
def sides(tmp_path_factory):
    """Templates of front and back, both with the student number."""
    return load_sides(tmp_path_factory.mktemp("sides"), {name: side_text(name) for name in IDS})


def values(template, pupil, wrong=()):
    items = dict(zip([f.id for f in template.items], ANSWERS[template.name], strict=True))
    return {"pupil": pupil, **items, **dict.fromkeys(wrong, "A")}


def pixels(template, filled, seed=0):
    page = simulate_page(template, seed=seed, profile="clean", values=filled)
    return page.image[::2, ::2]


@pytest.fixture(scope="module")
def scans(sides):
    """(side, pupil) -> pixels: 11 and 12 all right, 13 with q5 wrong."""
    return {
        (side.name, pupil): pixels(
            side, values(side, pupil, ["q5"] if (side.name, pupil) == ("back", "13") else [])
        )
        for side in sides
        for pupil in PUPILS
    }


@pytest.fixture
def classroom(tmp_path, sides):
    load_sides(tmp_path, {name: side_text(name) for name in IDS})
    (tmp_path / "key.csv").write_text(KEY)
    (tmp_path / "roster.csv").write_text(ROSTER)
    return tmp_path


def grade_sides(folder, *arguments):
    return grade(folder, "-t", "back.yaml", "-r", "roster.csv", *arguments, template="front.yaml")


def states(folder):
    return {(row["student_id"], row["template"], row["status"]) for row in table(folder / "out/pages.csv")}


def marks(folder):
    return {row["student_id"]: (row["status"], row["total"]) for row in table(folder / "out/marks.csv")}


# ---------------------------------------------------------------- from scans to marks


def test_pages_in_any_order_make_one_row_a_pupil(classroom, scans):
    order = sorted(scans)
    random.Random(3).shuffle(order)
    for n, which in enumerate(order):
        save(scans[which], classroom / f"scans/{n}.png")
    done = grade_sides(classroom)
    assert done.exit_code == 0, done.output
    assert marks(classroom) == {"11": ("ok", "7"), "12": ("ok", "7"), "13": ("ok", "6")}
    assert states(classroom) == {(pupil, side, "ok") for side, pupil in scans}
    items = [name for name in table(classroom / "out/marks.csv")[0] if name.startswith("q")]
    assert items == ["q1", "q2", "q3", "q4", "q5", "q6", "q7"]
    rows = table(classroom / "out/readings.csv")
    assert {(row["student_id"], row["points"]) for row in rows if row["field"] == "q5"} == {
        ("11", "1"), ("12", "1"), ("13", "0"),
    }  # fmt: skip
    assert len(table(classroom / "out/items.csv")) == 7


@pytest.fixture
def troubled(classroom, sides, scans):
    """11 complete, 12 without a back, 13 with two fronts; a sheet of another kind; a page of nobody."""
    for side, pupil in (("back", "11"), ("front", "12"), ("front", "13"), ("back", "13"), ("front", "11")):
        save(scans[side, pupil], classroom / f"scans/{side}-{pupil}.png")
    save(pixels(sides[0], values(sides[0], "13", ["q2"]), seed=1), classroom / "scans/again.png")
    other = load_sides(classroom, {"other": side_text("other", ids=[30, 31, 32, 33], items="q1..q4")})[0]
    save(pixels(other, {"pupil": "12"}), classroom / "scans/other.png")
    save(pixels(sides[1], values(sides[1], "")), classroom / "scans/nameless.png")
    return classroom


def test_missing_double_and_foreign_pages_are_listed_and_get_no_total(troubled):
    done = grade_sides(troubled)
    assert done.exit_code == 4
    assert states(troubled) == {
        ("11", "front", "ok"), ("11", "back", "ok"), ("12", "front", "ok"), ("12", "back", "missing"),
        ("13", "front", "double"), ("13", "back", "ok"), ("", "back", "unassigned"), ("", "", "unreadable"),
    }  # fmt: skip
    rows = table(troubled / "out/marks.csv")
    assert [(row["student_id"], row["status"], row["total"]) for row in rows] == [
        ("13", "double_page", ""), ("11", "ok", "7"), ("12", "missing_page", ""),
        ("", "unknown_student", ""), ("", "unreadable", ""),
    ]  # fmt: skip
    assert "back is missing" in done.stderr and "front is there 2 times" in done.stderr
    problem = next(
        row["problem"] for row in table(troubled / "out/pages.csv") if row["status"] == "unreadable"
    )
    assert "back, front: markers of another template" in problem
    reasons = [row["reason"] for row in table(troubled / "out/review.csv")]
    assert any("back is missing" in reason for reason in reasons)
    assert any("again.png page 1" in reason and "front-13.png page 1" in reason for reason in reasons)


def test_two_processes_and_a_resumed_run_give_the_same_files(troubled):
    grade_sides(troubled)
    first = tables(troubled / "out")
    again = grade_sides(troubled)
    assert "8 of them read before" in again.stderr and tables(troubled / "out") == first
    shutil.rmtree(troubled / "out")
    grade_sides(troubled, "-j", "2")
    assert tables(troubled / "out") == first


def test_a_cluster_gives_the_same_files(troubled):
    pytest.importorskip("distributed")
    grade_sides(troubled)
    first = tables(troubled / "out")
    shutil.rmtree(troubled / "out")
    line = ["scans", "-t", "front.yaml", "-t", "back.yaml", "-k", "key.csv", "-r", "roster.csv", "-o", "out"]
    done = run_omrgrade(troubled, "grade", *line, "--no-overlays", "--cluster", "local", "-j", 1)
    assert done.returncode == 4, done.stderr
    assert tables(troubled / "out") == first


def test_a_person_settles_what_is_missing_or_double(troubled):
    grade_sides(troubled)
    desk = Desk(troubled / "out", who="T")
    found = {(t.kind, desk.sheet(t.page)[0].source) for t in desk.troubles()}
    assert found == {
        ("unreadable", "scans/other.png"), ("unknown_student", "scans/nameless.png"),
        ("missing_page", "scans/front-12.png"), ("double_page", "scans/again.png"),
        ("double_page", "scans/front-13.png"),
    }  # fmt: skip

    def decide(source, action):
        n = desk.place(source, 1)
        desk.decide([desk.decision(n, "", 0, action, "", 0)])

    decide("scans/again.png", "aside")
    decide("scans/front-12.png", "whole")
    assert {t.kind for t in desk.troubles()} == {"unreadable", "unknown_student"}
    done = load_results(troubled / "out").batch
    rows = {row.student_id: row for row in done.rows if row.status == "ok"}
    assert {number: row.total for number, row in rows.items()} == {"11": 7, "12": 4, "13": 6}
    outcomes = {score.item: score.outcome for score in rows["12"].scores}
    assert outcomes["q4"] == "correct" and outcomes["q5"] == "omitted"
    desk.undo(desk.recent()[0].id)
    assert "missing_page" in {t.kind for t in desk.troubles()}


def test_a_page_that_was_not_found_joins_its_sheet_when_a_person_shows_its_corners(classroom, sides, scans):
    save(scans["front", "11"], classroom / "scans/front.png")
    torn = np.array(scans["back", "11"])
    torn[: torn.shape[0] // 8] = 255
    save(torn, classroom / "scans/torn.png")
    grade_sides(classroom)
    desk = Desk(classroom / "out", who="T")
    offered = {one["name"]: one["corners"] for one in templates_offered(desk)}
    assert [*offered][:2] == ["front", "back"]
    n = desk.place("scans/torn.png", 1)
    again, how = read_by_hand(desk, Pictures(desk), n, "back", offered["back"])
    desk.reread(n, again, how, 0)
    assert not desk.troubles()
    (row,) = load_results(classroom / "out").batch.rows
    assert (row.student_id, row.status, row.total) == ("11", "ok", 7)


def test_everything_that_follows_takes_all_pages(classroom, scans):
    for (side, pupil), picture in scans.items():
        if (side, pupil) != ("back", "12"):
            save(picture, classroom / f"scans/{pupil}-{side}.png")
    grade_sides(classroom)

    def run(*line):
        with contextlib.chdir(classroom):
            done = CliRunner().invoke(cli, line)
        assert done.exit_code in (0, 4), done.output
        return done

    run("export", "out", "-f", "csv", "-o", "class.csv")
    rows = table(classroom / "class.csv")
    assert [(row["student_id"], row["points"], row["max"]) for row in rows[:2]] == [
        ("11", "7", "7"),
        ("13", "6", "7"),
    ]
    assert ("12", "no_mark", "back is missing") in {(r["student_id"], r["status"], r["note"]) for r in rows}
    for form in ("xlsx", "moodle"):
        run("export", "out", "-f", form)
    run("annotate", "out", "-o", "copies")
    found = {path.name: len(PdfDocument(path)) for path in (classroom / "copies").glob("*.pdf")}
    assert found == {"11_Ada_Abel.pdf": 2, "12_Ben_Berg.pdf": 1, "13_Cleo_Cole.pdf": 2}
    (classroom / "key.csv").write_text(KEY.replace("q5,D,1", "q5,A,3"))
    told = run("score", "out", "-k", "key.csv").stdout
    assert "13" in told and "q5" in told
    assert marks(classroom) == {"11": ("ok", "6"), "12": ("missing_page", ""), "13": ("ok", "9")}
    assert "2 sheets" in run("report", "out").output or (classroom / "out/report.html").exists()


def test_single_pages_get_no_list_of_pages(classroom, scans):
    save(scans["front", "11"], classroom / "scans/a.png")
    (classroom / "key.csv").write_text("item,answer\nq1,A\n")
    assert grade(classroom, template="front.yaml").exit_code == 0
    assert not (classroom / "out/pages.csv").exists()
    assert [row["total"] for row in table(classroom / "out/marks.csv")] == ["1"]


def test_simulated_pupils_fill_in_all_pages_by_one_hand(classroom):
    with contextlib.chdir(classroom):
        done = CliRunner().invoke(cli, ["simulate", "front.yaml", "back.yaml", "-n", "2", "-o", "s"])
        assert done.exit_code == 0, done.output
    truth = list(csv.DictReader(io.StringIO((classroom / "s/truth.csv").read_text())))
    numbers = {}
    for row in truth:
        if row["field"] == "pupil":
            numbers.setdefault(row["source"].split("-")[1], set()).add(row["value"])
    assert all(len(found) == 1 for found in numbers.values()) and len(numbers) == 2
    assert len((classroom / "s/key.csv").read_text().splitlines()) == 8


# ---------------------------------------------------------------- by order


@pytest.fixture
def duplex(tmp_path):
    """As `classroom`, but the back has no number on it."""
    load_sides(tmp_path, {"front": side_text("front"), "back": side_text("back", number="")})
    (tmp_path / "key.csv").write_text(KEY)
    (tmp_path / "roster.csv").write_text(ROSTER)
    return tmp_path


def test_a_duplex_scan_goes_by_its_order(duplex):
    sides = [load_template(duplex / f"{name}.yaml") for name in IDS]
    backs = [
        pixels(sides[1], {k: v for k, v in values(sides[1], "", w).items() if k != "pupil"})
        for w in ([], ["q5"])
    ]
    stack = []
    for n, pupil in enumerate(PUPILS):
        stack += [pixels(sides[0], values(sides[0], pupil)), backs[n == 1]]  # two backs are the same pixels
    first, *rest = [Image.fromarray(np.asarray(page)) for page in stack]
    (duplex / "scans").mkdir()
    first.save(duplex / "scans/all.tif", save_all=True, append_images=rest, dpi=(150, 150))
    assert "--collate order" in str(grade_sides(duplex).exception)
    assert grade_sides(duplex, "--collate", "order").exit_code == 0
    assert marks(duplex) == {"11": ("ok", "7"), "12": ("ok", "6"), "13": ("ok", "7")}
    del rest[2]  # the back of 12 is lost: 12 and its neighbours are looked at, none is mixed up silently
    first.save(duplex / "scans/all.tif", save_all=True, append_images=rest, dpi=(150, 150))
    done = grade_sides(duplex, "--collate", "order")
    assert done.exit_code == 4 and "do not come in turn" in done.stderr
    assert marks(duplex) == {"11": ("ok", "7"), "12": ("missing_page", ""), "13": ("out_of_order", "")}


def placed(kinds, *, source="", numbers=False):
    return [
        Placed(kind=kind, source=source or f"{n}", number=n + 1 if numbers else 1, counts=kind >= 0)
        for n, kind in enumerate(kinds)
    ]


@given(st.integers(2, 4), st.integers(1, 6))
def test_pages_in_turn_are_whole_sheets(kinds, sheets):
    groups = group_pages(placed(list(range(kinds)) * sheets), kinds, "order")
    assert [group.scans for group in groups] == [
        tuple(range(n * kinds, (n + 1) * kinds)) for n in range(sheets)
    ]
    assert not any(group.broken or group.missing or group.double for group in groups)


@given(st.lists(st.integers(-1, 1), max_size=12))
def test_whatever_the_order_every_scan_is_in_one_group_and_pairs_beside_a_break_are_flagged(kinds):
    groups = group_pages(placed(kinds), 2, "order")
    assert sorted(scan for group in groups for scan in group.scans) == [
        n for n, k in enumerate(kinds) if k >= 0
    ]
    for group in groups:
        if not group.missing and not group.broken:
            front, back = group.scans
            assert back == front + 1
            assert front == 0 or kinds[front - 1] in (1, -1)
            assert back + 1 == len(kinds) or kinds[back + 1] in (0, -1)


def test_fronts_first_and_then_backs_are_not_paired():
    groups = group_pages(placed([0, 0, 0, 1, 1, 1]), 2, "order")
    assert all(group.broken or group.missing for group in groups)


def test_an_unreadable_page_stands_for_the_one_that_is_due_and_every_file_begins_anew():
    groups = group_pages(placed([0, -1, 0, 1]), 2, "order")
    assert [(g.scans, g.missing, g.broken) for g in groups] == [((0,), (1,), ""), ((2, 3), (), "")]
    two = placed([0, 1, 0], source="a.pdf", numbers=True) + placed([0, 1], source="b.pdf", numbers=True)
    assert [(g.scans, bool(g.broken)) for g in group_pages(two, 2, "order")] == [
        ((0, 1), False), ((2,), True), ((3, 4), False),
    ]  # fmt: skip


# ---------------------------------------------------------------- which page it is, and codes

CODE = "- {id: code, kind: barcode, role: identifier, formats: [qr], at: [74, 22], size: [20, 20]}"
LEAF = "- {id: leaf, kind: barcode, role: info, sheet: true, at: [22, 120], size: [45, 16]}"


def filled(page, template, answers):
    """A printed page, its bubbles filled; pixels at 150 dpi."""
    pixels = np.array(page)
    for field, answer in zip(template.items, answers, strict=True):
        x, y = (round(v * 150 / 25.4) for v in field.boxes[field.options.index(answer)].centre)
        cv2.circle(pixels, (x, y), 13, 40, -1)
    return pixels


def test_prefilled_sheets_are_told_apart_and_collated_by_their_codes(tmp_path):
    """Front and back of one layout and with the same markers: only the printed codes differ."""
    texts = {
        "front": side_text("front", number=CODE),
        "back": side_text("back", number=CODE, ids=IDS["front"], items="q5..q8"),
    }
    sides = load_sides(tmp_path, texts)
    (tmp_path / "key.csv").write_text(KEY + "q8,A,1\n")
    (tmp_path / "roster.csv").write_text(ROSTER)
    roster = load_roster(tmp_path / "roster.csv")
    document = PdfDocument(prefilled_pdf(sides, roster, double_sided=True))
    printed = [page.render(scale=150 / 72, grayscale=True).to_numpy() for page in document]
    for n, page in enumerate(printed):
        answers = "ABCD" if n % 2 == 0 else "DCBA" if n != 3 else "DCBD"
        save(np.rot90(filled(page, sides[n % 2], answers), n), tmp_path / f"scans/{5 * n % 6}.png")
    done = grade_sides(tmp_path)
    assert done.exit_code == 0, done.output
    assert marks(tmp_path) == {"11": ("ok", "8"), "12": ("ok", "7"), "13": ("ok", "8")}
    blank = load_sides(tmp_path, {k: v.replace("q5..q8", "q5..q7") for k, v in texts.items()})
    assert read_page(scan_of(printed[0]), sheet_set(blank)).template == "front"


def scan_of(pixels):
    return Scan(source="s.png", page=1, pixels=np.ascontiguousarray(pixels), dpi=150)


def test_the_example_in_the_documentation_is_read_as_it_says(tmp_path):
    text = (Path(__file__).parent.parent / "docs/several-pages.md").read_text(encoding="utf-8")
    front, back = re.findall(r"^```yaml\n(.*?)^```", text, re.M | re.S)
    both = sheet_set(load_sides(tmp_path, {"front": front, "back": back}))
    assert [f.id for f in both.items] == [f"q{n}" for n in range(1, 21)] and both.collate == "identifier"
    roster = Roster(pupils=(Pupil(student_id="123456", name="Ada"),))
    for page, side in zip(PdfDocument(prefilled_pdf(both.pages, roster)), both.pages, strict=True):
        found = read_page(scan_of(page.render(scale=150 / 72, grayscale=True).to_numpy()), both)
        assert found.template == side.name
        assert {r.field: r.value for r in found.fields}["pupil"] == "123456"


def test_pages_that_look_alike_and_have_no_code_are_not_guessed(tmp_path):
    alike = {"front": side_text("front"), "back": side_text("back", ids=IDS["front"], items="q5..q8")}
    both = sheet_set(load_sides(tmp_path, alike))
    page = pixels(both.pages[0], values(both.pages[0], "11"))
    assert "cannot be told which page" in read_page(scan_of(page), both).problem
    apart = alike | {"back": alike["back"].replace("[22, 70]", "[40, 90]")}  # the same markers, other boxes
    both = sheet_set(load_sides(tmp_path, apart))
    for side in both.pages:
        found = read_page(scan_of(pixels(side, {"pupil": "11"})), both)
        assert (found.problem, found.template) == ("", side.name)


@pytest.mark.parametrize("profile", ["clean", "photo"])
def test_pages_of_one_layout_are_told_apart_by_what_else_is_printed_on_them(tmp_path, profile):
    alike = {"front": side_text("front"), "back": side_text("back", ids=IDS["front"], items="q5..q8")}
    for side in load_sides(tmp_path, alike):
        (tmp_path / f"{side.name}.pdf").write_bytes(pdf_bytes(side))
    blank = {name: text.replace("title:", f"blank: {name}.pdf\ntitle:") for name, text in alike.items()}
    both = sheet_set(load_sides(tmp_path, blank))
    for seed, side in enumerate(both.pages):
        image = simulate_page(side, seed=seed, profile=profile, values={"pupil": "11"}).image
        grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        found = read_page(scan_of(grey), both)
        assert (found.problem, found.template) == ("", side.name)


def test_leaves_with_one_code_are_one_sheet_though_only_one_has_a_number(tmp_path):
    numbers = {"front": f"{NUMBER}\n  {LEAF}", "back": LEAF}
    sides = load_sides(tmp_path, {name: side_text(name, number=text) for name, text in numbers.items()})
    both = sheet_set(sides)
    assert both.collate == "code"
    (tmp_path / "key.csv").write_text(KEY)
    (tmp_path / "roster.csv").write_text(ROSTER)
    for n, (name, pupil, code) in enumerate(
        [
            ("back", "", "L-77"),
            ("front", "12", "L-78"),
            ("back", "", "L-78"),
            ("front", "11", "L-77"),
            ("back", "", ""),
        ]
    ):
        side = both.of_page(name)
        given = {k: v for k, v in values(side, pupil).items() if k != "pupil" or pupil}
        image = simulate_page(side, seed=0, profile="clean", values=given).image.copy()
        if code:
            bars = zxingcpp.create_barcode(code, zxingcpp.BarcodeFormat.Code128)
            label = np.asarray(zxingcpp.write_barcode_to_image(bars, scale=4, add_quiet_zones=False))
            x, y = round(24 * 300 / 25.4), round(121 * 300 / 25.4)
            image[y : y + 150, x : x + label.shape[1]] = label[:150]
        save(image, tmp_path / f"scans/{n}.png")
    done = grade_sides(tmp_path)
    assert done.exit_code == 4, done.output
    rows = [(row["student_id"], row["status"], row["total"]) for row in table(tmp_path / "out/marks.csv")]
    assert rows == [("11", "ok", "7"), ("12", "ok", "7"), ("", "unknown_student", "")]


# ---------------------------------------------------------------- other rules


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["", "7", "8"])), max_size=9))
def test_by_number_nothing_is_dropped_and_only_equal_numbers_meet(pages):
    found = [Placed(kind=kind, owner=owner) for kind, owner in pages]
    groups = group_pages(found, 3, "identifier")
    assert sorted(scan for group in groups for scan in group.scans) == list(range(len(pages)))
    for group in groups:
        owners = {pages[scan][1] for scan in group.scans}
        assert len(owners) == 1 and (group.loose == (owners == {""}))
        assert not group.loose or len(group.scans) == 1


def test_by_code_a_page_whose_code_is_lost_goes_by_its_number():
    pages = [
        Placed(kind=0, code="A", owner="7"), Placed(kind=1, code="A"), Placed(kind=1, code="B"),
        Placed(kind=0, code="", owner="7"), Placed(kind=1, code=""),
    ]  # fmt: skip
    groups = group_pages(pages, 2, "code")
    assert [(group.scans, group.loose) for group in groups] == [
        ((0, 3, 1), False),
        ((2,), False),
        ((4,), True),
    ]


def page(template, name, n, **fields):
    """A page as it was read."""
    made = tuple(
        read(field_id, value, kind=template.of_page(name).field(field_id).kind)
        for field_id, value in fields.items()
    )
    return PageReading(source=f"{n}.png", page=1, digest=f"{n}", template=name, fields=made)


def test_the_version_on_one_page_says_what_is_right_on_another(tmp_path):
    version = f"""{NUMBER}
  - {{id: version, kind: choice, role: info, options: AB, version: true,
     at: [22, 50], size: [5, 5], gap: 4}}"""
    both = sheet_set(
        load_sides(tmp_path, {"front": side_text("front", number=version), "back": side_text("back")})
    )
    key = AnswerKey(
        items=tuple(KeyItem(item="q5", answers=(a,), version=v) for v, a in (("A", "C"), ("B", "D")))
    )
    pages = [
        page(both, "back", 1, pupil="11", q5="D"), page(both, "front", 2, pupil="11", version="B"),
        page(both, "back", 3, pupil="12", q5="D"), page(both, "front", 4, pupil="12", version="A"),
        page(both, "back", 5, pupil="13", q5="D"),
    ]  # fmt: skip
    sheets, _ = mark_set(pages, both, key)
    assert [[score.outcome for score in sheet.marks.scores] for sheet in sheets] == [
        ["correct"],
        ["incorrect"],
        ["unresolved"],
    ]


READ = st.tuples(
    st.sampled_from(["front", "back"]),
    st.sampled_from(["", "11", "12"]),
    st.integers(0, 9),
    st.sampled_from("rrrpa"),
)


@given(st.lists(READ, max_size=8), st.sampled_from(["identifier", "order"]))
def test_every_page_is_in_one_sheet_and_only_whole_sheets_are_complete(sides, found, collate):
    both = replace(sheet_set(sides), collate=collate)
    key = AnswerKey(items=(KeyItem(item="q1", answers=("A",)), KeyItem(item="q5", answers=("D",))))
    pages = [
        replace(
            page(both, name, n, pupil=pupil, **({"q1": "A"} if name == "front" else {"q5": "D"})),
            digest=f"{digest}", problem="torn" if state == "p" else "", aside=state == "a",
        )
        for n, (name, pupil, digest, state) in enumerate(found)
    ]  # fmt: skip
    sheets, rows = mark_set(pages, both, key)
    assert sorted(n for sheet in sheets for n in sheet.pages) == list(range(len(pages)))
    assert [(row.source, row.page) for row in rows] == [(p.source, p.page) for p in pages]
    for sheet in sheets:
        counted = sheet.marks.status not in NOT_COUNTED
        if sheet.complete and counted:
            assert sheet.templates == ("front", "back")
            assert {pages[n].fields[0].value for n in sheet.pages} <= {"", sheet.marks.student_id}
            assert [score.item for score in sheet.marks.scores] == ["q1", "q5"]
        assert not counted or all(not pages[n].problem and not pages[n].aside for n in sheet.pages)


def test_the_same_picture_twice_counts_once(sides):
    both = sheet_set(sides)
    pages = [
        page(both, "front", 1, pupil="11"),
        page(both, "back", 2, pupil="11"),
        page(both, "front", 3, pupil="11"),
    ]
    pages[2] = replace(pages[2], digest=pages[0].digest)
    sheets, _ = mark_set(pages, both)
    assert [(sheet.marks.status, sheet.complete) for sheet in sheets] == [
        ("ok", True),
        ("duplicate_page", True),
    ]


def test_pages_that_name_two_pupils_are_nobodys(sides):
    both = replace(sheet_set(sides), collate="order")
    pages = [page(both, "front", 1, pupil="11", q1="A"), page(both, "back", 2, pupil="12", q5="D")]
    (sheet,), rows = mark_set(
        pages, both, None, Roster(pupils=(Pupil(student_id="11"), Pupil(student_id="12")))
    )
    assert (sheet.marks.status, sheet.marks.student_id, sheet.complete) == ("unknown_student", "", False)
    assert "front says 11, back says 12" in sheet.marks.problem
    assert [row.status for row in rows] == ["unknown_student"] * 2


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (
            {"front": side_text("front"), "back": side_text("back", items="q4..q6")},
            "'q4' is a field of 'front'",
        ),
        ({"front": side_text("front"), "back": side_text("back", number="")}, "does not say whose it is"),
        ({"front": side_text("front"), "two": side_text("front")}, "the same name"),
    ],
    ids=["item on two pages", "no number", "same name"],
)
def test_templates_that_make_no_set_are_refused(tmp_path, texts, message):
    with pytest.raises(TemplateError, match=message):
        sheet_set(load_sides(tmp_path, texts))
