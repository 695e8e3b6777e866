"""How marks are read on forms that others printed: each kind, on simulated photos and scans of known truth.

python tests/benchmarks/bubbles.py [--pages 200] [--seed 1] [--pattern NAME] [--world NAME] [--crops DIR]

Any shape of bubble, 12 to 45 px wide, any print, pupils of any habit, pages up to a quarter of a bubble off.
`marks.py` does the same for the bundled form. --crops: pictures of what was read wrongly, to look at.
"""

import argparse
from collections import Counter, defaultdict
from pathlib import Path

import cv2
import numpy as np
from bubble_forms import PATTERNS, PRINTS, WORLDS, questions

from omrgrade.choices import read_bubbles
from omrgrade.fields import KINDS
from omrgrade.records import Field, Policy, Rect

cv2.setNumThreads(1)


def read(page):
    """The reading of each question of a page."""
    boxes = read_bubbles([(question.crops, question.labels) for question in page], Policy())
    place = Rect(x=0, y=0, width=1, height=1)
    fields = [
        Field(id="q", kind="choice", role="item", boxes=(place,) * len(q.labels), options=tuple(q.labels))
        for q in page
    ]
    return [KINDS["choice"](field, list(own)) for field, own in zip(fields, boxes, strict=True)]


def picture(question, reading):
    """The question's bubbles in a row, and what was read."""
    row = np.hstack([cv2.resize(crop.pixels, (56, 56)) for crop in question.crops])
    strip = np.full((56, 620), 255, np.uint8)
    strip[:, : row.shape[1]] = row
    text = f"{question.kind}: {question.truth!r} read {reading.value!r} {reading.reason}"
    cv2.putText(strip, text, (300, 32), 0, 0.38, 0, 1, cv2.LINE_AA)
    return strip


def table(title, counts):
    """A row a name."""
    print(
        f"\n{title:28}{'n':>7}{'right %':>9}{'review %':>10}{'wrong, unflagged %':>20}{'of these lost':>15}"
    )
    for name, count in counts.items():
        total = count.total()
        right, review = (100 * count[key] / total for key in ("right", "review"))
        wrong = count["wrong"] + count["lost"]
        print(f"{name:28}{total:7}{right:9.1f}{review:10.2f}{100 * wrong / total:20.3f}{count['lost']:15}")


def main():
    """Print a table by kind of mark, and what the whole is by pattern, world, print, shape, letters, size."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pages", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pattern", choices=PATTERNS)
    parser.add_argument("--world", choices=WORLDS)
    parser.add_argument("--crops", type=Path)
    options = parser.parse_args()
    tables = defaultdict(lambda: defaultdict(Counter))
    strips = defaultdict(list)
    for number in range(options.pages):
        rng = np.random.default_rng((options.seed, number))
        pattern = options.pattern or PATTERNS[number % len(PATTERNS)]
        world = options.world or str(rng.choice(WORLDS))
        print_name, px = str(rng.choice(list(PRINTS))), float(np.exp(rng.uniform(np.log(12), np.log(45))))
        form, page = questions(rng, world, pattern, print_name, px)
        size = next(f"to {most} px" for most in (16, 24, 34, 46) if px <= most)
        about = {
            "pattern": pattern, "world": world, "print": print_name, "shape": form.shape,
            "letters": form.letters, "bubbles": size,
        }  # fmt: skip
        for question, reading in zip(page, read(page), strict=True):
            result = "right" if reading.value == question.truth else "wrong" if reading.value else "lost"
            result = "review" if reading.status == "review" else result
            tables["mark"][question.kind][result] += 1
            for title, name in about.items():
                tables[title][name][result] += 1
            if result != "right":
                strips[result].append((number, picture(question, reading)))
    for title, counts in tables.items():
        table(title, dict(sorted(counts.items())))
    if options.crops:
        save(options.crops, strips)


def save(folder, strips):
    """At most 60 rows of each result but the right ones, and of one page three."""
    folder.mkdir(parents=True, exist_ok=True)
    for result, found in strips.items():
        rows, seen = [], Counter()
        for number, strip in found:
            seen[number] += 1
            if seen[number] <= 3:
                cv2.putText(strip, str(number), (580, 12), 0, 0.35, 0, 1, cv2.LINE_AA)
                rows.append(strip)
        rows = rows[:60] + [np.full_like(rows[0], 255)] * (len(rows[:60]) % 2)
        cv2.imwrite(
            str(folder / f"{result}.png"),
            np.vstack([np.hstack(pair) for pair in zip(rows[::2], rows[1::2], strict=True)]),
        )


if __name__ == "__main__":
    main()
