"""A run goes on where it stopped, however it was stopped, and reads again only what has changed."""

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time

import pytest
from classroom import grade, save, slip_pixels, table, write_slip
from killing import kill_until_done, results, start

from omrgrade import pipeline
from omrgrade.corrections import Corrections, Decision, page_digest
from omrgrade.errors import OutputError
from omrgrade.lock import Lock
from omrgrade.pipeline import grade_batch
from omrgrade.records import PageReading, PageRef, Policy
from omrgrade.resume import file_digest, unread
from omrgrade.store import Store
from omrgrade.template import load_template

PUPILS = ("11", "12", "13", "14")
LINE = ("scans", "-t", "slip.yaml", "-k", "key.csv", "-r", "roster.csv", "-o", "out")


@pytest.fixture(scope="module")
def school(tmp_path_factory):
    """Twelve pages, one of them no picture, and what an undisturbed run makes of them: never written to."""
    folder = tmp_path_factory.mktemp("school")
    template = write_slip(folder)
    made = {pupil: slip_pixels(template, pupil) for pupil in PUPILS}
    for n in range(12):
        pixels = made[PUPILS[n % 4]].copy()
        pixels[0, n] = 200  # every page another picture
        save(pixels, folder / f"scans/{n}.png")
    (folder / "scans/5.png").write_bytes(b"no picture")
    begun = time.monotonic()
    run = start(folder, *LINE)
    run.communicate()
    assert run.returncode == 4
    (folder / "seconds").write_text(str(time.monotonic() - begun))
    return folder


@pytest.fixture
def day(school, tmp_path):
    """The class before anything was graded."""
    shutil.copytree(school, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("out"))
    return tmp_path


@pytest.fixture
def reads(monkeypatch):
    """The names of the pages that are read, as they are read."""
    names = []
    read = pipeline.read_scan
    monkeypatch.setattr(pipeline, "read_scan", lambda ref, *more: names.append(ref.path) or read(ref, *more))
    return names


# ---------------------------------------------------------------- killed


@pytest.mark.parametrize("jobs", [1, 2])
def test_after_any_kill_the_files_are_those_of_an_undisturbed_run(jobs, day, school):
    seconds = float((school / "seconds").read_text())
    expected, kills = results(school / "out"), 0
    expected["run.json"]["settings"]["jobs"] = jobs
    moments = random.Random(jobs)
    while kills < 3:
        shutil.rmtree(day / "out", ignore_errors=True)
        kills += kill_until_done(day, [*LINE, "-j", jobs], seconds=seconds, moments=moments, most=3 - kills)
        assert results(day / "out") == expected


def test_a_kill_between_pages_loses_none_that_was_read(day, school, reads):
    run = start(day, *LINE, "-v")
    assert b"1/12" in run.stderr.readline()
    os.killpg(run.pid, signal.SIGKILL)
    run.communicate()
    with Store.open(day / "out/run.sqlite") as store:
        kept = {page.source for page in store.pages()}
    assert kept
    result = grade(day, "-r", "roster.csv")
    assert f"{len(kept)} of them read before" in result.stderr
    assert not kept & set(reads)  # those that the kill hit are read in a process of their own
    assert results(day / "out") == results(school / "out")


def test_a_full_disk_keeps_what_was_read_and_says_how_to_go_on(day, school):
    room = (school / "out/run.sqlite").stat().st_size // 2

    def small_disk():
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

    command = [sys.executable, "-m", "omrgrade", "grade", *LINE]
    run = subprocess.run(command, cwd=day, preexec_fn=small_disk, capture_output=True, text=True)
    assert run.returncode == 3 and "Traceback" not in run.stderr
    assert "pages read so far are kept" in run.stderr and "give the same command again" in run.stderr
    assert "of them read before" in grade(day, "-r", "roster.csv").stderr
    assert results(day / "out") == results(school / "out")


CRASH = """
import os, sys
from omrgrade import pipeline
from omrgrade.cli import main

read = pipeline.read_scan

def crash(ref, *more):
    if ref.path.endswith("6.png"):
        os.kill(os.getpid(), 11)
    return read(ref, *more)

pipeline.read_scan = crash
if __name__ == "__main__":
    main()
"""


