"""Every engine gives the same readings in the same order, whatever breaks on the way."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from omrgrade.engine import (
    MEMORY,
    WINDOW,
    ProcessEngine,
    SerialEngine,
    available_cores,
    bounded_memory,
    make_engine,
    memory_for,
)
from omrgrade.errors import ModelError, OmrgradeError, UnreadableImageError
from omrgrade.records import Limits, PageReading, PageRef


@dataclass(frozen=True)
class Work:
    """Reads pages by what their names say should happen."""

    log: str = ""

    def __call__(self):
        if self.log == "bad model":
            raise ModelError("no model", received="x")
        if self.log == "dies at once":
            os._exit(7)
        return self.read

    def read(self, chunk):
        out = []
        for ref in chunk:
            if self.log:
                with Path(self.log).open("a") as file:
                    file.write(f"{ref.path}\n")
            if ref.path.startswith("slow"):
                time.sleep(0.3)
            if ref.path.startswith("stuck"):
                time.sleep(1000)
            if ref.path.startswith("greedy"):
                bytearray(MEMORY + (1 << 30))
            if ref.path.startswith("crash"):
                os.kill(os.getpid(), signal.SIGKILL)
            if ref.path.startswith("unlucky") and Path(self.log).read_text().count(ref.path) == 1:
                os._exit(3)
            if ref.path.startswith("ctrl-c"):
                raise KeyboardInterrupt
            if ref.path.startswith("bug"):
                raise ValueError("a surprise")
            if ref.path.startswith("bad page"):
                raise UnreadableImageError("damaged")
            out.append(PageReading(source=ref.path, page=ref.page, digest=str(len(ref.path))))
        return out


def chunks(*names):
    return [[PageRef(path=name) for name in chunk] for chunk in names]


ENGINES = [SerialEngine(), ProcessEngine(2), ProcessEngine(1, copied=True)]
NAMES = ["serial", "processes", "copy"]


@pytest.mark.parametrize("engine", ENGINES, ids=NAMES)
def test_results_come_in_the_order_of_the_chunks(engine):
    work = [["slow a", "b"], ["c"], [], ["d", "e", "f"], ["g"]]
    found = [[r.source for r in readings] for readings in engine.map(Work(), chunks(*work))]
    assert found == work


@pytest.mark.parametrize("engine", ENGINES, ids=NAMES)
def test_what_nobody_foresaw_costs_only_its_page(engine):
    found = [r for rs in engine.map(Work(), chunks(["a", "bug", "b"], ["bad page", "c"])) for r in rs]
    assert [(r.source, r.problem) for r in found] == [
        ("a", ""), ("bug", "ValueError: a surprise"), ("b", ""), ("bad page", "damaged"),
        ("c", ""),
    ]  # fmt: skip


@pytest.mark.parametrize("engine", ENGINES[1:], ids=NAMES[1:])
def test_a_dead_worker_costs_only_its_page_which_is_retried_once_alone(engine, tmp_path):
    log = tmp_path / "log"
    work = chunks(["a", "crash", "b"], ["c"], ["unlucky", "d"], ["e"])
    found = [r for rs in engine.map(Work(str(log)), work) for r in rs]
    assert [r.source for r in found] == ["a", "crash", "b", "c", "unlucky", "d", "e"]
    problems = {r.source: r.problem for r in found if r.problem}
    assert list(problems) == ["crash"]
    assert "crashed its worker" in problems["crash"] and "-9" in problems["crash"]
    assert log.read_text().split().count("crash") == 2


@pytest.mark.parametrize("engine", ENGINES, ids=NAMES)
def test_what_no_page_can_help_ends_the_run(engine):
    with pytest.raises(ModelError, match="no model"):
        list(engine.map(Work("bad model"), chunks(["a"])))


@pytest.mark.parametrize("copied", [False, True], ids=["spawned", "copied"])
def test_workers_started_before_there_is_work_read_like_others_and_end_with_the_run(copied):
    others = set(multiprocessing.active_children())
    engine = ProcessEngine(2, copied=copied)
    engine.start("json", "csv")
    assert len(set(multiprocessing.active_children()) - others) == 2
    for names in ([["a"]], [["slow a"], ["b"], ["c"]]):  # one of them is not needed; none is left over
        found = [[r.source for r in readings] for readings in engine.map(Work(), chunks(*names))]
        assert found == names
        assert not set(multiprocessing.active_children()) - others


def test_what_a_worker_started_early_cannot_load_ends_the_run():
    engine = ProcessEngine(1)
    engine.start("json", "omrgrade.no_such_module")
    with pytest.raises(ModuleNotFoundError):
        list(engine.map(Work(), chunks(["a"])))


def test_workers_that_cannot_start_end_the_run():
    with pytest.raises(OmrgradeError, match=r"could not be started.*exit code 7"):
        list(ProcessEngine(1).map(Work("dies at once"), chunks(["a"])))


def test_work_in_flight_is_bounded():
    taken = []

    def endless():
        for n in range(1000):
            taken.append(n)
            yield [PageRef(path=f"slow {n}" if n == 0 else f"{n}")]

    results = ProcessEngine(2).map(Work(), endless())
    next(results)
    assert len(taken) <= 2 * WINDOW + 1
    results.close()


@pytest.mark.parametrize("engine", ENGINES[1:], ids=NAMES[1:])
def test_a_worker_has_its_next_chunk_while_who_gets_the_readings_is_busy(engine, tmp_path):
    log = tmp_path / "log"
    results = engine.map(Work(str(log)), chunks(*([name] for name in "abcdefgh")))
    next(results)
    wanted = 3  # the first, and of its worker what it reads and what comes then
    give_up = time.monotonic() + 20
    while len(log.read_text().split()) < wanted and time.monotonic() < give_up:
        time.sleep(0.02)
    results.close()
    assert len(log.read_text().split()) >= wanted


def test_closing_ends_the_workers():
    import multiprocessing

    results = ProcessEngine(2).map(Work(), chunks(["a"], ["slow b"], ["slow c"], ["slow d"]))
    next(results)
    assert multiprocessing.active_children()
    results.close()
    assert not multiprocessing.active_children()


COPY = """
import os, threading
from omrgrade.engine import ProcessEngine
from omrgrade.records import PageReading, PageRef

