"""`omrgrade grade` as a teacher meets it: its options, what it prints, its exit codes, Ctrl-C."""

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import termios
from itertools import pairwise

import pytest
from classroom import ANSWERS, QUESTIONS, grade, run_omrgrade, save, slip_pixels, table, tables, write_slip

from omrgrade.store import Store
from omrgrade.template import load_template

COMMAND = ("grade", "scans", "-t", "slip.yaml", "-k", "key.csv", "-o", "out")


@pytest.fixture(scope="module")
def school(tmp_path_factory):
    """A class of four, one sheet turned; and what a plain run makes of it: never written to again."""
    folder = tmp_path_factory.mktemp("class")
    template = write_slip(folder)
    for pupil in ANSWERS:
        save(slip_pixels(template, pupil, turn=90 if pupil == "12" else 0), folder / f"scans/{pupil}.png")
    result = grade(folder, "--roster", "roster.csv")
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def day(school, tmp_path):
    """The class before anything was graded."""
    shutil.copytree(school, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("out"))
    return tmp_path


# ---------------------------------------------------------------- what comes out


def test_every_answer_is_right_or_under_review(school):
    readings = {(row["student_id"], row["field"]): row for row in table(school / "out/readings.csv")}
    for pupil, answers in ANSWERS.items():
        for question in QUESTIONS:
            row = readings[pupil, question]
            assert row["value"] == answers[question] or row["status"] == "review", row
            assert (row["status"] == "review") == bool(row["reason"]) == (row["outcome"] == "unresolved")


def test_marks_add_up_and_doubts_earn_nothing_yet(school):
    readings = table(school / "out/readings.csv")
    for row in table(school / "out/marks.csv"):
        mine = [r for r in readings if r["source"] == row["source"] and r["points"]]
        assert float(row["total"]) == sum(float(r["points"]) for r in mine)
        assert row["max"] == "13" and float(row["percent"]) == pytest.approx(
            float(row["total"]) / 0.13, abs=0.05
        )
        doubts = {r["field"] for r in mine if r["status"] == "review"}
        assert {q for q in QUESTIONS if row[q] == ""} == doubts
        assert int(row["to_review"]) == len(doubts) and row["status"] == ("review" if doubts else "ok")
    bubbles = {row["student_id"]: [row[q] for q in QUESTIONS[:6]] for row in table(school / "out/marks.csv")}
    assert bubbles["11"] == ["1", "1", "1", "1", "1", "2"]
    assert bubbles["13"] == ["0", "1", "", "0", "1", "0"], "A+C where one mark is asked for awaits review"


def test_the_table_goes_to_stdout_and_the_summary_to_stderr(day):
    result = grade(day, "-r", "roster.csv", "--no-overlays")
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["source", "page", "student_id", "status", "total", "percent", "to_review"]
    assert [line.split()[0] for line in lines[1:]] == [f"scans/{pupil}.png" for pupil in ANSWERS]
    assert re.search(r"^4 pages, [\d.]+ s$", result.stderr, re.M)
    assert re.search(r"^mean [\d.]+ of 13 points", result.stderr, re.M)
    assert "\nResults: out\n" in result.stderr
    assert "%|" not in result.stderr and "\r" not in result.stderr, "no progress bar where nobody looks"


def test_all_files_are_there_and_nothing_else(school):
    found = {str(path.relative_to(school / "out")) for path in (school / "out").rglob("*") if path.is_file()}
    overlays = {f"overlays/scans_{pupil}-p1.jpg" for pupil in ANSWERS}
    assert found == overlays | {
        "marks.csv", "readings.csv", "review.csv", "absent.csv", "items.csv", "answers.csv", "report.html",
        "run.json", "run.sqlite",
    }  # fmt: skip


def test_the_store_holds_every_page_with_its_picture(school):
    with Store.open(school / "out/run.sqlite") as store:
        pages = list(store.pages(previews=True))
    assert [page.source for page in pages] == [f"scans/{pupil}.png" for pupil in ANSWERS]
    assert all(page.preview.startswith(b"\xff\xd8") and page.digest and page.fields for page in pages)
    assert pages[1].registration.rotation == 90


