"""A bad day loses nothing: every fault is named with its reason, and the good pages are graded as ever."""

import re
import shutil
from dataclasses import dataclass

import cv2
import numpy as np
import pytest
from classroom import grade, run_omrgrade, save, slip_pixels, table, write_slip
from PIL import Image

from omrgrade.registration.geometry import project
from omrgrade.simulate import simulate_page
from omrgrade.store import Store
from omrgrade.template import load_template

PUPILS = ("11", "12", "13")


@pytest.fixture(scope="session")
def school(tmp_path_factory):
    """A folder with three good pages, and what `omrgrade grade` makes of them: never written to again."""
    folder = tmp_path_factory.mktemp("school")
    template = write_slip(folder)
    for pupil in PUPILS:
        save(slip_pixels(template, pupil), folder / "scans" / f"{pupil}.png")
    result = grade(folder)
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def day(school, tmp_path):
    """A copy of the good folder, for something to go wrong in."""
    for name in ("slip.yaml", "key.csv", "roster.csv"):
        shutil.copy(school / name, tmp_path)
    shutil.copytree(school / "scans", tmp_path / "scans")
    return tmp_path


@pytest.fixture(scope="module")
def slip(school):
    return load_template(school / "slip.yaml")


def of_good_pages(folder, name):
    """The rows of a table that belong to the good pages."""
    good = {f"scans/{pupil}.png" for pupil in PUPILS}
    return [row for row in table(folder / "out" / name) if row["source"] in good]


def assert_good_pages_are_graded_as_ever(day, school):
    assert len(of_good_pages(day, "marks.csv")) == len(PUPILS)
    for name in ("marks.csv", "readings.csv", "review.csv"):
        assert of_good_pages(day, name) == of_good_pages(school, name)
    for pupil in PUPILS:
        overlay = f"out/overlays/scans_{pupil}-p1.jpg"
        assert (day / overlay).read_bytes() == (school / overlay).read_bytes()


# ---------------------------------------------------------------- the faults, a page each

TRUNCATED = r"cut off.*scan or copy it again"


@dataclass(frozen=True)
class Fault:
    """How a bad file is made, and the reason a teacher is to be given."""

    name: str  # its file name; sorted among the good pages, so that it sits in their chunk
    make: object  # (path, slip) -> None
    reason: str  # a pattern


def empty(path, slip):
    path.touch()


def text(path, slip):
    path.write_text("Dear all, the scans are on the other stick.\n" * 50)


def cut(path, slip, *, share=0.6, **options):
    """A good page of which the end is missing."""
    save(slip_pixels(slip, "14"), path, **options)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


def cut_tiff(path, slip):
    cut(path, slip, compression="tiff_lzw")


def cut_pdf(path, slip):
    cut(path, slip, share=0.3)


def encrypted(path, slip):
    from reportlab.lib.pdfencrypt import StandardEncryption
    from reportlab.pdfgen.canvas import Canvas

    canvas = Canvas(str(path), encrypt=StandardEncryption("secret", canPrint=1))
    canvas.drawString(100, 700, "q1: A")
    canvas.save()


def blank(path, slip):
    paper = np.random.default_rng(1).normal(247, 2, (1166, 827)).clip(0, 255).astype(np.uint8)
    save(paper, path)


def cat(path, slip):
    """A photo of something else: soft coloured shapes, some edges, no paper."""
    rng = np.random.default_rng(2)
    picture = cv2.resize(rng.integers(0, 256, (9, 12, 3)).astype(np.uint8), (1200, 900))
    for _ in range(30):
        at, size = rng.integers(0, 900, 2).tolist(), int(rng.integers(10, 120))
        cv2.circle(picture, at, size, rng.integers(0, 256, 3).tolist(), -1)
        cv2.rectangle(picture, at, [at[0] + size, at[1] + 40], rng.integers(0, 90, 3).tolist(), 4)
    save(picture, path, quality=80)