loaded = []

def work():
    def read(chunk):
        files = [os.path.realpath(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd") if int(n) > 2]
        return [PageReading(source=str(loaded), page=1, problem=str(files))]
    return read

if __name__ == "__main__":
    loaded.append("template")
    lock = os.open("lock", os.O_RDWR | os.O_CREAT)
    if input() == "another thread":
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    (page,), = ProcessEngine(1, copied=True).map(work, [[PageRef(path="a")]])
    print(page.source, "lock" in page.problem, flush=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="copies are made on Linux")
@pytest.mark.parametrize(("threads", "loaded"), [("one thread", "['template']"), ("another thread", "[]")])
def test_a_copy_has_what_was_loaded_but_no_open_files_and_is_made_of_one_thread(threads, loaded, tmp_path):
    (tmp_path / "program.py").write_text(COPY)
    run = subprocess.run(
        [sys.executable, "program.py"], cwd=tmp_path, input=threads, capture_output=True, text=True,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert (run.returncode, run.stdout, run.stderr) == (0, f"{loaded} False\n", "")


SCRIPT = """
import sys, signal
sys.path.insert(0, {tests!r})
from test_engine import Work, chunks
from omrgrade.engine import ProcessEngine

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    kept = []
    try:
        for readings in ProcessEngine(2).map(Work(), chunks(*[["slow %d" % n] for n in range(60)])):
            kept += readings
            print("one", flush=True)
    except KeyboardInterrupt:
        print("kept", len(kept), flush=True)
"""


def test_ctrl_c_stops_cleanly_and_keeps_what_was_done(tmp_path):
    script = tmp_path / "run.py"
    script.write_text(SCRIPT.format(tests=str(Path(__file__).parent)))
    run = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    assert run.stdout.readline() == "one\n"
    os.killpg(run.pid, signal.SIGINT)  # what a terminal does: the whole group
    out, err = run.communicate(timeout=20)
    assert run.returncode == 0 and err == ""
    assert 1 <= int(out.split()[-1]) < 60


@pytest.mark.parametrize(
    "engine", [SerialEngine(0.7), ProcessEngine(2, 0.7), ProcessEngine(1, 0.7, copied=True)], ids=NAMES
)
def test_a_page_that_takes_too_long_is_tried_once_alone_then_listed(engine, tmp_path):
    log = tmp_path / "log"
    work = chunks(["a", "stuck", "b"], ["c"], ["slow d", "e"], ["stuck too"])
    found = [r for rs in engine.map(Work(str(log)), work) for r in rs]
    assert [r.source for r in found] == ["a", "stuck", "b", "c", "slow d", "e", "stuck too"]
    problems = {r.source: r.problem for r in found if r.problem}
    assert problems == dict.fromkeys(
        ["stuck", "stuck too"], "reading this page took longer than --page-timeout 0.7 s"
    )
    with_engine = 3 if isinstance(engine, SerialEngine) else 2  # once more, when the thread was left behind
    assert log.read_text().splitlines().count("stuck") == with_engine


def test_the_next_chunk_is_read_while_the_last_one_is_being_kept(tmp_path):
    log = tmp_path / "log"
    for readings in SerialEngine(60).map(Work(str(log)), chunks(["a"], ["b"], ["c"])):
        following = {"a": "b", "b": "c", "c": "c"}[readings[0].source]
        eventually = time.monotonic() + 20
        while following not in log.read_text().split() and time.monotonic() < eventually:
            time.sleep(0.01)
        assert log.read_text().split()[-1] == following


@pytest.mark.parametrize(
    "engine", [SerialEngine(60), ProcessEngine(2, 60), ProcessEngine(1, 60, copied=True)], ids=NAMES
)
def test_a_page_that_wants_all_memory_costs_only_itself(engine):
    found = [r for rs in engine.map(Work(), chunks(["a", "greedy", "b"])) for r in rs]
    assert [(r.source, "MemoryError" in r.problem) for r in found] == [
        ("a", False), ("greedy", True), ("b", False),
    ]  # fmt: skip


@pytest.mark.skipif(sys.platform != "linux", reason="bounds memory by what the kernel counts")
def test_what_a_program_holds_already_leaves_reading_no_less_memory():
    own = np.ones(400 << 20, np.uint8)
    with bounded_memory(200 << 20):
        thread = threading.Thread(target=time.sleep, args=(0,))
        thread.start()  # without memory it would never say that it has started
        thread.join()
        with pytest.raises(MemoryError):
            np.ones(300 << 20, np.uint8)
    assert len(own) == 400 << 20


def test_larger_pages_than_usual_are_given_more_memory():
    assert memory_for(None) == memory_for(Limits(megapixels=10)) == MEMORY
    assert memory_for(Limits(megapixels=1000)) > 5e9  # with transparency they need 4.7
    assert (
        make_engine(1, memory=MEMORY // 2).memory == make_engine(2, memory=MEMORY // 2).memory == MEMORY // 2
    )


def test_in_a_thread_too_what_is_raised_is_raised():
    for log, error in (("bad model", ModelError), ("", KeyboardInterrupt)):
        with pytest.raises(error):
            list(SerialEngine(60).map(Work(log), chunks(["ctrl-c"])))


def test_make_engine():
    assert isinstance(make_engine(1), SerialEngine)
    apart = make_engine(1, apart=True)
    assert isinstance(apart, ProcessEngine if sys.platform == "linux" else SerialEngine)
    assert make_engine(3).jobs == 3
    assert 1 <= available_cores() <= os.cpu_count()
    with pytest.raises(OmrgradeError, match="at least 1"):
        make_engine(0)