def test_run_json_tells_the_options_as_they_took_effect(day):
    assert grade(day, "--accept", 0.5, "--no-overlays").exit_code == 0
    run = json.loads((day / "out/run.json").read_text())
    assert run["settings"]["policy"]["accept"] == 0.5 and run["settings"]["jobs"] == 1
    assert run["counts"]["pages"] == 4 and run["interrupted"] is False
    assert len(run["sha256"]["template"]) == len(run["sha256"]["key"]) == len(run["sha256"]["model"]) == 64


def test_the_same_input_gives_the_same_bytes(day, school):
    for _ in range(2):
        grade(day, "-r", "roster.csv")
        assert tables(day / "out") == tables(school / "out")
        for overlay in (school / "out/overlays").iterdir():
            assert (day / "out/overlays" / overlay.name).read_bytes() == overlay.read_bytes()


def test_two_processes_give_the_same_bytes_as_one(day, school):
    for n in range(8):
        name = "unreadable.jpg" if n == 2 else f"{n}.png"
        shutil.copy(day / "scans/13.png", day / "scans" / name)
    (day / "scans/unreadable.jpg").write_bytes(b"")
    codes = [grade(day, "--jobs", jobs, "--no-overlays", out=f"out{jobs}").exit_code for jobs in (1, 2)]
    assert codes == [4, 4]
    assert tables(day / "out1") == tables(day / "out2")
    assert json.loads((day / "out2/run.json").read_text())["settings"]["jobs"] == 2


def test_without_a_key_everything_is_read_and_nothing_scored(day, school):
    result = grade(day, "--no-overlays", key=None)
    assert result.exit_code == 0
    assert list(table(day / "out/marks.csv")[0]) == [
        "source", "page", "student_id", "status", "total", "max", "percent", "to_review",
    ]  # fmt: skip
    values = [[row["value"] for row in table(f / "out/readings.csv")] for f in (day, school)]
    assert values[0] == values[1]


def test_items_that_the_key_leaves_out_are_named(day):
    (day / "key.csv").write_text("item,answer\nq1,A\n")
    result = grade(day, "--no-overlays")
    assert "not in the key, so not scored: q2, q3" in result.stderr


def test_absent_and_unknown_pupils_are_told(day):
    (day / "roster.csv").write_text("student_id,name\n11,Ada\n12,Ben\n13,Cleo\n99,Zeno\n")
    result = grade(day, "-r", "roster.csv", "--no-overlays")
    assert table(day / "out/absent.csv") == [{"student_id": "99", "name": "Zeno"}]
    assert "1 absent: 99 Zeno" in result.stderr
    assert {r["source"]: r["status"] for r in table(day / "out/marks.csv")}[
        "scans/14.png"
    ] == "unknown_student"
    assert "student number 14 is not on the roster" in (day / "out/review.csv").read_text()


# ---------------------------------------------------------------- options


def test_quiet_prints_nothing(day, school):
    result = grade(day, "-q", "-r", "roster.csv")
    assert result.output == "" and result.exit_code == 0
    assert tables(day / "out") == tables(school / "out")


def test_verbose_names_every_page_and_what_is_wrong_with_it(day):
    (day / "scans/12a.jpg").write_bytes(b"")
    result = grade(day, "-v", "--no-overlays")
    lines = [line for line in result.stderr.splitlines() if line[:2] in {f"{n}/" for n in range(1, 6)}]
    assert [line.split()[0:2] for line in lines] == [
        ["1/5", "scans/11.png"], ["2/5", "scans/12.png"], ["3/5", "scans/12a.jpg"], ["4/5", "scans/13.png"],
        ["5/5", "scans/14.png"],
    ]  # fmt: skip
    assert lines[2].endswith("page 1: the file is empty; scan or copy it again")
    assert re.search(r"\d+ to review$", lines[3])


def test_a_higher_threshold_sends_more_to_review_and_never_less(day):
    reviewed = []
    for accept in (0, 0.9, 0.999, 1):
        grade(day, "--accept", accept, "--no-overlays")
        rows = table(day / "out/readings.csv")
        reviewed.append({(r["source"], r["field"]) for r in rows if r["status"] == "review"})
    assert all(less <= more for less, more in pairwise(reviewed))
    assert reviewed[0] < reviewed[-1]


