"""The registration part of a template: how its page is found, and what is printed for that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from omrgrade.records import Fiducials, Rect
from omrgrade.template.pictures import blank_picture, marker_picture
from omrgrade.template.source import Mapping

MARKERS = ("square", "circle", "cross")
"""What a marker of the method `corners` can be, other than a picture."""

_DICTIONARIES = {f"{side}x{side}_{count}": count for side in (4, 5, 6) for count in (50, 100, 250)}


def read_fiducials(entry: Mapping, page_width: float, page_height: float) -> Fiducials:
    """The registration of a page of that size, mm; pictures are read from beside the template."""
    method = entry.choice("method", tuple(_METHODS))
    read, keys = _METHODS[method]
    looks = () if method == "aruco" else ("looks",)  # sheets with these markers look as they say
    entry.only(("method", *looks, *keys))
    found = read(entry, page_width, page_height)
    return replace(found, looks=entry.flag("looks", False)) if "looks" in entry else found


def _aruco(entry: Mapping, page_width: float, page_height: float) -> Fiducials:
    dictionary = entry.choice("dictionary", tuple(_DICTIONARIES))
    # Under 6 mm a marker's cell is less than 8 px at 200 dpi: too little for a tilted photo.
    size = entry.number("size", 6, 30)
    return Fiducials(
        method="aruco",
        dictionary=dictionary,
        ids=_ids(entry, _DICTIONARIES[dictionary]),
        boxes=_in_corners(entry, size, size, page_width, page_height),
    )


def _in_corners(
    entry: Mapping, width: float, height: float, page_width: float, page_height: float
) -> tuple[Rect, ...]:
    """Four markers, `margin` mm from the page's edges."""
    # Most printers cannot print nearer than 4 mm to the edge; the quiet zone comes on top.
    margin = entry.number("margin", 5, 60)
    right, bottom = page_width - margin - width, page_height - margin - height
    if right <= margin + 2 * width or bottom <= margin + 2 * height:
        raise entry.error("margin", "leaves no room between the markers", fix="make it or 'size' smaller")
    corners = ((margin, margin), (right, margin), (right, bottom), (margin, bottom))
    return tuple(Rect(x=x, y=y, width=width, height=height) for x, y in corners)


def _ids(entry: Mapping, count: int) -> tuple[int, ...]:
    ids = entry.numbers("ids", 0, count - 1)
    if len(ids) != 4 or len(set(ids)) != 4 or not all(value.is_integer() for value in ids):
        raise entry.error(
            "ids",
            "must be four different whole numbers",
            fix="list them as top-left, top-right, bottom-right, bottom-left",
        )
    return tuple(int(value) for value in ids)


def _corners(entry: Mapping, page_width: float, page_height: float) -> Fiducials:
    marker = entry.text("marker")
    picture = b"" if marker in MARKERS else marker_picture(_beside(entry, marker), entry, "marker")
    # Under 2 mm a marker is a dot of print among others.
    width, height = entry.pair("size", 2, 40)
    if "at" not in entry:
        boxes = _in_corners(entry, width, height, page_width, page_height)
    else:
        places = entry.pairs("at", -20, 1000)
        boxes = tuple(Rect(x=x, y=y, width=width, height=height) for x, y in places)
        if "margin" in entry or len(boxes) not in (3, 4):
            raise entry.error("at", "must be the top-left corners of 3 or 4 markers, without a 'margin'")
    return Fiducials(
        method="corners", boxes=boxes, marker=marker if not picture else "picture", picture=picture
    )


def _page(entry: Mapping, page_width: float, page_height: float) -> Fiducials:
    return Fiducials(method="page")


def _reference(entry: Mapping, page_width: float, page_height: float) -> Fiducials:
    number = entry.integer("page", 1, 10_000) if "page" in entry else 1
    path = _beside(entry, entry.text("blank"))
    return Fiducials(
        method="reference", picture=blank_picture(path, number, (page_width, page_height), entry, "blank")
    )


def _timing(entry: Mapping, page_width: float, page_height: float) -> Fiducials:
    boxes: list[Rect] = []
    tracks = []
    for track in entry.mappings("tracks"):
        track.only(("at", "size", "step", "count"))
        (x, y), (width, height) = track.pair("at", 0, 1000), track.pair("size", 0.8, 20)
        dx, dy = track.pair("step", -200, 200)
        count = track.integer("count", 5, 200)  # fewer are not told from chance
        if abs(dx) < 1.5 * width and abs(dy) < 1.5 * height:
            raise track.error("step", "must leave half a mark's size of paper between marks")
        boxes += [Rect(x=x + n * dx, y=y + n * dy, width=width, height=height) for n in range(count)]
        tracks.append(count)
    return Fiducials(method="timing", boxes=tuple(boxes), tracks=tuple(tracks))


def _beside(entry: Mapping, name: str) -> Path:
    """A file that the template names: where it stands, if not absolute, is beside the template."""
    return Path(entry.source).parent / name


_METHODS: dict[str, tuple[Callable[[Mapping, float, float], Fiducials], tuple[str, ...]]] = {
    "aruco": (_aruco, ("dictionary", "ids", "size", "margin")),
    "corners": (_corners, ("marker", "size", "margin", "at")),
    "page": (_page, ()),
    "reference": (_reference, ("blank", "page")),
    "timing": (_timing, ("tracks",)),
}
"""method -> how its part of the template is read, and the keys it has besides ``method``."""
