"""The order in which a form's blocks are read."""

from __future__ import annotations

from collections.abc import Sequence

from omrgrade.forms.lattice import Block


def reading_order(blocks: Sequence[Block]) -> list[Block]:
    """Down each column of blocks, columns left to right, bands of columns from the top."""
    columns = _columns(blocks)
    bands: list[list[list[Block]]] = []
    for column in sorted(columns, key=lambda c: c[0].area.y):
        home = next((band for band in bands if _beside(band, column)), None)
        if home is None:
            bands.append([column])
        else:
            home.append(column)
    return [block for band in bands for column in sorted(band, key=_left_to_right) for block in column]


def _left_to_right(column: Sequence[Block]) -> tuple[int, float]:
    """Columns that begin about equally far left are in the order of the page."""
    return round(column[0].area.x / 5), column[0].area.y


def _columns(blocks: Sequence[Block]) -> list[list[Block]]:
    """Blocks of one make below one another, not far apart: the parts of one column."""
    columns: list[list[Block]] = []
    for block in sorted(blocks, key=lambda b: b.area.y):
        home = next((column for column in columns if _below(column[-1], block)), None)
        if home is None:
            columns.append([block])
        else:
            home.append(block)
    return columns


def _below(upper: Block, lower: Block) -> bool:
    alike = upper.round == lower.round and upper.columns == lower.columns
    near = 0 < lower.area.y - upper.area.bottom < 2.5 * max(upper.step_y, lower.step_y, upper.height)
    return alike and near and abs(upper.x - lower.x) < 0.5 * upper.width


def _beside(band: Sequence[Sequence[Block]], column: Sequence[Block]) -> bool:
    top, bottom = column[0].area.y, column[-1].area.bottom
    for other in band:
        first, last = other[0].area.y, other[-1].area.bottom
        overlap = min(bottom, last) - max(top, first)
        if overlap > 0.5 * min(bottom - top, last - first):
            return True
    return False
