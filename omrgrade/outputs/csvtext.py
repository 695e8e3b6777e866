"""CSV as bytes: UTF-8, comma, RFC 4180 (so CRLF), the same bytes for the same cells on every machine."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence

from omrgrade.outputs.results import Cell

# What makes a spreadsheet run a cell (OWASP, "CSV injection"), full-width forms included.
_RUNS = "=+-@\t\r\n＝＋－＠"
_SUSPECT = frozenset(_RUNS + "'")
_PLAIN_NUMBER = re.compile(r"-?\d+(\.\d+)?", re.ASCII)


def safe_text(text: str) -> str:
    """Text that a spreadsheet shows and does not run: an apostrophe goes before what would start a formula.

    Plain negative numbers stay numbers. `original_text` takes the apostrophe off again.
    """
    if text[:1] not in _SUSPECT:  # nearly all cells
        return text
    bare = text.lstrip("'")
    return f"'{text}" if bare[:1] in _RUNS and bare and not _PLAIN_NUMBER.fullmatch(text) else text


def original_text(cell: str) -> str:
    """What `safe_text` was given."""
    bare = cell.lstrip("'")
    return cell[1:] if cell != bare and bare[:1] in _RUNS and bare else cell


def number_text(value: float) -> str:
    """A number without float noise: 2, 2.5, 0.3333."""
    text = f"{value:.4f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def cell_text(cell: Cell, form: str = "") -> str:
    """A cell as it stands in the file; `form` is a format for numbers, e.g. ".1f"."""
    if cell is None:
        return ""
    if isinstance(cell, str):
        return safe_text(cell)
    return format(cell, form) if form else number_text(cell)


def csv_bytes(
    header: Sequence[str], rows: Iterable[Sequence[Cell]], forms: Mapping[str, str] | None = None
) -> bytes:
    """A whole CSV file; `forms` maps columns to number formats.

    File names that are no Unicode keep their bytes as backslash escapes.
    """
    data = io.BytesIO()
    stream = io.TextIOWrapper(data, "utf-8", errors="backslashreplace", newline="")
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow([cell_text(cell) for cell in header])
    by_position = [(forms or {}).get(column, "") for column in header]
    for row in rows:
        writer.writerow([cell_text(cell, form) for cell, form in zip(row, by_position, strict=True)])
    stream.flush()
    return data.getvalue()