def test_overlays_of_the_doubtful_pages_only(day):
    assert grade(day, "--overlays", "doubtful", "-r", "roster.csv").exit_code == 0
    rows = table(day / "out/marks.csv")
    doubtful = {f"scans_{row['student_id']}-p1.jpg" for row in rows if row["status"] != "ok"}
    assert {path.name for path in (day / "out/overlays").iterdir()} == doubtful
    assert 0 < len(doubtful) < len(rows)


def test_overlays_asked_for_later_are_drawn_from_the_scans(day, school):
    """A run that kept no pictures gives the same ones as long as its scans are there."""
    assert grade(day, "--overlays", "none", "-r", "roster.csv").exit_code == 0
    assert not (day / "out/overlays").exists()
    assert grade(day, "--overlays", "all", "-r", "roster.csv").exit_code == 0
    for overlay in (school / "out/overlays").iterdir():
        assert (day / "out/overlays" / overlay.name).read_bytes() == overlay.read_bytes()


def test_a_large_batch_gets_overlays_only_on_demand(day, monkeypatch):
    monkeypatch.setattr("omrgrade.cli.grade.MOST_OVERLAYS", 3)
    result = grade(day)
    assert not (day / "out/overlays").exists()
    assert "--overlays all" in result.stderr


def test_no_overlays_writes_tables_only(day, school):
    assert grade(day, "--no-overlays", "-r", "roster.csv").exit_code == 0
    assert not (day / "out/overlays").exists()
    assert tables(day / "out") == tables(school / "out")


def test_fail_on_review_ends_with_5_but_unreadable_pages_come_first(day):
    assert grade(day, "--fail-on-review", "--no-overlays").exit_code == 5
    assert grade(day, "--no-overlays").exit_code == 0
    assert grade(day, "--fail-on-review", "--no-overlays", scans="scans/14.png", key=None).exit_code in (0, 5)
    (day / "scans/x.png").write_bytes(b"")
    assert grade(day, "--fail-on-review", "--no-overlays").exit_code == 4


@pytest.mark.parametrize(
    "extra", [["--accept", "1.5"], ["--jobs", "0"], ["--jobs", "many"], ["--colour"]], ids=" ".join
)
def test_wrong_usage_ends_with_2_and_touches_nothing(extra, day):
    result = grade(day, *extra)
    assert result.exit_code == 2 and "Usage" in result.stderr
    assert not (day / "out").exists()


def test_no_scans_no_template_no_output_is_wrong_usage(day):
    for missing in ("scans", "-t", "-o"):
        line = list(COMMAND)
        at = line.index(missing)
        del line[at : at + (1 if missing == "scans" else 2)]
        assert run_omrgrade(day, *line).returncode == 2


# ---------------------------------------------------------------- names and places


@pytest.mark.parametrize("out", ["scans/results", "scans"])
def test_results_inside_the_scans_folder_are_not_read_as_scans(out, day, school):
    for _ in range(2):
        assert grade(day, "-r", "roster.csv", out=out).exit_code == 0
        assert len(list((day / out / "overlays").iterdir())) == 4
        assert tables(day / out) == tables(school / "out")


NAMES = (
    "page one.png",
    "клас 7б.png",
    "数学 試験.png",
    "שלום.png",
    "é\u0301.png",
    'a,"b".png',
    "-1.png",
    "=1+2.png",
)


def test_any_file_name_is_kept_as_it_is_and_made_harmless(day):
    for name in NAMES:
        shutil.copy(day / "scans/14.png", day / name)
    for n, name in enumerate(NAMES):  # named one by one: a path that starts with "scans/" is harmless anyhow
        scans = f"./{name}" if name[0] == "-" else name
        result = grade(day, "--no-overlays", scans=scans, out=f"out{n}")
        assert result.exit_code == 0, result.output
        row = table(day / f"out{n}/marks.csv")[0]
        assert row["source"] == ("'" if name[0] in "=-" else "") + name
        assert row["student_id"] == "14"


