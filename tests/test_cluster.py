"""A Dask cluster reads the same pages to the same bytes, whatever happens to its workers."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from classroom import grade, run_omrgrade, save, slip_pixels, table, tables, write_slip
from test_engine import Work, chunks

pytest.importorskip("distributed")

from omrgrade.cluster import DaskEngine
from omrgrade.engine import WINDOW, SerialEngine, make_engine
from omrgrade.errors import ModelError, OmrgradeError
from omrgrade.images import find_pages, read_scan
from omrgrade.images.remote import KEPT, local_copy
from omrgrade.pipeline import PageWork
from omrgrade.records import PageRef
from omrgrade.resources import bundled
from omrgrade.template import load_template

QUIET = {
    **os.environ,
    "PYTHONPATH": str(Path(__file__).parent),
    "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1",
    "DASK_DISTRIBUTED__LOGGING__DISTRIBUTED": "critical",
}


class Named(Work):
    """Goes by the name alone: workers are given whole paths."""

    def read(self, chunk):
        return super().read([replace(ref, path=Path(ref.path).name) for ref in chunk])


def start(*words):
    command = [sys.executable, "-m", "distributed.cli.dask_" + words[0], *words[1:]]
    return subprocess.Popen(
        command,
        env=QUIET,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A scheduler and two worker processes; workers that a test kills are started again by their nannies."""
    note = tmp_path_factory.mktemp("cluster") / "scheduler.json"
    scheduler = start(
        "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--no-jupyter",
        "--scheduler-file", note,
    )  # fmt: skip
    while not note.exists() or not note.read_text().strip().endswith("}"):
        assert scheduler.poll() is None, "the scheduler did not start"
        time.sleep(0.1)
    address = json.loads(note.read_text())["address"]
    workers = [
        start("worker", address, "--nthreads", "1", "--no-dashboard", "--local-directory", note.parent)
        for _ in range(2)
    ]
    yield address
    for process in (*workers, scheduler):
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def workers_of(address):
    """The process ids of both workers, once both are there."""
    from distributed import Client

    with Client(address, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)
        return list(client.run(os.getpid).values())


@pytest.fixture(scope="module")
def school(tmp_path_factory):
    folder = tmp_path_factory.mktemp("school")
    template = write_slip(folder)
    made = [slip_pixels(template, pupil) for pupil in ("11", "12", "13", "14")]
    for n in range(24):
        pixels = made[n % 4].copy()
        pixels[0, n] = 200
        save(pixels, folder / f"scans/{n}.png")
    (folder / "scans/5.png").write_bytes(b"no picture")
    assert grade(folder, "--no-overlays").exit_code == 4
    return folder


@pytest.fixture
def day(school, tmp_path):
    shutil.copytree(school, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("out"))
    return tmp_path


# ---------------------------------------------------------------- the engine


def test_results_come_in_order_and_surprises_cost_only_their_page(cluster):
    work = chunks(["slow a", "b"], ["c"], [], ["bug", "d"], ["bad page", "e"])
    found = [list(readings) for readings in DaskEngine(cluster).map(Named(), work)]
    assert found == [list(readings) for readings in SerialEngine().map(Named(), work)]


def test_what_no_page_can_help_ends_the_run(cluster):
    with pytest.raises(ModelError, match="no model"):
        list(DaskEngine(cluster).map(Named("bad model"), chunks(["a"])))


def test_a_page_that_kills_its_workers_is_listed_and_others_are_read(cluster, tmp_path):
    log = str(tmp_path / "log")
    found = [r for rs in DaskEngine(cluster).map(Named(log), chunks(["a", "crash", "b"], ["c"])) for r in rs]
    assert [(r.source, bool(r.problem)) for r in found] == [
        ("a", False), ("crash", True), ("b", False), ("c", False),
    ]  # fmt: skip
    assert "crashed its worker" in found[1].problem


def test_a_page_that_takes_too_long_is_listed(cluster):
    engine = DaskEngine(cluster, page_timeout=1)
    found = [r for rs in engine.map(Named(), chunks(["a", "stuck"], ["b"])) for r in rs]
    assert [r.problem for r in found] == ["", "reading this page took longer than --page-timeout 1 s", ""]


def test_work_in_flight_is_bounded(cluster):
    workers_of(cluster)
    taken = []

    def endless():
        for n in range(1000):
            taken.append(n)
            yield [PageRef(path=f"slow {n}" if n == 0 else f"{n}")]

    results = DaskEngine(cluster).map(Named(), endless())
    next(results)
    results.close()
    assert len(taken) <= 2 * 2 * WINDOW + 1


def test_an_address_where_nothing_is_and_a_missing_address():
    with pytest.raises(OmrgradeError, match="cannot be reached"):
        list(DaskEngine("nonsense://x").map(Named(), chunks(["a"])))
    assert isinstance(make_engine(cluster="local"), DaskEngine)


# ---------------------------------------------------------------- the command


