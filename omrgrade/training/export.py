"""Keras -> ONNX, checked, and put in place together with its card."""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from omrgrade.classify import Images, OnnxClassifier, calibrate, card_to_json
from omrgrade.errors import ModelError, OutputError
from omrgrade.records import ModelCard
from omrgrade.training.data import to_input
from omrgrade.training.network import logits_network

if TYPE_CHECKING:
    import keras

LARGEST_DIFFERENCE = 1e-4  # of a probability between Keras and ONNX; float32 noise is about 1e-6


def to_onnx(model: keras.Model) -> bytes:
    """The network as ONNX: input float32 (N, 28, 28, 1) in 0-1, output logits float32 (N, C)."""
    network = logits_network(model)
    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras warns about NumPy's and its own internals
        path = Path(folder, "network.onnx")
        with contextlib.redirect_stdout(io.StringIO()):  # Keras reports on stdout, which is for data
            network(np.zeros((1, 28, 28, 1), np.float32))  # Keras exports only what has run once
            network.export(path, format="onnx", verbose=False)
        return path.read_bytes()


def check_export(model: keras.Model, onnx: bytes, card: ModelCard, images: Images) -> float:
    """The largest difference of a probability between Keras and ONNX on `images`; ModelError above 1e-4."""
    theirs = model.predict(to_input(images), batch_size=512, verbose=0)
    ours = calibrate(OnnxClassifier(onnx, card, where="exported model").logits(images), 1.0)
    difference = float(np.abs(theirs - ours).max())
    if not difference <= LARGEST_DIFFERENCE:  # catches NaN too
        raise ModelError(
            f"the exported network differs from the trained one by more than {LARGEST_DIFFERENCE}",
            fix="report this with the versions of keras, tensorflow and onnx",
            received=difference,
        )
    return difference


def sha256(content: bytes) -> str:
    """Hexadecimal digest."""
    return hashlib.sha256(content).hexdigest()


def install(folder: Path, model: keras.Model, onnx: bytes, card: ModelCard) -> None:
    """Put digits.onnx, digits.keras and digits.json in place together: all three, or none.

    Each is written aside and renamed. A crash between two renames leaves a model whose hash differs from
    its card, which loading refuses.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".digits-", dir=folder) as aside:
            _bare(model).save(Path(aside, "digits.keras"))
            Path(aside, "digits.onnx").write_bytes(onnx)
            Path(aside, "digits.json").write_text(card_to_json(card), encoding="utf-8")
            names = ("digits.keras", "digits.onnx", "digits.json")
            with _restored_on_failure(folder, names):
                for name in names:
                    os.replace(Path(aside, name), folder / name)  # noqa: PTH105 (atomic on every system)
    except OSError as error:
        raise OutputError(
            "the model cannot be written",
            where=str(folder),
            fix="choose another folder with -o",
            received=str(error),
        ) from error


def _bare(model: keras.Model) -> keras.Model:
    """The same network without its optimizer, whose state would make the file three times as large."""
    from keras import Model

    return Model(model.inputs, model.outputs, name=model.name)


@contextmanager
def _restored_on_failure(folder: Path, names: tuple[str, ...]) -> Iterator[None]:
    with tempfile.TemporaryDirectory(prefix=".previous-", dir=folder) as backup:
        before = [name for name in names if (folder / name).exists()]
        for name in before:
            shutil.copy2(folder / name, Path(backup, name))
        try:
            yield
        except OSError:
            for name in names:
                if name in before:
                    shutil.copy2(Path(backup, name), folder / name)
                else:
                    (folder / name).unlink(missing_ok=True)
            raise
