"""Tables as teachers save them: CSV in any common dress, or an Excel workbook, as rows of text.

Tolerated in CSV: a byte order mark, UTF-16, commas, semicolons or tabs, Excel's ``sep=;`` line, any line
ends, blank lines, and any case or spacing in the header. Not guessed: 8-bit code pages, where a wrong guess
would garble names.
"""

from __future__ import annotations

import csv
import difflib
import hashlib
import io
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from omrgrade.errors import OmrgradeError

MAX_BYTES = 20_000_000  # a key or roster of this size is another file
MAX_ROWS = 200_000
MAX_UNFOLDED = 200_000_000  # bytes of a workbook's parts; they are packed a hundredfold and more
_SEPARATORS = ",;\t"
# Characters that no cell of a key or roster needs: a file with them is binary.
_BINARY = re.compile(r"[\x00-\x08\x0e-\x1f]")


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One line of a table."""

    where: str  # e.g. "key.csv:3" or "key.xlsx, sheet 'Key', row 3"
    cells: dict[str, str]  # canonical column -> text without space around it


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A table's rows, under canonical column names."""

    where: str  # of the header
    columns: tuple[str, ...]  # canonical names of the columns found
    rows: tuple[Row, ...]
    digest: str  # sha256 of the file


@dataclass(frozen=True, kw_only=True, slots=True)
class Columns:
    """What a table may hold."""

    names: Mapping[str, Sequence[str]]  # canonical name -> other headings it goes by, likeliest first
    required: Sequence[str]
    ignore_others: bool = False  # a roster out of a school's system has many more columns


def read_table(path: str | Path, columns: Columns, error: type[OmrgradeError]) -> Table:
    """Read `path` as CSV or XLSX (told apart by content); every fault is an `error` saying where it is."""
    path = Path(path)
    data = _read_bytes(path, error)
    if data.startswith(b"PK"):
        lines = _xlsx_lines(path, data, error)
    elif data.startswith(b"\xd0\xcf\x11\xe0"):
        raise error(
            "is an old or password-protected Excel file",
            where=str(path),
            fix="save it as .xlsx without a password, or as CSV UTF-8",
        )
    else:
        lines = _csv_lines(path, _decode(path, data, error), columns, error)
    filled = ((where, cells) for where, cells in lines if any(cells))
    where, header = next(filled, (str(path), []))
    if not header:
        raise error("is empty", where=str(path), fix=f"write a header: {_listed(columns.required)}")
    positions = _positions(where, header, columns, error)
    named = [bool(cell) or columns.ignore_others for cell in header]
    rows = tuple(_row(line, cells, named, positions, error) for line, cells in filled)
    return Table(where=where, columns=tuple(positions), rows=rows, digest=hashlib.sha256(data).hexdigest())


def suggestion(wrong: str, known: Iterable[str]) -> str:
    """Near matches in words, e.g. ``did you mean "q1" or "q11"?``; "" when nothing is near."""
    by_folded = {name.casefold(): name for name in known}
    near = difflib.get_close_matches(wrong.casefold(), by_folded, n=3, cutoff=0.6)
    return f"did you mean {' or '.join(f'{by_folded[name]!r}' for name in near)}?" if near else ""


def _listed(names: Iterable[str]) -> str:
    return ",".join(names)


# ---------------------------------------------------------------- header and rows


def _heading(text: str) -> str:
    return re.sub(r"[\s_.\-]+", " ", text).strip().casefold()


def _positions(where: str, header: list[str], columns: Columns, error: type[OmrgradeError]) -> dict[str, int]:
    """Canonical column -> index in a row."""
    headings = [_heading(cell) for cell in header]
    found: dict[str, int] = {}
    for name, others in columns.names.items():
        for candidate in map(_heading, (name, *others)):
            if headings.count(candidate) > 1:
                raise error(f"column {name!r} is there twice", where=where, fix="remove one", received=header)
            if candidate in headings:
                found[name] = headings.index(candidate)
                break
    for index, cell in enumerate(header):
        if cell and index not in found.values() and not columns.ignore_others:
            fix = suggestion(cell, columns.names) or f"the columns are {_listed(columns.names)}"
            raise error("unknown column", where=where, fix=fix, received=cell)
    for name in columns.required:
        if name not in found:
            fix = f"the first line names the columns, at least {_listed(columns.required)}"
            raise error(f"column {name!r} is missing", where=where, fix=fix, received=header)
    return found


def _row(
    where: str, cells: list[str], named: list[bool], positions: dict[str, int], error: type[OmrgradeError]
) -> Row:
    if any(cell and not (index < len(named) and named[index]) for index, cell in enumerate(cells)):
        raise error(
            "has a cell under no heading",
            where=where,
            fix='put a cell with commas into double quotes, e.g. "1,5"',
            received=cells,
        )
    return Row(where=where, cells={n: cells[i] if i < len(cells) else "" for n, i in positions.items()})


# ---------------------------------------------------------------- bytes and CSV


