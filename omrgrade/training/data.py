"""MNIST in, checked; network inputs out. Nothing here needs TensorFlow unless MNIST must be downloaded."""

from __future__ import annotations

import hashlib
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from omrgrade.errors import DatasetError
from omrgrade.resources import bundled

MAX_BYTES = 2_000_000_000  # of unfolded arrays: more than a million box crops
_DAMAGE = (
    ValueError, zipfile.BadZipFile, zlib.error, struct.error, EOFError, MemoryError, OverflowError, TypeError,
    SyntaxError, RuntimeError, KeyError, tokenize.TokenError,
)  # fmt: skip
"""What NumPy and zipfile raise for archives that are damaged, encrypted, or lie about their sizes."""
KEYS = ("x_train", "y_train", "x_test", "y_test")
SPLIT_SEED = 0
"""Fixed whatever the training seed is: a digit that calibrates one model never trained another."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Labelled:
    """Images with their classes."""

    images: NDArray[np.uint8]  # (N, 28, 28), ink 255 on 0
    labels: NDArray[np.int64]  # (N,), 0-9 the digit, 10 not a digit
    targets: NDArray[np.float32] | None = None  # (N, C) rows sum to 1: what to learn instead of the label

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: NDArray[np.int64] | slice) -> Labelled:
        """The chosen images, in the order of `index`."""
        targets = None if self.targets is None else self.targets[index]
        return Labelled(images=self.images[index], labels=self.labels[index], targets=targets)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class MnistData:
    """The data set's own two parts and where they came from."""

    train: Labelled
    test: Labelled
    source: str
    sha256: str  # of the pixels and labels, so that the layout of the file does not matter


def load_mnist(path: str | Path | None = None) -> MnistData:
    """MNIST from `path`, else the bundled npz, else `keras.datasets.mnist` (downloads and caches).

    An npz holds x_train, y_train, x_test, y_test: images (N, 28, 28) in 0-255, labels (N,) in 0-9.
    """
    if path is None and (bundle := bundled("models", "mnist.npz")).is_file():
        path = bundle
    if path is None:
        return _checked(_download(), "keras.datasets.mnist")
    return _checked(read_npz(path, KEYS), str(path))


def read_npz(path: str | Path, keys: tuple[str, ...]) -> dict[str, NDArray[np.generic]]:
    """The named arrays of an npz file; pickled objects are refused, because loading them runs code."""
    where = str(path)
    try:
        with np.load(path, allow_pickle=False) as archive:
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise DatasetError("not an .npz archive", where=where, received=type(archive).__name__)
            if missing := [key for key in keys if key not in archive.files]:
                raise DatasetError(
                    f"the archive lacks {', '.join(missing)}",
                    where=where,
                    fix=f"give arrays named {', '.join(keys)}",
                    received=archive.files,
                )
            entries = archive.zip.infolist() if archive.zip else []
            unfolded = sum(entry.file_size for entry in entries)
            if unfolded > MAX_BYTES:
                raise DatasetError(
                    f"the archive unfolds to more than {MAX_BYTES // 1_000_000} MB",
                    where=where,
                    fix="split it",
                    received=unfolded,
                )
            arrays = {key: archive[key] for key in keys}
            if raw := [key for key, array in arrays.items() if not isinstance(array, np.ndarray)]:
                raise DatasetError("these are no arrays", where=where, received=raw)
            return arrays
    except OSError as error:
        raise DatasetError(
            "cannot read the data set", where=where, received=error.strerror or str(error)
        ) from error
    except _DAMAGE as error:
        raise DatasetError(
            "not a readable .npz archive of plain arrays (pickled objects are refused)",
            where=where,
            received=str(error)[:200],
        ) from error


