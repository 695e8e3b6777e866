"""The same tables as pandas data frames, for notebooks and statistics."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from omrgrade.outputs import marks, readings
from omrgrade.outputs.results import Cell, Results

if TYPE_CHECKING:
    import pandas as pd


def marks_frame(results: Results) -> pd.DataFrame:
    """A row a sheet, columns as in marks.csv; points not given are NaN, student ids stay text."""
    return frame(marks.columns(results), marks.rows(results))


def readings_frame(results: Results) -> pd.DataFrame:
    """A row a field, columns as in readings.csv; values stay text."""
    return frame(readings.COLUMNS, readings.rows(results))


def frame(columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> pd.DataFrame:
    """A table as a data frame."""
    import pandas as pd

    return pd.DataFrame.from_records([tuple(row) for row in rows], columns=list(columns))