def _read_bytes(path: Path, error: type[OmrgradeError]) -> bytes:
    try:
        if path.is_dir():
            raise error("is a folder", where=str(path), fix="give the CSV or XLSX file in it")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as reason:  # ValueError: a NUL in the path
        text = reason.strerror if isinstance(reason, OSError) else reason
        raise error(f"cannot be read: {text}", where=str(path), fix="check the path") from reason
    if len(data) > MAX_BYTES:
        raise error(f"is larger than {MAX_BYTES // 1_000_000} MB", where=str(path), fix="check the path")
    return data


def _decode(path: Path, data: bytes, error: type[OmrgradeError]) -> str:
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    if b"\0" in data[:4] and encoding != "utf-16":  # UTF-16 without its mark: every other byte is 0
        encoding = "utf-16-le" if data[1:2] == b"\0" else "utf-16-be"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as reason:
        line = data[: reason.start].count(b"\n") + 1
        raise error(
            "is not UTF-8 text",
            where=f"{path}:{line}",
            fix='save it in the spreadsheet as "CSV UTF-8" or as .xlsx',
            received=data[reason.start : reason.start + 4],
        ) from reason
    if match := _BINARY.search(text):
        line = text.count("\n", 0, match.start()) + 1
        raise error("is not text", where=f"{path}:{line}", fix="give a CSV or XLSX file", received=match[0])
    return text


def _csv_lines(
    path: Path, text: str, columns: Columns, error: type[OmrgradeError]
) -> Iterator[tuple[str, list[str]]]:
    stream = io.StringIO(text, newline="")
    separator, skipped = ",", 0
    if match := re.match(r"sep=([,;\t])\r?\n?", text):  # Excel's own hint
        separator, skipped = match[1], 1
        stream.readline()
    else:
        first = next((line for line in text.splitlines() if line.strip()), "")
        separator = _separator(first, columns)
    reader = csv.reader(stream, delimiter=separator, strict=True)
    line = skipped + 1  # a quoted cell may run over several lines: name the first
    try:
        for cells in reader:
            yield f"{path}:{line}", [cell.strip() for cell in cells]
            line = skipped + reader.line_num + 1
            if line > MAX_ROWS:
                raise error(f"has more than {MAX_ROWS} lines", where=str(path), fix="check the path")
    except csv.Error as reason:
        raise error(
            f"is not CSV: {reason}", where=f"{path}:{line}", fix="check the double quotes"
        ) from reason


def _separator(header: str, columns: Columns) -> str:
    """The separator under which the header line names the most columns we know; a comma if none does."""
    known = {_heading(name) for entry in columns.names.items() for name in (entry[0], *entry[1])}

    def recognised(separator: str) -> int:
        return sum(_heading(cell.strip('" ')) in known for cell in header.split(separator))

    return max(_SEPARATORS, key=recognised)


# ---------------------------------------------------------------- XLSX


def _xlsx_lines(path: Path, data: bytes, error: type[OmrgradeError]) -> Iterator[tuple[str, list[str]]]:
    import openpyxl

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            unfolded = sum(entry.file_size for entry in archive.infolist())
        if unfolded > MAX_UNFOLDED:
            raise error(
                f"unfolds to more than {MAX_UNFOLDED // 1_000_000} MB",
                where=str(path),
                fix="check the path, or save it as CSV UTF-8",
                received=unfolded,
            )
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
        sheet = book.worksheets[0]
        rows = sheet.iter_rows(max_row=MAX_ROWS)
        for number, row in enumerate(rows, start=1):
            where = f"{path}, sheet {sheet.title!r}, row {number}"
            yield where, [_cell_text(where, cell, error) for cell in row]
    except OmrgradeError:
        raise
    except Exception as reason:  # openpyxl passes on whatever a damaged zip or XML raises
        raise error(
            "cannot be opened as an Excel workbook",
            where=str(path),
            fix="save it again as .xlsx, or as CSV UTF-8",
            received=f"{type(reason).__name__}: {reason}",
        ) from reason


def _cell_text(where: str, cell: object, error: type[OmrgradeError]) -> str:
    """A cell as the spreadsheet shows it: 12, not 12.0, and zeros kept under a format like 00000."""
    value = getattr(cell, "value", None)
    column = getattr(cell, "column_letter", "")
    if value is None:
        return ""
    if hasattr(value, "isoformat"):
        raise error(
            f"column {column}: the spreadsheet has made a date of this",
            where=where,
            fix="format the column as text and type it again",
            received=value.isoformat(),
        )
    if getattr(cell, "data_type", "") == "e":
        raise error(f"column {column}: a formula failed", where=where, fix="correct it", received=value)
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, int | float):
        whole = isinstance(value, int) or value.is_integer()
        text = str(int(value)) if whole else format(value, ".15g")  # as many digits as Excel keeps
        zeros = re.fullmatch(r"0+", str(getattr(cell, "number_format", "")))
        return text.zfill(len(zeros[0])) if zeros else text
    return str(value).strip()
