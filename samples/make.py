"""Make the bundled samples again: ``python samples/make.py`` (needs the repository's models/mnist.npz).

A class of sixteen pupils on the sheet `mixed-letter`: seven scans, three photos, two copies, and a PDF of
four scans. One more pupil is on the roster and was absent.
"""

import csv
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from omrgrade.grading import score_field
from omrgrade.key import load_key
from omrgrade.records import FieldReading, Template
from omrgrade.simulate import save_capture, simulate_page
from omrgrade.simulate.files import write_key, write_roster, write_truth
from omrgrade.simulate.pupils import fill_in, make_habits, make_key, make_roster
from omrgrade.simulate.world import Capture
from omrgrade.template import load_template

SEED = 2024
SCANS = ["scanner"] * 7 + ["photo"] * 3 + ["copier"] * 2
STACK = 4  # pages of the PDF
TURNS = {2: 180, 5: 90, 9: 270}  # page -> degrees clockwise


def make(directory: Path) -> None:
    """Write scans/, key.csv, roster.csv and truth.csv into `directory`."""
    template = load_template("mixed-letter")
    rng = np.random.default_rng(SEED)
    key = make_key(template, rng)
    roster = make_roster(template, len(SCANS) + STACK + 1, rng)
    pages = []
    for n, profile in enumerate(SCANS + ["scanner"] * STACK):
        values = fill_in(template, roster[n].student_id, key, make_habits(rng), rng)
        turn = TURNS.get(n, 0)
        pages.append(simulate_page(template, seed=(SEED, n), profile=profile, values=values, turn=turn))
    scans = directory / "scans"
    scans.mkdir(parents=True, exist_ok=True)
    truths = [
        (save_capture(smaller(page.capture), scans / f"{profile}-{n:02d}").name, 1, page.truth)
        for n, (page, profile) in enumerate(zip(pages, SCANS, strict=False), 1)
    ]
    save_stack([page.image for page in pages[len(SCANS) :]], scans / "stack.pdf")
    truths += [("stack.pdf", n, page.truth) for n, page in enumerate(pages[len(SCANS) :], 1)]
    write_key(directory / "key.csv", key)
    write_roster(directory / "roster.csv", roster)
    write_truth(directory / "truth.csv", truths)
    write_marks(directory, template)


def write_marks(directory: Path, template: Template) -> None:
    """Write the marks that a reader without fault gives: expected_marks.csv, from truth.csv and key.csv."""
    key = {item.item: item for item in load_key(directory / "key.csv", template).items}
    sheets: dict[tuple[str, str], dict[str, str]] = {}
    with (directory / "truth.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            sheets.setdefault((row["source"], row["page"]), {})[row["field"]] = row["value"]
    with (directory / "expected_marks.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("source", "page", "student_id", "total", "max"))
        for (source, page), values in sheets.items():
            total = sum(score_field(as_read(template, item, values[item]), key[item]).points for item in key)
            number = values[template.identifiers[0].id]
            writer.writerow((source, page, number, f"{total:g}", f"{sum(k.points for k in key.values()):g}"))


def as_read(template: Template, field_id: str, value: str) -> FieldReading:
    """The reading of a field that says `value` beyond doubt."""
    kind, status = template.field(field_id).kind, "read" if value else "blank"
    return FieldReading(field=field_id, kind=kind, value=value, confidence=1.0, status=status)


def smaller(capture: Capture) -> Capture:
    """The same with a JPEG quality that keeps the repository small."""
    return replace(capture, quality=min(capture.quality, 72))


def save_stack(images: list[np.ndarray], path: Path) -> None:
    """Write grey pages as a scanner does: one JPEG a page, 200 dpi, and no dates."""
    width, height = 1700, 2200
    pages = [Image.fromarray(image).resize((width, height), Image.Resampling.BOX) for image in images]
    epoch = time.gmtime(0)
    pages[0].save(
        path, save_all=True, append_images=pages[1:], resolution=200, quality=65,
        creationDate=epoch, modDate=epoch,
    )  # fmt: skip


if __name__ == "__main__":
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
