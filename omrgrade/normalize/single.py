"""The normaliser's steps for one box (h, w) instead of many: for whoever does something else in between."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from omrgrade.normalize import ink as _ink
from omrgrade.normalize import paper
from omrgrade.normalize.lines import Bools, Grey
from omrgrade.normalize.outline import find_outlines


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Outline:
    """Where a box's writing may be."""

    inside: Grey  # (h, w), 1 inside the printed lines
    uncut: Grey | None = None  # the same if the line found is no print but ink
    restored: Grey | None = None  # the same with what seems to hide under a line
    lines: int  # sides on which a line was found, 0-4


def find_outline(dark: Grey, floor: float, margin: int) -> Outline:
    """`outline.find_outlines` of one box; changes `dark` in place as that does."""
    found = find_outlines(dark[None], np.array([floor]), margin)
    return Outline(
        inside=found.inside[0],
        uncut=found.uncut.get(0),
        restored=found.restored.get(0),
        lines=int(found.lines[0]),
    )


def flatten(grey: Grey) -> Grey:
    """`paper.flatten` of one box."""
    return paper.flatten(grey[None])[0]


def noise(dark: Grey) -> float:
    """`paper.noise` of one box."""
    return float(paper.noise(dark[None])[0])


def quantile(values: Grey, share: float) -> float:
    """`paper.quantiles` of one box."""
    return float(paper.quantiles(values[None], share)[0])


def components(labels: NDArray[np.int32], stats: NDArray[np.int32], inside: Grey, known: bool) -> Bools:
    """`ink.components` of one whole box: (n,) which are writing."""
    rim = (labels > 0).view(np.uint8) & ~_ink.shrunk(inside[None])[0]
    return np.array(_ink.components(labels, stats, rim, inside, known=known))


def runs_through(stats: NDArray[np.int32], shape: tuple[int, ...]) -> bool:
    """`ink.runs_through` of pieces of a whole box of that (h, w)."""
    return _ink.runs_through(stats, (0, 0), shape)
