"""Scan + registration -> one crop a box, each sampled once, straight from the scan."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from omrgrade.placing import local_matrices, place
from omrgrade.records import PREVIEW_PX_PER_MM, Crop, Rect, Registration, Scan, Template

Array = NDArray[np.float64]
Grey = NDArray[np.uint8]

_SAMPLING = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP

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
    matrices = local_matrices(registration, rects)
    return [Crop(pixels=pixels, margin=rim) for pixels in _crops(scan.pixels, matrices, rects, rim, scale)]


def _crops(pixels: Grey, matrices: Array, rects: Sequence[Rect], rim: int, scale: float) -> Iterator[Grey]:
    """Rectangles as upright pictures; `matrices` (n or 1, 3, 3) map page mm -> scan px, one a rectangle."""
    if not rects:
        return
    place = np.array([(rect.x, rect.y, rect.width, rect.height) for rect in rects])
    sizes = np.rint(place[:, 2:] * scale).astype(int)
    # crop px -> page mm: pixel centres at whole numbers, pixel `rim` begins at the box's edge
    to_page = np.zeros((len(rects), 3, 3))
    to_page[:, 2, 2] = 1
    for axis in (0, 1):
        step = place[:, 2 + axis] / sizes[:, axis]  # mm a px
        to_page[:, axis, axis] = step
        to_page[:, axis, 2] = place[:, axis] + (0.5 - rim) * step
    yield from _warp(pixels, matrices @ to_page, sizes + 2 * rim)


def _warp(pixels: Grey, to_scan: Array, sizes: NDArray[np.int_]) -> Iterator[Grey]:
    """Sample pictures of (width, height) = `sizes` (n, 2); `to_scan` (n, 3, 3) maps their px -> scan px."""
    where = _corners(to_scan, sizes - 1)
    ratios = np.sqrt(_areas(where) / np.maximum((sizes - 1).prod(axis=1), 1))
    blocks = np.maximum((ratios * 1.05).astype(int), 1)  # blocks of px are averaged first: fast, no aliasing
    pads = (np.ceil(2 * ratios).astype(int) + 2)[:, None]
    least = np.floor(where.min(axis=1)).astype(int) - pads
    starts = np.clip(least, 0, np.array(pixels.shape[::-1]) - blocks[:, None])
    ends = np.maximum(np.ceil(where.max(axis=1)).astype(int) + pads, starts + blocks[:, None])
    # scan px -> px of the averaged part: block centres are at whole numbers too
    to_part = np.zeros_like(to_scan)
    to_part[:, 2, 2] = 1
    for axis in (0, 1):
        to_part[:, axis, axis] = 1 / blocks
        to_part[:, axis, 2] = (0.5 - starts[:, axis]) / blocks - 0.5
    matrices = to_part @ to_scan
    parts = zip(starts.tolist(), ends.tolist(), sizes.tolist(), matrices, strict=True)
    for (start, end, size, matrix), ratio, block in zip(parts, ratios.tolist(), blocks.tolist(), strict=True):
        part = pixels[start[1] : end[1], start[0] : end[0]]
        if block > 1:
            rows, columns = part.shape[0] // block, part.shape[1] // block
            part = part[: rows * block, : columns * block]
            part = cv2.resize(part, (columns, rows), interpolation=cv2.INTER_AREA)
        if ratio / block > 1.15:
            # A Gaussian as wide as the difference between the two samplings' own blur, each half a pixel.
            part = cv2.GaussianBlur(part, (0, 0), 0.5 * math.sqrt((ratio / block) ** 2 - 1))
        yield cv2.warpPerspective(part, matrix, size, flags=_SAMPLING, borderMode=cv2.BORDER_REPLICATE)


def _corners(matrices: Array, spans: NDArray[np.int_]) -> Array:
    """Where the corners of rectangles from (0, 0) to `spans` (n, 2) are mapped to: (n, 4, 2), in turn."""
    corners = spans[:, None, :] * np.array([(0, 0), (1, 0), (1, 1), (0, 1)])
    mapped = corners @ matrices[:, :, :2].swapaxes(1, 2) + matrices[:, None, :, 2]
    return np.asarray(mapped[..., :2] / mapped[..., 2:])


def _areas(corners: Array) -> Array:
    """Areas of quadrangles (n, 4, 2), by the cross product of their diagonals."""
    across, down = corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1]
    return np.asarray(abs(across[:, 0] * down[:, 1] - across[:, 1] * down[:, 0]) / 2)


def upright_preview(
    scan: Scan, registration: Registration, template: Template, *, px_per_mm: float = PREVIEW_PX_PER_MM
) -> bytes:
    """The whole page, upright, as grey JPEG, by default at the scale that overlays are drawn on."""
    sheet = Rect(x=0, y=0, width=template.page_width, height=template.page_height)
    if registration.bend is None:
        matrix = np.array(registration.page_to_scan)[None]
        page = next(_crops(scan.pixels, matrix, [sheet], 0, px_per_mm))
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
