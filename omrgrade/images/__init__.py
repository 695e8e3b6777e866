"""Files -> scans: JPEG, PNG, multi-page TIFF and PDF (WebP and BMP come for free with Pillow)."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from omrgrade.errors import UnreadableImageError
from omrgrade.images.finding import SUFFIXES, Counted, Counter, count_pages, find_pages
from omrgrade.images.heic import is_heic, read_heic
from omrgrade.images.pdf import read_pdf
from omrgrade.images.pictures import read_jpeg, read_picture
from omrgrade.images.remote import is_url, local_copy
from omrgrade.records import Limits, PageRef, Scan

__all__ = ["SUFFIXES", "Counted", "Counter", "count_pages", "find_pages", "page_digest", "read_scan"]


def read_scan(ref: PageRef, limits: Limits | None = None) -> Scan:
    """Decode one page as grey pixels, upright as its file says (EXIF), transparency over white.

    Raises `UnreadableImageError` with a reason; a damaged picture is refused, never half read.
    """
    if ref.problem:
        raise UnreadableImageError(ref.problem, where=ref.path)
    path = local_copy(ref.path, ref.version) if is_url(ref.path) else Path(ref.path)
    limits = limits or Limits()
    try:
        with path.open("rb") as file:
            head = file.read(1024)
        if not head:
            raise UnreadableImageError("the file is empty", fix="scan or copy it again", where=ref.path)
        if b"%PDF-" in head:
            pixels, dpi = read_pdf(path, ref.page, limits)
        elif head.startswith(b"\xff\xd8"):
            pixels, dpi = read_jpeg(path, limits)
        elif is_heic(head):
            pixels, dpi = read_heic(path, limits)
        else:
            pixels, dpi = read_picture(path, ref.page, head, limits)
    except MemoryError:
        raise UnreadableImageError("the page needs more memory than there is", where=ref.path) from None
    except OSError as error:
        raise UnreadableImageError(_reason(error), where=ref.path) from error
    return Scan(source=ref.path, page=ref.page, pixels=np.ascontiguousarray(pixels), dpi=dpi)


def page_digest(scan: Scan) -> str:
    """Sha256 (hex) of a scan's size and pixels: equal for the same picture in another file.

    Of every fourth row: no two scans differ only in the others, and all would cost a tenth of the page.
    """
    digest = hashlib.sha256(repr(scan.pixels.shape).encode())
    digest.update(np.ascontiguousarray(scan.pixels[::4]).data)
    return digest.hexdigest()


def _reason(error: OSError) -> str:
    if error.strerror:
        return f"cannot be opened: {error.strerror.lower()}"
    if "truncated" in str(error) or "not processed" in str(error):
        return "the picture is cut off: part of the file is missing; scan or copy it again"
    return f"the picture is damaged: {error}"
