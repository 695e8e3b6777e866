"""Read simulated pages of known truth and print what came of every field, by profile and kind.

    python tests/benchmarks/simulated.py --pages 300 --seed 1000

Pages are spread evenly over the bundled templates. Not a test: nothing here passes or fails.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from omrgrade.metrics import wilson
from omrgrade.pipeline import grade_batch
from omrgrade.simulate import simulate_batch
from omrgrade.template import load_template

TEMPLATES = ("numeric-a4", "choice-a4", "mixed-letter")
PROFILES = ("scanner", "photo", "copier")
PART = 10  # pages simulated and read at a time: bounds the disk


def read_part(template_name: str, profile: str, count: int, seed: int) -> tuple[Counter, list[str]]:
    """Simulate and read `count` pages; counts of (kind, outcome), and the wrong ones in words."""
    counts: Counter = Counter()
    wrong: list[str] = []
    template = load_template(template_name)
    with tempfile.TemporaryDirectory() as folder:
        simulate_batch(template, count, seed, profile, Path(folder))
        with (Path(folder) / "truth.csv").open(newline="", encoding="utf-8") as file:
            truth = {(row["source"], row["field"]): row["value"] for row in csv.DictReader(file)}
        pages = sorted(path for path in Path(folder).iterdir() if path.suffix != ".csv")
        batch = grade_batch(pages, template)
    for page in batch.pages:
        counts["page", "unreadable" if page.problem else "registered"] += 1
        name = Path(page.source).name
        for field in page.fields:
            right = field.value == truth[name, field.field]
            outcome = "review" if field.status == "review" else "right" if right else "wrong"
            counts[field.kind, outcome] += 1
            if outcome == "wrong":
                wrong.append(
                    f"{profile} {template_name} seed {seed} {name} {field.field}: "
                    f"{truth[name, field.field]!r} read as {field.value!r} at {field.confidence:.4f}"
                )
    return counts, wrong


def share(part: int, total: int) -> str:
    """Percent with its 95 % interval."""
    low, high = wilson(part, total)
    return f"{100 * part / max(1, total):.2f} ({100 * low:.2f}-{100 * high:.2f})"


def main() -> None:
    """Run and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=300, help="pages a profile")
    parser.add_argument("--seed", type=int, default=1000, help="first seed")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--profiles", nargs="+", default=PROFILES)
    options = parser.parse_args()
    print("| profile | pages | registered | fields | wrong, unflagged % | under review % |")
    print("|---|---|---|---|---|---|")
    mistakes: list[str] = []
    with ProcessPoolExecutor(options.jobs, get_context("spawn")) as pool:
        for profile in options.profiles:
            parts = range(options.pages // PART)
            tasks = [
                pool.submit(read_part, TEMPLATES[n % len(TEMPLATES)], profile, PART, options.seed + n)
                for n in parts
            ]
            counts: Counter = Counter()
            for task in tasks:
                found, wrong = task.result()
                counts += found
                mistakes += wrong
            for kinds, label in (
                (("digits", "choice", "grid"), profile),
                (("digits",), ""),
                (("choice", "grid"), ""),
            ):
                by = {o: sum(counts[kind, o] for kind in kinds) for o in ("right", "wrong", "review")}
                total = sum(by.values())
                registered = counts["page", "registered"]
                pages = registered + counts["page", "unreadable"]
                name = label or f"- {' and '.join(kinds)}"
                print(
                    f"| {name} | {pages} | {registered} | {total} | {share(by['wrong'], total)} "
                    f"| {share(by['review'], total)} |",
                    flush=True,
                )
    print("\n".join(["", *mistakes]))


if __name__ == "__main__":
    main()
