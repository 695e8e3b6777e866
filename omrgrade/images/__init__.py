"""Files -> scans: JPEG, PNG, multi-page TIFF and PDF (WebP and BMP come for free with Pillow)."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePath, PurePosixPath
from typing import IO

import numpy as np

from omrgrade.errors import OmrgradeError, UnreadableImageError
from omrgrade.images.heic import is_heic, read_heic
from omrgrade.images.pdf import count_pdf_pages, read_pdf
from omrgrade.images.pictures import count_pictures, read_jpeg, read_picture
from omrgrade.images.remote import Found, find_files, is_url, local_copy
from omrgrade.records import Limits, PageRef, Scan

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".pdf", ".webp", ".bmp", ".heic", ".heif"})


# ---------------------------------------------------------------- finding pages


def find_pages(
    paths: Sequence[str | Path], *, exclude: Sequence[str | Path] = (), limits: Limits | None = None
) -> list[PageRef]:
    """Every page in these files and folders, in the given order, folders in natural order (2 before 10).

    Folders are searched recursively for known suffixes, skipping hidden entries and what lies in `exclude`
    (an output folder inside the scans folder); files named explicitly are taken whatever they are called.
    A file that cannot be opened still counts as one page, so that it is named later with its reason; so does
    one that is over the limits. URLs are listed through fsspec; only PDFs and TIFFs there are looked into.
    """
    limits = limits or Limits()
    skipped = {_absolute(path) for path in exclude}
    seen: set[str] = set()
    pages = []
    for path in paths:
        if is_url(path):
            pages += [ref for file in _files_at(str(path)) for ref in _pages_at(file, limits)]
            continue
        for file in _files(Path(path), skipped):
            absolute = _absolute(file)
            if absolute not in seen:
                seen.add(absolute)
                pages += _pages_of(file, limits)
    if not pages:
        raise OmrgradeError(
            "no scans found",
            fix="name files, or folders that hold " + ", ".join(sorted(s[1:] for s in SUFFIXES)) + " files",
            received=[str(p) for p in paths],
        )
    return pages


def _absolute(path: str | Path) -> str:
    return os.path.abspath(path)  # noqa: PTH100 - resolve() would follow links, which are pages of their own


def _files(path: Path, skipped: set[str]) -> Iterator[Path]:
    if path.is_file():
        yield path
    elif not path.is_dir():
        raise OmrgradeError("no such file or folder", fix="check the spelling", received=str(path))
    else:
        found = []
        for folder, folders, names in os.walk(path):
            inside = [d for d in folders if not d.startswith(".")]
            folders[:] = [d for d in inside if _absolute(Path(folder, d)) not in skipped]
            found += [Path(folder, n) for n in names if Path(n).suffix.lower() in SUFFIXES and n[0] != "."]
        yield from sorted((f for f in found if f.is_file()), key=_natural)


def _natural(path: Path | str) -> list[tuple[list[tuple[str, int]], str]]:
    """A sorting key by which "page 2" comes before "page 10", folder by folder."""
    return [
        ([(text, int(digits or 0)) for text, digits in re.findall(r"(\D*)(\d*)", part.casefold())], part)
        for part in PurePath(path).parts
    ]


def _pages_of(file: Path, limits: Limits) -> list[PageRef]:
    try:
        size = file.stat().st_size
    except OSError:
        return [PageRef(path=str(file))]  # reading it will tell
    return _numbered(
        PageRef(path=str(file)), size, lambda: _count_pages(file.open("rb"), file, limits), limits
    )


def _files_at(url: str) -> list[Found]:
    """The scans at a URL, a folder's in natural order."""
    found = find_files(url)
    scans = [f for f in found if PurePosixPath(f.url).suffix.lower() in SUFFIXES]
    return found if len(found) == 1 and found[0].url == url else sorted(scans, key=lambda f: _natural(f.url))


def _pages_at(file: Found, limits: Limits) -> list[PageRef]:
    many = PurePosixPath(file.url).suffix.lower() in (".pdf", ".tif", ".tiff")
    ref = PageRef(path=file.url, version=file.version)
    count = (lambda: _count_pages(file.open(), Path(file.url), limits)) if many else lambda: 1
    return _numbered(ref, file.size, count, limits)


def _numbered(ref: PageRef, size: int, count: Callable[[], int], limits: Limits) -> list[PageRef]:
    """A file's pages, or one that says why the file is refused; `size` in bytes."""
    if size > limits.megabytes * 1e6:
        problem = f"the file has more than {limits.megabytes:g} MB; split it, or raise --max-megabytes"
        return [replace(ref, problem=problem)]
    try:
        pages = count()
    except Exception:  # reading it will tell
        pages = 1
    if pages > limits.pages:
        most = f"at most {limits.pages} are read"
        return [replace(ref, problem=f"the file has {pages} pages, {most}; split it, or raise --max-pages")]
    return [replace(ref, page=number) for number in range(1, pages + 1)]


def _count_pages(file: IO[bytes], path: Path, limits: Limits) -> int:
    """Pages in an open file, without decoding any, and closes it; 1 if it is of a kind that has one."""
    with file:
        head = file.read(1024)
        file.seek(0)
        if b"%PDF-" in head:
            return max(1, count_pdf_pages(path, file))
        if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
            return count_pictures(file, path, limits)
    return 1


# ---------------------------------------------------------------- reading pages


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
