"""A digit network at 8 bits beside itself at 32: speed, and what the box reader makes of crops.

    python tests/benchmarks/int8.py --network models/digits.keras --boxes ../shared/real/*/cells.npz

Both are made as `omrgrade train` makes them: the ranges of the activations and each one's temperature from
boxes of simulated scans, written with digits held out from training (`simulated`, the first row of boxes, are
others). The thresholds are those of the bundled model. Needs `omrgrade[train]`; writes nothing.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from omrgrade.classify import OnnxClassifier, load_classifier
from omrgrade.normalize import normalize_all
from omrgrade.pipeline import policy_for, read_crops
from omrgrade.records import Crop
from omrgrade.resources import bundled
from omrgrade.training.boxes import LabelledBoxes, load_boxes, score_boxes
from omrgrade.training.calibration import TEMPERATURE, simulated_boxes, temperature_on
from omrgrade.training.data import Labelled, load_mnist, split
from omrgrade.training.export import to_onnx
from omrgrade.training.network import load_network
from omrgrade.training.quantise import to_int8

BARS = ("accepted_correct_rate", "substitution_rate", "blank_correct_rate", "not_digit_accepted_rate")


def both(network: Path, digits: Labelled, count: int) -> dict[str, OnnxClassifier]:
    """The network at 32 and 8 bits, each with its own temperature."""
    floats = to_onnx(load_network(network))
    crops, truth = simulated_boxes(digits, count, seed=TEMPERATURE)
    images = np.stack([ink.image for ink in normalize_all(crops) if not ink.empty])
    card = load_classifier().card
    made = {}
    for name, content in (("float32", floats), ("int8", to_int8(floats, images))):
        temperature = temperature_on(crops, truth, OnnxClassifier(content, card))
        made[name] = OnnxClassifier(content, replace(card, temperature=temperature))
        print(f"{name:8} {len(content) / 1e3:.0f} kB, temperature {temperature:.3f}")
    return made


def sets(digits: Labelled, count: int, files: list[Path]) -> Iterator[tuple[str, list[Crop], np.ndarray]]:
    """Name, crops and truth of each set of boxes."""
    yield "simulated", *simulated_boxes(digits, count)
    for path in files:
        boxes = load_boxes(path)
        yield path.parent.name, [Crop(pixels=image, margin=0) for image in boxes.images], boxes.truth


def main() -> None:
    """Quantise, time, score."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--network", type=Path, default=bundled("models", "digits.keras"))
    parser.add_argument("--boxes", type=Path, nargs="*", default=[])
    parser.add_argument("--simulated", type=int, default=9000)
    options = parser.parse_args()
    data = load_mnist(None)
    held = split(data.train, 0.1)[1]
    classifiers = both(options.network, held, options.simulated // 3)
    best = dict.fromkeys(classifiers, 1e9)
    for _ in range(5):
        for name, classifier in classifiers.items():
            start = time.process_time()
            classifier.logits(data.test.images[:2048])
            best[name] = min(best[name], time.process_time() - start)
    for name, classifier in classifiers.items():
        right = classifier.logits(data.test.images)[:, :10].argmax(axis=1) == data.test.labels
        print(f"{name:8} {1000 * best[name] / 2048:.3f} ms a box   MNIST test {100 * right.mean():.2f} %")
    policy = policy_for(load_classifier())
    for name, crops, truth in sets(held, options.simulated, options.boxes):
        boxes = LabelledBoxes(
            images=np.zeros((len(truth), 1, 1), np.uint8), truth=truth, groups=np.full(len(truth), name)
        )
        for bits, classifier in classifiers.items():
            scores = score_boxes(boxes, read_crops(crops, classifier, policy))
            shown = "  ".join(f"{key} {100 * scores[key]:.3f}" for key in BARS if scores[key] is not None)
            print(f"{name:14} {bits:8} {shown}", flush=True)


if __name__ == "__main__":
    main()