def split(part: Labelled, fraction: float) -> tuple[Labelled, Labelled]:
    """(training, validation): the last `fraction` of a fixed shuffle is held out (not stratified)."""
    order = np.random.default_rng(SPLIT_SEED).permutation(len(part))
    held = round(len(part) * fraction)
    if not 0 < held < len(part):
        raise DatasetError("the validation split leaves one part empty", received=fraction)
    return part.take(order[:-held]), part.take(order[-held:])


def joined(one: Labelled, two: Labelled) -> Labelled:
    """Both, one after the other."""
    return Labelled(
        images=np.concatenate([one.images, two.images]), labels=np.concatenate([one.labels, two.labels])
    )


def to_input(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """uint8 (N, 28, 28) 0-255 -> float32 (N, 28, 28, 1) 0-1, as the convolutions want it."""
    return images[..., np.newaxis].astype(np.float32) / np.float32(255)


def one_hot(labels: NDArray[np.int64], classes: int) -> NDArray[np.float32]:
    """int (N,) -> float32 (N, classes), for categorical cross-entropy."""
    return np.eye(classes, dtype=np.float32)[labels]


def _download() -> dict[str, NDArray[np.generic]]:
    try:
        from keras.datasets import mnist
    except ImportError as error:
        raise DatasetError(
            "MNIST is not bundled here, and Keras, which could download it, is not installed",
            fix="pass --data FILE.npz, or: pip install 'omrgrade[train]'",
        ) from error
    try:
        (x_train, y_train), (x_test, y_test) = mnist.load_data()
    except Exception as error:  # Keras raises bare Exceptions for a failed download
        raise DatasetError(
            "MNIST could not be downloaded", fix="pass --data FILE.npz", received=str(error)
        ) from error
    return dict(zip(KEYS, (x_train, y_train, x_test, y_test), strict=True))


def _checked(arrays: Mapping[str, NDArray[np.generic]], source: str) -> MnistData:
    train = _checked_part(arrays["x_train"], arrays["y_train"], f"{source}: x_train, y_train")
    test = _checked_part(arrays["x_test"], arrays["y_test"], f"{source}: x_test, y_test")
    digest = hashlib.sha256()
    for part in (train, test):
        digest.update(part.images.tobytes())
        digest.update(part.labels.tobytes())
    return MnistData(train=train, test=test, source=source, sha256=digest.hexdigest())


def _checked_part(images: NDArray[np.generic], labels: NDArray[np.generic], where: str) -> Labelled:
    if images.ndim != 3 or images.shape[1:] != (28, 28) or len(images) == 0:
        raise DatasetError("images must have shape (N, 28, 28)", where=where, received=images.shape)
    if labels.shape != images.shape[:1]:
        raise DatasetError(f"there must be {len(images)} labels", where=where, received=labels.shape)
    if labels.dtype.kind not in "iu":
        raise DatasetError("labels must be whole numbers", where=where, received=str(labels.dtype))
    whole = labels.astype(np.int64)
    if outside := sorted(set(whole.tolist()) - set(range(10))):
        raise DatasetError("labels must be 0 to 9", where=where, received=outside[:5])
    return Labelled(images=_checked_images(images, where), labels=whole)


def _checked_images(images: NDArray[np.generic], where: str) -> NDArray[np.uint8]:
    """uint8 as they are; floats 0-255 rounded; everything else, NaNs included, refused."""
    if images.dtype == np.uint8:
        return images.astype(np.uint8)
    if images.dtype.kind != "f":
        raise DatasetError("images must be uint8", where=where, received=str(images.dtype))
    real = images.astype(np.float32)
    if bad := int((~np.isfinite(real)).sum()):
        raise DatasetError(
            f"{bad} pixels are not numbers (NaN or infinite)", where=where, fix="clean the data first"
        )
    if real.min() < 0 or real.max() > 255 or real.max() <= 1:
        raise DatasetError(
            "pixels must run from 0 to 255", where=where, received=(float(real.min()), float(real.max()))
        )
    return np.rint(real).astype(np.uint8)
