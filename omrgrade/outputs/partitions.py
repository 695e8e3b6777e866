"""readings/: a row a field as partitioned Parquet, for runs whose readings.csv no program wants to open."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, count, islice

from omrgrade.outputs.arrow import parquet_parts
from omrgrade.outputs.readings import COLUMNS, rows
from omrgrade.outputs.results import Results

FOLDER = "readings"
ROWS = 500_000  # a file: some 10 MB on disk
_KINDS = {"page": "int32", "confidence": "float64", "points": "float64", "max_points": "float64"}


def render(results: Results) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Files of `ROWS` rows, columns as in readings.csv; all read as one table by pandas, DuckDB, Spark, R.

    Each must be taken to its end before the next one.
    """
    stream = rows(results)
    for number in count():
        first = list(islice(stream, 1))
        if not first:
            return
        part = chain(first, islice(stream, ROWS - 1))
        yield f"{FOLDER}/part-{number:05}.parquet", parquet_parts(COLUMNS, _KINDS, part)
