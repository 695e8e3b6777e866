"""Fields of kind ``picture`` as files: what is not read, for people to look at."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from omrgrade.errors import OutputError
from omrgrade.outputs.names import file_names
from omrgrade.outputs.results import Results
from omrgrade.outputs.stored import open_run
from omrgrade.records import Field, PageReading
from omrgrade.snapshots import picture_rect

_QUALITY = 85  # JPEG


def picture_files(results: Results, out: Path) -> Iterator[tuple[str, bytes]]:
    """(file name, JPEG) of every picture on every page that was read, one in memory at a time.

    A name begins with the pupil's number where that is sure, then come the page's and the field's.
    """
    if not any(field.kind == "picture" for field in results.template.fields):
        raise OutputError(
            "this sheet has no pictures to write", fix="give the template a field of kind picture, read again"
        )
    return _files(results, out)


def _files(results: Results, out: Path) -> Iterator[tuple[str, bytes]]:
    names = file_names(results.batch.marks)
    with open_run(out) as store:
        for name, (page, marks) in zip(names, results.sheets(), strict=True):
            whose = marks.student_id if marks.status in ("ok", "review") else ""
            stem = re.sub(r"[^\w.-]+", "_", f"{whose} {name.removesuffix('.jpg')}".strip())
            for field in results.template_of(page).fields if page.registration else ():
                if field.kind != "picture":
                    continue
                jpeg = store.crop(page.source, page.page, field.id, template=page.template)
                if jpeg := jpeg or _cut(results, page, field):
                    yield f"{stem}_{field.id}.jpg", jpeg


def _cut(results: Results, page: PageReading, field: Field) -> bytes:
    """From the page's own picture, coarser: of a page that a person had read again."""
    data = results.preview(page)
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE) if data else None
    if pixels is None:
        return b""
    scale, rect = pixels.shape[1] / results.template_of(page).page_width, picture_rect(field)
    top, left = max(round(rect.y * scale), 0), max(round(rect.x * scale), 0)
    part = pixels[top : round(rect.bottom * scale), left : round(rect.right * scale)]
    return bytes(cv2.imencode(".jpg", part, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1])
