"""Timing marks on a blank form: rows of equal bars, evenly spaced, along an edge or two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from omrgrade.forms.blank import Blank
from omrgrade.forms.shapes import Shape
from omrgrade.records import Rect

FEWEST = 8  # marks: fewer may be anything
LONG = 0.3  # of the page's side: a track is no shorter
EDGE = 0.2  # of the page's side: a track is no further from an edge
ALIKE = 0.3  # mm by which the marks of a track differ in size, place and step
APART = 1.5  # times a mark's size: the least step


@dataclass(frozen=True, kw_only=True, slots=True)
class Track:
    """Equal bars along a line, evenly spaced."""

    bars: tuple[Rect, ...]
    down: bool  # below one another, else beside one another

    @property
    def text(self) -> str:
        """As a template writes it."""
        middles = np.array([bar.centre[self.down] for bar in self.bars])
        step, first = np.polyfit(np.arange(len(middles)), middles, 1)
        width, height = (
            float(np.median([getattr(b, side) for b in self.bars])) for side in ("width", "height")
        )
        across = float(np.median([bar.centre[not self.down] for bar in self.bars]))
        x, y = (across, first) if self.down else (first, across)
        steps = (0.0, step) if self.down else (step, 0.0)
        return (
            f"{{at: [{x - width / 2:.2f}, {y - height / 2:.2f}], size: [{width:.2f}, {height:.2f}], "
            f"step: [{steps[0]:.3f}, {steps[1]:.3f}], count: {len(self.bars)}}}"
        )


def find_tracks(shapes: Sequence[Shape], blank: Blank) -> list[Track]:
    """The longest track, and the longest one of the same marks along the opposite edge, if there is one."""
    bars = [shape.rect for shape in shapes if shape.solid]
    tracks = [
        track
        for down in (True, False)
        for line in _lines(bars, down)
        for track in _even(line, down)
        if _is_track(track, blank)
    ]
    tracks.sort(key=lambda track: -len(track.bars))
    for other in tracks[1:]:
        if _opposite(tracks[0], other, blank):
            return sorted([tracks[0], other], key=lambda track: track.bars[0].centre[not track.down])
    return tracks[:1]


def _lines(bars: Sequence[Rect], down: bool) -> list[list[Rect]]:
    """Bars of one size on one line, in order along it."""
    lines: list[list[Rect]] = []
    for bar in sorted(bars, key=lambda bar: bar.centre[down]):
        home = next((line for line in lines if _alike(line[-1], bar, down)), None)
        if home is None:
            lines.append([bar])
        else:
            home.append(bar)
    return lines


def _alike(one: Rect, two: Rect, down: bool) -> bool:
    return (
        abs(one.width - two.width) < ALIKE
        and abs(one.height - two.height) < ALIKE
        and abs(one.centre[not down] - two.centre[not down]) < ALIKE
    )


def _even(line: Sequence[Rect], down: bool) -> list[Track]:
    """The parts of a line with one step."""
    parts: list[list[Rect]] = [list(line[:1])]
    for before, bar in pairwise(line):
        steps = [two.centre[down] - one.centre[down] for one, two in pairwise(parts[-1])]
        step = bar.centre[down] - before.centre[down]
        if steps and abs(step - float(np.median(steps))) > ALIKE:
            parts.append([before] if len(parts[-1]) < FEWEST else [])
        parts[-1].append(bar)
    return [Track(bars=tuple(part), down=down) for part in parts]


def _is_track(track: Track, blank: Blank) -> bool:
    if len(track.bars) < FEWEST:
        return False
    first, last = track.bars[0].centre, track.bars[-1].centre
    along, across = (blank.height, blank.width) if track.down else (blank.width, blank.height)
    length, off = last[track.down] - first[track.down], first[not track.down]
    size = track.bars[0].height if track.down else track.bars[0].width
    roomy = length / (len(track.bars) - 1) >= APART * size
    return roomy and length > LONG * along and min(off, across - off) < EDGE * across


def _opposite(one: Track, two: Track, blank: Blank) -> bool:
    """Whether two tracks are along opposite edges, of the same marks."""
    middle = (blank.width if one.down else blank.height) / 2
    a, b = one.bars[0], two.bars[0]
    alike = abs(a.width - b.width) < ALIKE and abs(a.height - b.height) < ALIKE
    return (
        one.down == two.down
        and alike
        and (a.centre[not one.down] - middle) * (b.centre[not one.down] - middle) < 0
    )
