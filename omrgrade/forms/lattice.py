"""Outlines -> blocks: rows and columns of equal outlines at equal distances.

A form's bubbles and boxes are repeated; letters, frames and examples are not, or not as regularly.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from omrgrade.forms.shapes import Shape, is_wide, printed_in
from omrgrade.records import Rect

ALIKE = 0.12  # share by which sizes of one kind of outline differ, besides 0.15 mm
LEVEL = 0.3  # of an outline's side: so far may neighbours in a row be off the line
FAR = 4.5  # of an outline's side: neighbours further off, centre to centre, are none
WIDER = 1.3  # a gap so many times the next one ends a block
UNEVEN = 0.3  # mm: a step so much longer or shorter than the others ends a block
FILLED = 0.6  # ink of an outline that is filled: no empty form has it, but examples do

Cell = tuple[int, int]
"""Row and column."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """Equal outlines in rows and columns, all places taken."""

    x: float  # mm, centre of the first column
    y: float  # mm, centre of the first row
    step_x: float  # mm from column to column; 0 if there is one
    step_y: float
    rows: int
    columns: int
    width: float  # mm, of an outline
    height: float
    round: bool
    ink: float  # share (0-1) of the middles that is dark, mean
    filled: bool = False  # one is solid: an example for the pupil

    @classmethod
    def of(cls, shape: Shape) -> Block:
        """A single outline."""
        (x, y), (width, height) = shape.rect.centre, shape.size
        return cls(
            x=x, y=y, step_x=0.0, step_y=0.0, rows=1, columns=1, width=width, height=height,
            round=shape.round, ink=shape.ink,
        )  # fmt: skip

    @property
    def by_columns(self) -> list[Block]:
        """Each column as a block of its own."""
        return [replace(self, x=self.x + n * self.step_x, step_x=0.0, columns=1) for n in range(self.columns)]

    def rect(self, row: int, column: int) -> Rect:
        """The place of one outline, mm."""
        return Rect(
            x=self.x + column * self.step_x - self.width / 2,
            y=self.y + row * self.step_y - self.height / 2,
            width=self.width,
            height=self.height,
        )

    @property
    def rects(self) -> list[Rect]:
        """All places, row by row."""
        return [self.rect(row, column) for row in range(self.rows) for column in range(self.columns)]

    @property
    def area(self) -> Rect:
        """The whole block, mm."""
        first, last = self.rect(0, 0), self.rect(self.rows - 1, self.columns - 1)
        return Rect(x=first.x, y=first.y, width=last.right - first.x, height=last.bottom - first.y)

    @property
    def gap(self) -> tuple[float, float]:
        """Paper between columns and between rows, mm."""
        return self.step_x - self.width, self.step_y - self.height


class Evidence:
    """Where an outline is printed though nothing was found, as where a letter touches its bubble."""

    def __init__(self, ink: NDArray[np.uint8], px_per_mm: float) -> None:
        self._ink, self._scale = ink, px_per_mm

    def shows(self, rect: Rect, *, ellipse: bool) -> bool:
        """Whether there is ink along nearly all of this outline, and in a wide box none inside."""
        if not ellipse and is_wide(rect.width, rect.height) and printed_in(self._ink, rect):
            return False
        angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
        x, y = np.cos(angle), np.sin(angle)
        if not ellipse:
            x, y = x / np.maximum(abs(x), abs(y)), y / np.maximum(abs(x), abs(y))
        px = ((rect.centre[0] + x * rect.width / 2) * self._scale).round().astype(int)
        py = ((rect.centre[1] + y * rect.height / 2) * self._scale).round().astype(int)
        hit = np.zeros(len(angle), bool)
        for dx, dy in ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)):
            rows = np.clip(py + dy, 0, self._ink.shape[0] - 1)
            columns = np.clip(px + dx, 0, self._ink.shape[1] - 1)
            hit |= self._ink[rows, columns] > 0
        return bool(hit.mean() > 0.9)


def find_blocks(shapes: Sequence[Shape], evidence: Evidence) -> tuple[list[Block], list[Shape]]:
    """Blocks of two outlines or more, and the outlines that are in none."""
    blocks: list[Block] = []
    lone: list[Shape] = []
    for found in _by_size([shape for shape in shapes if not shape.solid]):
        alike = _completed(found, evidence)
        solid = [shape for shape in shapes if shape.solid and _same_size(shape, alike[0])]
        for group in _connected(alike):
            if len(group) == 1:
                lone += group
            else:
                blocks += _blocks_of(group, solid, evidence)
    return [_extended(block, evidence) for block in blocks], lone


def _by_size(shapes: Iterable[Shape]) -> list[list[Shape]]:
    """Shapes of one form and size together, the most frequent sizes first."""
    kinds: list[list[Shape]] = []
    for shape in sorted(shapes, key=lambda s: s.rect.width * s.rect.height):
        home = next((kind for kind in kinds if _same_size(shape, kind[len(kind) // 2])), None)
        if home is None:
            kinds.append([shape])
        else:
            home.append(shape)
    return sorted(kinds, key=len, reverse=True)


def _same_size(one: Shape, two: Shape) -> bool:
    near = all(abs(a - b) < 0.15 + ALIKE * min(a, b) for a, b in zip(one.size, two.size, strict=True))
    return near and one.round == two.round


# ---------------------------------------------------------------- what was missed


def _completed(shapes: Sequence[Shape], evidence: Evidence) -> list[Shape]:
    """The shapes with those between them that were not found, but are there."""
    result = list(shapes)
    for axis in (0, 1):
        centres = np.array([shape.rect.centre for shape in result])
        sizes = np.median([shape.size for shape in result], axis=0)
        for line in _lines(centres[:, 1 - axis], LEVEL * float(sizes[1 - axis])):
            for one, two in pairwise(sorted(line, key=lambda n: centres[n, axis])):
                if 1.5 * sizes[axis] < centres[two, axis] - centres[one, axis] < 2.5 * FAR * sizes[axis]:
                    result += _between(result[one], result[two], evidence)
    return result


def _between(one: Shape, two: Shape, evidence: Evidence) -> list[Shape]:
    """One or two shapes evenly between two, if they are printed there."""
    (x0, y0), (x1, y1) = one.rect.centre, two.rect.centre
    for count in (1, 2):
        parts = [(n + 1) / (count + 1) for n in range(count)]
        rects = [
            Rect(
                x=x0 + part * (x1 - x0) - one.rect.width / 2,
                y=y0 + part * (y1 - y0) - one.rect.height / 2,
                width=one.rect.width,
                height=one.rect.height,
            )
            for part in parts
        ]
        if all(evidence.shows(rect, ellipse=one.round) for rect in rects):
            return [replace(one, rect=rect) for rect in rects]
    return []


def _extended(block: Block, evidence: Evidence) -> Block:
    """The block with whole rows and columns at its ends that were not found, but are there."""
    for row, column in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        while grown := _grown(block, row, column):
            new = [rect for rect in grown.rects if not any(_same_place(rect, old) for old in block.rects)]
            if not all(evidence.shows(rect, ellipse=block.round) for rect in new):
                break
            block = grown
    return block


def _same_place(one: Rect, two: Rect) -> bool:
    return abs(one.x - two.x) < one.width / 2 and abs(one.y - two.y) < one.height / 2


def _grown(block: Block, row: int, column: int) -> Block | None:
    """The block with one row (or column) more before (-1) or behind (1); None if its step is not known."""
    if not (block.step_y if row else block.step_x) or max(block.rows, block.columns) > 100:
        return None
    return replace(
        block,
        rows=block.rows + abs(row),
        columns=block.columns + abs(column),
        y=block.y - (block.step_y if row < 0 else 0.0),
        x=block.x - (block.step_x if column < 0 else 0.0),
    )


# ---------------------------------------------------------------- neighbours


def _connected(shapes: Sequence[Shape]) -> list[list[Shape]]:
    """Groups of outlines that are neighbours of one another, across or down."""
    parent = list(range(len(shapes)))

    def root(n: int) -> int:
        while parent[n] != n:
            parent[n] = parent[parent[n]]
            n = parent[n]
        return n

    for axis in (0, 1):
        for one, two in _neighbours(shapes, axis):
            parent[root(one)] = root(two)
    groups: dict[int, list[Shape]] = defaultdict(list)
    for n, shape in enumerate(shapes):
        groups[root(n)].append(shape)
    return list(groups.values())


def _neighbours(shapes: Sequence[Shape], axis: int) -> list[tuple[int, int]]:
    """Pairs next to one another along `axis` (0 across, 1 down) that no wider gap parts."""
    centres = np.array([shape.rect.centre for shape in shapes])
    side = float(np.median([shape.size[axis] for shape in shapes]))
    level = LEVEL * float(np.median([shape.size[1 - axis] for shape in shapes]))
    after: dict[int, tuple[int, float]] = {}
    for line in _lines(centres[:, 1 - axis], level):
        ordered = sorted(line, key=lambda n: centres[n, axis])
        for one, two in pairwise(ordered):
            distance = float(centres[two, axis] - centres[one, axis])
            if distance < FAR * side:
                after[one] = two, distance
    before = dict(after.values())
    pairs = []
    for one, (two, distance) in after.items():
        beside = (before.get(one), after[two][1] if two in after else None)
        if all(other is None or distance < WIDER * other for other in beside):
            pairs.append((one, two))
    return pairs


def _lines(values: NDArray[np.float64], tolerance: float) -> list[list[int]]:
    """Indices of values that are equal to within the tolerance, from low to high."""
    order = np.argsort(values)
    lines: list[list[int]] = []
    for n in order.tolist():
        if lines and values[n] - np.mean([values[k] for k in lines[-1]]) < tolerance:
            lines[-1].append(n)
        else:
            lines.append([n])
    return lines


# ---------------------------------------------------------------- one group


def _blocks_of(group: Sequence[Shape], solid: Sequence[Shape], evidence: Evidence) -> list[Block]:
    """One block, or several where not all rows are equally long."""
    centres = np.array([shape.rect.centre for shape in group])
    width, height = (float(np.median([shape.size[axis] for shape in group])) for axis in (0, 1))
    rows, columns = _lines(centres[:, 1], LEVEL * height), _lines(centres[:, 0], LEVEL * width)
    ys, xs = (
        np.array([centres[line, axis].mean() for line in lines]) for axis, lines in ((1, rows), (0, columns))
    )
    at = (
        {n: r for r, line in enumerate(rows) for n in line},
        {n: c for c, line in enumerate(columns) for n in line},
    )
    cells: dict[Cell, float] = {(at[0][n], at[1][n]): shape.ink for n, shape in enumerate(group)}
    mean_ink = float(np.median(list(cells.values())))
    for row, y in enumerate(ys):
        for column, x in enumerate(xs):
            place = Rect(x=x - width / 2, y=y - height / 2, width=width, height=height)
            if (row, column) not in cells and evidence.shows(place, ellipse=group[0].round):
                cells[row, column] = mean_ink
    parts = [
        (even_rows, even_columns)
        for part_rows, part_columns in _rectangles(set(cells), len(rows), len(columns))
        for even_rows in _even(ys, part_rows)
        for even_columns in _even(xs, part_columns)
    ]
    return [
        _block(ys[rows], xs[columns], (width, height), group[0].round, cells, rows, columns, solid)
        for rows, columns in parts
    ]


def _even(places: NDArray[np.float64], chosen: Sequence[int]) -> list[list[int]]:
    """The chosen places cut where the step changes."""
    steps = np.diff(places[list(chosen)])
    if not len(steps):
        return [list(chosen)]
    usual = float(np.median(steps))
    parts = [[chosen[0]]]
    for n, step in zip(chosen[1:], steps, strict=True):
        if abs(step - usual) > UNEVEN:
            parts.append([])
        parts[-1].append(n)
    return parts


def _rectangles(cells: set[Cell], rows: int, columns: int) -> list[tuple[list[int], list[int]]]:
    """Full rectangles that cover the cells: cut between rows, or between columns, whichever leaves fewer."""
    by_row = _runs([frozenset(c for c in range(columns) if (r, c) in cells) for r in range(rows)])
    by_column = _runs([frozenset(r for r in range(rows) if (r, c) in cells) for c in range(columns)])
    down = [(lines, part) for lines, members in by_row for part in _contiguous(members)]
    across = [(part, lines) for lines, members in by_column for part in _contiguous(members)]
    # Rows of unequal length are questions with fewer choices, unless columns are long ones of a number.
    tall = any(len(part_rows) >= 10 for part_rows, _ in across)
    return across if len(across) < len(down) or (len(across) == len(down) and tall) else down


def _runs(lines: Sequence[frozenset[int]]) -> list[tuple[list[int], frozenset[int]]]:
    runs: list[tuple[list[int], frozenset[int]]] = []
    for n, members in enumerate(lines):
        if runs and runs[-1][1] == members:
            runs[-1][0].append(n)
        else:
            runs.append(([n], members))
    return runs


def _contiguous(members: Iterable[int]) -> list[list[int]]:
    parts: list[list[int]] = []
    for n in sorted(members):
        if parts and parts[-1][-1] == n - 1:
            parts[-1].append(n)
        else:
            parts.append([n])
    return parts


def _block(
    ys: NDArray[np.float64], xs: NDArray[np.float64], size: tuple[float, float], ellipse: bool,
    cells: dict[Cell, float], rows: Sequence[int], columns: Sequence[int], solid: Sequence[Shape],
) -> Block:  # fmt: skip
    (x, step_x), (y, step_y) = _fitted(xs), _fitted(ys)
    inks = [cells[row, column] for row in rows for column in columns]
    block = Block(
        x=x, y=y, step_x=step_x, step_y=step_y, rows=len(ys), columns=len(xs), width=size[0], height=size[1],
        round=ellipse, ink=float(np.mean(inks)),
    )  # fmt: skip
    filled = max(inks) > FILLED or any(_next_to(block, shape) for shape in solid)
    return replace(block, filled=filled)


def _fitted(places: NDArray[np.float64]) -> tuple[float, float]:
    """First place and step of the evenly spaced places nearest to these."""
    if len(places) == 1:
        return float(places[0]), 0.0
    step, first = np.polyfit(np.arange(len(places)), places, 1)
    return float(first), float(step)


def _next_to(block: Block, shape: Shape) -> bool:
    """Whether a solid shape continues a row or column of the block."""
    area, (x, y) = block.area, shape.rect.centre
    reach_x, reach_y = FAR * block.width, FAR * block.height
    in_row = (
        abs((y - block.y) - round((y - block.y) / (block.step_y or 1e9)) * block.step_y) < 0.3 * block.height
    )
    level = area.y < y < area.bottom and in_row and area.x - reach_x < x < area.right + reach_x
    in_column = area.x < x < area.right and area.y - reach_y < y < area.bottom + reach_y
    return level or (in_column and block.columns == 1)
