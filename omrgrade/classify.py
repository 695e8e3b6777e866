"""28x28 ink -> calibrated class probabilities: the classifier protocol, ONNX runtime, the model card.

A model is three files side by side: `NAME.onnx` (logits, what grading runs), `NAME.json` (its card) and, for
retraining, `NAME.keras`. The card carries the hash of the ONNX file, so that a model never runs with the
calibration of another one.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from omrgrade.errors import ModelError
from omrgrade.records import ModelCard
from omrgrade.resources import bundled

DIGITS = tuple("0123456789")
NOT_DIGIT = "not_digit"
BATCH = 64  # images per inference call: larger ones fall out of the second-level cache and run slower

Images = NDArray[np.uint8]
Floats = NDArray[np.float32]


class Classifier(Protocol):
    """What reads normalised boxes."""

    @property
    def card(self) -> ModelCard:
        """Classes, calibration and provenance of the model."""

    def logits(self, images: Images) -> Floats:
        """Raw scores: uint8 (N, 28, 28), ink 255 on 0, -> float32 (N, C), a column per card class."""

    def probabilities(self, images: Images) -> Floats:
        """Calibrated probabilities 0-1: uint8 (N, 28, 28) -> float32 (N, C); rows sum to 1."""


def calibrate(logits: Floats, temperature: float) -> Floats:
    """Softmax of logits / temperature: float32 (N, C) -> float32 (N, C), rows sum to 1 (Guo et al. 2017)."""
    scaled = logits.astype(np.float64) / temperature
    scaled -= scaled.max(axis=1, keepdims=True, initial=-np.inf)
    exponent = np.exp(scaled)
    probabilities: Floats = (exponent / exponent.sum(axis=1, keepdims=True)).astype(np.float32)
    return probabilities


class OnnxClassifier:
    """A classifier run by ONNX runtime on the CPU."""

    def __init__(self, model: bytes, card: ModelCard, *, threads: int = 1, where: str = "model") -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # what goes wrong is raised; nothing is to appear on stderr as well
        try:
            self._session = onnxruntime.InferenceSession(
                model, sess_options=options, providers=["CPUExecutionProvider"]
            )
            self._input = self._session.get_inputs()[0].name
            columns = self._run(np.zeros((1, 28, 28), np.uint8)).shape
        except Exception as error:  # the runtime raises bare Exceptions of its own for damaged files
            raise ModelError(
                "the model cannot be loaded",
                where=where,
                fix="train it again with: omrgrade train",
                received=_first_line(error),
            ) from error
        if columns != (1, len(card.classes)):
            raise ModelError(
                f"the model does not give one score for each of the card's {len(card.classes)} classes",
                where=where,
                fix="use the card that was written with the model",
                received=columns,
            )
        self.card = card

    def logits(self, images: Images) -> Floats:
        """Raw scores: uint8 (N, 28, 28), ink 255 on 0, -> float32 (N, C), a column per card class."""
        if images.ndim != 3 or images.shape[1:] != (28, 28) or images.dtype != np.uint8:
            raise ValueError(f"images must be uint8 (N, 28, 28) (received {images.dtype} {images.shape})")
        scores = np.empty((len(images), len(self.card.classes)), np.float32)
        for start in range(0, len(images), BATCH):
            scores[start : start + BATCH] = self._run(images[start : start + BATCH])
        return scores

    def probabilities(self, images: Images) -> Floats:
        """Calibrated probabilities 0-1: uint8 (N, 28, 28) -> float32 (N, C); rows sum to 1."""
        return calibrate(self.logits(images), self.card.temperature)

    def _run(self, images: Images) -> Floats:
        scaled = images[..., np.newaxis].astype(np.float32) / np.float32(255)
        scores: Floats = self._session.run(None, {self._input: scaled})[0]
        return scores


def load_classifier(path: str | Path | None = None, *, threads: int = 1) -> OnnxClassifier:
    """Load `path` (default: the bundled model) with the card beside it; ModelError says what is wrong."""
    return classifier_from(*model_files(path), threads=threads, where=_model_path(path))


def load_card(path: str | Path | None = None) -> ModelCard:
    """The card of a model, known to be its own, without loading the network."""
    return _own_card(
        *model_files(path), where=bundled("models", "digits.onnx") if path is None else Path(path)
    )


def classifier_from(network: bytes, card: bytes, *, threads: int = 1, where: Path) -> OnnxClassifier:
    """A classifier from the bytes of its two files; `ModelError` where they do not belong together."""
    return OnnxClassifier(network, _own_card(network, card, where=where), threads=threads, where=str(where))


def _own_card(network: bytes, card: bytes, *, where: Path) -> ModelCard:
    """The card as a record; `ModelError` if it is another network's."""
    card_file = where.with_suffix(".json")
    parsed = card_from_json(card.decode("utf-8", "replace"), where=str(card_file))
    digest = hashlib.sha256(network).hexdigest()
    if digest != parsed.sha256:
        raise ModelError(
            "the model is not the one its card describes (its sha256 differs)",
            where=str(where),
            fix=f"restore {where.name} and {card_file.name} together, or train again",
            received=digest,
        )
    return parsed


