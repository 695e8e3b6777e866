"""How marks as people make them are read: each kind on simulated pages of known truth.

python tests/benchmarks/marks.py [--pages 20] [--seed 1] [--profile scanner|copier|photo] [--bare]

Bubbles have letters in them unless --bare. The page's place is known: only the reading of marks is measured.
A kind's questions are a third of each page; the rest is marked in the pupil's usual way.
"""

import argparse
from collections import Counter, defaultdict

import cv2
import numpy as np

from omrgrade.choices import read_bubbles
from omrgrade.cropping import crop_boxes
from omrgrade.fields import KINDS
from omrgrade.records import Policy, Registration, Scan
from omrgrade.render import render_page
from omrgrade.simulate import PROFILES
from omrgrade.simulate.marking import mark_bubble
from omrgrade.simulate.pupils import make_habits
from omrgrade.simulate.slips import SLIPS
from omrgrade.simulate.world import Sheet
from omrgrade.template import load_template

cv2.setNumThreads(1)
DPI = 300.0
# kind -> (how the first bubble is marked, whether another bubble is marked after, is the first an answer)
TRIALS = {
    "filled": ("full", False, True),
    "scribbled": ("scribble", False, True),
    "sloppy": ("sloppy", False, True),
    "ticked": ("tick", False, True),
    "crossed": ("cross", False, True),
    "half filled": ("half", False, True),
    "dotted": ("dot", False, True),
    "nothing": ("", False, False),
    "erased": ("erased", False, False),
    "erased, then another": ("erased", True, False),
    "fluid, then another": ("fluid", True, False),
    "struck out, then another": ("struck", True, False),
    "two marks": ("full", True, True),
    "ring round it": ("beside", False, True),
}


def page(template, trial, profile, letters, rng):
    """A page's image, where it lies, and the truth: field -> (marks, whether the trial was made there)."""
    habits, printed = make_habits(rng, faintest=0.5), render_page(template, DPI).copy()
    ink, truth = np.zeros_like(printed), {}
    scale = printed.shape[1] / template.page_width, printed.shape[0] / template.page_height
    first, again, counts = TRIALS[trial]
    for field in (f for f in template.fields if f.kind == "choice"):
        if letters:
            write_letters(printed, field, scale)
        one, two = rng.choice(len(field.options), 2, replace=False)
        tried = rng.random() < 1 / 3
        drawn = [(first, one)] * bool(tried and first) + [("own", two)] * (not tried or again)
        for style, n in drawn:
            if style in SLIPS:
                SLIPS[style](ink, printed, field.boxes[n], scale, habits.hand.pen, rng)
            else:
                own = habits.style if style == "own" else style
                mark_bubble(ink, field.boxes[n], scale, habits.hand.pen, own, rng)
        marked = {int(one)} if tried and counts else set()
        marked |= {int(two)} if not tried or again else set()
        truth[field.id] = "+".join(field.options[n] for n in sorted(marked)), tried
    sheet = Sheet(
        printed=printed, ink=ink, pen=habits.hand.pen, width=template.page_width, height=template.page_height
    )
    capture = PROFILES[profile](sheet, rng, 0)
    grey = capture.image if capture.image.ndim == 2 else cv2.cvtColor(capture.image, cv2.COLOR_BGR2GRAY)
    return grey, capture.page_to_scan, truth


def write_letters(printed, field, scale):
    """Each bubble's letter in it, as many forms have it."""
    for option, box in zip(field.options, field.boxes, strict=True):
        size = 0.055 * box.height * scale[1] / 2
        (width, height), _ = cv2.getTextSize(option, cv2.FONT_HERSHEY_SIMPLEX, size, 2)
        at = round(box.centre[0] * scale[0] - width / 2), round(box.centre[1] * scale[1] + height / 2)
        cv2.putText(printed, option, at, cv2.FONT_HERSHEY_SIMPLEX, size, 60, 2, cv2.LINE_AA)


def read(template, grey, matrix):
    """field -> its reading."""
    place = Registration(
        page_to_scan=tuple(tuple(row) for row in np.asarray(matrix).tolist()), residual=0.0, rotation=0,
        method="known", landmarks=0,
    )  # fmt: skip
    scan = Scan(source="simulated", page=1, pixels=np.ascontiguousarray(grey), dpi=DPI)
    fields = [f for f in template.fields if f.kind == "choice"]
    crops = [crop_boxes(scan, place, f.boxes, margin=0.7, scale=8.0) for f in fields]
    boxes = read_bubbles([(c, f.options) for c, f in zip(crops, fields, strict=True)], Policy())
    return {f.id: KINDS["choice"](f, list(b)) for f, b in zip(fields, boxes, strict=True)}


def main():
    """Print a row a kind: right, under review, wrong without a flag; and one for the rest of the pages."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pages", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--profile", default="scanner", choices=sorted(PROFILES))
    parser.add_argument("--bare", action="store_true")
    options = parser.parse_args()
    template = load_template("choice-a4")
    counts = defaultdict(Counter)
    for n, trial in enumerate(TRIALS):
        for number in range(options.pages):
            rng = np.random.default_rng((options.seed, n, number))
            grey, matrix, truth = page(template, trial, options.profile, not options.bare, rng)
            readings = read(template, grey, matrix)
            for name, (value, tried) in truth.items():
                reading = readings[name]
                same = "right" if reading.value == value else "wrong"
                counts[trial if tried else "the pupil's usual marks"][
                    "review" if reading.status == "review" else same
                ] += 1
    print(f"{'':28}{'n':>7}{'right %':>9}{'review %':>10}{'wrong, unflagged %':>20}")
    for name in [*TRIALS, "the pupil's usual marks"]:
        count = counts[name]
        total = max(count.total(), 1)
        shares = (100 * count[key] / total for key in ("right", "review", "wrong"))
        print("{:28}{:7}{:9.1f}{:10.1f}{:20.2f}".format(name, count.total(), *shares))


if __name__ == "__main__":
    main()