def printed_text(path, slip):
    """A letter home among the worksheets."""
    from omrgrade.render import render_page

    page = render_page(load_template("mixed-letter"), 100)
    page[:140], page[-140:] = 255, 255  # its instructions and boxes, but no marker
    save(page, path)


def another_template(path, slip):
    save(simulate_page(load_template("mixed-letter"), seed=3, profile="clean").image[::2, ::2], path)


def another_edition(path, slip):
    """The same markers, other questions."""
    edition = path.parents[1] / "edition.yaml"
    edition.write_text(
        (path.parents[1] / "slip.yaml")
        .read_text()
        .replace("step: [0, 10]", "step: [0, 8.4]")
        .replace("at: [22, 96]", "at: [24.5, 88]")
    )
    values = {"pupil": "14", "q1": "A"}
    page = simulate_page(load_template(edition), seed=4, profile="clean", values=values)
    save(page.image[::2, ::2], path)


def without_corners(*missing):
    def make(path, slip):
        page = simulate_page(slip, seed=14, profile="clean", values={"pupil": "14", "q1": "A"})
        pixels = page.image.copy()
        for corner in missing:
            box = slip.fiducials.boxes[corner]
            place = [(box.x - 2, box.y - 2), (box.right + 2, box.bottom + 2)]
            (left, top), (right, bottom) = project(np.array(page.page_to_scan), np.array(place)).astype(int)
            pixels[top:bottom, left:right] = 255
        save(pixels[::2, ::2], path)

    return make


