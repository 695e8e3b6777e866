"""One run at a time in a folder: a lock that the system lets go of when its holder dies, however it dies."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from omrgrade.errors import OutputError

_CANNOT = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EINVAL)
"""Some network folders cannot lock: there a second run is not noticed, but the first one is possible."""
_WHO = ("process", "computer", "since")
_BYTE = 1 << 30  # Windows locks bytes, and lets nobody read them: one far behind the note


class Lock:
    """Held from its creation until `release`; `OutputError` when somebody else holds it.

    The file says who holds it, and which pages the holder is reading itself: a process that dies hard leaves
    it behind, so that the next run knows what to be careful with (`left_behind`).
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = _open_locked(path)
        self._who = {
            "process": os.getpid(),
            "computer": socket.gethostname(),
            "since": datetime.now().astimezone().isoformat(timespec="seconds"),
        }
        self.left_behind = _pages_of(_note(self._file))
        self.reading(())

    def reading(self, pages: Sequence[tuple[str, int]]) -> None:
        """Say which pages (source, number) are being read in this very process."""
        note = json.dumps({**self._who, "reading": list(pages)}).encode()
        with contextlib.suppress(OSError):  # a full disk: the lock holds without its note
            os.lseek(self._file, 0, os.SEEK_SET)
            os.ftruncate(self._file, os.write(self._file, note))

    def release(self) -> None:
        """Let others in, and leave no file behind."""
        if os.name == "nt":  # where an open file cannot be removed
            os.close(self._file)
        with contextlib.suppress(OSError):
            self._path.unlink()
        if os.name != "nt":
            os.close(self._file)


def _open_locked(path: Path) -> int:
    while True:
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise OutputError(
                "cannot be written", where=str(path), fix="check the folder", received=error.strerror
            ) from error
        try:
            _lock(file)
            if os.name == "nt" or os.path.samestat(os.fstat(file), path.stat()):
                return file
            os.close(file)  # its last holder has removed it meanwhile: it is nobody's lock any more
        except FileNotFoundError:
            os.close(file)
        except OSError as error:
            who = _note(file)
            os.close(file)
            raise OutputError(
                "another omrgrade is at work in this folder",
                where=str(path.parent),
                fix="wait until it is done, or name another folder",
                received=", ".join(f"{key} {who[key]}" for key in _WHO if key in who) or error.strerror,
            ) from error


def _lock(file: int) -> None:
    """Lock an open file at once, or raise `OSError`."""
    try:
        if os.name == "nt":
            import msvcrt

            os.lseek(file, _BYTE, os.SEEK_SET)
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _CANNOT:
            return
        raise


def _note(file: int) -> dict[str, object]:
    """What the holder, present or past, has written; nothing if that is no note."""
    try:
        os.lseek(file, 0, os.SEEK_SET)
        note = json.loads(os.read(file, 1 << 20))
    except (OSError, ValueError, RecursionError):
        return {}
    return note if isinstance(note, dict) else {}


def _pages_of(note: dict[str, object]) -> tuple[tuple[str, int], ...]:
    pages = note.get("reading")
    if not isinstance(pages, list):
        return ()
    return tuple((page[0], page[1]) for page in pages if isinstance(page, list) and len(page) == 2)
