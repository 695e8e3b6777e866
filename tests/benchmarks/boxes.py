"""How many boxes a second are normalised and classified on one core.

    python tests/benchmarks/boxes.py --boxes 10000 --json

Two kinds: boxes as a template's pages have them (their outline's place known, all of one size; a chunk of
four pages at a time) and loose crops of any size, all at once. Both are digits of MNIST's test set written by
the training's simulator. Counted is CPU time, the best of several rounds that take turns.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np

from omrgrade.classify import load_classifier
from omrgrade.normalize import normalize_all
from omrgrade.reading import classify_views
from omrgrade.records import Crop
from omrgrade.resources import bundled
from omrgrade.training.paper import write_box

TOGETHER = {"sheet": 256, "loose": 10_000}  # boxes that come together


def crops(count: int, seed: int = 7) -> dict[str, list[Crop]]:
    """Crops of both kinds."""
    rng = np.random.default_rng(seed)
    with np.load(bundled("models", "mnist.npz")) as data:
        digits = data["x_test"]
    loose: list[Crop] = []
    sheet: list[Crop] = []
    while min(len(sheet), len(loose)) < min(count, 2000):
        box = write_box(digits[rng.integers(len(digits))], rng)
        if box.margin:
            # as `crop_boxes` cuts a box of 10 x 12 mm: the outline 6 px from the rim of 64 x 74 px
            height, width = box.pixels.shape
            inner = box.pixels[box.margin : height - box.margin, box.margin : width - box.margin]
            if min(inner.shape) > 20:
                scale = np.array([52 / inner.shape[1], 62 / inner.shape[0]])
                place = np.column_stack([np.diag(scale), 6 - box.margin * scale])
                pixels = cv2.warpAffine(box.pixels, place, (64, 74), borderMode=cv2.BORDER_REPLICATE)
                sheet.append(Crop(pixels=pixels, margin=6))
        loose.append(Crop(pixels=box.pixels, margin=0))
    many = {"sheet": sheet, "loose": loose}
    return {name: (some * (count // len(some) + 1))[:count] for name, some in many.items()}


def cpu(work: Callable[[], Any]) -> float:
    """Seconds of CPU."""
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--boxes", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    classifier = load_classifier()
    kinds = crops(options.boxes)
    best: dict[str, list[float]] = {name: [1e9, 1e9] for name in kinds}
    for _ in range(options.rounds):
        for name, boxes in kinds.items():
            size = TOGETHER[name]
            chunks = [boxes[start : start + size] for start in range(0, len(boxes), size)]
            inks: list[Any] = []
            normalising = cpu(lambda chunks=chunks, inks=inks: inks.extend(map(normalize_all, chunks)))
            classifying = cpu(lambda inks=inks: [classify_views(part, classifier) for part in inks])
            if normalising + classifying < sum(best[name]):
                best[name] = [normalising, classifying]
    figures = {
        name: {
            "boxes": options.boxes,
            "boxes_per_second": round(options.boxes / (normalising + classifying)),
            "normalize_box_ms": round(1000 * normalising / options.boxes, 3),
            "classify_box_ms": round(1000 * classifying / options.boxes, 3),
        }
        for name, (normalising, classifying) in best.items()
    }
    if options.json:
        print(json.dumps(figures, indent=2))
    else:
        for name, row in figures.items():
            print(name, "  ".join(f"{key} {value}" for key, value in row.items()))


if __name__ == "__main__":
    main()
