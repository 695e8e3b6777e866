"""What each source of training images brings: the same short training without it, one after another.

The other sources then give as many more images, so that every training is as long.

    python tests/benchmarks/ablation.py --limit 20000 --epochs 6 --boxes mine=FILE.npz ...

Prints a Markdown table: accuracy on MNIST's validation digits, and per set of labelled crops the digits
accepted and right where 0.2 % of all are accepted and wrong (each model at its own threshold, so that a timid
model and a rash one can be compared), and other ink accepted at that threshold. A single variant can be had
with `omrgrade train --without SOURCE`.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np

from omrgrade.classify import OnnxClassifier
from omrgrade.pipeline import policy_for, read_crops
from omrgrade.records import Crop
from omrgrade.training.boxes import NOT_DIGIT, load_boxes
from omrgrade.training.data import load_mnist, split
from omrgrade.training.evaluate import score_digits
from omrgrade.training.fit import Settings
from omrgrade.training.recipes import RECIPES
from omrgrade.training.release import make_release

WRONG = 0.002  # of all digits


def accepted_at(confidence: np.ndarray, right: np.ndarray, digit: np.ndarray) -> tuple[float, float]:
    """(threshold, digits accepted and right) at the laxest threshold that keeps to WRONG."""
    order = np.argsort(-confidence, kind="stable")
    order = order[digit[order]]
    wrong = np.cumsum(~right[order])
    fine = np.flatnonzero(wrong <= WRONG * digit.sum())
    last = fine[-1] if len(fine) else 0
    return float(confidence[order[last]]), float(right[order[: last + 1]].sum() / digit.sum())


def measure(classifier: OnnxClassifier, path: str) -> str:
    """One cell: percent of digits accepted and right; percent of other ink accepted."""
    boxes = load_boxes(path)
    policy = replace(policy_for(classifier), accept=0.0)
    readings = read_crops([Crop(pixels=image, margin=0) for image in boxes.images], classifier, policy)
    confidence = np.array([r.confidence if r.status == "read" else 0.0 for r in readings])
    right = np.array([r.value for r in readings]) == boxes.truth.astype(str)
    digit, other = boxes.truth >= 0, boxes.truth == NOT_DIGIT
    if not digit.any():
        return f"{100 * (confidence[other] >= 0.95).mean():.1f} of other ink at 0.95"
    threshold, share = accepted_at(confidence, right, digit)
    extra = f", other ink {100 * (confidence[other] >= threshold).mean():.1f}" if other.any() else ""
    return f"{100 * share:.1f}{extra}"


def main() -> None:
    """Train every variant and print its row as soon as it is there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limit", type=int, default=20000)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--boxes", nargs="*", default=[], metavar="NAME=FILE.npz")
    options = parser.parse_args()
    sets = dict(pair.split("=", 1) for pair in options.boxes)
    data = load_mnist()
    held = split(data.train.take(slice(options.limit)), 0.1)[1]
    print("| without | MNIST, validation | " + " | ".join(sets) + " |\n|---|" + "---|" * (len(sets) + 1))
    for left_out in ("", *(share.name for share in RECIPES["paper"] if share.name != "plain")):
        settings = Settings(
            epochs=options.epochs, seed=options.seed, learning_rate=0.0015, bits=32,
            without=(left_out,) if left_out else (),
        )  # fmt: skip
        release = make_release(data, settings, limit=options.limit)
        classifier = OnnxClassifier(release.onnx, release.card)
        cells = [f"{100 * score_digits(classifier, held).accuracy:.2f}"]
        cells += [measure(classifier, path) for path in sets.values()]
        print(f"| {left_out or 'nothing'} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