def model_files(path: str | Path | None = None) -> tuple[bytes, bytes]:
    """The bytes of a model's two files, the network and its card; None is the bundled model."""
    model = _model_path(path)
    return _read(model), _read(model.with_suffix(".json"))


def _model_path(path: str | Path | None) -> Path:
    return bundled("models", "digits.onnx") if path is None else Path(path)


def card_to_json(card: ModelCard) -> str:
    """The card as JSON text, keys in the record's order, UTF-8, newline at the end."""
    return json.dumps(dataclasses.asdict(card), indent=2, ensure_ascii=False) + "\n"


def card_from_json(text: str, *, where: str = "model card") -> ModelCard:
    """Parse and check a card; ModelError names the key that is wrong."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError("the model card is not JSON", where=where, received=str(error)[:200]) from error
    if not isinstance(found, dict):
        raise ModelError("the model card must be a JSON object", where=where, received=type(found).__name__)
    known = {f.name: f for f in dataclasses.fields(ModelCard)}
    required = {n for n, f in known.items() if f.default is f.default_factory is dataclasses.MISSING}
    if missing := sorted(required - found.keys()):
        raise ModelError("the model card lacks keys", where=where, received=missing)
    if unknown := sorted(found.keys() - known.keys()):
        raise ModelError("the model card has keys this version does not know", where=where, received=unknown)
    _check_types(found, where)
    return ModelCard(**{**found, "classes": tuple(found["classes"])})


def _check_types(found: dict[str, Any], where: str) -> None:
    """Refuse values of the wrong kind, key by key."""

    def number(value: Any) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool)

    checks: dict[str, Callable[[Any], bool]] = {
        "classes": lambda v: isinstance(v, list) and tuple(v) in (DIGITS, (*DIGITS, NOT_DIGIT)),
        "normalizer": lambda v: isinstance(v, int) and not isinstance(v, bool),
        "temperature": lambda v: number(v) and 0 < v < float("inf"),
        "parameters": lambda v: isinstance(v, int) and v > 0,
        "sha256": lambda v: isinstance(v, str) and len(v) == 64,
        "thresholds": lambda v: isinstance(v, dict) and all(number(n) for n in v.values()),
        "accuracy": lambda v: number(v) and 0 <= v <= 1,
        "training": lambda v: isinstance(v, dict),
        "calibration": _is_calibration,
        "notes": lambda v: isinstance(v, str),
    }
    for key, value in found.items():
        if not checks[key](value):
            raise ModelError(
                f"the model card's {key!r} has a value that it cannot have", where=where, received=value
            )


def _is_calibration(value: Any) -> bool:
    """Empty, or three lists of numbers of one length beside what else is said of them."""
    if not isinstance(value, dict):
        return False
    columns = [value.get(name) for name in ("thresholds", "accepted", "wrong")]
    lists = [c for c in columns if isinstance(c, list) and all(isinstance(n, int | float) for n in c)]
    return not value or (len(lists) == 3 and len({len(c) for c in lists}) == 1)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(
            "cannot read this part of the model",
            where=str(path),
            fix="name an .onnx file with its .json card beside it, or make one with: omrgrade train",
            received=error.strerror,
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
