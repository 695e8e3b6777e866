"""JPEG, PNG, TIFF and whatever else Pillow knows -> grey pixels."""

from __future__ import annotations

import io
import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageOps,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from omrgrade.errors import UnreadableImageError
from omrgrade.records import Limits

Grey = NDArray[np.uint8]

ENOUGH_DPI = 280.0
ENOUGH_PX = 3000
"""Reading needs 8 px a mm; a JPEG of twice this resolution and long side is decoded at half of it, in half
the time. Both are asked for, as what a file says of its resolution need not be true."""
_SMALLER = {
    n: flag | cv2.IMREAD_IGNORE_ORIENTATION
    for n, flag in (
        (1, cv2.IMREAD_GRAYSCALE),
        (2, cv2.IMREAD_REDUCED_GRAYSCALE_2),
        (4, cv2.IMREAD_REDUCED_GRAYSCALE_4),
    )
}

_PLUGINS = (
    JpegImagePlugin.JpegImageFile, PngImagePlugin.PngImageFile, TiffImagePlugin.TiffImageFile,
    WebPImagePlugin.WebPImageFile, BmpImagePlugin.BmpImageFile, GifImagePlugin.GifImageFile,
    PpmImagePlugin.PpmImageFile,
)  # fmt: skip
_AT_ONCE = 4_000_000
"""Pixels that are made grey at once."""
FORMATS = tuple(plugin.format for plugin in _PLUGINS if plugin.format in Image.OPEN)
"""What Pillow may take a file for. It knows dozens of formats more, for one of which it runs a program."""


def check_size(width: float, height: float, path: Path, limits: Limits) -> None:
    """Refuse a picture without pixels or with too many."""
    where = str(path)
    if width < 1 or height < 1:
        raise UnreadableImageError("the picture has no pixels", where=where, received=(width, height))
    if width * height > limits.megapixels * 1e6:
        raise UnreadableImageError(
            f"the picture is too large, at most {limits.megapixels:g} million pixels",
            where=where,
            fix="scan at 200 to 600 dpi, or raise --max-megapixels",
            received=f"{width:.0f} x {height:.0f}",
        )


@contextmanager
def open_image(file: IO[bytes], path: Path, limits: Limits) -> Iterator[Image.Image]:
    """A picture whose header Pillow has read and whose size is within bounds; damage becomes a reason.

    Pillow gets an open file, not the path: it maps a named file into memory, and in version 13 forgets there
    to turn a TIFF on its side.
    """
    before = Image.MAX_IMAGE_PIXELS
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a damaged tag or a large page is judged here, not on stderr
        Image.MAX_IMAGE_PIXELS = None  # `check_size` judges, by the user's limit
        try:
            image = Image.open(file, formats=FORMATS)
            check_size(*image.size, path, limits)
            yield image
        except (ValueError, SyntaxError, EOFError, TypeError, KeyError, IndexError, struct.error) as error:
            raise UnreadableImageError(f"the picture is damaged: {error}", where=str(path)) from error
        finally:
            Image.MAX_IMAGE_PIXELS = before


def count_pictures(file: IO[bytes], most: int) -> int:
    """Pictures in an open TIFF; of more than `most`, one more than that.

    Where their list breaks off, one that cannot be found counts, too, so that somebody hears of it. Pillow
    takes such a list for one that ends there: pages that a cut has taken would never be missed.
    """
    found: set[int | None] = set()
    for directory in _directories(file):
        if directory in found or len(found) > most:
            break
        found.add(directory)
    return len(found)


def _directories(file: IO[bytes]) -> Iterator[int | None]:
    """Where each picture of a TIFF or BigTIFF is described; None where that should stand but does not."""
    head = file.read(4)
    order = "<" if head.startswith(b"II") else ">"
    count, offset, at = (f"{order}Q", f"{order}Q", 8) if b"+" in head else (f"{order}H", f"{order}I", 4)
    entry = 20 if b"+" in head else 12  # bytes
    try:
        while directory := _number_at(file, at, offset):
            at = directory + struct.calcsize(count) + entry * _number_at(file, directory, count)
            yield directory
    except (struct.error, OSError, OverflowError, ValueError):
        yield None


def _number_at(file: IO[bytes], at: int, form: str) -> int:
    """The number at a place in a file; `struct.error` where the file has ended."""
    file.seek(at)
    return int(struct.unpack(form, file.read(struct.calcsize(form)))[0])


