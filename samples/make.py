"""Make the bundled samples again: ``python samples/make.py`` (needs the repository's models/mnist.npz).

A class of sixteen pupils on the sheet `mixed-letter`: seven scans, three photos, two copies, and a PDF of
four scans. One more pupil is on the roster and was absent.
"""

import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

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
