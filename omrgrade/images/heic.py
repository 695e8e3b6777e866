"""HEIC pictures, as many phones take them -> grey pixels; only with the extra ``heic``."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from omrgrade.errors import UnreadableImageError
from omrgrade.images.pictures import Grey, check_size
from omrgrade.records import Limits

_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"})


def is_heic(head: bytes) -> bool:
    """Whether a file that begins like this is a HEIC picture (ISO/IEC 23008-12)."""
    return head[4:8] == b"ftyp" and head[8:12] in _BRANDS


def read_heic(path: Path, limits: Limits) -> tuple[Grey, float]:
    """The picture upright, as the file says, and 0: phones do not say how far away they were."""
    try:
        import pillow_heif
    except ImportError:
        raise UnreadableImageError(
            "a HEIC picture, and the packages to read it are not installed",
            where=str(path),
            fix="install them with: pip install 'omrgrade[heic]', or save it as JPEG",
        ) from None
    try:
        file = pillow_heif.open_heif(path)
        width, height = file.size
        check_size(width, height, path, limits)
        pixels = np.asarray(file.to_pillow().convert("RGB"))  # turned by the decoder, EXIF's turn included
    except (ValueError, RuntimeError, EOFError, SyntaxError) as error:
        raise UnreadableImageError(
            "the HEIC picture is damaged", where=str(path), fix="take or copy it again", received=str(error)
        ) from error
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8), 0.0
