"""readings/: a row a field as partitioned Parquet, for runs whose readings.csv no program wants to open."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from omrgrade.errors import MissingExtraError
from omrgrade.outputs.readings import COLUMNS, rows
from omrgrade.outputs.results import Cell, Results

FOLDER = "readings"
ROWS = 500_000  # a file: some 10 MB on disk
_AT_ONCE = 20_000  # rows gathered in Python; a file's others wait in Arrow's much smaller columns
_NUMBERS = {"page": "int32", "confidence": "float64", "points": "float64", "max_points": "float64"}


def render(results: Results) -> Iterator[tuple[str, bytes]]:
    """Files of `ROWS` rows, columns as in readings.csv; all read as one table by pandas, DuckDB, Spark, R."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise MissingExtraError("Parquet", "parquet") from None
    schema = pa.schema([(name, _NUMBERS.get(name, "string")) for name in COLUMNS])

    def table(part: Sequence[Sequence[Cell]]) -> Any:
        columns = (map(_text, column) for column in zip(*part, strict=True))
        return pa.table(dict(zip(COLUMNS, map(list, columns), strict=True)), schema=schema)

    stream, at_once = rows(results), min(_AT_ONCE, ROWS)
    parts = map(table, iter(lambda: list(islice(stream, at_once)), []))
    tables = iter(lambda: list(islice(parts, ROWS // at_once)), [])
    for number, one in enumerate(tables):
        file = io.BytesIO()
        parquet.write_table(pa.concat_tables(one).combine_chunks(), file, compression="zstd")
        yield f"{FOLDER}/part-{number:05}.parquet", file.getvalue()


def _text(cell: Cell) -> Cell:
    """A cell whose text Parquet can hold: names of files need not be Unicode."""
    if not isinstance(cell, str) or cell.isascii():
        return cell
    return cell.encode("utf-8", "backslashreplace").decode()