def half_a_page(path, slip):
    pixels = slip_pixels(slip, "14")
    save(pixels[: len(pixels) // 2], path)


NO_CORNERS = r"corner"
FAULTS = {
    "an empty file": Fault("11a.jpg", empty, r"^the file is empty; scan or copy it again"),
    "a text file called .jpg": Fault("11a.jpg", text, r"text file, not a picture"),
    "a truncated JPEG": Fault("11a.jpg", cut, TRUNCATED),
    "a truncated PNG": Fault("11a.png", cut, TRUNCATED),
    "a truncated TIFF": Fault("11a.tif", cut_tiff, TRUNCATED),
    "a truncated PDF": Fault("11a.pdf", cut_pdf, r"PDF is damaged"),
    "an encrypted PDF": Fault("11a.pdf", encrypted, r"PDF is encrypted; save it without a password"),
    "a blank page": Fault("11a.png", blank, r"page is blank"),
    "a photo of something else": Fault("11a.jpg", cat, NO_CORNERS),
    "a letter": Fault("11a.png", printed_text, NO_CORNERS),
    "a page of another template": Fault("11a.png", another_template, r"another template.*grade it with"),
    "another edition with the same markers": Fault("11a.png", another_edition, r"boxes.*(another|other)"),
    "a page with two corners missing": Fault("11a.png", without_corners(0, 2), r"corner squares uncovered"),
    "the lower half is missing": Fault("11a.png", half_a_page, NO_CORNERS),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_bad_page_is_named_and_the_others_are_graded(fault, day, school, slip):
    fault.make(day / "scans" / fault.name, slip)
    result = grade(day)
    assert result.exit_code == 4, result.output
    assert_good_pages_are_graded_as_ever(day, school)
    source = f"scans/{fault.name}"
    (row,) = [row for row in table(day / "out/marks.csv") if row["source"] == source]
    assert row["status"] == "unreadable" and row["student_id"] == row["total"] == row["q1"] == ""
    (todo,) = [row for row in table(day / "out/review.csv") if row["source"] == source]
    assert todo == table(day / "out/review.csv")[0], "what is worst stands first"
    assert re.search(fault.reason, todo["reason"])
    assert source not in {row["source"] for row in table(day / "out/readings.csv")}
    assert f"{len(PUPILS) + 1} pages, 1 unreadable" in result.stderr
    assert f"\n  {source} page 1: {todo['reason']}\n" in result.stderr
    assert a_teacher_understands(todo["reason"])
    with Store.open(day / "out/run.sqlite") as store:
        assert [page.problem != "" for page in store.pages()] == [False, True, False, False]


def a_teacher_understands(reason):
    """A sentence, not a programmer's message."""
    return not re.search(r"Error|Exception|Traceback|0x|None|errno|\bNaN\b|/", reason) and len(reason) < 160


def test_a_page_with_one_corner_missing_is_graded(day, slip):
    without_corners(2)(day / "scans/11a.png", slip)
    assert grade(day).exit_code == 0
    (row,) = [row for row in table(day / "out/marks.csv") if row["source"] == "scans/11a.png"]
    assert row["student_id"] == "14" and row["q1"] == "1"


def test_the_same_page_twice_counts_once(day, school):
    shutil.copy(day / "scans/12.png", day / "scans/12a.png")
    with Image.open(day / "scans/12.png") as image:
        image.save(day / "scans/13 copy.tif", dpi=(200, 200))  # another file, the same picture
    result = grade(day)
    assert result.exit_code == 0
    assert_good_pages_are_graded_as_ever(day, school)
    rows = {row["source"]: row for row in table(day / "out/marks.csv")}
    todo = {row["source"]: row["reason"] for row in table(day / "out/review.csv") if not row["field"]}
    for name in ("scans/12a.png", "scans/13 copy.tif"):
        assert rows[name]["status"] == "duplicate_page" and rows[name]["total"] == ""
        assert todo[name] == "the same page as scans/12.png page 1, not counted"
    assert "2 pages scanned twice, counted once" in result.stderr


def test_one_pupils_number_on_two_sheets_is_flagged_on_both(day, slip):
    save(slip_pixels(slip, "12", seed=99), day / "scans/12b.png")
    assert grade(day).exit_code == 0
    rows = {row["source"]: row for row in table(day / "out/marks.csv")}
    assert rows["scans/12.png"]["status"] == rows["scans/12b.png"]["status"] == "duplicate_student"
    assert rows["scans/12.png"]["total"] != ""


def test_all_faults_at_once(day, school, slip):
    for n, fault in enumerate(FAULTS.values()):
        fault.make(day / "scans" / f"12 {n:02}{fault.name[3:]}", slip)
    result = grade(day, "--jobs", 2)
    assert result.exit_code == 4
    assert_good_pages_are_graded_as_ever(day, school)
    assert f"{len(PUPILS) + len(FAULTS)} pages, {len(FAULTS)} unreadable" in result.stderr
    assert f"  and {len(FAULTS) - 10} more, see review.csv\n" in result.stderr


def test_a_bad_page_inside_a_pdf_costs_only_itself(day, slip):
    pages = [Image.fromarray(slip_pixels(slip, "11")), Image.new("L", (827, 1166), 255)]
    pages.append(Image.fromarray(slip_pixels(slip, "13")))
    pages[0].save(day / "scans/class.pdf", save_all=True, append_images=pages[1:], resolution=200)
    result = grade(day, scans="scans/class.pdf")
    assert result.exit_code == 4
    rows = table(day / "out/marks.csv")
    assert [(row["page"], row["student_id"], row["status"] == "unreadable") for row in rows] == [
        ("1", "11", False), ("2", "", True), ("3", "13", False),
    ]  # fmt: skip


def test_only_bad_pages_end_with_3_and_are_still_named(day, slip):
    (day / "bad").mkdir()
    empty(day / "bad/a.jpg", slip)
    blank(day / "bad/b.png", slip)
    result = grade(day, scans="bad")
    assert result.exit_code == 3
    assert [row["status"] for row in table(day / "out/marks.csv")] == ["unreadable"] * 2
    assert [row["source"] for row in table(day / "out/review.csv")] == ["bad/a.jpg", "bad/b.png"]


# ---------------------------------------------------------------- faults of the whole run


def assert_one_clear_line(run, *patterns):
    """Through the real entry point: exit 3, nothing on stdout, one line on stderr, no traceback."""
    assert run.returncode == 3, run.stderr
    assert run.stdout == ""
    (line,) = run.stderr.splitlines()
    assert line.startswith("Error: ")
    for pattern in patterns:
        assert re.search(pattern, line), line


def no_images(day):
    shutil.rmtree(day / "scans")
    (day / "scans").mkdir()
    (day / "scans/notes.txt").write_text("none today")


def no_folder(day):
    shutil.rmtree(day / "scans")


def no_key(day):
    (day / "key.csv").unlink()


def malformed_key(day):
    (day / "key.csv").write_text("item,answer,points\nq1,A,1\nq2,B,many\n")


def key_is_a_picture(day):
    shutil.copy(day / "scans/11.png", day / "key.csv")


def key_of_another_sheet(day):
    (day / "key.csv").write_text("item,answer,points\nq1,A,1\nq77,B,1\n")


def unwritable_output(day):
    (day / "out").write_text("a file where the folder should be")


def no_template(day):
    (day / "slip.yaml").unlink()


RUN_FAULTS = {
    "a folder with no images": (no_images, ["no scans found", "scans"]),
    "no such folder": (no_folder, ["no such file or folder", "scans"]),
    "a missing key": (no_key, ["key.csv"]),
    "a malformed key": (malformed_key, ["key.csv", "line 3|row 3|:3", "many"]),
    "a key that is a picture": (key_is_a_picture, ["key.csv"]),
    "a key with items that are not on the sheet": (key_of_another_sheet, ["key.csv", "q77"]),
    "an unwritable output folder": (unwritable_output, ["out", "cannot be written"]),
    "a missing template": (no_template, ["slip.yaml"]),
}
COMMAND = ("grade", "scans", "-t", "slip.yaml", "-k", "key.csv", "-o", "out")


@pytest.mark.parametrize("spoil, patterns", RUN_FAULTS.values(), ids=RUN_FAULTS.keys())
def test_a_run_that_cannot_be_says_so_in_one_line(spoil, patterns, day):
    spoil(day)
    before = sorted(path for path in day.rglob("*"))
    assert_one_clear_line(run_omrgrade(day, *COMMAND), *patterns)
    assert sorted(path for path in day.rglob("*")) == before, "nothing is left behind"


def test_a_run_that_cannot_be_leaves_an_earlier_one_alone(school, day):
    shutil.copytree(school / "out", day / "out")
    before = {path: path.read_bytes() for path in (day / "out").rglob("*") if path.is_file()}
    for spoil in (no_images, malformed_key):
        spoil(day)
        assert grade(day).exit_code != 0
    assert {path: path.read_bytes() for path in (day / "out").rglob("*") if path.is_file()} == before


def test_a_disk_that_fills_while_overlays_are_written_leaves_the_tables(day, school, monkeypatch):
    from omrgrade.staging import Staging

    write = Staging.write

    def full(self, name, data):
        if name.endswith("12-p1.jpg"):
            raise OSError(28, "No space left on device")
        write(self, name, data)

    monkeypatch.setattr(Staging, "write", full)
    result = grade(day)
    assert "no space left" in str(result.exception).lower()
    assert table(day / "out/marks.csv") == table(school / "out/marks.csv")
    assert not list((day / "out").glob(".omrgrade-*"))


def test_reports_survive_a_terminal_that_cannot_show_a_name(day):
    (day / "scans/11.png").rename(day / "scans/Здравствуй.png")
    run = run_omrgrade(day, *COMMAND, "-v", env={"PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"})
    assert run.returncode == 0, run.stderr
    assert "\\u0417" in run.stdout
    assert [row["source"] for row in table(day / "out/marks.csv")][-1] == "scans/Здравствуй.png"


def test_a_picture_in_memory_that_is_no_sheet_is_a_problem_not_a_crash(slip):
    from omrgrade.pipeline import read_page
    from omrgrade.records import Scan

    for shape in ((1, 1), (3, 4000), (900, 40)):
        scan = Scan(source="x", page=1, pixels=np.zeros(shape, np.uint8), dpi=0)
        assert "page is blank" in read_page(scan, slip).problem
