"""Grades for half an hour without a pause: does memory grow, or the number of open files?

    python tests/benchmarks/soak.py [--minutes 30] [--jobs 2] [--megabytes 40]

One process grades the same pages, good and damaged ones, over and over, into new folders, in turn in
a copy of itself, as with one job, and with worker processes; the pages of PDFs are counted in another copy.
After the first tenth of the time memory may grow by `--megabytes`; open files, threads and processes by
nothing. Exit code 1 if they do.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

for name in ("OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"):  # a process with threads is not copied
    os.environ[name] = "1"
sys.path.insert(0, str(Path(__file__).parents[1]))
from classroom import save, slip_pixels, write_slip  # noqa: E402 - NumPy and OpenCV come with it

STATUS = Path("/proc/self/status")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("minutes", 30.0), ("jobs", 2), ("megabytes", 40)):
        parser.add_argument(f"--{name}", type=type(default), default=default)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return soak(Path(folder), options)


def soak(folder: Path, options: argparse.Namespace) -> int:
    template = pile(folder)
    begun, rounds, base, now = time.monotonic(), 0, None, held()
    while time.monotonic() - begun < 60 * options.minutes:
        one_round(folder, template, options.jobs, rounds % 2)
        rounds, now = rounds + 1, held()
        minutes = (time.monotonic() - begun) / 60
        if base is None and minutes >= options.minutes / 10:
            base = now
        state = "  ".join(f"{name} {value}" for name, value in now.items())
        print(f"{minutes:6.1f} min  round {rounds:4}  {state}", flush=True)
    grown = {name: now[name] - (base or now)[name] for name in now}
    print(f"{rounds} rounds; since the first tenth of the time: {grown}")
    return int(grown["MB"] > options.megabytes or any(grown[name] > 0 for name in grown if name != "MB"))


def pile(folder: Path):
    template = write_slip(folder)
    for n, pupil in enumerate(("11", "12", "13", "14") * 3):
        save(slip_pixels(template, pupil, turn=90 * (n % 4)), folder / f"scans/{n}.png")
    whole = (folder / "scans/0.png").read_bytes()
    (folder / "scans/cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "scans/empty.pdf").write_bytes(b"%PDF-1.4\n")
    save(slip_pixels(template, "11"), folder / "scans/a.tif", compression="tiff_lzw")
    save(slip_pixels(template, "12"), folder / "scans/b.pdf")
    return template


def one_round(folder: Path, template, jobs: int, turn: int) -> None:
    """Grade everything into a new folder, then once more, where nothing is left to read."""
    from omrgrade.engine import ProcessEngine
    from omrgrade.engine.counting import CountingApart
    from omrgrade.images import find_pages
    from omrgrade.key import load_key
    from omrgrade.outputs import write_outputs
    from omrgrade.pipeline import grade_batch
    from omrgrade.records import Limits
    from omrgrade.store import Store

    out = folder / "out"
    shutil.rmtree(out, ignore_errors=True)
    key = load_key(folder / "key.csv", template)
    engine = (ProcessEngine(1, 60, copied=True), ProcessEngine(jobs, 60))[turn]
    count = CountingApart(limits=Limits(), page_timeout=60)
    for _ in range(2):
        pages = find_pages([folder / "scans"], count=count)
        with Store.resume(out / "run.sqlite") as store:
            batch = grade_batch(pages, template, key, store=store, engine=engine)
            write_outputs(
                batch, out, template=template, key=key,
                preview=lambda page, store=store: store.preview(page.source, page.page),
            )  # fmt: skip
    if batch.kept < 14:
        raise AssertionError(f"only {batch.kept} pages were kept")


def held() -> dict[str, int]:
    """What this process holds: resident memory, open files, threads, child processes."""
    import multiprocessing

    status = STATUS.read_text()
    return {
        "MB": int(status.split("VmRSS:")[1].split()[0]) // 1024,
        "files": len(list(Path("/proc/self/fd").iterdir())),
        "threads": int(status.split("Threads:")[1].split()[0]),
        "children": len(multiprocessing.active_children()),
    }


if __name__ == "__main__":
    sys.exit(main())
