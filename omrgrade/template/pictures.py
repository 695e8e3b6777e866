"""Pictures that a template names: a marker, or the blank form; kept as grey PNG."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from omrgrade.template.source import Mapping

BLANK_DPI = 200
"""Of the blank form as it is kept: finer than any feature that survives printing and scanning."""

_MAX_MARKER = 1000  # px: larger pictures are not of one marker
_MAX_STRETCH = 0.03  # how far a blank's height over its width may be from the page's


def marker_picture(path: Path, entry: Mapping, key: str) -> bytes:
    """The picture of one marker, which fills it; `TemplateError` at `key` when it is none."""
    pixels = _read(path, 1, entry, key)
    if min(pixels.shape) < 12 or max(pixels.shape) > _MAX_MARKER or np.ptp(pixels) < 60:
        raise entry.error(
            key, f"must be a picture of one marker, dark on light, of 12 to {_MAX_MARKER} px",
            received=f"{path}: {pixels.shape[1]} x {pixels.shape[0]} px",
        )  # fmt: skip
    return _png(pixels)


def blank_picture(path: Path, page: int, size: tuple[float, float], entry: Mapping, key: str) -> bytes:
    """The blank form drawn on a page of `size` mm at `BLANK_DPI`; `TemplateError` at `key`."""
    pixels = _read(path, page, entry, key)
    stretch = (pixels.shape[0] / pixels.shape[1]) / (size[1] / size[0]) - 1
    if abs(stretch) > _MAX_STRETCH:
        raise entry.error(
            key, "must have the shape of the page", fix="give 'page' as its [width, height] in mm",
            received=f"{path}: {pixels.shape[1]} x {pixels.shape[0]} px for {size[0]:g} x {size[1]:g} mm",
        )  # fmt: skip
    target = tuple(round(mm / 25.4 * BLANK_DPI) for mm in size)
    import cv2

    how = cv2.INTER_AREA if target[0] < pixels.shape[1] else cv2.INTER_CUBIC
    return _png(np.asarray(cv2.resize(pixels, target, interpolation=how), np.uint8))


def _read(path: Path, page: int, entry: Mapping, key: str) -> NDArray[np.uint8]:
    """Grey pixels of a picture or a PDF's page, transparency over white."""
    from PIL import Image

    try:
        if path.suffix.lower() == ".pdf":
            return _pdf_page(path, page)
        with Image.open(path) as image:
            image.seek(page - 1)
            rgba = image.convert("RGBA")
    except (OSError, ValueError, IndexError, EOFError, Image.DecompressionBombError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise entry.error(
            key, "names a picture or PDF that cannot be read", fix="give its path from the template's folder",
            received=f"{path}: {reason}",
        ) from error  # fmt: skip
    over_white = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return np.asarray(over_white.convert("L"), np.uint8)


def _pdf_page(path: Path, number: int) -> NDArray[np.uint8]:
    import pypdfium2

    try:
        with pypdfium2.PdfDocument(path) as document:
            image = document[number - 1].render(scale=BLANK_DPI / 72, grayscale=True).to_numpy()
    except pypdfium2.PdfiumError as error:
        raise ValueError(str(error)) from error
    return np.ascontiguousarray(image.reshape(image.shape[:2]), dtype=np.uint8)


def _png(pixels: NDArray[np.uint8]) -> bytes:
    import cv2

    return bytes(cv2.imencode(".png", pixels)[1])
