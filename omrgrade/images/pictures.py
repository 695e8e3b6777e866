"""JPEG, PNG, TIFF and whatever else Pillow knows -> grey pixels."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from omrgrade.errors import UnreadableImageError

Grey = NDArray[np.uint8]

MAX_PIXELS = 170_000_000
"""Pages of more are refused unread. A4 at 1200 dpi has 139 million; Pillow itself refuses beyond 179."""
TOO_LARGE = f"the picture is too large, at most {MAX_PIXELS // 1_000_000} million pixels"
SMALLER = "scan at 200 to 600 dpi"
JPEG_GREY = cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION


def check_size(width: int, height: int, path: Path) -> None:
    """Refuse a picture without pixels or with more than `MAX_PIXELS`."""
    where = str(path)
    if width < 1 or height < 1:
        raise UnreadableImageError("the picture has no pixels", where=where, received=(width, height))
    if width * height > MAX_PIXELS:
        raise UnreadableImageError(TOO_LARGE, where=where, fix=SMALLER, received=f"{width} x {height}")


@contextmanager
def _open_image(path: Path) -> Iterator[Image.Image]:
    """A picture whose header Pillow has read and whose size is within bounds; damage becomes a reason.

    Pillow gets an open file, not the path: it maps a named file into memory, and in version 13 forgets there
    to turn a TIFF on its side.
    """
    with path.open("rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a damaged tag or a large page is judged here, not on stderr
        try:
            image = Image.open(file)
            check_size(*image.size, path)
            yield image
        except Image.DecompressionBombError:
            raise UnreadableImageError(TOO_LARGE, where=str(path), fix=SMALLER) from None
        except (ValueError, SyntaxError, EOFError, TypeError, KeyError, IndexError) as error:
            raise UnreadableImageError(f"the picture is damaged: {error}", where=str(path)) from error


def count_pictures(path: Path) -> int:
    """Pictures in a multi-page TIFF, without decoding any."""
    with _open_image(path) as image:
        return int(getattr(image, "n_frames", 1))


def _dpi(image: Image.Image) -> float:
    """Dots per inch as the file says, 0 when it does not or when it talks nonsense."""
    try:
        dpi = float(image.info["dpi"][1])
    except (KeyError, TypeError, ValueError, IndexError, ZeroDivisionError):
        return 0.0
    return dpi if 20 <= dpi <= 10_000 else 0.0


def read_jpeg(path: Path) -> tuple[Grey, float]:
    """Decode straight to grey with OpenCV: the luminance plane alone, three times as fast as by colour."""
    data = path.read_bytes()
    with _open_image(path) as image:
        if not is_whole_jpeg(data):
            raise OSError("truncated")
        if image.mode == "CMYK":
            return _grey(ImageOps.exif_transpose(image)), _dpi(image)
        dpi, turn = _dpi(image), image.getexif().get(0x0112, 1)
    pixels: Any = cv2.imdecode(np.frombuffer(data, np.uint8), JPEG_GREY)
    if pixels is None:
        raise OSError("its JPEG data cannot be decoded")
    return _turn(pixels, turn), dpi


def is_whole_jpeg(data: bytes) -> bool:
    """Whether the end marker is there; what follows it (phones append videos) does not matter.

    Walks the segments as ITU T.81 annex B lays them out, since a thumbnail carries end markers of its own.
    """
    marker = re.compile(rb"\xff+([\x01-\xcf\xd8-\xfe])")  # skips stuffed zeros and restart markers
    at = 2
    while found := marker.search(data, at):
        code, at = found[1][0], found.end()
        if code == 0xD9:
            return True
        if code not in (0x01, 0xD8):
            at += int.from_bytes(data[at : at + 2], "big")
    return False


def _turn(pixels: Grey, orientation: int) -> Grey:
    """Apply EXIF orientation 1-8: flip, then turn counter-clockwise."""
    if orientation in (2, 4, 5, 7):
        pixels = pixels[:, ::-1]
    return np.rot90(pixels, {3: 2, 4: 2, 5: 1, 6: 3, 7: 3, 8: 1}.get(orientation, 0))


def read_picture(path: Path, page: int, head: bytes) -> tuple[Grey, float]:
    """One picture (1-based `page` of a TIFF) and its dpi; `head`, how the file begins, names what is none."""
    try:
        with _open_image(path) as image:
            if page > 1:
                image.seek(page - 1)
                check_size(*image.size, path)
            dpi = _dpi(image)
            image.load()  # a TIFF turns itself here
            return _grey(ImageOps.exif_transpose(image)), dpi
    except UnidentifiedImageError:
        raise UnreadableImageError(_foreign(head), where=str(path)) from None


def _foreign(head: bytes) -> str:
    """What a file is that is no picture, as far as its first bytes tell."""
    if head[4:8] == b"ftyp":
        return "a HEIC or AVIF picture, or a video; save it as JPEG"
    if head.startswith(b"PK"):
        return "an Office document or ZIP archive, not a picture; save its pages as PDF"
    if head.startswith((b"II*\0", b"MM\0*", b"\x89PNG")):
        return "the picture is damaged or cut off; scan or copy it again"
    try:
        head[:1000].decode()
    except UnicodeDecodeError as error:
        if error.start < 990:
            return "not a picture of a known kind; save it as JPEG, PNG, TIFF or PDF"
    return "a text file, not a picture" if b"\0" not in head else "not a picture of a known kind"


def _grey(image: Image.Image) -> Grey:
    """Any Pillow picture as grey 0-255: 16 bits scaled down, transparency over white, colour by luminance."""
    if image.mode.startswith("I;16"):
        return (np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8)
    if image.mode in ("I", "F"):
        raise OSError(f"pixels of kind {image.mode} are not supported; save it as 8-bit grey")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    if image.mode not in ("1", "L", "RGB"):
        image = image.convert("RGB")  # CMYK, palettes and Lab have no direct way to grey
    return np.asarray(image.convert("L"))
