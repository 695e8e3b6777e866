"""Train a network: batches from a recipe, Adam, early stopping on val_loss, best weights kept."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil, cos, pi
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from omrgrade.errors import MissingExtraError, ModelError
from omrgrade.training.data import Labelled, joined, one_hot, split, to_input
from omrgrade.training.network import build, load_network
from omrgrade.training.recipes import RECIPES, VALIDATION, kept
from omrgrade.training.sources import Recipe, epochs, pool

if TYPE_CHECKING:
    import keras

log = logging.getLogger(__name__)

VALIDATION_SEED = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What a training run depends on, besides the data."""

    network: str = "paper"  # one of network.NETWORKS
    epochs: int = 15
    batch_size: int = 128
    seed: int = 0
    learning_rate: float = 0.001
    validation_split: float = 0.1
    patience: int = 6  # epochs without a better val_loss before stopping; half of them if that is more
    without: tuple[str, ...] = ()  # names of sources that are left out, to see what they bring
    teachers: tuple[Path, ...] = ()  # exported networks to learn from as well
    bits: int = 8  # of the exported network's weights: 8 (see quantise), or 32 as they were trained


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Trained:
    """A trained network and how it came to be."""

    model: keras.Model  # probabilities, best weights by val_loss
    history: dict[str, list[float]]  # loss, accuracy, val_loss, val_accuracy, a value per epoch; or nothing
    validation: Labelled  # what val_loss was measured on; never trained on
    seconds: float


def train(
    digits: Labelled,
    settings: Settings,
    *,
    start: Path | None = None,
    added: Recipe = (),
    watched: Labelled | None = None,
) -> Trained:
    """Train `settings.network` on the training digits; a part of them is held out for validation.

    start: a network saved by Keras to go on from, instead of a fresh one. added: sources beside the
    recipe's own. watched: images to validate on beside the held-out digits.
    """
    keras = _keras(settings.seed)
    started = time.monotonic()
    learn, held = split(digits, settings.validation_split)
    validation = pool(VALIDATION[settings.network], held, VALIDATION_SEED)
    if watched is not None:
        validation = joined(validation, watched)
    model = load_network(start) if start else build(settings.network)
    recipe = (*kept(RECIPES[settings.network], settings.without), *added)
    classes = model.output_shape[-1]
    model.compile(
        optimizer=keras.optimizers.Adam(settings.learning_rate),
        loss="categorical_crossentropy",
        metrics=["accuracy"],
    )
    pools = epochs(recipe, learn, settings.seed, settings.teachers)
    batches = _batches(pools, settings, classes)
    history = model.fit(
        batches,
        epochs=settings.epochs,
        validation_data=(to_input(validation.images), one_hot(validation.labels, classes)),
        validation_batch_size=512,
        callbacks=_callbacks(settings),
        verbose=0,
    )
    pools.close()  # ends the preparing process
    return Trained(
        model=model,
        history={key: [float(v) for v in values] for key, values in history.history.items()},
        validation=validation,
        seconds=time.monotonic() - started,
    )


def average(paths: Sequence[Path], digits: Labelled, settings: Settings) -> Trained:
    """The mean of the weights of networks that were fine-tuned from one and the same; nothing is trained.

    Such networks lie in one valley of the loss, and their mean lies lower in it than each of them: it errs
    less at equal coverage (Izmailov et al. 2018; Wortsman et al. 2022).
    """
    _keras(settings.seed)
    started = time.monotonic()
    models = [load_network(path) for path in paths]
    if len({(model.name, model.count_params()) for model in models}) > 1:
        raise ModelError(
            "only networks of one make can be averaged",
            fix="give networks that were fine-tuned from the same one, with train --from",
            received=[f"{path}: {model.name}" for path, model in zip(paths, models, strict=True)],
        )
    weights = [model.get_weights() for model in models]
    models[0].set_weights([np.mean(parts, axis=0) for parts in zip(*weights, strict=True)])
    held = split(digits, settings.validation_split)[1]
    return Trained(
        model=models[0],
        history={},
        validation=pool(VALIDATION[models[0].name], held, VALIDATION_SEED),
        seconds=time.monotonic() - started,
    )


def _keras(seed: int) -> Any:
    """Keras on TensorFlow, seeded, or the error that says what to install."""
    try:
        with _quiet():
            import keras
            import tensorflow as tf
    except ImportError as error:
        raise MissingExtraError("training", "train") from error
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    return keras


@contextmanager
def _quiet() -> Iterator[None]:
    """Nothing on stderr: TensorFlow's C++ greets there before any setting of its own can stop it."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 (a device, not a file)
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _batches(pools: Iterator[Labelled], settings: Settings, classes: int) -> Any:
    """A Keras data set whose images are new in every epoch."""
    from keras.utils import PyDataset

    batch = settings.batch_size

    class Batches(PyDataset):  # type: ignore[misc]  # Keras is not typed here
        def __init__(self) -> None:
            super().__init__()
            self.current = next(pools)

        def __len__(self) -> int:
            return ceil(len(self.current) / batch)

        def __getitem__(self, index: int) -> tuple[Any, Any]:
            part = self.current.take(slice(index * batch, (index + 1) * batch))
            targets = one_hot(part.labels, classes) if part.targets is None else part.targets
            return to_input(part.images), targets

        def on_epoch_end(self) -> None:
            self.current = next(pools)

    return Batches()


def _callbacks(settings: Settings) -> list[Any]:
    from keras import callbacks

    chosen = [
        callbacks.EarlyStopping(
            monitor="val_loss",
            # val_loss hardly falls before the rate does: a long training must not stop while it is high
            patience=max(settings.patience, settings.epochs // 2),
            restore_best_weights=True,
        ),
        _progress(settings.epochs),
    ]
    if settings.network != "seed":  # the seed's network keeps Adam's constant rate
        chosen.append(callbacks.LearningRateScheduler(lambda epoch: _cosine(epoch, settings)))
    return chosen


def _cosine(epoch: int, settings: Settings) -> float:
    """Learning rate of an epoch (0-based): half a cosine from the full rate towards 2 % of it."""
    share = epoch / max(1, settings.epochs)
    return settings.learning_rate * (0.02 + 0.98 * (1 + cos(pi * share)) / 2)


def _progress(total: int) -> Any:
    """A bar on a terminal's stderr, and one log line per epoch."""
    from keras.callbacks import Callback
    from tqdm import tqdm

    class Progress(Callback):  # type: ignore[misc]
        def on_train_begin(self, logs: Any = None) -> None:
            self.bar = tqdm(total=total, unit="epoch", disable=None, desc="training")

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.started = time.monotonic()

        def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            shown = {k: f"{v:.4f}" for k, v in (logs or {}).items() if k != "learning_rate"}
            self.bar.set_postfix(shown)
            self.bar.update()
            seconds = time.monotonic() - self.started
            log.info("epoch %d/%d in %.0f s: %s", epoch + 1, total, seconds, shown)

        def on_train_end(self, logs: Any = None) -> None:
            self.bar.close()

    return Progress()


def predict(model: keras.Model, part: Labelled) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Model outputs for every image: float32 (N, C)."""
    outputs: np.ndarray[Any, np.dtype[np.float32]] = model.predict(
        to_input(part.images), batch_size=512, verbose=0
    )
    return outputs
