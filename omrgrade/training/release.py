"""From MNIST to a model ready to be installed: train, calibrate, export, check, measure."""

from __future__ import annotations

import dataclasses
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from omrgrade import __version__
from omrgrade.classify import DIGITS, NOT_DIGIT, OnnxClassifier
from omrgrade.normalize import VERSION as NORMALIZER
from omrgrade.normalize import normalize_all
from omrgrade.records import ModelCard
from omrgrade.training.boxes import confidences
from omrgrade.training.calibration import (
    TEMPERATURE,
    calibration_of,
    read_open_handed,
    simulated_boxes,
    temperature_on,
)
from omrgrade.training.data import Labelled, MnistData, split
from omrgrade.training.evaluate import DigitScore, score_digits
from omrgrade.training.export import check_export, sha256, to_onnx
from omrgrade.training.extra import OwnPaper, share_of
from omrgrade.training.fit import Settings, Trained, average, train
from omrgrade.training.plots import (
    draw_confusion_matrix,
    draw_learning_curves,
    draw_reliability,
    draw_risk_coverage,
)
from omrgrade.training.quantise import to_int8
from omrgrade.training.recipes import RECIPES, kept

if TYPE_CHECKING:
    import keras

CHECKED_DIGITS = 1000  # test digits on which the export is compared with Keras


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Release:
    """A model that could be installed, and how good it is."""

    model: keras.Model
    onnx: bytes
    card: ModelCard
    score: DigitScore  # on the MNIST test set
    history: dict[str, list[float]]
    confidence: NDArray[np.float64]  # (N,) of the calibration boxes in which a digit was seen
    right: NDArray[np.bool_]  # (N,)


def make_release(
    data: MnistData,
    settings: Settings,
    *,
    limit: int | None = None,
    start: Path | None = None,
    own: OwnPaper | None = None,
    averaged: Sequence[Path] = (),
) -> Release:
    """Train and export; the test set is used once, at the end, and chooses nothing.

    limit: train on the first so many digits only. start: a saved network to go on from. own: labelled
    boxes to train on as well. averaged: saved networks whose weights are averaged instead of training.
    """
    digits = data.train.take(slice(limit))
    trained = _network(digits, settings, start, own, averaged)
    held = split(digits, settings.validation_split)[1]
    onnx, card, difference = _exported(trained.model, settings, held, data.test.images[:CHECKED_DIGITS])
    classifier = OnnxClassifier(onnx, card)
    score = score_digits(classifier, data.test)
    boxes, truth = simulated_boxes(held, max(10, 3 * len(held) // 2))
    readings = read_open_handed(boxes, classifier)
    confidence, right = confidences(truth, readings)
    card = dataclasses.replace(
        card,
        accuracy=score.accuracy,
        calibration=calibration_of(readings, truth, "boxes of simulated scans, held-out MNIST digits"),
        training={
            **_provenance(data, settings, trained, len(digits)),
            **({"started_from": sha256(start.read_bytes())} if start else {}),
            **({"average_of": [sha256(path.read_bytes()) for path in averaged]} if averaged else {}),
            **({"own_boxes": len(own.learn)} if own else {}),
            "export_difference": difference,
        },
    )
    return Release(
        model=trained.model,
        onnx=onnx,
        card=card,
        score=score,
        history=trained.history,
        confidence=confidence,
        right=right,
    )


def _network(
    digits: Labelled, settings: Settings, start: Path | None, own: OwnPaper | None, averaged: Sequence[Path]
) -> Trained:
    """Averaged, or trained, on own paper as well if there is any."""
    if averaged:
        return average(averaged, digits, settings)
    if own:
        return train(digits, settings, start=start, added=(share_of(own),), watched=own.watched)
    return train(digits, settings, start=start)


def _exported(
    model: keras.Model, settings: Settings, held: Labelled, some: NDArray[np.uint8]
) -> tuple[bytes, ModelCard, float]:
    """The network as ONNX, calibrated; its card so far; how far the export is from Keras (`check_export`).

    held: digits that were not trained on; boxes written with them give 8 bits their ranges, and the
    temperature its value. some: digits, (N, 28, 28), on which the export is compared with Keras.
    """
    onnx = to_onnx(model)
    draft = ModelCard(
        classes=(*DIGITS, NOT_DIGIT)[: model.output_shape[-1]],
        normalizer=NORMALIZER,
        temperature=1.0,
        parameters=int(model.count_params()),
        sha256=sha256(onnx),
    )
    difference = check_export(model, onnx, draft, some)
    fitted = simulated_boxes(held, max(10, len(held) // 2), seed=TEMPERATURE)
    if settings.bits == 8:
        onnx = to_int8(onnx, np.stack([ink.image for ink in normalize_all(fitted[0]) if not ink.empty]))
    temperature = temperature_on(*fitted, OnnxClassifier(onnx, draft))
    return (
        onnx,
        dataclasses.replace(draft, temperature=round(temperature, 4), sha256=sha256(onnx)),
        difference,
    )


def draw_release(folder: Path, release: Release) -> None:
    """Learning curves, confusion matrix, reliability and risk against coverage, beside the model."""
    if release.history:
        draw_learning_curves(release.history, folder / "learning_curves.png")
    draw_confusion_matrix(release.score.matrix, DIGITS, folder / "confusion_matrix.png")
    draw_reliability(release.confidence, release.right, folder / "reliability.png")
    draw_risk_coverage(release.confidence, release.right, folder / "risk_coverage.png")


def _provenance(data: MnistData, settings: Settings, trained: Trained, images: int) -> dict[str, Any]:
    import keras
    import tensorflow as tf

    losses = trained.history.get("val_loss", [])
    return {
        **dataclasses.asdict(settings),
        "teachers": [sha256(path.read_bytes()) for path in settings.teachers],
        "data": "MNIST (LeCun, Cortes, Burges)",
        "data_sha256": data.sha256,
        "images": images,
        "sources": {share.name: share.weight for share in kept(RECIPES[settings.network], settings.without)},
        "epochs_run": len(losses),
        "best_epoch": 1 + losses.index(min(losses)) if losses else 0,
        "seconds": round(trained.seconds),
        "omrgrade": __version__,
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
        "python": platform.python_version(),
    }
