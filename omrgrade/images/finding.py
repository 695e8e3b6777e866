"""Files and folders -> pages: which files are scans, and how many pages each has."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePath, PurePosixPath
from typing import NamedTuple

from omrgrade.errors import OmrgradeError
from omrgrade.images.pdf import count_pdf_pages
from omrgrade.images.pictures import count_pictures
from omrgrade.images.remote import find_files, is_url, open_url
from omrgrade.records import Limits, PageRef

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".pdf", ".webp", ".bmp", ".heic", ".heif"})
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


class Counted(NamedTuple):
    """How many pages a file has; `problem`: why it is not to be read at all."""

    pages: int = 1
    problem: str = ""


Counter = Callable[[Sequence[PageRef]], Iterable[Counted]]
"""Looks into PDFs, and into PDFs and TIFFs at URLs; answers one by one, in their order."""


def find_pages(
    paths: Sequence[str | Path],
    *,
    exclude: Sequence[str | Path] = (),
    limits: Limits | None = None,
    count: Counter | None = None,
) -> list[PageRef]:
    """Every page in these files and folders, in the given order, folders in natural order (2 before 10).

    Folders are searched recursively for known suffixes, skipping hidden entries and what lies in `exclude`
    (an output folder inside the scans folder); files named explicitly are taken whatever they are called.
    A file that cannot be opened still counts as one page, so that it is named later with its reason; so does
    one that is over the limits. URLs are listed through fsspec; only PDFs and TIFFs there are looked into.
    count: who counts the pages of PDFs, which may take any time and memory; None: this process.
    """
    limits = limits or Limits()
    files = list(_files(paths, {_absolute(path) for path in exclude}, limits))
    if not files:
        raise OmrgradeError(
            "no scans found",
            fix="name files, or folders that hold " + ", ".join(sorted(s[1:] for s in SUFFIXES)) + " files",
            received=[str(p) for p in paths],
        )
    count = count or partial(count_pages, limits=limits)
    unknown = [ref for ref, known in files if known is None]
    counted = iter([_explained(answer) for answer in count(unknown)])
    pages = []
    for ref, known in files:
        pages += _numbered(ref, known or next(counted), limits)
    return pages


def _explained(counted: Counted) -> Counted:
    problem = counted.problem and f"its pages cannot be counted: {counted.problem}"
    return counted._replace(problem=problem)


def _numbered(ref: PageRef, counted: Counted, limits: Limits) -> list[PageRef]:
    """A file's pages, or one that says why the file is refused."""
    problem = counted.problem
    if counted.pages > limits.pages:
        problem = f"the file has more than {limits.pages} pages; split it, or raise --max-pages"
    if problem:
        return [replace(ref, problem=problem)]
    return [replace(ref, page=number) for number in range(1, counted.pages + 1)]


# ---------------------------------------------------------------- which files


def _files(
    paths: Sequence[str | Path], skipped: set[str], limits: Limits
) -> Iterator[tuple[PageRef, Counted | None]]:
    """All scans, each once, and how many pages it has; None for those that `find_pages` has counted."""
    seen: set[str] = set()
    for path in paths:
        if is_url(path):
            yield from _files_at(str(path), limits)
            continue
        for file in _files_in(Path(path), skipped):
            absolute = _absolute(file)
            if absolute not in seen:
                seen.add(absolute)
                yield _file(file, limits)


def _absolute(path: str | Path) -> str:
    return os.path.abspath(path)  # noqa: PTH100 - resolve() would follow links, which are pages of their own


def _files_in(path: Path, skipped: set[str]) -> Iterator[Path]:
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


def _file(path: Path, limits: Limits) -> tuple[PageRef, Counted | None]:
    ref = PageRef(path=str(path))
    try:
        if problem := _too_large(path.stat().st_size, limits):
            return ref, Counted(problem=problem)
        with path.open("rb") as file:
            head = file.read(1024)
            if b"%PDF-" in head:
                return ref, None
            file.seek(0)
            return ref, Counted(max(1, count_pictures(file, limits.pages)) if head[:4] in _TIFF else 1)
    except OSError:
        return ref, Counted()  # reading it will tell


def _files_at(url: str, limits: Limits) -> Iterator[tuple[PageRef, Counted | None]]:
    """The scans at a URL, a folder's in natural order; not looked into, as each look is a request."""
    found = find_files(url)
    if len(found) != 1 or found[0].url != url:
        scans = [file for file in found if PurePosixPath(file.url).suffix.lower() in SUFFIXES]
        found = sorted(scans, key=lambda file: _natural(file.url))
    for file in found:
        problem = _too_large(file.size, limits)
        many = PurePosixPath(file.url).suffix.lower() in (".pdf", ".tif", ".tiff")
        known = None if many and not problem else Counted(problem=problem)
        yield PageRef(path=file.url, version=file.version), known


def _too_large(size: int, limits: Limits) -> str:
    """Why a file of so many bytes is refused, or nothing."""
    if size <= limits.megabytes * 1e6:
        return ""
    return f"the file has more than {limits.megabytes:g} MB; split it, or raise --max-megabytes"


# ---------------------------------------------------------------- how many pages


def count_pages(files: Sequence[PageRef], limits: Limits) -> Iterator[Counted]:
    """How many pages each file has, without decoding any; of more than the limits allow, at least one more.

    A file that is too damaged to tell has one: reading it will say why.
    """
    for ref in files:
        try:
            yield Counted(_count_pages(ref, limits))
        except MemoryError:
            yield Counted(problem="that takes more memory than there is")
        except Exception:
            yield Counted()


def _count_pages(ref: PageRef, limits: Limits) -> int:
    with open_url(ref.path) if is_url(ref.path) else Path(ref.path).open("rb") as file:
        head = file.read(1024)
        file.seek(0)
        if head[:4] in _TIFF:
            return max(1, count_pictures(file, limits.pages))
        return max(1, count_pdf_pages(Path(ref.path), file)) if b"%PDF-" in head else 1
