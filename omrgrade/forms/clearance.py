"""Bubbles of an imported template made so small that they keep off one another and stay on the page.

Sizes in such templates are those of the area looked at: it may reach over the next bubble or the page's edge.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from omrgrade.forms.omrchecker import Group, Line
from omrgrade.forms.settling import Scale

APART = 0.12  # mm between bubbles: where the source has them touch, ours are smaller
LEAST = 1.6  # mm: boxes may hardly be smaller


def cleared(groups: Sequence[Group], scale: Scale, width: float, height: float) -> list[Group]:
    """The groups with bubbles about the same middles, smaller where they must be; page: width x height mm.

    Bubbles of a block keep off one another alike; at the page's edge only those are smaller that pass it.
    """
    blocks: defaultdict[str, list[Line]] = defaultdict(list)
    for group in groups:
        for line in group.lines:
            blocks[line.block].append(line)
    page = (0 - scale.x) / scale.across, (width - scale.x) / scale.across
    tall = (0 - scale.y) / scale.down, (height - scale.y) / scale.down  # px
    smaller: dict[str, Line] = {}
    for lines in blocks.values():
        across = _room(lines, down=False) - APART / scale.across
        along = _room(lines, down=True) - APART / scale.down
        for line in lines:
            kept = _shrunk(line, across, along)
            smaller[line.label] = _inside(
                _inside(kept, page, scale.across, down=False), tall, scale.down, down=True
            )
    return [replace(group, lines=tuple(smaller[line.label] for line in group.lines)) for group in groups]


def _room(lines: Sequence[Line], *, down: bool) -> float:
    """From one bubble's left edge (down: upper edge) to the next one's in a block, px, at the least."""
    if any(line.down == down for line in lines):
        return min((abs(line.gap) for line in lines if len(line.options) > 1), default=np.inf)
    starts = sorted({round(line.y if down else line.x, 2) for line in lines})
    return min((b - a for a, b in pairwise(starts)), default=np.inf)


def _inside(line: Line, page: tuple[float, float], mm: float, *, down: bool) -> Line:
    """The line, its bubbles smaller, and moved if that is not enough, so as not to pass the page's edges.

    page: where these are, px; mm: a px.
    """
    start, size = (line.y, line.height) if down else (line.x, line.width)
    length = (len(line.options) - 1) * line.gap if line.down == down else 0.0
    slack = (page[1] - page[0]) / 1e5  # what is written is rounded
    first, last = page[0] + slack, page[1] - slack
    beyond = max(start + size + length - last, first - start, 0.0)
    if not beyond:
        return line
    smaller = max(size - 2 * beyond, min(LEAST / mm, size))
    start = min(max(start + (size - smaller) / 2, first), last - smaller - length)
    return replace(line, y=start, height=smaller) if down else replace(line, x=start, width=smaller)


def _shrunk(line: Line, width: float, height: float) -> Line:
    """The line with bubbles about the same middles, at most so large (px), if that leaves any."""
    width = min(width, line.width) if width > 0 else line.width
    height = min(height, line.height) if height > 0 else line.height
    return replace(
        line,
        x=line.x + (line.width - width) / 2,
        y=line.y + (line.height - height) / 2,
        width=width,
        height=height,
    )
