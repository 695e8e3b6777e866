"""Kills `omrgrade grade` at random moments, starts it again, compares the files with an undisturbed run's.

    python tests/benchmarks/kill.py [--kills 50] [--pages 40] [--jobs 2] [--seed 1]

Every round starts afresh and is killed until the command ends by itself, at most ten times; there are as many
rounds as the kills need. Exit code 1 at the first difference.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from classroom import save, slip_pixels, write_slip
from killing import kill_until_done, results, start


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, default in (("kills", 50), ("pages", 40), ("jobs", 2), ("seed", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run(Path(folder), options)


def run(folder: Path, options: argparse.Namespace) -> None:
    template = write_slip(folder)
    made = [slip_pixels(template, pupil) for pupil in ("11", "12", "13", "14")]
    for n in range(options.pages):
        pixels = made[n % 4].copy()
        pixels[0, n] = 200  # every page another picture
        save(pixels, folder / f"scans/{n}.png")
    line = ["scans", "-t", "slip.yaml", "-k", "key.csv", "-r", "roster.csv", "-o", "out", "-j", options.jobs]
    begun = time.monotonic()
    start(folder, *line).communicate()
    seconds = time.monotonic() - begun
    expected = results(folder / "out")
    moments, kills, rounds = random.Random(options.seed), 0, 0
    while kills < options.kills:
        shutil.rmtree(folder / "out")
        took = kill_until_done(
            folder, line, seconds=seconds, moments=moments, most=min(options.kills - kills, 10)
        )
        kills, rounds = kills + took, rounds + 1
        found = results(folder / "out")
        print(f"round {rounds}: {took} kills, {kills} in all", flush=True)
        if found != expected:
            names = [n for n in expected.keys() | found.keys() if expected.get(n) != found.get(n)]
            sys.exit(f"after these kills other files: {', '.join(sorted(names))}")
    print(
        f"{kills} kills in {rounds} rounds of {options.pages} pages: always the files of an undisturbed run"
    )


if __name__ == "__main__":
    main()
