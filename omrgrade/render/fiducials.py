"""What is printed so that a page can be found: one function a method."""

from __future__ import annotations

import cv2
import numpy as np

from omrgrade.records import Fiducials, Rect
from omrgrade.render.paper import Paper

_CROSS = 0.18  # thickness of a cross's arms, in parts of its size


def draw_fiducials(paper: Paper, fiducials: Fiducials) -> None:
    """Print the markers or timing marks; the methods `page` and `reference` have none."""
    if fiducials.method == "aruco":
        _aruco(paper, fiducials)
    elif fiducials.marker == "circle":
        for area in fiducials.boxes:
            paper.disc(area)
    elif fiducials.marker == "cross":
        paper.solid((arm for area in fiducials.boxes for arm in _arms(area)), grey=0.0)
    elif fiducials.marker == "picture":
        for area in fiducials.boxes:
            paper.picture(fiducials.picture, area)
    else:
        paper.solid(fiducials.boxes, grey=0.0)


def _aruco(paper: Paper, fiducials: Fiducials) -> None:
    name = f"DICT_{fiducials.dictionary.upper()}"
    dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, name))
    cells = int(fiducials.dictionary[0]) + 2  # with the black rim
    for marker, area in zip(fiducials.ids, fiducials.boxes, strict=True):
        pattern = cv2.aruco.generateImageMarker(dictionary, marker, cells)
        side = area.width / cells
        paper.solid([area], grey=0.0)
        paper.solid(
            (
                Rect(x=area.x + column * side, y=area.y + row * side, width=side, height=side)
                for row, column in np.argwhere(pattern == 255).tolist()
            ),
            grey=1.0,
        )


def _arms(area: Rect) -> tuple[Rect, Rect]:
    across, down = _CROSS * area.width, _CROSS * area.height
    return (
        Rect(x=area.x, y=area.centre[1] - down / 2, width=area.width, height=down),
        Rect(x=area.centre[0] - across / 2, y=area.y, width=across, height=area.height),
    )
