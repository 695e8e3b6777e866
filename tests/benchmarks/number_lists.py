"""Numbers in wide boxes as one hand writes them: simulated mark lists of known truth.

python tests/benchmarks/number_lists.py [--pages 28] [--seed 1] [--profile scanner|photo|copier] [--crops DIR]

Each page is written by a made-up hand: of every digit it has one or two shapes, from MNIST test digits
or drawn in a style of its own, written with small differences. Nobody saw to it that a hand is legible.
--develop: from the digits that training held out, to change something by. --mixed: every digit is of another
hand. --crops: pictures of what was accepted wrongly, to look at.
"""

import argparse
from collections import Counter
from pathlib import Path

import cv2
import numpy as np

from omrgrade.classify import load_classifier
from omrgrade.cropping import crop_boxes
from omrgrade.normalize import WORK_SIDE
from omrgrade.pipeline import DIGIT_MARGIN, policy_for, read_numbers
from omrgrade.records import Registration, Scan
from omrgrade.simulate import Digits, simulate_page
from omrgrade.template import load_template
from omrgrade.training.augment import deformed, renormalised
from omrgrade.training.data import load_mnist, split
from omrgrade.training.glyphs import parse
from omrgrade.training.not_digits import glyph
from omrgrade.training.styles import SHAPES

cv2.setNumThreads(1)
VARIANTS, STYLED, TWO_SHAPES = 12, 0.25, 0.25


def hand(digits, rng):
    """One hand: `VARIANTS` of each digit, made from one shape of it or two."""
    images, labels = [], []
    for digit in range(10):
        known = np.flatnonzero(digits.labels == digit)
        taught = [parse(line[2:]) for line in SHAPES.strip().splitlines() if line[0] == str(digit)]
        shapes = [
            glyph(taught[int(rng.integers(len(taught)))], rng)
            if taught and rng.random() < STYLED
            else digits.images[int(rng.choice(known))]
            for _ in range(2 if rng.random() < TWO_SHAPES else 1)
        ]
        for n in range(VARIANTS):
            images.append(renormalised(deformed(shapes[n % len(shapes)], rng, strength=0.4), rng))
            labels.append(digit)
    return Digits(np.stack(images), np.array(labels))


def boxes(template, page, place):
    """The crops of a page's wide boxes, with what is written in each."""
    grey = page.image if page.image.ndim == 2 else cv2.cvtColor(page.image, cv2.COLOR_BGR2GRAY)
    scan = Scan(source="simulated", page=1, pixels=np.ascontiguousarray(grey), dpi=0.0)
    fields = [field for field in template.fields if field.kind == "number"]
    side = min(fields[0].boxes[0].width, fields[0].boxes[0].height) + 2 * DIGIT_MARGIN
    rects = [field.boxes[0] for field in fields]
    crops = crop_boxes(scan, place, rects, margin=DIGIT_MARGIN, scale=WORK_SIDE / side)
    return crops, [page.truth[field.id] for field in fields]


def lists(options):
    """Page by page the crops, and what is written in them."""
    template, mnist = load_template("marklist-a4"), load_mnist()
    known = split(mnist.train, 0.1)[1] if options.develop else mnist.test
    for number in range(options.pages):
        rng = np.random.default_rng((options.seed, number))
        digits = Digits(known.images, known.labels) if options.mixed else hand(known, rng)
        seed = (options.seed, number)
        page = simulate_page(template, seed=seed, profile=options.profile, turn=0, digits=digits)
        place = Registration(
            page_to_scan=page.page_to_scan, residual=0.0, rotation=0, method="known", landmarks=0
        )
        yield boxes(template, page, place)


def main():
    """Print how many numbers are accepted and right, accepted and wrong, at several thresholds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pages", type=int, default=28)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--profile", default="scanner", choices=("scanner", "photo", "copier"))
    parser.add_argument("--develop", action="store_true")
    parser.add_argument("--mixed", action="store_true")
    parser.add_argument("--crops", type=Path)
    options = parser.parse_args()
    classifier = load_classifier()
    policy = policy_for(classifier)
    crops, truth, papers = [], [], []
    for number, (own, written) in enumerate(lists(options)):
        crops, truth, papers = crops + own, truth + written, papers + [number] * len(own)
    readings = read_numbers(crops, classifier, policy, papers)
    found = list(zip(crops, truth, papers, readings, strict=True))
    wrong = [case for case in found if case[3].status != "review" and case[3].value != case[1]]
    right = sum(reading.status == "read" and reading.value == want for _, want, _, reading in found)
    numbers = sum(bool(want) for want in truth)
    print(f"{numbers} numbers of {options.pages} hands, {len(truth) - numbers} empty boxes")
    print(f"accepted and right {100 * right / numbers:.2f} %")
    hands = Counter(paper for _, _, paper, _ in wrong)
    print(f"wrong, unflagged   {100 * len(wrong) / numbers:.2f} % ({len(wrong)}, of {len(hands)} hands)")
    for _, want, paper, reading in wrong:
        print(f"  hand {paper}: {want!r} read {reading.value!r}, {reading.confidence:.3f}")
    if options.crops and wrong:
        save(options.crops, wrong)


def save(folder, cases):
    """A picture with a row a case."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for crop, want, paper, reading in cases[:40]:
        height, width = crop.pixels.shape
        strip = np.full((64, 560), 255, np.uint8)
        small = cv2.resize(crop.pixels, (round(64 * width / height), 64), interpolation=cv2.INTER_AREA)
        strip[:, : small.shape[1]] = small
        text = f"{paper}: {want} read {reading.value} {reading.confidence:.2f} or {reading.runner_up}"
        cv2.putText(strip, text, (270, 36), 0, 0.45, 0, 1, cv2.LINE_AA)
        rows.append(strip)
    cv2.imwrite(str(folder / "wrong.png"), np.vstack(rows))


if __name__ == "__main__":
    main()
