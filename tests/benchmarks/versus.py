"""Another program and `omrgrade grade` on the same folder, in turn: pages a second of both, and the ratio.

    python tests/benchmarks/versus.py --template sheet.yaml --scans scans -- PEER_COMMAND ARGUMENT ...

The peer's command is run as it is given; `{scans}` and `{out}` in its arguments stand for the folder of scans
and for an empty folder, new for each run. Medians of `--runs` turns, one job each; CPU seconds stand beside
the wall clock's, since programs that start threads use more of a machine than one that does not.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from grade import run

from omrgrade.images import find_pages


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scans", type=Path, required=True)
    parser.add_argument("--template", required=True)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--options", default="--overlays none", help="more options of omrgrade grade")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("peer", nargs="+", metavar="PEER_COMMAND")
    options = parser.parse_args()
    if shutil.which(options.peer[0]) is None:
        parser.error(f"there is no program {options.peer[0]}")
    pages = len(find_pages([options.scans]))
    own = ["grade", "{scans}", "-t", options.template, "-o", "{out}/out", "-q", "--jobs", "1"]
    commands = {
        "peer": options.peer,
        "omrgrade": [sys.executable, "-m", "omrgrade", *own, *shlex.split(options.options)],
    }
    seconds: dict[str, list[dict[str, float]]] = {name: [] for name in commands}
    for _ in range(options.runs):
        for name, command in commands.items():
            with tempfile.TemporaryDirectory() as out:
                places = {"{scans}": str(options.scans), "{out}": out}
                line = command
                for mark, place in places.items():
                    line = [part.replace(mark, place) for part in line]
                seconds[name].append(run(line))
    figures: dict[str, float] = {"pages": pages}
    for clock in ("wall", "cpu"):
        for name, rows in seconds.items():
            figures[f"{name}_pages_per_{clock}_second"] = round(
                statistics.median(pages / row[clock] for row in rows), 2
            )
        pairs = zip(seconds["peer"], seconds["omrgrade"], strict=True)
        figures[f"{clock}_ratio"] = round(statistics.median(a[clock] / b[clock] for a, b in pairs), 2)
    for name, rows in seconds.items():
        figures[f"{name}_peak_rss_mb"] = round(max(row["peak"] for row in rows))
    print(
        json.dumps(figures, indent=2) if options.json else "\n".join(f"{k}: {v}" for k, v in figures.items())
    )


if __name__ == "__main__":
    main()
