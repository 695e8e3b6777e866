"""Memory of `omrgrade grade` over a long run: a line whenever another share of the pages is kept.

    python tests/benchmarks/memory.py --folder pages --pages 5000 --jobs 2

Pages made by pages.py are named again and again (hard links) until there are enough of them. Resident memory
of all processes together, what they share counted in each; Linux only.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from grade import grade_command, tree_rss
from pages import make_pages

LINES = 20


def many(source: Path, count: int, folder: Path) -> int:
    """Link the scans of `source` until there are `count` pages; how many there are."""
    from omrgrade.images import find_pages

    for name in ("sheet.yaml", "key.csv"):
        os.link(source / name, folder / name)
    (folder / "scans").mkdir()
    files = sorted((source / "scans").iterdir())
    each, made, turn = len(find_pages([source / "scans"])), 0, 0
    while made < count:
        for file in files:
            os.link(file, folder / "scans" / f"{turn:04d}-{file.name}")
        made, turn = made + each, turn + 1
    return made


def kept(out: Path) -> int:
    """Pages in the run's file."""
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(out / "run.sqlite")) as file:
        return int(file.execute("SELECT count(*) FROM pages").fetchone()[0])
    return 0


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="made by pages.py; default: make 60 pages")
    parser.add_argument("--pages", type=int, default=5000)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as made, tempfile.TemporaryDirectory(dir=options.folder) as work:
        source = options.folder or Path(made)
        if not options.folder:
            make_pages(source, 60)
        pages = many(source, options.pages, Path(work))
        out = Path(work) / "out"
        command = [sys.executable, "-m", "omrgrade", *grade_command(Path(work), out, options.jobs, "none")]
        start, told, peak = time.monotonic(), 0, 0.0
        process = subprocess.Popen(command)
        print(f"{'seconds':>8} {'pages':>7} {'MB now':>7} {'MB most since':>14}", flush=True)
        while process.poll() is None:
            now = tree_rss(process.pid)
            peak = max(peak, now)
            if (count := kept(out)) >= told + pages // LINES:
                print(f"{time.monotonic() - start:8.0f} {count:7} {now:7.0f} {peak:14.0f}", flush=True)
                told, peak = count, 0.0
            time.sleep(0.5)
        print(f"{time.monotonic() - start:8.0f} {kept(out):7} end {peak:14.0f}", flush=True)


if __name__ == "__main__":
    main()
