"""Bubbles of an imported template made so small that they keep off one another and stay on the page.

Sizes in such templates are those of the area looked at: it may reach over the next bubble or the page's edge.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from omrgrade.forms.omrchecker import Group, Line
from omrgrade.forms.settling import Scale

APART = 0.12  # mm between bubbles: where the source has them touch, ours are smaller


def cleared(groups: Sequence[Group], scale: Scale, width: float, height: float) -> list[Group]:
    """The groups with bubbles about the same middles, smaller where they must be; page: width x height mm.

    All bubbles of a block stay alike.
    """
    blocks: defaultdict[str, list[Line]] = defaultdict(list)
    for group in groups:
        for line in group.lines:
            blocks[line.block].append(line)
    right, bottom = (width - scale.x) / scale.across, (height - scale.y) / scale.down  # px
    smaller: dict[str, Line] = {}
    for lines in blocks.values():
        across = _largest(lines, APART / scale.across, right, down=False)
        along = _largest(lines, APART / scale.down, bottom, down=True)
        smaller |= {line.label: _shrunk(line, across, along) for line in lines}
    return [replace(group, lines=tuple(smaller[line.label] for line in group.lines)) for group in groups]


def _largest(lines: Sequence[Line], apart: float, edge: float, *, down: bool) -> float:
    """The largest width (down: height), px, that a block's bubbles may have; `edge`: where the page ends."""
    size = max(line.height if down else line.width for line in lines)
    starts = sorted({round(line.y if down else line.x, 2) for line in lines})
    gaps = [abs(line.gap) for line in lines if line.down == down and len(line.options) > 1]
    if all(line.down != down for line in lines):
        gaps += [b - a for a, b in pairwise(starts)]
    last = max(
        (line.y if down else line.x) + (len(line.options) - 1) * (line.gap if line.down == down else 0.0)
        for line in lines
    )
    beyond = max(last + size + apart / 10 - edge, -starts[0], 0.0)
    return min([size - 2 * beyond, *(gap - apart for gap in gaps)])


def _shrunk(line: Line, width: float, height: float) -> Line:
    """The line with bubbles at most so large (px), if that leaves any."""
    width = min(width, line.width) if width > 0 else line.width
    height = min(height, line.height) if height > 0 else line.height
    return replace(
        line,
        x=line.x + (line.width - width) / 2,
        y=line.y + (line.height - height) / 2,
        width=width,
        height=height,
    )