def test_a_whole_folder_of_odd_names_has_an_overlay_each(day):
    odd = [*NAMES, "line\nbreak.png", os.fsdecode(b"caf\xe9.png"), "CAPS.PNG", "caps.png"]
    for n, name in enumerate(odd):
        shutil.copy(day / f"scans/{11 + n % 4}.png", day / "scans" / name)
    result = grade(day)
    assert result.exit_code == 0
    assert len(table(day / "out/marks.csv")) == len(odd) + 4
    assert len(list((day / "out/overlays").iterdir())) == len(odd) + 4
    assert len(result.stdout.splitlines()) == len(odd) + 5, "no name breaks a line of the table"


def test_pages_come_in_the_order_of_their_names_as_people_sort_them(day):
    for name in ("b1", "a10", "a2"):
        shutil.copy(day / "scans/14.png", day / f"scans/{name}.png")
    grade(day, "--no-overlays")
    names = [row["source"].removeprefix("scans/") for row in table(day / "out/marks.csv")]
    assert names == ["11.png", "12.png", "13.png", "14.png", "a2.png", "a10.png", "b1.png"]


def test_a_bundled_template_and_a_photo_of_it(tmp_path, page_factory):
    from omrgrade.simulate import save_capture

    page = page_factory("choice-a4", seed=5, profile="photo")
    path = save_capture(page.capture, tmp_path / "photo")
    result = grade(tmp_path, template="choice-a4", key=None, scans=path.name)
    assert result.exit_code == 0
    rows = {row["field"]: row for row in table(tmp_path / "out/readings.csv")}
    wrong = {
        f for f, value in page.truth.items() if rows[f]["value"] != value and rows[f]["status"] != "review"
    }
    assert set(rows) == set(page.truth) and not wrong


# ---------------------------------------------------------------- the terminal and Ctrl-C


def test_a_bar_shows_on_a_terminal_and_goes_to_stderr(day):
    reader, writer = pty.openpty()
    termios.tcsetwinsize(writer, (24, 80))
    command = [sys.executable, "-m", "omrgrade", *COMMAND, "--no-overlays"]
    run = subprocess.run(command, cwd=day, stdout=subprocess.PIPE, stderr=writer, text=True)
    os.close(writer)
    shown = os.read(reader, 65536).decode()
    os.close(reader)
    assert run.returncode == 0
    assert "4/4" in shown and "page" in shown
    assert "4/4" not in run.stdout


@pytest.mark.parametrize("jobs", [1, 2])
def test_ctrl_c_keeps_and_marks_what_was_read(jobs, day):
    many = slip_pixels(load_template(day / "slip.yaml"), "14")
    for n in range(150):
        many[0, n] = 200  # every page another picture
        save(many, day / f"scans/x{n:03}.png", compress_level=0)
    command = [sys.executable, "-m", "omrgrade", *COMMAND, "-v", "--jobs", str(jobs)]
    run = subprocess.Popen(
        command, cwd=day, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    first = run.stderr.readline()
    assert first.startswith("1/154 ")
    os.killpg(run.pid, signal.SIGINT)  # what a terminal does: the whole group
    stdout, stderr = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "Traceback" not in stderr and "interrupted: not all pages were read" in stderr
    rows = table(day / "out/marks.csv")
    with Store.open(day / "out/run.sqlite") as store:
        kept = [page.source for page in store.pages()]
    assert kept == [row["source"] for row in rows]
    assert 4 <= len(kept) < 154
    assert [row["student_id"] for row in rows[:4]] == ["11", "12", "13", "14"]
    assert json.loads((day / "out/run.json").read_text())["interrupted"] is True
    assert len(stdout.splitlines()) == len(kept) + 1


def test_ctrl_c_while_overlays_are_drawn_leaves_the_tables(day, school, monkeypatch):
    from omrgrade.outputs import overlays

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(overlays, "draw_page", interrupted)
    result = grade(day, "-r", "roster.csv")
    assert result.exit_code == 130 and result.stderr.endswith("Stopped.\n")
    assert tables(day / "out") == tables(school / "out")
    assert not list((day / "out").glob(".omrgrade-*"))


def test_help_shows_every_option(day):
    text = run_omrgrade(day, "grade", "--help").stdout
    for option in ("--template", "--key", "--roster", "--output", "--model", "--accept", "--jobs"):
        assert option in text
    for code in ("0 done", "3 nothing", "4 some", "5 readings", "130 stopped"):
        assert code in re.sub(r"\s+", " ", text)
