"""From MNIST to a model ready to be installed: train, calibrate, export, check, measure."""

from __future__ import annotations

import dataclasses
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omrgrade import __version__
from omrgrade.classify import DIGITS, NOT_DIGIT, OnnxClassifier
from omrgrade.metrics import fit_temperature
from omrgrade.normalize import VERSION as NORMALIZER
from omrgrade.records import ModelCard
from omrgrade.training.calibration import calibration, simulated_boxes
from omrgrade.training.data import MnistData, split
from omrgrade.training.evaluate import DigitScore, score_digits
from omrgrade.training.export import check_export, sha256, to_onnx
from omrgrade.training.fit import Settings, Trained, train
from omrgrade.training.plots import draw_confusion_matrix, draw_learning_curves
from omrgrade.training.recipes import RECIPES

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


def make_release(data: MnistData, settings: Settings, *, limit: int | None = None) -> Release:
    """Train and export; the test set is used once, at the end, and chooses nothing.

    limit: train on the first so many digits only.
    """
    trained = train(data.train.take(slice(limit)), settings)
    onnx = to_onnx(trained.model)
    draft = ModelCard(
        classes=(*DIGITS, NOT_DIGIT)[: trained.model.output_shape[-1]],
        normalizer=NORMALIZER,
        temperature=1.0,
        parameters=int(trained.model.count_params()),
        sha256=sha256(onnx),
    )
    difference = check_export(trained.model, onnx, draft, data.test.images[:CHECKED_DIGITS])
    validation = trained.validation
    temperature = fit_temperature(OnnxClassifier(onnx, draft).logits(validation.images), validation.labels)
    calibrated = dataclasses.replace(draft, temperature=round(temperature, 4))
    classifier = OnnxClassifier(onnx, calibrated)
    score = score_digits(classifier, data.test)
    held = split(data.train.take(slice(limit)), settings.validation_split)[1]
    boxes, truth = simulated_boxes(held)
    card = dataclasses.replace(
        calibrated,
        accuracy=score.accuracy,
        calibration=calibration(boxes, truth, classifier, "held-out MNIST digits in simulated boxes"),
        training={**_provenance(data, settings, trained, limit), "export_difference": difference},
    )
    return Release(model=trained.model, onnx=onnx, card=card, score=score, history=trained.history)


def draw_release(folder: Path, release: Release) -> None:
    """Learning curves and confusion matrix beside the model."""
    draw_learning_curves(release.history, folder / "learning_curves.png")
    draw_confusion_matrix(release.score.matrix, DIGITS, folder / "confusion_matrix.png")


def _provenance(data: MnistData, settings: Settings, trained: Trained, limit: int | None) -> dict[str, Any]:
    import keras
    import tensorflow as tf

    return {
        **dataclasses.asdict(settings),
        "data": "MNIST (LeCun, Cortes, Burges)",
        "data_sha256": data.sha256,
        "images": min(len(data.train), limit or len(data.train)),
        "sources": {share.name: share.weight for share in RECIPES[settings.network]},
        "epochs_run": len(trained.history["loss"]),
        "best_epoch": 1 + trained.history["val_loss"].index(min(trained.history["val_loss"])),
        "seconds": round(trained.seconds),
        "omrgrade": __version__,
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
        "python": platform.python_version(),
    }
