"""Print the README's accuracy table: what the network and what the box reader bring, on paper of every kind.

    omrgrade train --network seed --epochs 12 -o seed-model
    python tests/benchmarks/accuracy.py --seed-model seed-model/digits.onnx --boxes mine=FILE.npz ...

FILE.npz holds labelled crops as `omrgrade evaluate --boxes` takes them. MNIST's test digits and boxes of
simulated scans written with them are always there. Rows: the bundled model; the textbook network through the
same box reader; the textbook network on crops that are merely resized to 28x28, accepted from 0.99.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace

import cv2
import numpy as np

from omrgrade.classify import OnnxClassifier, load_classifier
from omrgrade.metrics import wilson
from omrgrade.pipeline import policy_for, read_crops
from omrgrade.records import BoxReading, Crop
from omrgrade.training.boxes import BLANK, NOT_DIGIT, load_boxes
from omrgrade.training.calibration import simulated_boxes
from omrgrade.training.data import load_mnist

Reader = Callable[[Sequence[Crop], Sequence[str]], list[BoxReading]]
"""Crops, and which paper each is from, if known -> readings."""
NAIVE_ACCEPT = 0.99


def whole_reader(classifier: OnnxClassifier) -> Reader:
    """The box reader as it is, with the model's own thresholds."""
    policy = policy_for(classifier)
    if not classifier.card.thresholds:
        policy = replace(policy, accept=NAIVE_ACCEPT)
    return lambda crops, papers: read_crops(crops, classifier, policy, papers)


def naive_reader(classifier: OnnxClassifier) -> Reader:
    """The crop inverted and resized to 28x28: what a first attempt does."""

    def read(crops: Sequence[Crop], papers: Sequence[str]) -> list[BoxReading]:
        images = np.stack([255 - cv2.resize(c.pixels, (28, 28), interpolation=cv2.INTER_AREA) for c in crops])
        chances = classifier.probabilities(images)[:, :10]
        return [
            BoxReading(
                value=str(row.argmax()),
                confidence=float(min(1, row.max())),
                status="read" if row.max() >= NAIVE_ACCEPT else "review",
                reason="" if row.max() >= NAIVE_ACCEPT else "unsure",
            )
            for row in chances
        ]

    return read


def as_boxes(images: np.ndarray) -> list[Crop]:
    """MNIST images as crops of white paper."""
    return [Crop(pixels=cv2.copyMakeBorder(255 - i, 6, 6, 6, 6, 0, value=255), margin=0) for i in images]


def percent(part: int, total: int) -> str:
    """Percent with its 95 % interval, or nothing."""
    if not total:
        return ""
    low, high = wilson(part, total)
    return f"{100 * part / total:.2f} ({100 * low:.2f}-{100 * high:.2f})"


def row(name: str, readings: list[BoxReading], truth: np.ndarray) -> str:
    """One line of the table."""
    value = np.array([reading.value for reading in readings])
    status = np.array([reading.status for reading in readings])
    right = value == truth.astype(str)
    digit, blank, other = truth >= 0, truth == BLANK, truth == NOT_DIGIT
    read, review = status == "read", status == "review"
    cells = [
        percent(int((read & right & digit).sum()), int(digit.sum())),
        percent(int((~review & ~(read & right) & digit).sum()), int(digit.sum())),
        percent(int((review & digit).sum()), int(digit.sum())),
        percent(int(((status == "blank") & blank).sum()), int(blank.sum())),
        percent(int((read & blank).sum()), int(blank.sum())),
        percent(int((read & other).sum()), int(other.sum())),
    ]
    return f"| {name} | " + " | ".join(cells) + " |"


def main() -> None:
    """Read every set with every reader."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="default: the bundled one")
    parser.add_argument(
        "--seed-model", help="the textbook network, as omrgrade train --network seed makes it"
    )
    parser.add_argument("--boxes", nargs="*", default=[], metavar="NAME=FILE.npz")
    options = parser.parse_args()
    readers = {"omrgrade": whole_reader(load_classifier(options.model))}
    if options.seed_model:
        seed = load_classifier(options.seed_model)
        readers |= {
            "textbook network, same reader": whole_reader(seed),
            "textbook, naive": naive_reader(seed),
        }
    test = load_mnist().test
    sets: dict[str, tuple[list[Crop], np.ndarray, list[str]]] = {
        "MNIST test": (as_boxes(test.images), test.labels.astype(int), ["MNIST"] * len(test.images)),
        "simulated scans": (*simulated_boxes(test, 6000, seed=90), []),
    }
    for pair in options.boxes:
        name, path = pair.split("=", 1)
        labelled = load_boxes(path)
        crops = [Crop(pixels=image, margin=0) for image in labelled.images]
        sets[name] = crops, labelled.truth, labelled.groups.tolist()
    print(
        "| paper | reader | right % | wrong, unflagged % | under review % | empty as empty % "
        "| empty as digit % | other ink accepted % |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for paper, (crops, truth, papers) in sets.items():
        for name, reader in readers.items():
            print(row(f"{paper} | {name}", reader(crops, papers), truth), flush=True)


if __name__ == "__main__":
    main()
