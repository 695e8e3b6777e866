"""Marks recorded page results, many times over: does what comes after reading grow linearly?

    python tests/benchmarks/scale.py [--pages 25000 50000 100000 200000] [--format csv] [--json]

Nothing is read from scans: results of pages of twenty numbers, with their probabilities, and twenty
choices are made up by seed, stored, scored with key and roster, analysed, written, printed and exported a
row a pupil (with `--format parquet` also as Parquet), each number of pages in a process of its own. Prints
processor seconds by step (a busy machine changes them little; making the results up is not counted), those of
a thousand pages, and the peak of memory.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

STEPS = ("store", "marks", "tables", "statistics", "export")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pages", type=int, nargs="+", default=[25_000, 50_000, 100_000, 200_000])
    parser.add_argument("--format", choices=("csv", "parquet"), default="csv", help="of the readings")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one, options.format)))
        return
    rows = []
    if not options.json:
        print(" pages", *(f"{step:>11}" for step in STEPS), "  s/1000 pages  peak MB  file MB  out MB")
    for pages in options.pages:
        command = [sys.executable, __file__, "--one", str(pages), "--format", options.format]
        row = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        rows.append(row)
        if not options.json:
            steps = (f"{row['seconds'][step]:11.1f}" for step in STEPS)
            each = 1000 * sum(row["seconds"].values()) / pages
            print(f"{pages:6}", *steps, f"{each:14.2f}  {row['peak_rss_mb']:7.0f}  {row['store_mb']:7.0f}"
                  f"  {row['out_mb']:6.0f}", flush=True)  # fmt: skip
    if options.json:
        print(json.dumps(rows, indent=2))


def measure(count: int, form: str) -> dict[str, object]:
    import resource

    from omrgrade.kept import KeptRun, keep_run
    from omrgrade.longrun import run_pages
    from omrgrade.marking import mark_batch
    from omrgrade.outputs import WRITERS, write_results
    from omrgrade.outputs.export import Options, export
    from omrgrade.outputs.stored import stored_results
    from omrgrade.outputs.summary import marks_table, summary
    from omrgrade.records import AnswerKey, KeyItem, Pupil, Roster
    from omrgrade.store import Store

    template = sheet()
    key = AnswerKey(
        items=tuple(
            KeyItem(item=f.id, answers=("123" if f.kind == "digits" else "B",)) for f in template.items
        )
    )
    roster = Roster(pupils=tuple(Pupil(student_id=f"{n:06}", name=f"Pupil {n}") for n in range(count)))
    seconds, clock = Counter(), time.process_time()

    def lap(step: str) -> None:
        nonlocal clock
        seconds[step] += time.process_time() - clock
        clock = time.process_time()

    with tempfile.TemporaryDirectory() as folder, Store.create(Path(folder, "run.sqlite")) as store:
        for start in range(0, count, 100):
            made = [page(template, n) for n in range(start, min(start + 100, count))]
            lap("made up")
            store.add_pages(made)
            lap("store")
        keep_run(store, KeptRun(template=template, key=key, roster=roster))
        lap("store")
        run = KeptRun(template=template, key=key, roster=roster)
        batch = mark_batch(run_pages(store, template), template, key, roster)
        lap("marks")
        results = stored_results(store, run, batch)
        statistics = [name for name in ("items", "report") if name in WRITERS]
        others = [name for name in WRITERS if name not in (*statistics, "overlays", "readings")]
        tables = ["parquet" if form == "parquet" else "readings", *others]
        write_results(results, Path(folder), formats=tables)
        lap("tables")
        write_results(results, Path(folder), formats=statistics)
        lap("statistics")
        text = marks_table(batch) + summary(batch)
        options = Options(even_unreviewed=True)
        export(results, Path(folder, "by-pupil.csv"), "csv", options, out=Path(folder))
        if form == "parquet":
            export(results, Path(folder, "exported"), "parquet", options, out=Path(folder))
        lap("export")
        out = sum(p.stat().st_size for p in Path(folder).rglob("*") if p.is_file() and p.name != "run.sqlite")
        return {
            "pages": count,
            "seconds": {step: round(seconds[step], 2) for step in STEPS},
            "printed_mb": len(text) / 1e6,
            "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "store_mb": (Path(folder) / "run.sqlite").stat().st_size / 1e6,
            "out_mb": out / 1e6,
        }


def sheet():
    """A template of a six-digit number, twenty numbers of three digits and twenty choices."""
    from omrgrade.records import Fiducials, Field, Rect, Template

    def boxes(number: int) -> tuple[Rect, ...]:
        return tuple(Rect(x=10 + 9 * n, y=10, width=8, height=8) for n in range(number))

    fields = [Field(id="student", kind="digits", role="identifier", boxes=boxes(6))]
    fields += [Field(id=f"n{n}", kind="digits", role="item", boxes=boxes(3)) for n in range(20)]
    fields += [
        Field(id=f"c{n}", kind="choice", role="item", boxes=boxes(4), options=("A", "B", "C", "D"))
        for n in range(20)
    ]
    return Template(
        name="scale", title="Scale", page_width=210, page_height=297, digest="t" * 64, fields=tuple(fields),
        fiducials=Fiducials(method="page"),
    )  # fmt: skip


def page(template, number: int):
    """A page's readings as they come from a worker, without its picture; one in thirty is in doubt."""
    from omrgrade.records import BoxReading, FieldReading, PageReading

    chance = random.Random(number)
    skill = chance.random()
    readings = []
    for field in template.fields:
        doubt = chance.random() < 1 / 30
        status, reason = ("review", "unsure") if doubt else ("read", "")
        if field.kind == "digits":
            value = (
                f"{number:06}" if field.role == "identifier" else "123" if chance.random() < skill else "321"
            )
            spread = tuple(round(chance.random(), 4) for _ in range(10))
            boxes = [
                BoxReading(value=digit, confidence=0.99, status="read", probabilities=spread)
                for digit in value
            ]
        else:
            value = "B" if chance.random() < skill else chance.choice("ACD")
            boxes = [
                BoxReading(
                    value=label * (label == value),
                    confidence=0.99,
                    status="read" if label == value else "blank",
                )
                for label in field.options
            ]
        readings.append(
            FieldReading(
                field=field.id,
                kind=field.kind,
                value=value,
                confidence=0.6 if doubt else 0.98,
                status=status,
                reason=reason,
                boxes=tuple(boxes),
            )
        )
    return PageReading(
        source=f"scans/{number:07}.jpg", page=1, fields=tuple(readings), digest=f"{number:064x}"
    )


if __name__ == "__main__":
    main()
