"""Scan + registration -> one crop a box, each sampled once, straight from the scan."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from omrgrade.placing import local_matrix, place
from omrgrade.records import PREVIEW_PX_PER_MM, Crop, Rect, Registration, Scan, Template

Array = NDArray[np.float64]

PREVIEW_QUALITY = 80  # JPEG


def crop_boxes(
    scan: Scan, registration: Registration, rects: Sequence[Rect], *, margin: float, scale: float
) -> list[Crop]:
    """Cut boxes out of a scan, upright, in the given order.

    rects: mm. margin: mm of paper kept round each box. scale: px per mm of the crops. Where the scan is finer
    than `scale` it is smoothed first, so that thin strokes and 1-bit scans keep their grey; what lies outside
    of the scan repeats its rim.
    """
    rim = round(margin * scale)
    return [
        Crop(pixels=_crop(scan.pixels, local_matrix(registration, rect), rect, rim, scale), margin=rim)
        for rect in rects
    ]


def _crop(pixels: NDArray[np.uint8], matrix: Array, rect: Rect, rim: int, scale: float) -> NDArray[np.uint8]:
    width, height = round(rect.width * scale) + 2 * rim, round(rect.height * scale) + 2 * rim
    # crop px -> page mm: pixel centres at whole numbers, pixel `rim` begins at the box's edge
    across, down = (width - 2 * rim) / rect.width, (height - 2 * rim) / rect.height
    to_page = np.array(
        [
            [1 / across, 0, rect.x + (0.5 - rim) / across],
            [0, 1 / down, rect.y + (0.5 - rim) / down],
            [0, 0, 1],
        ]
    )
    return _warp(pixels, matrix @ to_page, width, height)


def _warp(pixels: NDArray[np.uint8], to_scan: Array, width: int, height: int) -> NDArray[np.uint8]:
    """Sample (height, width) from a scan; `to_scan` maps px of the result -> scan px."""
    corners = np.array([(0, 0), (width - 1, 0), (width - 1, height - 1), (0, height - 1)], dtype=np.float64)
    where = cv2.perspectiveTransform(corners[None], to_scan)[0]
    ratio = float(np.sqrt(cv2.contourArea(where.astype(np.float32)) / max((width - 1) * (height - 1), 1)))
    block = max(int(ratio * 1.05), 1)  # whole blocks of px are averaged first, fast and without aliasing
    pad = int(np.ceil(2 * ratio)) + 2
    left, top = np.clip(
        np.floor(where.min(axis=0)).astype(int) - pad, 0, np.array(pixels.shape[::-1]) - block
    )
    right, bottom = np.maximum(np.ceil(where.max(axis=0)).astype(int) + pad, (left + block, top + block))
    part = pixels[top:bottom, left:right]
    rows, columns = part.shape[0] // block, part.shape[1] // block
    part = part[: rows * block, : columns * block]
    if block > 1:
        part = cv2.resize(part, (columns, rows), interpolation=cv2.INTER_AREA)
    if ratio / block > 1.15:
        # A Gaussian as wide as the difference between the two samplings' own blur, each half a pixel.
        part = cv2.GaussianBlur(part, (0, 0), 0.5 * float(np.sqrt((ratio / block) ** 2 - 1)))
    # scan px -> px of `part`: block centres are at whole numbers too.
    to_part = np.array(
        [[1 / block, 0, (0.5 - left) / block - 0.5], [0, 1 / block, (0.5 - top) / block - 0.5], [0, 0, 1]]
    )
    warped = cv2.warpPerspective(
        part, to_part @ to_scan, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    return np.asarray(warped, dtype=np.uint8)


def upright_preview(
    scan: Scan, registration: Registration, template: Template, *, px_per_mm: float = PREVIEW_PX_PER_MM
) -> bytes:
    """The whole page, upright, as grey JPEG, by default at the scale that overlays are drawn on."""
    sheet = Rect(x=0, y=0, width=template.page_width, height=template.page_height)
    if registration.bend is None:
        page = _crop(scan.pixels, np.array(registration.page_to_scan), sheet, 0, px_per_mm)
    else:
        page = _bent_page(scan.pixels, registration, template, px_per_mm)
    return bytes(cv2.imencode(".jpg", page, [cv2.IMWRITE_JPEG_QUALITY, PREVIEW_QUALITY])[1])


def _bent_page(
    pixels: NDArray[np.uint8], registration: Registration, template: Template, px_per_mm: float
) -> NDArray[np.uint8]:
    """The whole page flattened; where each pixel lies is computed for every eighth and interpolated."""
    width, height = (round(mm * px_per_mm) for mm in (template.page_width, template.page_height))
    columns, rows = width // 8 + 2, height // 8 + 2
    x, y = np.meshgrid(np.arange(columns) * 8.0, np.arange(rows) * 8.0)
    points = np.stack([x + 0.5, y + 0.5], axis=-1) / px_per_mm
    coarse = place(registration, points).astype(np.float32)
    # px of the result -> cell of the coarse map
    fine = np.array([[1 / 8, 0, 0], [0, 1 / 8, 0]], np.float32)
    where = cv2.warpAffine(coarse, fine, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    return np.asarray(cv2.remap(pixels, where, None, cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE))
