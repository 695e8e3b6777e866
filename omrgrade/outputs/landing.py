"""Where a template lands on a scan, box by box: the picture to look at when a page does not fit."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from omrgrade.records import Scan, Template
from omrgrade.registration import Survey
from omrgrade.registration.fitting import Fit, every_box
from omrgrade.registration.geometry import Array, Pose, quarter_turns
from omrgrade.registration.outlines import outlines

Colour = tuple[int, int, int]

FINE, OFF = 0.3, 0.7
"""mm: boxes nearer than the first to their place are fine, boxes farther than the second are not."""
_GREEN, _AMBER, _RED, _BLUE = (60, 160, 30), (0, 150, 240), (40, 40, 220), (200, 110, 0)  # BGR
_LONG_SIDE = 2000  # px
_APART = 60  # px between names of fields
_STRIP = 96  # px of text above the picture


def landing(scan: Scan, template: Template, found: Survey) -> tuple[NDArray[np.uint8], Array]:
    """The scan, upright, with every box of the template where it lands; and how far each is off.

    Returns (h, w, 3) uint8 BGR, and mm (n,), a box each in template order, nan where no box was seen.
    """
    if not found.fits:
        return _titled(_upright(scan.pixels, 0), _lines(template, found, np.zeros(0))), np.zeros(0)
    fit = found.fits[0]
    off = np.hypot(*every_box(scan, template, fit).shifts.T)
    turn = quarter_turns(fit.pose.matrix, (template.page_width / 2, template.page_height / 2))
    back = _turning(scan.pixels.shape[1], scan.pixels.shape[0], turn)
    fit = replace(fit, pose=replace(fit.pose, matrix=back @ fit.pose.matrix))
    scale = min(_LONG_SIDE / max(scan.pixels.shape), 4.0)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    upright = cv2.resize(_upright(scan.pixels, turn), None, fx=scale, fy=scale, interpolation=how)
    picture = np.asarray(upright, np.uint8)
    _draw(picture, template, fit, off, scale)
    return _titled(_cut(picture, template, fit, scale), _lines(template, found, off)), off


def _draw(picture: NDArray[np.uint8], template: Template, fit: Fit, off: Array, scale: float) -> None:
    page = [(0.0, 0.0), (template.page_width, 0.0), (template.page_width, template.page_height)]
    page.append((0.0, template.page_height))
    _outline(picture, fit.pose, np.array(page), scale, _BLUE, 2)
    for mark in template.fiducials.boxes:
        _outline(picture, fit.pose, _corners(mark.x, mark.y, mark.right, mark.bottom), scale, _BLUE, 2)
    boxes = [outline.rect for outline in outlines(template)]
    for box, distance in zip(boxes, off, strict=True):
        colour = _GREEN if distance < FINE else _AMBER if distance < OFF else _RED
        _outline(picture, fit.pose, _corners(box.x, box.y, box.right, box.bottom), scale, colour, 1)
    last = np.full(2, -1e9)
    for made in template.fields:
        where = _px(fit.pose, np.array([(made.boxes[0].x, made.boxes[0].y - 0.6)]), scale)[0] / 16
        if np.abs(where - last).max() > _APART:
            x, y = (round(float(v)) for v in where)
            cv2.putText(picture, made.id, (x, y), cv2.FONT_HERSHEY_PLAIN, 0.9, _BLUE, 1, cv2.LINE_AA)
            last = where


def _cut(picture: NDArray[np.uint8], template: Template, fit: Fit, scale: float) -> NDArray[np.uint8]:
    """The part of the picture round the page, with a rim, so that what is off can be seen."""
    corners = _px(fit.pose, _corners(0, 0, template.page_width, template.page_height), scale) / 16
    rim = 0.06 * max(picture.shape)
    left, top = np.clip(corners.min(axis=0) - rim, 0, None).astype(int)
    right, bottom = np.clip(corners.max(axis=0) + rim, 1, picture.shape[1::-1]).astype(int)
    return picture[top:bottom, left:right] if right > left and bottom > top else picture


def _corners(x: float, y: float, right: float, bottom: float) -> Array:
    return np.array([(x, y), (right, y), (right, bottom), (x, bottom)])


def _px(pose: Pose, points: Array, scale: float) -> NDArray[np.int32]:
    """Page mm -> sixteenths of px of the picture."""
    return np.asarray(np.round(((pose(points) + 0.5) * scale - 0.5) * 16), np.int32)


def _outline(
    picture: NDArray[np.uint8], pose: Pose, corners: Array, scale: float, colour: Colour, thick: int
) -> None:
    cv2.polylines(picture, [_px(pose, corners, scale)], True, colour, thick, cv2.LINE_AA, 4)


def _upright(picture: NDArray[np.uint8], turn: int) -> NDArray[np.uint8]:
    """The picture turned back by quarter turns of `turn` degrees clockwise, in colour."""
    colour = picture if picture.ndim == 3 else cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR)
    return np.ascontiguousarray(np.rot90(colour, turn // 90))


def _turning(width: int, height: int, turn: int) -> Array:
    """Maps px of a picture of that size to px of what `_upright` makes of it (3, 3)."""
    return {
        0: np.eye(3),
        90: np.array([[0.0, 1, 0], [-1, 0, width - 1], [0, 0, 1]]),
        180: np.array([[-1.0, 0, width - 1], [0, -1, height - 1], [0, 0, 1]]),
        270: np.array([[0.0, -1, height - 1], [1, 0, 0], [0, 0, 1]]),
    }[turn]


def _lines(template: Template, found: Survey, off: Array) -> list[tuple[str, Colour]]:
    """What stands above the picture."""
    verdict = (f"refused: {found.refusal.reason}", _RED) if found.refusal else ("accepted", _GREEN)
    lines = [(f"{template.name}, by {template.fiducials.method}: {verdict[0]}", verdict[1])]
    if found.fits:
        fit, seen = found.fits[0], off[np.isfinite(off)]
        worst = f", worst {seen.max():.2f} mm" if len(seen) else ""
        lines.append((
            f"residual {fit.residual:.2f} mm on {fit.seen} boxes that were not fitted; "
            f"{len(seen)} of {len(off)} boxes seen{worst}; {'bent to fit' if fit.pose.bend else 'flat'}",
            (0, 0, 0),
        ))  # fmt: skip
        lines.append(
            (f"green: under {FINE} mm off, amber: under {OFF}, red: more, or filled or not seen", (90,) * 3)
        )
    return lines


def _titled(picture: NDArray[np.uint8], lines: list[tuple[str, Colour]]) -> NDArray[np.uint8]:
    strip = np.full((_STRIP, picture.shape[1], 3), 255, np.uint8)
    for n, (text, colour) in enumerate(lines):
        size = cv2.getTextSize(text, cv2.FONT_HERSHEY_DUPLEX, 0.7, 1)[0][0]
        fit = min(0.7, 0.7 * (picture.shape[1] - 20) / max(size, 1))
        ascii_text = text.encode("ascii", "replace").decode()
        cv2.putText(
            strip, ascii_text, (10, 28 + 28 * n), cv2.FONT_HERSHEY_DUPLEX, fit, colour, 1, cv2.LINE_AA
        )
    return np.vstack([strip, picture])
