"""readings/: a row a field as partitioned Parquet, for runs whose readings.csv no program wants to open."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from itertools import islice

from omrgrade.errors import MissingExtraError
from omrgrade.outputs.readings import COLUMNS, rows
from omrgrade.outputs.results import Cell, Results

FOLDER = "readings"
ROWS = 500_000  # a file: some 10 MB on disk, 500 MB while it is made
_NUMBERS = {"page": "int32", "confidence": "float64", "points": "float64", "max_points": "float64"}


def render(results: Results) -> Iterator[tuple[str, bytes]]:
    """Files of `ROWS` rows, columns as in readings.csv; all read as one table by pandas, DuckDB, Spark, R."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise MissingExtraError("Parquet", "parquet") from None
    schema = pa.schema([(name, _NUMBERS.get(name, "string")) for name in COLUMNS])
    stream = rows(results)
    for number, part in enumerate(iter(lambda: list(islice(stream, ROWS)), [])):
        columns = zip(*map(_texts, part), strict=True)
        table = pa.table(dict(zip(COLUMNS, map(list, columns), strict=True)), schema=schema)
        file = io.BytesIO()
        parquet.write_table(table, file, compression="zstd")
        yield f"{FOLDER}/part-{number:05}.parquet", file.getvalue()


def _texts(row: Sequence[Cell]) -> list[Cell]:
    """A row whose names are text that Parquet can hold."""
    return [
        cell.encode("utf-8", "backslashreplace").decode() if isinstance(cell, str) else cell for cell in row
    ]
