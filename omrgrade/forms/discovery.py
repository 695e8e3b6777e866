"""A blank form -> a template: ``omrgrade template new``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from omrgrade.errors import OmrgradeError
from omrgrade.forms.blank import PX_PER_MM, Blank, open_blank
from omrgrade.forms.found import Layout
from omrgrade.forms.lattice import Block, Evidence, find_blocks
from omrgrade.forms.marks import Marks, by_itself, find_marks
from omrgrade.forms.naming import name_fields
from omrgrade.forms.shapes import find_ink, find_shapes
from omrgrade.forms.trial import finds_its_page
from omrgrade.forms.writing import draw_found, template_text
from omrgrade.records import Rect

FREE = 0.6, 1.2  # mm from the middle of an outline's line: there is paper round a box,
PAPER = 0.85  # of the form's brightness at least
BLANK_DPI = 200.0  # of the blank form as it is kept


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Discovery:
    """What was found on a blank form."""

    text: str  # the template
    blank: bytes  # the form, upright, grey PNG
    files: dict[str, bytes]  # all that the template refers to, the form among them: name -> contents
    overlay: NDArray[np.uint8]  # (height, width, 3) BGR
    layout: Layout
    marks: Marks

    @property
    def boxes(self) -> int:
        """Bubbles and boxes that the template reads."""
        return sum(found.block.rows * found.block.columns for found in self.layout.fields)


def discover(
    path: Path, *, name: str, picture: str, marker: str = "marker.png", page: int = 1,
    size: tuple[float, float] | None = None,
) -> Discovery:  # fmt: skip
    """Find what is to be marked on a blank form (PDF or picture).

    name: of the template. picture, marker: file names by which the template will know the blank form, and a
    corner mark of its own. size: of the page, mm, where a picture does not say it. Raises `OmrgradeError`
    where nothing is found.
    """
    blank, blocks, shapes = _straight(open_blank(path, page=page, size=size))
    layout = name_fields(blank, blocks)
    if not layout.fields:
        raise OmrgradeError(
            "no bubbles and no boxes were found on this form",
            where=str(path),
            fix="is it the blank form, and is the page right (--number, --page)?",
            received=f"{len(shapes)} outlines, {len(blocks)} blocks of equal ones",
        )
    form, text = _png(blank), partial(template_text, name, blank, picture, layout=layout)
    taken = [found.block.area for found in layout.fields]
    for marks in [*find_marks(blank, shapes, marker, taken), by_itself(picture)]:
        files = {picture: form} | ({marker: marks.picture} if marks.picture else {})
        if finds_its_page(blank, text(marks), files):
            break
    else:
        marks = replace(
            marks, why="no markers were found, and little print to find pages by: look at it on a scan"
        )
    return Discovery(
        text=text(marks),
        blank=form,
        overlay=draw_found(blank, marks, layout),
        layout=layout,
        marks=marks,
        files=files,
    )


def _straight(blank: Blank) -> tuple[Blank, list[Block], list]:  # type: ignore[type-arg]
    """The form turned upright if it was scanned askew, and what is on it."""
    shapes = find_shapes(blank)
    upright = blank.straightened(-_skew([shape.rect.centre for shape in shapes]))
    if upright is not blank:
        blank, shapes = upright, find_shapes(upright)
    blocks, lone = find_blocks(shapes, Evidence(find_ink(blank.pixels), PX_PER_MM))
    free = [Block.of(shape) for shape in lone if _stands_free(blank, shape.rect)]
    return blank, blocks + free, shapes


def _stands_free(blank: Blank, rect: Rect) -> bool:
    """Whether there is paper round an outline; not round the cells of a marker."""
    paper = float(np.percentile(blank.pixels, 90))
    near, far = (_grown(blank, rect, rim) for rim in FREE)
    round_it = (far.sum(dtype=float) - near.sum(dtype=float)) / max(far.size - near.size, 1)
    return bool(round_it > PAPER * paper)


def _grown(blank: Blank, rect: Rect, rim: float) -> NDArray[np.uint8]:
    left, top = (max(round((side - rim) * PX_PER_MM), 0) for side in (rect.x, rect.y))
    right, bottom = (round((side + rim) * PX_PER_MM) for side in (rect.right, rect.bottom))
    return blank.pixels[top:bottom, left:right]


def _skew(centres: Sequence[tuple[float, float]]) -> float:
    """How far rows of outlines fall to the right, degrees (clockwise): the median over near neighbours."""
    points = np.array(centres).reshape(-1, 2)
    slopes = []
    for x, y in points:
        dx, dy = points[:, 0] - x, points[:, 1] - y
        beside = (dx > 2) & (dx < 16) & (abs(dy) < 0.1 * dx)
        slopes += np.degrees(np.arctan2(dy[beside], dx[beside])).tolist()
    return float(np.median(slopes)) if len(slopes) >= 8 else 0.0


def _png(blank: Blank) -> bytes:
    size = round(blank.width / 25.4 * BLANK_DPI), round(blank.height / 25.4 * BLANK_DPI)
    return bytes(cv2.imencode(".png", cv2.resize(blank.pixels, size, interpolation=cv2.INTER_AREA))[1])