def _dpi(image: Image.Image) -> float:
    """Dots per inch as the file says, 0 when it does not or when it talks nonsense."""
    try:
        dpi = float(image.info["dpi"][1])
    except (KeyError, TypeError, ValueError, IndexError, ZeroDivisionError):
        return 0.0
    return dpi if 20 <= dpi <= 10_000 else 0.0


def read_jpeg(path: Path, limits: Limits) -> tuple[Grey, float]:
    """Decode straight to grey with OpenCV: the luminance plane alone, three times as fast as by colour."""
    data = path.read_bytes()
    with open_image(io.BytesIO(data), path, limits) as image:
        if not is_whole_jpeg(data):
            raise OSError("truncated")
        if image.mode == "CMYK":
            return _grey(image), _dpi(image)
        dpi, turn = _dpi(image), image.getexif().get(0x0112, 1)
    pixels, smaller = decode_jpeg(data, image.size, dpi)
    if pixels is None:
        raise OSError("its JPEG data cannot be decoded")
    return _turn(pixels, turn), dpi / smaller


def decode_jpeg(data: bytes, size: tuple[int, int], dpi: float) -> tuple[Grey | None, int]:
    """The picture as grey, no finer than reading needs, and how many times smaller than it is.

    size: its width and height, px. None when it cannot be decoded.
    """
    enough = [n for n in _SMALLER if dpi / n >= ENOUGH_DPI and max(size) / n >= ENOUGH_PX]
    smaller = max(enough, default=1)
    pixels: Any = cv2.imdecode(np.frombuffer(data, np.uint8), _SMALLER[smaller])
    return (None if pixels is None else pixels), smaller


def is_whole_jpeg(data: bytes) -> bool:
    """Whether the end marker is there; what follows it (phones append videos) does not matter.

    Walks the segments as ITU T.81 annex B lays them out, since a thumbnail carries end markers of its own.
    """
    if data.endswith(b"\xff\xd9"):
        return True  # as it does unless it is cut off or something follows: no need to look at it all
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


def read_picture(path: Path, page: int, head: bytes, limits: Limits) -> tuple[Grey, float]:
    """One picture (1-based `page` of a TIFF) and its dpi; `head`, how the file begins, names what is none."""
    try:
        with path.open("rb") as file, open_image(file, path, limits) as image:
            if page > 1:
                _turn_to(page, image, path)
                check_size(*image.size, path, limits)
            dpi = _dpi(image)
            if image.format == "PNG" and image.mode in ("1", "L") and not image.has_transparency_data:
                pixels = _plain_png(path)
                if pixels is not None and pixels.shape == image.size[::-1]:
                    return pixels, dpi
            image.load()  # a TIFF turns itself here
            return _grey(image), dpi
    except UnidentifiedImageError:
        raise UnreadableImageError(_foreign(head), where=str(path)) from None


def _turn_to(page: int, image: Image.Image, path: Path) -> None:
    try:
        image.seek(page - 1)
    except (EOFError, TypeError, KeyError, SyntaxError) as error:
        raise UnreadableImageError(
            f"page {page} cannot be found: the file is cut off or damaged",
            where=str(path),
            fix="scan or copy it again",
        ) from error


def _plain_png(path: Path) -> Grey | None:
    """A grey or 1-bit PNG, by OpenCV in half of Pillow's time.

    None where Pillow is needed: to turn it as EXIF says, or because a checksum is wrong (OpenCV would show
    what there is of it).
    """
    data = path.read_bytes()
    at, kind = 8, b""
    while at + 12 <= len(data) and kind != b"IEND":
        size, kind = struct.unpack_from(">I4s", data, at)
        chunk, end = memoryview(data)[at + 4 : at + 8 + size], at + 8 + size
        exif = kind == b"eXIf" or (kind in (b"tEXt", b"zTXt", b"iTXt") and b"exif" in bytes(chunk).lower())
        if exif or zlib.crc32(chunk).to_bytes(4, "big") != data[end : end + 4]:
            return None
        at = end + 4
    if kind != b"IEND":
        return None
    pixels: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    return None if pixels is None else pixels


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
    """Any Pillow picture, upright as its file says, as grey 0-255.

    Part by part: what lies between a picture and its grey takes up to six times its memory.
    """
    ImageOps.exif_transpose(image, in_place=True)
    width, height = image.size
    rows = max(1, _AT_ONCE // width)
    pixels = np.empty((height, width), np.uint8)
    for top in range(0, height, rows):
        pixels[top : top + rows] = _grey_part(image.crop((0, top, width, min(top + rows, height))))
    return pixels


def _grey_part(image: Image.Image) -> Grey:
    """As grey 0-255: 16 bits scaled down, transparency over white, colour by luminance."""
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
