"""Digits laid on the printed outline with one side: what is read, doubted, or wrong and accepted.

    python tests/benchmarks/outline.py --digits 150

MNIST's training digits in a box as it is cut out of a sheet, from 3 px beyond the line to 3 px short of it (a
px is 0.12 mm). Not a test: nothing here passes or fails.
"""

from __future__ import annotations

import argparse
from collections import Counter

import cv2
import numpy as np

from omrgrade.classify import load_classifier
from omrgrade.pipeline import policy_for, read_crops
from omrgrade.records import Crop
from omrgrade.training.data import load_mnist

SIDE, MARGIN, LINE = 100, 11, 3  # px
PAPER, INK, PRINT = 235, 60, 70
OFFSETS = (-3, -1, 0, 1, 3)  # px inwards from the outer edge of the line


def laid(image: np.ndarray, side: str, offset: int, rng: np.random.Generator) -> Crop:
    """A box with a digit (28, 28) whose left, right, top or bottom end lies on its outline."""
    picture = np.full((SIDE + 2 * MARGIN,) * 2, PAPER, np.float32)
    cv2.rectangle(picture, (MARGIN, MARGIN), (MARGIN + SIDE, MARGIN + SIDE), PRINT, LINE, cv2.LINE_AA)
    ink = cv2.resize(image, (70, 70), interpolation=cv2.INTER_CUBIC).astype(np.float32).clip(0, 255) / 255
    ys, xs = np.where(ink > 0.4)
    ink = ink[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]
    height, width = ink.shape
    near, far = MARGIN - LINE // 2 + offset, MARGIN + SIDE + LINE // 2 + 1 - offset
    x = {"left": near, "right": far - width}.get(side, MARGIN + (SIDE - width) // 2)
    y = {"top": near, "bottom": far - height}.get(side, MARGIN + (SIDE - height) // 2)
    part = picture[y : y + height, x : x + width]
    part[:] = np.minimum(part, PAPER - (PAPER - INK) * ink)
    picture = cv2.GaussianBlur(picture, (0, 0), 0.8) + rng.normal(0, 2, picture.shape)
    return Crop(pixels=picture.clip(0, 255).astype(np.uint8), margin=MARGIN)


def main() -> None:
    """Print a row a side, and what the wrong ones are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--digits", type=int, default=150, help="a side and offset")
    parser.add_argument("--seed", type=int, default=11)
    options = parser.parse_args()
    digits, classifier = load_mnist().train, load_classifier()
    rng, policy = np.random.default_rng(options.seed), policy_for(classifier)
    wrong: Counter[str] = Counter()
    for side in ("left", "right", "top", "bottom"):
        counts: Counter[str] = Counter()
        for offset in OFFSETS:
            chosen = rng.choice(len(digits), options.digits, replace=False)
            crops = [laid(digits.images[n], side, offset, rng) for n in chosen]
            for n, reading in zip(chosen, read_crops(crops, classifier, policy), strict=True):
                right = reading.value == str(digits.labels[n])
                outcome = "doubt" if reading.status == "review" else "right" if right else "wrong"
                counts[outcome] += 1
                if outcome == "wrong":
                    wrong[f"{digits.labels[n]} as {reading.value or 'nothing'}"] += 1
        print(side, dict(counts))
    print("wrong:", dict(wrong.most_common()))


if __name__ == "__main__":
    main()
