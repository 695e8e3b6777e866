"""Tables as Parquet, part by part: the rows of a long run do not fit in memory."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from omrgrade.errors import MissingExtraError
from omrgrade.outputs.results import Cell

GROUP = 100_000
"""Rows of a row group, held in Arrow's columns at some 100 bytes each."""
_AT_ONCE = 20_000
"""Rows held in Python, at some 1,000 bytes each."""


def parquet_parts(
    columns: Sequence[str], kinds: Mapping[str, str], rows: Iterable[Sequence[Cell]]
) -> Iterator[bytes]:
    """One file, in parts as they are ready; `kinds`: Arrow's type of a column, if it is not text."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise MissingExtraError("Parquet", "parquet") from None
    schema = pa.schema([(name, kinds.get(name, "string")) for name in columns])

    def table(part: Sequence[Sequence[Cell]]) -> Any:
        cells = [list(map(_text, column)) for column in zip(*part, strict=True)]
        return pa.Table.from_arrays(
            [pa.array(c, f.type) for c, f in zip(cells, schema, strict=True)], schema=schema
        )

    stream, at_once, sink = iter(rows), min(_AT_ONCE, GROUP), _Sink()
    parts = map(table, iter(lambda: list(islice(stream, at_once)), []))
    with parquet.ParquetWriter(sink, schema, compression="zstd") as writer:
        for group in iter(lambda: list(islice(parts, GROUP // at_once)), []):
            writer.write_table(pa.concat_tables(group).combine_chunks(), row_group_size=GROUP)
            yield sink.taken()
    yield sink.taken()


class _Sink(io.RawIOBase):
    """Where a writer writes; what came since the last time can be taken away."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        """As it must say to be written to."""
        return True

    def write(self, data: Any) -> int:
        """Keep it until it is taken."""
        self._parts.append(bytes(data))
        return len(self._parts[-1])

    def taken(self) -> bytes:
        """What was written since."""
        data = b"".join(self._parts)
        self._parts.clear()
        return data


def _text(cell: Cell) -> Cell:
    """A cell whose text Parquet can hold: names of files need not be Unicode."""
    if not isinstance(cell, str) or cell.isascii():
        return cell
    return cell.encode("utf-8", "backslashreplace").decode()
