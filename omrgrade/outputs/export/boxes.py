"""Box crops with the digits that people confirmed or corrected, as `omrgrade evaluate --boxes` reads them."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO

import numpy as np
from numpy.typing import NDArray

from omrgrade.errors import OutputError
from omrgrade.outputs.results import Results
from omrgrade.outputs.stored import scan_of
from omrgrade.pipeline import crop_field
from omrgrade.records import Field, FieldReading, PageReading, Template

BLANK = -1
"""The label of an empty box, beside 0-9."""
Grey = NDArray[np.uint8]


def boxes_file(results: Results) -> tuple[bytes, int]:
    """The .npz and how many crops it holds.

    x uint8 (N, h, w): crops as reading makes them, padded with paper to one size; y int (N,): 0-9, or -1
    empty; group str (N,): the template's name; page str (N,): the sheet, that is, the writer: hold out
    whole writers. Crops are cut anew from the scans; pages whose scan has moved or changed are left out.
    """
    crops: list[Grey] = []
    labels: list[int] = []
    pages: list[str] = []
    wanted = 0
    for page in results.batch.pages:
        fields = [(field, digits) for field, digits in _settled(page, results.template_of(page))]
        wanted += sum(len(digits) for _, digits in fields)
        scan = scan_of(page) if fields else None
        if scan is None or page.registration is None:
            continue
        for field, digits in fields:
            crops += [crop.pixels for crop in crop_field(scan, page.registration, field)]
            labels += digits
            pages += [f"{page.source}#{page.page}"] * len(digits)
    if not crops:
        raise OutputError(
            "there are no digits that somebody has confirmed or corrected"
            if not wanted
            else "the scans of the digits that were confirmed are no longer where they were",
            fix="look at doubtful digits first, with omrgrade review" if not wanted else "put them back",
        )
    stream = BytesIO()
    np.savez_compressed(
        stream,
        x=_padded(crops),
        y=np.array(labels, np.int64),
        group=np.array([results.template.name] * len(crops)),
        page=np.array([name.encode("utf-8", "backslashreplace").decode() for name in pages]),
    )
    return stream.getvalue(), len(crops)


def _settled(page: PageReading, template: Template) -> Iterator[tuple[Field, list[int]]]:
    """Fields of digits that a person settled, where it is plain which digit stands in which box."""
    fields = {field.id: field for field in template.fields}
    for reading in page.fields:
        field = fields.get(reading.field)
        if field is None or field.kind != "digits" or reading.settled not in ("confirmed", "corrected"):
            continue
        # A number picked from the roster is the pupil's, not always what the pupil wrote.
        picked = field.role == "identifier" and reading.settled == "corrected"
        if not picked and _plain(reading, field):
            yield field, [int(box.value) if box.value else BLANK for box in reading.boxes]


def _plain(reading: FieldReading, field: Field) -> bool:
    values = [box.value for box in reading.boxes]
    return (
        len(values) == len(field.boxes)
        and "".join(values) == reading.value
        and all(value == "" or (len(value) == 1 and value in "0123456789") for value in values)
    )


def _padded(crops: list[Grey]) -> Grey:
    """Crops in the middle of pictures of one size, their rim's median grey around them."""
    height, width = max(c.shape[0] for c in crops), max(c.shape[1] for c in crops)
    result = np.empty((len(crops), height, width), np.uint8)
    for n, crop in enumerate(crops):
        rim = np.concatenate([crop[0], crop[-1], crop[:, 0], crop[:, -1]])
        result[n] = np.median(rim)
        top, left = (height - crop.shape[0]) // 2, (width - crop.shape[1]) // 2
        result[n, top : top + crop.shape[0], left : left + crop.shape[1]] = crop
    return result
