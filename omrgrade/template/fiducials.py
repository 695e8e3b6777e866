"""The registration part of a template: which markers are printed where."""

from __future__ import annotations

from omrgrade.records import Fiducials, Rect
from omrgrade.template.source import Mapping

_METHODS = ("aruco",)
_KEYS = ("method", "dictionary", "ids", "size", "margin")
_DICTIONARIES = {f"{side}x{side}_{count}": count for side in (4, 5, 6) for count in (50, 100, 250)}


def read_fiducials(entry: Mapping, page_width: float, page_height: float) -> Fiducials:
    """Four markers, `margin` mm from the page's edges."""
    entry.only(_KEYS)
    dictionary = entry.choice("dictionary", tuple(_DICTIONARIES))
    # Under 6 mm a marker's cell is less than 8 px at 200 dpi: too little for a tilted photo.
    size = entry.number("size", 6, 30)
    # Most printers cannot print nearer than 4 mm to the edge; the quiet zone comes on top.
    margin = entry.number("margin", 5, 60)
    right, bottom = page_width - margin - size, page_height - margin - size
    if right <= margin + 2 * size or bottom <= margin + 2 * size:
        raise entry.error("margin", "leaves no room between the markers", fix="make it or 'size' smaller")
    corners = ((margin, margin), (right, margin), (right, bottom), (margin, bottom))
    return Fiducials(
        method=entry.choice("method", _METHODS),
        dictionary=dictionary,
        ids=_ids(entry, _DICTIONARIES[dictionary]),
        boxes=tuple(Rect(x=x, y=y, width=size, height=size) for x, y in corners),
    )


def _ids(entry: Mapping, count: int) -> tuple[int, ...]:
    ids = entry.numbers("ids", 0, count - 1)
    if len(ids) != 4 or len(set(ids)) != 4 or not all(value.is_integer() for value in ids):
        raise entry.error(
            "ids",
            "must be four different whole numbers",
            fix="list them as top-left, top-right, bottom-right, bottom-left",
        )
    return tuple(int(value) for value in ids)