def test_a_worker_killed_half_way_changes_no_byte(cluster, day, school):
    """Two workers, one of them killed once pages have come in."""
    victim = workers_of(cluster)[0]
    command = ["grade", "scans", "-t", "slip.yaml", "-k", "key.csv", "-o", "out", "--no-overlays", "-v"]
    run = subprocess.Popen(
        [sys.executable, "-m", "omrgrade", *command, "--cluster", cluster],
        cwd=day, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert run.stderr.readline().startswith("1/24 ")
    os.kill(victim, signal.SIGKILL)
    _, error = run.communicate(timeout=120)
    assert run.returncode == 4, error
    assert tables(day / "out") == tables(school / "out")


def test_a_run_begun_here_can_go_on_on_a_cluster(cluster, day, school):
    grade(day, "--no-overlays", scans="scans/3.png")
    result = grade(day, "--no-overlays", "--cluster", cluster)
    assert "1 of them read before" in result.stderr
    assert tables(day / "out") == tables(school / "out")


def test_a_cluster_of_its_own(day, school):
    result = run_omrgrade(
        day, "grade", "scans", "-t", "slip.yaml", "-k", "key.csv", "-o", "out", "--no-overlays", "--cluster",
        "local", "-j", 2,
    )  # fmt: skip
    assert result.returncode == 4, result.stderr
    assert "Traceback" not in result.stderr
    assert tables(day / "out") == tables(school / "out")


def test_workers_need_no_model_of_their_own(school, tmp_path):
    template = load_template(school / "slip.yaml")
    for end in ("onnx", "json"):
        shutil.copy(bundled("models", f"digits.{end}"), tmp_path / f"m.{end}")
    work = PageWork(template=template, model=str(tmp_path / "m.onnx"))
    packed, digest, ref = work.packed(), work.digest(), PageRef(path=str(school / "scans/1.png"))
    expected = work()([ref])
    (tmp_path / "m.onnx").unlink()
    assert packed.digest() == digest and packed()([ref]) == expected


# ---------------------------------------------------------------- URLs


def test_scans_at_a_url_are_read_by_the_workers(cluster, day, school):
    url = f"file://{day}/scans"
    result = grade(day, "--no-overlays", "--cluster", cluster, scans=url)
    assert result.exit_code == 4, result.output
    rows, expected = table(day / "out/marks.csv"), table(school / "out/marks.csv")
    assert [row["source"] for row in rows] == [f"file://{day}/{row['source']}" for row in expected]
    assert [row["total"] for row in rows] == [row["total"] for row in expected]
    again = grade(day, "--no-overlays", scans=url)
    assert "24 of them read before" in again.stderr
    save(slip_pixels(load_template(day / "slip.yaml"), "14"), day / "scans/0.png")
    assert "23 of them read before" in grade(day, "--no-overlays", scans=url).stderr


def test_pages_of_files_at_a_url_are_counted_and_limits_hold(tmp_path):
    from PIL import Image

    from omrgrade.records import Limits

    pages = [Image.new("L", (90, 60), shade) for shade in (10, 20, 30)]
    pages[0].save(tmp_path / "a10.tif", save_all=True, append_images=pages[1:])
    pages[0].save(tmp_path / "a9.pdf", save_all=True, append_images=pages[1:])
    (tmp_path / "notes.txt").write_text("no scan")
    refs = find_pages([f"file://{tmp_path}"])
    assert [(Path(ref.path).name, ref.page) for ref in refs] == [
        ("a9.pdf", 1), ("a9.pdf", 2), ("a9.pdf", 3), ("a10.tif", 1), ("a10.tif", 2), ("a10.tif", 3),
    ]  # fmt: skip
    assert [int(read_scan(ref).pixels[5, 5]) for ref in refs[3:]] == [10, 20, 30]
    refused = find_pages([f"file://{tmp_path}"], limits=Limits(pages=2))
    assert len(refused) == 2 and all("--max-pages" in ref.problem for ref in refused)


def test_only_the_last_fetched_files_are_kept(tmp_path):
    copies = []
    for n in range(KEPT + 2):
        (tmp_path / f"{n}.png").write_bytes(bytes([n]))
        copies.append(local_copy(f"file://{tmp_path}/{n}.png", "v"))
    assert [path.exists() for path in copies] == [False] * 2 + [True] * KEPT
    assert local_copy(f"file://{tmp_path}/{n}.png", "v") == copies[-1]
    assert local_copy(f"file://{tmp_path}/{n}.png", "newer") != copies[-1]


@pytest.mark.parametrize(
    ("url", "reason"),
    [("file:///no/such/place", "no scans found"), ("nonsense://x/y", "cannot be read|needs one more package"),
     ("s3://bucket/scans", "omrgrade\\[s3\\]|cannot be read")],
)  # fmt: skip
def test_a_url_that_leads_nowhere_is_a_message(url, reason):
    begun = time.monotonic()
    with pytest.raises(OmrgradeError, match=reason):
        find_pages([url])
    assert time.monotonic() - begun < 60
