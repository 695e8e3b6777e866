"""What the review shows, cut from the pictures in the run's file: the scans may have moved."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from omrgrade.outputs.stored import preview_of
from omrgrade.records import Field, PageReading, Rect, Template
from omrgrade.review.desk import Desk
from omrgrade.snapshots import picture_rect

Grey = NDArray[np.uint8]

BOX_MARGIN = 1.0
"""mm of paper round a box in the group view."""
ENLARGED = 2
"""Cuts from a preview are enlarged so much, smoothly: browsers show single pixels as blocks."""
DECODED = 24
"""Previews (1 MB each) kept decoded: the boxes of one wall lie on many pages."""
KEPT = 300
"""Previews (0.1 MB each) kept as they are."""
QUALITY = 85  # JPEG


class Pictures:
    """Cuts pictures for a desk. Methods may be called from any thread; all give JPEG, or b"" for none."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._preview: Callable[[PageReading], bytes] = preview_of(desk.out / "run.sqlite", desk.run)
        self._decoded = lru_cache(maxsize=DECODED)(self._decode)
        self._kept = lru_cache(maxsize=KEPT)(self._fetch)

    def page(self, n: int) -> bytes:
        """The whole page, upright; of one that could not be read, the scan as it lies in its file."""
        sheet, _ = self._desk.sheet(n)
        return self._kept(n, sheet.template, sheet.problem)

    def field(self, n: int, field: Field) -> bytes:
        """A field and the paper round it (`picture_rect`), as sharp as it was kept."""
        sheet, _ = self._desk.sheet(n)
        with self._desk.open() as store:
            if kept := store.crop(sheet.source, sheet.page, field.id, template=sheet.template):
                return kept
        return self._cut(n, picture_rect(field))

    def box(self, n: int, box: Rect) -> bytes:
        """One box and the paper round it."""
        around = Rect(
            x=box.x - BOX_MARGIN,
            y=box.y - BOX_MARGIN,
            width=box.width + 2 * BOX_MARGIN,
            height=box.height + 2 * BOX_MARGIN,
        )
        return self._cut(n, around)

    def _cut(self, n: int, rect: Rect) -> bytes:
        sheet, _ = self._desk.sheet(n)
        template: Template = self._desk.template_of(sheet)
        pixels = self._decoded(n, sheet.template, sheet.problem)
        if pixels is None or sheet.problem:
            return b""
        scale = pixels.shape[1] / template.page_width  # px per mm
        left, top = max(round(rect.x * scale), 0), max(round(rect.y * scale), 0)
        right, bottom = round(rect.right * scale), round(rect.bottom * scale)
        part = pixels[top:bottom, left:right]
        large = cv2.resize(part, None, fx=ENLARGED, fy=ENLARGED, interpolation=cv2.INTER_CUBIC)
        return bytes(cv2.imencode(".jpg", large, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1])

    def _fetch(self, n: int, template: str, problem: str) -> bytes:
        """As `_decode`; of large runs previews have to be made from the scans, which takes its time."""
        return self._preview(self._desk.sheet(n)[0])

    def _decode(self, n: int, template: str, problem: str) -> Grey | None:
        """The page's preview; template and problem tell what was read again from what was before."""
        data = self.page(n)
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE) if data else None
