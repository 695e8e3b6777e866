"""Pictures that a person decides by, small enough to keep: doubtful fields, and pages that were not found."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from omrgrade.records import Crop, Field, Rect, Scan

MARGIN = 1.2
"""mm of paper round a field's boxes."""
SCALE = 6.0
"""px per mm: 150 dpi, about what the classifier sees."""
FIELD_QUALITY = 80  # JPEG
PAGE_QUALITY = 75  # JPEG
LONG_SIDE = 2000
"""px: of A4 that is 170 dpi, enough to mark corners to 0.2 mm and to read digits."""


def picture_rect(field: Field) -> Rect:
    """The part of the page, mm, that a field's picture shows."""
    left, top = min(box.x for box in field.boxes), min(box.y for box in field.boxes)
    right, bottom = max(box.right for box in field.boxes), max(box.bottom for box in field.boxes)
    return Rect(
        x=left - MARGIN,
        y=top - MARGIN,
        width=right - left + 2 * MARGIN,
        height=bottom - top + 2 * MARGIN,
    )


def field_picture(field: Field, crops: Sequence[Crop]) -> bytes:
    """A field as grey JPEG, `picture_rect` at SCALE px/mm, from its boxes' crops; paper between them."""
    shown = picture_rect(field)
    height, width = round(shown.height * SCALE), round(shown.width * SCALE)
    canvas = np.full((height, width), _paper(crops), np.uint8)
    for rect, crop in zip(field.boxes, crops, strict=True):
        margin = crop.margin * rect.width / (crop.pixels.shape[1] - 2 * crop.margin)  # mm
        left, top = round((rect.x - margin - shown.x) * SCALE), round((rect.y - margin - shown.y) * SCALE)
        width, height = round((rect.width + 2 * margin) * SCALE), round((rect.height + 2 * margin) * SCALE)
        left, top = max(left, 0), max(top, 0)
        place = canvas[top : top + height, left : left + width]
        place[:] = cv2.resize(crop.pixels, place.shape[::-1], interpolation=cv2.INTER_AREA)
    return _jpeg(canvas, FIELD_QUALITY)


def _paper(crops: Sequence[Crop]) -> int:
    """How light the paper is: lighter than nine tenths of what is seen, every fourth pixel each way."""
    seen = np.concatenate([crop.pixels[::4, ::4].ravel() for crop in crops])
    place = int(0.9 * (len(seen) - 1))
    return int(np.partition(seen, place)[place])


def scan_picture(scan: Scan) -> bytes:
    """A whole scan as it lies in its file, grey JPEG, reduced to LONG_SIDE px if it is larger."""
    shrink = LONG_SIDE / max(scan.pixels.shape)
    small: NDArray[np.uint8] = scan.pixels
    if shrink < 1:
        small = cv2.resize(small, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    return _jpeg(small, PAGE_QUALITY)


def _jpeg(pixels: NDArray[np.uint8], quality: int) -> bytes:
    return bytes(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1])
