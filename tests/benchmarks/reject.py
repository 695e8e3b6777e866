"""Three ways to know ink that is no digit, side by side: an extra class, a separate head, outlier scores.

    python tests/benchmarks/reject.py --boxes mine=FILE.npz other=FILE.npz

All use the bundled network's own features. The head (logistic regression) and the outlier scores are fitted
on what the network was trained on: digits and other ink as the recipe draws them. Compared on MNIST's test
digits, on other ink drawn with fresh seeds, and on labelled crops as `omrgrade evaluate --boxes` takes them.
Needs omrgrade[train].
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from omrgrade.metrics import auroc
from omrgrade.normalize import normalize_all
from omrgrade.records import Crop
from omrgrade.resources import bundled
from omrgrade.training.augment import augmented
from omrgrade.training.boxes import BLANK, load_boxes
from omrgrade.training.data import load_mnist, split, to_input
from omrgrade.training.not_digits import boxed_not_digits, not_digits
from omrgrade.training.paper import on_paper
from omrgrade.training.sources import Share, plain, pool

FITTED = (
    Share(name="plain", draw=plain, weight=0.15),
    Share(name="augmented", draw=augmented, weight=0.1),
    Share(name="on_paper", draw=on_paper, weight=0.1),
    Share(name="not_digits", draw=not_digits, weight=0.1),
    Share(name="boxed_not_digits", draw=boxed_not_digits, weight=0.06),
)
MEASURED = (Share(name="not_digits", draw=not_digits, weight=0.3),)
OTHER = 10


class Network:
    """Features before the last layer, and logits, of a saved network."""

    def __init__(self, path: Path) -> None:
        import keras

        model = keras.saving.load_model(path, compile=False)
        self._features = keras.Model(model.inputs, model.layers[-1].input)
        self._weights, self._bias = model.layers[-1].get_weights()

    def __call__(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """uint8 (N, 28, 28) -> features (N, F), logits (N, 11)."""
        features = self._features.predict(to_input(images), batch_size=512, verbose=0)
        return features, features @ self._weights + self._bias


def softmax(logits: np.ndarray) -> np.ndarray:
    """Rows of probabilities."""
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


class Scores:
    """Per method, how surely ink is the digit it looks most like: higher is surer."""

    def __init__(self, features: np.ndarray, labels: np.ndarray) -> None:
        from sklearn.decomposition import PCA
        from sklearn.linear_model import LogisticRegression
        from sklearn.preprocessing import StandardScaler

        self._scaler = StandardScaler().fit(features)
        scaled = self._scaler.transform(features)
        self._head = LogisticRegression(C=0.01, max_iter=300).fit(scaled, labels < OTHER)
        digits = labels < OTHER
        self._pca = PCA(96, random_state=0).fit(scaled[digits])  # a covariance of full rank
        small = self._pca.transform(scaled[digits])
        self._means = np.stack([small[labels[digits] == k].mean(axis=0) for k in range(10)])
        spread = small - self._means[labels[digits]]
        self._precision = np.linalg.inv(np.cov(spread.T))

    def __call__(self, features: np.ndarray, logits: np.ndarray) -> dict[str, np.ndarray]:
        """Name -> (N,)."""
        only = softmax(logits[:, :10]).max(axis=1)
        scaled = self._scaler.transform(features)
        small = self._pca.transform(scaled)
        gaps = small[:, None] - self._means[None]
        distance = np.einsum("nkf,fg,nkg->nk", gaps, self._precision, gaps).min(axis=1)
        peak = logits[:, :10].max(axis=1)
        energy = peak + np.log(np.exp(logits[:, :10] - peak[:, None]).sum(axis=1))
        return {
            "extra class": softmax(logits)[:, :10].max(axis=1),
            "separate head": only * self._head.predict_proba(scaled)[:, 1],
            "outlier: largest probability of ten": only,
            "outlier: energy": energy,
            "outlier: Mahalanobis": -distance,
        }


def views(path: str) -> tuple[np.ndarray, np.ndarray]:
    """What the classifier is shown of labelled crops with ink: (N, 28, 28) and truth (N,), -2 other ink."""
    boxes = load_boxes(path)
    inks = normalize_all([Crop(pixels=image, margin=0) for image in boxes.images])
    kept = [n for n, ink in enumerate(inks) if boxes.truth[n] != BLANK and not ink.empty]
    return np.stack([inks[n].image for n in kept]), boxes.truth[kept]


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=bundled("models", "digits.keras"))
    parser.add_argument("--boxes", nargs="*", default=[], metavar="NAME=FILE.npz")
    options = parser.parse_args()
    mnist = load_mnist()
    learn, held = split(mnist.train, 0.1)
    network = Network(options.model)
    fitted = pool(FITTED, learn, seed=31)
    scores = Scores(network(fitted.images)[0], fitted.labels)
    drawn = pool(MEASURED, held, seed=32)
    sets = {
        "MNIST": (mnist.test.images, mnist.test.labels),
        "drawn": (drawn.images, np.full(len(drawn), -2)),
        **{name: views(path) for name, path in (pair.split("=", 1) for pair in options.boxes)},
    }
    digit: dict[str, list[np.ndarray]] = {}
    right: list[np.ndarray] = []
    other: dict[str, dict[str, np.ndarray]] = {}
    for name, (images, truth) in sets.items():
        features, logits = network(images)
        found = scores(features, logits)
        right.append((logits[:, :10].argmax(axis=1) == truth)[truth >= 0])
        for method, values in found.items():
            digit.setdefault(method, []).append(values[truth >= 0])
            if (truth == -2).any():
                other.setdefault(name, {})[method] = values[truth == -2]
    correct = np.concatenate(right)
    names = list(other)
    heads = [f"AUROC against {name}" for name in names]
    heads += [f"digits accepted, wrong % where 5 % of {name} are accepted" for name in names]
    print("| method | " + " | ".join(heads) + " |\n|---|" + "---|" * len(heads))
    for method, parts in digit.items():
        values = np.concatenate(parts)
        cells = [f"{auroc(values, other[name][method]):.4f}" for name in names]
        for name in names:
            taken = values >= np.quantile(other[name][method], 0.95)
            cells.append(f"{100 * taken.mean():.1f}, {100 * (taken & ~correct).mean():.2f}")
        print(f"| {method} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