def crashed(day, script=CRASH, threads="1"):
    """Exit code of one job over pages of which one crashes whoever reads it, and what is listed then."""
    (day / "crash.py").write_text(script)
    command = [sys.executable, "crash.py", "grade", *LINE, "--jobs", "1", "--no-overlays"]
    run = subprocess.run(command, cwd=day, env={**os.environ, "OPENBLAS_NUM_THREADS": threads})
    if run.returncode < 0:
        return run.returncode, []
    problems = {row["source"]: row["status"] for row in table(day / "out/marks.csv")}
    assert "crashed its worker process (exit code -11)" in (day / "out/review.csv").read_text()
    assert not (day / "out/run.lock").exists()
    return run.returncode, [name for name, status in problems.items() if status == "unreadable"]


@pytest.mark.parametrize("threads", ["1", "2"], ids=["copied", "spawned"])
def test_with_one_job_too_a_crash_costs_only_its_page(threads, day):
    assert crashed(day, threads=threads) == (4, ["scans/5.png", "scans/6.png"])


THREADS = """
import atexit, os
from omrgrade.cli import main

atexit.register(lambda: print("threads:", len(os.listdir("/proc/self/task"))))
main()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="copies are made on Linux")
def test_the_command_has_one_thread_so_that_its_workers_can_be_copies(day):
    usual = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    command = [sys.executable, "-c", THREADS, "grade", *LINE, "--jobs", "2", "--no-overlays"]
    run = subprocess.run(command, cwd=day, env=usual, capture_output=True, text=True)
    assert (run.returncode, run.stdout.splitlines()[-1]) == (4, "threads: 1")


def test_where_one_job_reads_by_itself_a_page_crashes_the_program_only_once(day):
    elsewhere = CRASH.replace("import os, sys", "import os, sys; sys.platform = 'another'")
    assert crashed(day, elsewhere) == (-11, [])
    assert crashed(day, elsewhere) == (4, ["scans/5.png", "scans/6.png"])


# ---------------------------------------------------------------- what is read again


def test_an_unchanged_run_reads_nothing_again(day, school, reads):
    shutil.copytree(school / "out", day / "out")
    for _ in range(2):
        assert grade(day, "-r", "roster.csv").exit_code == 4
        assert results(day / "out") == results(school / "out")
    assert reads == []


def test_only_new_and_changed_files_are_read_and_order_follows_the_names(day, reads):
    grade(day, "--no-overlays")
    reads.clear()
    shutil.copy(day / "scans/3.png", day / "scans/2a.png")  # new, in between
    shutil.copy(day / "scans/4.png", day / "scans/7.png")  # changed
    (day / "scans/9.png").unlink()
    os.utime(day / "scans/8.png")  # touched: the same content
    grade(day, "--no-overlays")
    assert reads == ["scans/2a.png", "scans/7.png"]
    names = ["0", "1", "2", "2a", "3", "4", "5", "6", "7", "8", "10", "11"]
    assert [row["source"] for row in table(day / "out/marks.csv")] == [f"scans/{n}.png" for n in names]
    grade(day, "--no-overlays", out="afresh")
    assert results(day / "out") == results(day / "afresh")


@pytest.mark.parametrize("change", ["template", "policy", "model"])
def test_another_template_model_or_threshold_reads_everything_again(change, day, reads, tmp_path):
    grade(day, "--no-overlays")
    reads.clear()
    options = ["--no-overlays"]
    if change == "template":
        (day / "slip.yaml").write_text((day / "slip.yaml").read_text() + "# looked at again\n")
    elif change == "policy":
        options += ["--accept", "0.5"]
    else:
        from omrgrade.resources import bundled

        for end in ("onnx", "json"):
            shutil.copy(bundled("models", f"digits.{end}"), tmp_path / f"mine.{end}")
        card = json.loads((tmp_path / "mine.json").read_text())
        (tmp_path / "mine.json").write_text(json.dumps({**card, "temperature": card["temperature"] * 1.1}))
        options += ["--model", "mine.onnx"]
    grade(day, *options)
    assert len(reads) == 12


def test_a_changed_key_or_roster_reads_nothing_again(day, reads):
    grade(day, "--no-overlays")
    reads.clear()
    (day / "key.csv").write_text("item,answer\nq1,B\n")
    (day / "roster.csv").write_text("student_id,name\n11,Ada\n")
    result = grade(day, "--no-overlays", "-r", "roster.csv")
    assert reads == [] and "not in the key" in result.stderr


def test_pages_that_another_run_left_out_are_still_known(day, reads):
    grade(day, "--no-overlays")
    grade(day, "--no-overlays", scans="scans/3.png")
    assert [row["source"] for row in table(day / "out/marks.csv")] == ["scans/3.png"]
    reads.clear()
    grade(day, "--no-overlays")
    assert reads == [] and len(table(day / "out/marks.csv")) == 12


def test_what_people_corrected_stays_with_pages_that_did_not_change(day):
    grade(day, "--no-overlays")
    template = load_template(day / "slip.yaml")
    with Store.open(day / "out/run.sqlite") as store:
        pages = {page.source: page for page in store.pages()}
        log = Corrections(store)
        for name in ("scans/3.png", "scans/7.png"):
            digest = page_digest(pages[name], template)
            decision = Decision(
                source=name, page=1, digest=digest, action="set", version=0, field="q1", value="D"
            )
            log.decide([decision], "a teacher")
    shutil.copy(day / "scans/4.png", day / "scans/7.png")
    grade(day, "--no-overlays", "--accept", "0.5")
    rows = {(r["source"], r["field"]): r["value"] for r in table(day / "out/readings.csv")}
    assert rows["scans/3.png", "q1"] == "D"
    assert rows["scans/7.png", "q1"] == rows["scans/4.png", "q1"] == "A", "another picture by now"


# ---------------------------------------------------------------- one at a time


def test_a_second_run_into_the_same_folder_is_refused(day):
    with Store.resume(day / "out/run.sqlite"):
        before = sorted(path.name for path in (day / "out").iterdir())
        run = start(day, *LINE)
        _, error = run.communicate()
        assert run.returncode == 3
        assert b"another omrgrade is at work in this folder" in error
        assert f"process {os.getpid()}".encode() in error
        assert sorted(path.name for path in (day / "out").iterdir()) == before
    assert grade(day, "--no-overlays").exit_code == 4


def test_a_lock_whose_holder_died_is_free_and_tells_what_it_was_reading(tmp_path):
    code = (
        "import os, sys; from pathlib import Path; from omrgrade.lock import Lock\n"
        "lock = Lock(Path(sys.argv[1])); lock.reading([('a.png', 2)]); os.kill(os.getpid(), 9)"
    )
    path = tmp_path / "run.lock"
    assert subprocess.run([sys.executable, "-c", code, path]).returncode == -9
    lock = Lock(path)
    assert lock.left_behind == (("a.png", 2),)
    with pytest.raises(OutputError, match="another omrgrade"):
        Lock(path)
    lock.release()
    assert not path.exists()


@pytest.mark.parametrize(
    "note", [b"", b"[]", b"{", b'{"reading": [1, [2]]}', b"\xff" * 9, b'{"reading": 3}', b"[" * 9999]
)
def test_a_damaged_lock_file_is_no_obstacle(note, tmp_path):
    (tmp_path / "run.lock").write_bytes(note)
    lock = Lock(tmp_path / "run.lock")
    assert lock.left_behind == ()
    lock.release()


def test_what_is_no_run_is_never_overwritten(day):
    (day / "out").mkdir()
    (day / "out/run.sqlite").write_bytes(b"a teacher's own file, for all we know" * 9)
    result = grade(day)
    assert isinstance(result.exception, OutputError)
    assert (day / "out/run.sqlite").read_bytes().startswith(b"a teacher's own")


# ---------------------------------------------------------------- the parts


def test_unread_pages_are_those_without_a_reading_that_holds(tmp_path):
    files = [tmp_path / f"{n}.png" for n in range(4)]
    for n, file in enumerate(files[:3]):
        file.write_bytes(bytes([n]))
    refs = [PageRef(path=str(file)) for file in files]
    with Store.create(tmp_path / "run.sqlite") as store:
        assert unread(store, refs, "w") == list(enumerate(refs))
        store.add_pages(
            [PageReading(source=r.path, page=1, content=file_digest(r.path), work="w") for r in refs],
            [0, 1, 2, 3],
        )
        assert unread(store, refs, "w") == [(3, refs[3])], "what could not be opened is tried again"
        assert unread(store, refs, "other") == list(enumerate(refs))
        files[1].write_bytes(b"changed")
        assert unread(store, list(reversed(refs)), "w") == [(0, refs[3]), (2, refs[1])]
        assert [page.source for page in store.pages()] == [refs[2].path, refs[0].path]


def test_a_batch_in_memory_and_one_in_a_store_are_the_same(school, tmp_path):
    template = load_template(school / "slip.yaml")
    plain = grade_batch([school / "scans"], template, policy=Policy())
    with Store.resume(tmp_path / "run.sqlite") as store:
        grade_batch([school / "scans/1.png", school / "scans/9.png"], template, policy=Policy(), store=store)
        stored = grade_batch([school / "scans"], template, policy=Policy(), store=store)
    assert stored.kept == 2 and stored.marks == plain.marks
