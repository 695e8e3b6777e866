"""How fast `omrgrade grade` is beside merely decoding the same pages, and what memory it takes.

    python tests/benchmarks/grade.py --pages 240 --json

Makes its own pages (see pages.py) or takes `--folder` made by that. Decoding, grading with one job and with
two take turns, several times over; printed are medians. On a machine that does other work, compare the ratios
of CPU time (`cpu_...`), which other programs disturb least. The package is compiled first, as it is on
installing. Linux only: memory is read from /proc.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

STAGES = (
    "page_content", "read_scan", "page_digest", "_register", "upright_preview", "crop_fields",
    "normalize_all", "classify_views", "read_box", "read_bubbles", "field_picture",
)  # fmt: skip
"""Functions that omrgrade.pipeline and omrgrade.reading call, in the order of a page's way."""


# ---------------------------------------------------------------- in child processes


def decode(folder: Path) -> dict[str, float]:
    """Decode every page, one after the other."""
    import cv2

    from omrgrade.images import find_pages, read_scan

    cv2.setNumThreads(1)
    refs = find_pages([folder / "scans"])
    wall, cpu = time.perf_counter(), time.process_time()
    for ref in refs:
        read_scan(ref)
    return {
        "pages": len(refs),
        "wall": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
    }


def stages(folder: Path) -> dict[str, float]:
    """CPU milliseconds a page by stage, reading in this process."""
    import cv2

    from omrgrade import pipeline, reading
    from omrgrade.images import find_pages
    from omrgrade.template import load_template

    cv2.setNumThreads(1)
    callers = {name: pipeline if hasattr(pipeline, name) else reading for name in STAGES}
    spent = dict.fromkeys(STAGES, 0.0)

    def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            start = time.process_time()
            try:
                return function(*args, **options)
            finally:
                spent[name] += time.process_time() - start

        return call

    for name, caller in callers.items():
        setattr(caller, name, timed(name, getattr(caller, name)))
    refs = find_pages([folder / "scans"])
    read = pipeline.PageWork(template=load_template(folder / "sheet.yaml"), previews=False)()
    read(refs[: pipeline.CHUNK])
    spent.update(dict.fromkeys(spent, 0.0))
    start = time.process_time()
    for first in range(0, len(refs), pipeline.CHUNK):
        read(refs[first : first + pipeline.CHUNK])
    total = time.process_time() - start
    spent["other"] = total - sum(spent.values())
    return {name.strip("_"): round(1000 * seconds / len(refs), 2) for name, seconds in spent.items()}


def first_page(arguments: list[str]) -> None:
    """Run the command; print the time of day when the first pages were kept, and stop there."""
    from omrgrade.cli import OWN_PROCESS, cli
    from omrgrade.store import Store

    def kept(*_: Any) -> None:
        print(time.time(), flush=True)
        os._exit(0)

    Store.add_pages = kept  # type: ignore[method-assign]
    cli(arguments, obj=OWN_PROCESS)


# ---------------------------------------------------------------- measuring from outside


def tree_rss(root: int) -> float:
    """Resident memory of a process and all below it, MB; pages that they share count in each."""
    total, todo = 0, [str(root)]
    while todo:
        process = Path("/proc") / todo.pop()
        with contextlib.suppress(OSError, IndexError, ValueError):  # it has ended meanwhile
            fields = (process / "stat").read_text().rpartition(")")[2].split()
            total += int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
            for thread in (process / "task").iterdir():
                todo += (thread / "children").read_text().split()
    return total / 1e6


