"""Files appear whole or not at all: written aside, then renamed once all of them are."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from omrgrade.errors import OutputError

_PREFIX = ".omrgrade-"


class Staging:
    """A folder beside the results where they are written first."""

    def __init__(self, aside: Path) -> None:
        self._aside = aside
        self._names: list[str] = []
        self._unwanted: list[str] = []

    def write(self, name: str, data: bytes | Iterable[bytes]) -> None:
        """Write a file of the results, whole or part by part; `name` may have a folder."""
        path = self._aside / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            file.writelines([data] if isinstance(data, bytes) else data)
            file.flush()
            os.fsync(file.fileno())  # a rename must not reach the disk before the data
        self._names.append(name)

    def remove(self, name: str) -> None:
        """See to it that the results have no such file when they are published."""
        self._unwanted.append(name)

    def publish(self, directory: Path) -> tuple[Path, ...]:
        """Rename everything into `directory`; the paths written."""
        for name in self._unwanted:
            (directory / name).unlink(missing_ok=True)
        for name in self._names:
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            (self._aside / name).replace(directory / name)
        return tuple(directory / name for name in self._names)


@contextmanager
def staged(directory: Path) -> Iterator[Staging]:
    """A `Staging` for `directory`; whatever happens, nothing half-written stays behind.

    Every failure of the disk becomes an `OutputError` that names the path.
    """
    aside: Path | None = None
    try:
        directory.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=directory))
        yield Staging(aside)
    except OSError as reason:
        raise OutputError(
            f"the results cannot be written: {reason.strerror or reason}",
            where=str(directory),
            fix="close files open in a spreadsheet, free some space, or name another folder",
            received=str(reason.filename2 or reason.filename or directory),
        ) from reason
    finally:
        if aside is not None:
            shutil.rmtree(aside, ignore_errors=True)


def check_no_file(directory: Path) -> None:
    """Raise `OutputError` if a file stands where the folder of results is to be."""
    if directory.exists() and not directory.is_dir():
        raise OutputError(
            "the results cannot be written: a file has that name",
            where=str(directory),
            fix="name another folder",
            received=f"a file of {directory.stat().st_size} bytes",
        )


def check_directory(directory: str | Path) -> None:
    """Raise `OutputError` now rather than after an hour of grading if `directory` cannot take results.

    Only for whoever has locked it: what killed runs have left behind is removed.
    """
    for left in Path(directory).glob(f"{_PREFIX}*"):
        shutil.rmtree(left, ignore_errors=True)
    with staged(Path(directory)) as staging:
        staging.write("try", b"")
