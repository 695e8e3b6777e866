"""A CSV file in which single cells are replaced and every other byte stays as it was.

What a gradebook wrote it must get back: its encoding, byte order mark, separator, line ends and quotes.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from omrgrade.errors import OutputError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
MAX_BYTES = 50_000_000


@dataclass(slots=True)
class _Cell:
    raw: str  # as in the file, quotes included
    after: str  # the separator or line end that follows


class RawTable:
    """Rows of cells; `text` gives a cell's meaning, `put` replaces it."""

    def __init__(self, data: bytes, where: str) -> None:
        self.where = where
        self._mark, self._encoding = _encoding(data)
        text = data[len(self._mark) :].decode(self._encoding)
        self.separator = _separator(text)
        self.rows = _rows(text, self.separator)

    @classmethod
    def read(cls, path: str | Path) -> RawTable:
        """Read a file; `OutputError` if it cannot be read or holds no table."""
        path = Path(path)
        try:
            size = path.stat().st_size
            data = path.read_bytes() if size <= MAX_BYTES else b""
        except OSError as error:
            raise OutputError(
                f"cannot be read: {error.strerror}", where=str(path), fix="check the path"
            ) from error
        if not data or data.startswith(b"PK"):
            raise OutputError(
                "is not the CSV file that the gradebook gave you",
                where=str(path),
                fix="download it again, and do not save it as an Excel workbook",
                received=f"{size} bytes",
            )
        return cls(data, str(path))

    def bytes(self) -> bytes:
        """The file as it is now."""
        text = "".join(cell.raw + cell.after for row in self.rows for cell in row)
        return self._mark + text.encode(self._encoding)

    @property
    def header(self) -> list[str]:
        """The cells of the first row."""
        return [self.text(0, column) for column in range(len(self.rows[0]))] if self.rows else []

    def text(self, row: int, column: int) -> str:
        """A cell without its quotes and the space around it; "" beyond the end of a short row."""
        if column >= len(self.rows[row]):
            return ""
        raw = self.rows[row][column].raw.strip()
        return raw[1:-1].replace('""', '"').strip() if len(raw) > 1 and raw[0] == raw[-1] == '"' else raw

    def put(self, row: int, column: int, text: str) -> None:
        """Replace a cell; short rows are lengthened, quotes stay where they were."""
        cells = self.rows[row]
        while column >= len(cells):
            cells.append(_Cell("", cells[-1].after))
            cells[-2].after = self.separator
        cell = cells[column]
        quoted = cell.raw.startswith('"') or any(c in text for c in f'"\r\n{self.separator}')
        cell.raw = '"' + text.replace('"', '""') + '"' if quoted else text


def _encoding(data: bytes) -> tuple[bytes, str]:
    """The byte order mark and the encoding; Latin-1, which keeps any byte, where it is no Unicode."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            try:
                data[len(mark) :].decode(encoding)
            except UnicodeDecodeError:
                break
            return mark, encoding
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return b"", "latin-1"
    return b"", "utf-8"


def _separator(text: str) -> str:
    """Of comma, semicolon and tab the one that the first line has most of, outside quotes."""
    first = re.sub(r'"(?:[^"]|"")*"', "", text).splitlines()[:1]
    counts = Counter(c for c in "".join(first) if c in ",;\t")
    return counts.most_common(1)[0][0] if counts else ","


def _rows(text: str, separator: str) -> list[list[_Cell]]:
    end = rf"{re.escape(separator)}|\r\n|\n|\r|\Z"
    inside = rf"[^{re.escape(separator)}\r\n]*"
    pattern = re.compile(rf'( *"(?:[^"]|"")*"{inside}|{inside})({end})')
    rows: list[list[_Cell]] = []
    place, fresh = 0, True
    while place < len(text) or not fresh:
        match = pattern.match(text, place)
        assert match is not None  # the second alternative matches anything up to an end
        if fresh:
            rows.append([])
        rows[-1].append(_Cell(match[1], match[2]))
        fresh = match[2] != separator
        place = match.end()
        if not match[2]:
            break
    return rows
