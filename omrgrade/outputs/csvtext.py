"""CSV as bytes: UTF-8, comma, RFC 4180 (so CRLF), the same bytes for the same cells on every machine."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain, islice

from omrgrade.outputs.results import Cell

# What makes a spreadsheet run a cell (OWASP, "CSV injection"), full-width forms included.
_RUNS = "=+-@\t\r\n＝＋－＠"
_SUSPECT = frozenset(_RUNS + "'")
_LINES = 1000  # put together before they are written
_PLAIN_NUMBER = re.compile(r"-?\d+(\.\d+)?", re.ASCII)


def safe_text(text: str) -> str:
    """Text that a spreadsheet shows and does not run: an apostrophe goes before what would start a formula.

    Plain negative numbers stay numbers. `original_text` takes the apostrophe off again.
    """
    bare = text.lstrip("'")
    return f"'{text}" if bare[:1] in _RUNS and bare and not _PLAIN_NUMBER.fullmatch(text) else text


def original_text(cell: str) -> str:
    """What `safe_text` was given."""
    bare = cell.lstrip("'")
    return cell[1:] if cell != bare and bare[:1] in _RUNS and bare else cell


@lru_cache(maxsize=4096)  # points are few, and in every row
def number_text(value: float) -> str:
    """A number without float noise: 2, 2.5, 0.3333."""
    text = f"{value:.4f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def cell_text(cell: Cell, form: str = "") -> str:
    """A cell as it stands in the file; `form` is a format for numbers, e.g. ".1f"."""
    if isinstance(cell, str):
        return cell if cell[:1] not in _SUSPECT else safe_text(cell)  # nearly all cells
    if cell is None:
        return ""
    return format(cell, form) if form else number_text(cell)


def csv_bytes(
    header: Sequence[str], rows: Iterable[Sequence[Cell]], forms: Mapping[str, str] | None = None
) -> bytes:
    """A whole CSV file; `forms` maps columns to number formats.

    File names that are no Unicode keep their bytes as backslash escapes.
    """
    return b"".join(csv_chunks(header, rows, forms))


def csv_chunks(
    header: Sequence[str], rows: Iterable[Sequence[Cell]], forms: Mapping[str, str] | None = None
) -> Iterator[bytes]:
    """What `csv_bytes` gives, part by part: a long run's file need not fit in memory."""
    by_position = [(forms or {}).get(column, "") for column in header]
    lines = chain(
        ([cell_text(cell) for cell in header],),
        ([*map(cell_text, row, by_position)] for row in rows),
    )
    while part := list(islice(lines, _LINES)):
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\r\n").writerows(part)
        yield text.getvalue().encode("utf-8", "backslashreplace")
