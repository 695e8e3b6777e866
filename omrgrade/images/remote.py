"""Scans at URLs (s3://, gs://, file://, whatever fsspec knows): listed by who asks, fetched by who reads."""

from __future__ import annotations

import atexit
import hashlib
import tempfile
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO, Any

from omrgrade.errors import MissingExtraError, OmrgradeError, UnreadableImageError

KEPT = 2  # files that a process keeps: the pages of one PDF come one after the other
_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs"}


def is_url(path: str | Path) -> bool:
    """Whether this is no path of this computer."""
    return "://" in str(path)


class Found:
    """A file at a URL, as a listing shows it."""

    def __init__(self, system: Any, name: str, info: dict[str, Any]) -> None:
        self.url = str(system.unstrip_protocol(name))
        self.size = int(info.get("size") or 0)
        marks = [info.get(mark) for mark in ("ETag", "etag", "md5Hash", "LastModified", "mtime", "size")]
        self.version = hashlib.sha256(repr(marks).encode()).hexdigest()  # another one when the file changes


def find_files(url: str) -> list[Found]:
    """The file at `url`, or all files in that folder and those within, unsorted."""
    with _reported(url):
        system, root = _system(url)
        if system.isfile(root):
            return [Found(system, root, system.info(root))]
        return [Found(system, name, info) for name, info in system.find(root, detail=True).items()]


def open_url(url: str) -> IO[bytes]:
    """A file there, read piece by piece as asked for."""
    system, name = _system(url)
    file: IO[bytes] = system.open(name, "rb")
    return file


def local_copy(url: str, version: str) -> Path:
    """The file on this computer: fetched, or kept from the last page that was read from it."""
    if (url, version) in _copies:
        _copies.move_to_end((url, version))
        return _copies[url, version]
    path = Path(_folder(), hashlib.sha256(f"{url} {version}".encode()).hexdigest())
    try:
        with _reported(url):
            system, name = _system(url)
            system.get_file(name, str(path))
    except OmrgradeError as error:
        path.unlink(missing_ok=True)
        raise UnreadableImageError(error.reason, where=url) from error
    _copies[url, version] = path
    while len(_copies) > KEPT:
        _copies.popitem(last=False)[1].unlink(missing_ok=True)
    return path


@cache
def _folder() -> Path:
    folder = tempfile.TemporaryDirectory(prefix="omrgrade-")
    atexit.register(folder.cleanup)
    return Path(folder.name)


_copies: OrderedDict[tuple[str, str], Path] = OrderedDict()


def _system(url: str) -> tuple[Any, str]:
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise MissingExtraError("reading scans from a URL", "cluster") from None
    system, root = url_to_fs(url)
    return system, root


@contextmanager
def _reported(url: str) -> Iterator[None]:
    """Whatever a storage's own library raises becomes a reason."""
    try:
        yield
    except OmrgradeError:
        raise
    except ImportError as error:
        protocol = url.partition("://")[0]
        if protocol not in _EXTRAS:
            raise OmrgradeError(
                "this kind of URL needs a package more", where=url, received=str(error)
            ) from None
        raise MissingExtraError(f"reading scans from {protocol}://", _EXTRAS[protocol]) from None
    except Exception as error:
        raise OmrgradeError(
            "cannot be read from there",
            where=url,
            fix="check the URL and the credentials",
            received=f"{type(error).__name__}: {error}"[:200],
        ) from error