def run(command: list[str]) -> dict[str, float]:
    """Run a command: seconds of wall clock, of CPU with its children, and its peak memory, MB."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    peak, done = [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.1):
            peak[0] = max(peak[0], tree_rss(process.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    assert process.stderr
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    done.set()
    watcher.join()
    if os.waitstatus_to_exitcode(status) not in (0, 4, 5):
        sys.exit(f"{command} failed:\n{errors.decode(errors='replace')}")
    return {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "peak": peak[0]}


def itself(mode: str, folder: Path) -> dict[str, float]:
    """Run a part of this file in a process of its own."""
    command = [sys.executable, __file__, "--part", mode, "--folder", str(folder)]
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def grade_command(folder: Path, out: Path, jobs: int, overlays: str) -> list[str]:
    """The arguments of `omrgrade`, after its name."""
    options = ["-t", str(folder / "sheet.yaml"), "-k", str(folder / "key.csv"), "-o", str(out)]
    return ["grade", str(folder / "scans"), *options, "--jobs", str(jobs), "--overlays", overlays, "-q"]


def keep_bytecode(folder: Path) -> None:
    """Have the package compiled into `folder`, for all that is run from now on, as pip does on installing it.

    Else a checkout where nothing may be written is compiled anew in every process.
    """
    import omrgrade

    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = str(folder)
    package = str(Path(omrgrade.__file__).parent)
    subprocess.run([sys.executable, "-m", "compileall", "-q", package], check=True)


def measure(folder: Path, runs: int, overlays: str) -> dict[str, Any]:
    """All figures of a folder of pages."""
    rows: dict[str, list[dict[str, float]]] = {"decode": [], "one": [], "two": []}
    first: list[float] = []
    pages = 0
    for _ in range(runs):
        rows["decode"].append(itself("decode", folder))
        pages = int(rows["decode"][-1]["pages"])
        for name, jobs in (("one", 1), ("two", 2)):
            with tempfile.TemporaryDirectory() as out:
                command = grade_command(folder, Path(out) / "out", jobs, overlays)
                rows[name].append(run([sys.executable, "-m", "omrgrade", *command]))
        with tempfile.TemporaryDirectory() as out:
            arguments = grade_command(folder, Path(out) / "out", 1, overlays)
            start = time.time()
            child = [sys.executable, __file__, "--first-page", *arguments]
            answer = subprocess.run(child, check=True, capture_output=True, text=True).stdout
            first.append(float(answer) - start)

    def per_second(name: str, clock: str) -> float:
        return statistics.median(pages / row[clock] for row in rows[name])

    def ratio(one: str, two: str, clock: str) -> float:
        return statistics.median(b[clock] / a[clock] for a, b in zip(rows[one], rows[two], strict=True))

    return {
        "pages": pages,
        "pages_per_second": round(per_second("one", "wall"), 2),
        "pages_per_second_two_jobs": round(per_second("two", "wall"), 2),
        "decode_pages_per_second": round(per_second("decode", "wall"), 2),
        "ratio_one_job": round(ratio("one", "decode", "wall"), 3),
        "speedup_two_jobs": round(ratio("two", "one", "wall"), 3),
        "first_page_seconds": round(statistics.median(first), 2),
        "peak_rss_mb": round(max(row["peak"] for row in rows["one"])),
        "peak_rss_mb_two_jobs": round(max(row["peak"] for row in rows["two"])),
        "cpu_ms_per_page": round(1000 / per_second("one", "cpu"), 1),
        "cpu_ms_per_page_decode": round(1000 / per_second("decode", "cpu"), 1),
        "cpu_ratio_one_job": round(ratio("one", "decode", "cpu"), 3),
        "cpu_two_jobs_beside_one": round(1 / ratio("two", "one", "cpu"), 3),
        "stages_cpu_ms_per_page": itself("stages", folder),
    }


def main() -> None:
    """Make pages, measure, print."""
    if sys.argv[1:2] == ["--first-page"]:
        first_page(sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=240)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="made by pages.py; default: make one")
    parser.add_argument("--dpi", type=int, default=300)
    parser.add_argument("--colour", action="store_true")
    parser.add_argument("--overlays", choices=["none", "doubtful", "all"], default="none")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--part", choices=["decode", "stages"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        print(json.dumps({"decode": decode, "stages": stages}[options.part](options.folder)))
        return
    with tempfile.TemporaryDirectory() as made, tempfile.TemporaryDirectory() as bytecode:
        keep_bytecode(Path(bytecode))
        folder = options.folder or Path(made)
        if not options.folder:
            from pages import make_pages

            make_pages(folder, options.pages, dpi=options.dpi, colour=options.colour)
        figures = measure(folder, options.runs, options.overlays)
    if options.json:
        print(json.dumps(figures, indent=2))
    else:
        for name, value in figures.items():
            print(f"{name:>26}  {value}")


if __name__ == "__main__":
    main()
