"""Whether a template's parts have room: on the page, and beside one another."""

from __future__ import annotations

from omrgrade.records import Field, Rect, Template
from omrgrade.template.source import Mapping

QUIET_ZONE = 0.25
"""White paper kept round a marker, in parts of its side: 1.5 cells of a 4x4 marker."""

_EDGE = 5.0  # mm of page edge that scanners cut and printers cannot print


def quiet_zone(marker: Rect) -> Rect:
    """The marker with the white paper it needs to be found, mm."""
    rim = QUIET_ZONE * marker.width
    return Rect(
        x=marker.x - rim, y=marker.y - rim, width=marker.width + 2 * rim, height=marker.height + 2 * rim
    )


def hull(made: Field) -> Rect:
    """The smallest rectangle round all boxes of a field, mm."""
    x, y = min(b.x for b in made.boxes), min(b.y for b in made.boxes)
    right, bottom = max(b.right for b in made.boxes), max(b.bottom for b in made.boxes)
    return Rect(x=x, y=y, width=right - x, height=bottom - y)


def check_geometry(template: Template, root: Mapping, entries: dict[str, Mapping]) -> None:
    """Raise `TemplateError` at the first field that leaves the page or lies on something else."""
    hulls = [(made.id, hull(made)) for made in template.fields]
    taken = _markers(template)
    if template.header:
        _check_place(template, root, "header", "", template.header, taken)
        taken.append(("the header", template.header))
    for field_id, area in hulls:
        _check_place(template, entries[field_id], "at", field_id, area, taken)
    # Sorted by x, only neighbours whose x ranges meet are compared.
    hulls.sort(key=lambda pair: pair[1].x)
    for n, (field_id, area) in enumerate(hulls):
        for other_id, other in hulls[n + 1 :]:
            if other.x >= area.right:
                break
            if area.overlaps(other):
                raise entries[other_id].error(
                    "at", f"puts {other_id} on {field_id} (line {entries[field_id].line})",
                    fix="move one, or make 'step' larger", received=_text(other),
                )  # fmt: skip


def _markers(template: Template) -> list[tuple[str, Rect]]:
    """Where markers are, with the white that aruco markers need."""
    if template.fiducials.method == "aruco":
        return [("a marker's quiet zone", quiet_zone(box)) for box in template.fiducials.boxes]
    return [("a marker", box) for box in template.fiducials.boxes]


def _check_place(
    template: Template, entry: Mapping, key: str, field_id: str, area: Rect, taken: list[tuple[str, Rect]]
) -> None:
    subject = f"puts {field_id}" if field_id else "lies"
    edge = _EDGE if template.fiducials.method == "aruco" else 0.0  # forms that exist go as near as they go
    if (
        min(area.x, area.y) < edge
        or area.right > template.page_width - edge
        or area.bottom > template.page_height - edge
    ):
        raise entry.error(
            key, f"{subject} off the page of {template.page_width:g} x {template.page_height:g} mm",
            fix=f"keep {edge:g} mm from the edges", received=_text(area),
        )  # fmt: skip
    for what, other in taken:
        if area.overlaps(other):
            raise entry.error(
                key, f"{subject} on {what}", fix=f"keep clear of {_text(other)}", received=_text(area)
            )


def _text(area: Rect) -> str:
    return f"x {area.x:g} to {area.right:g}, y {area.y:g} to {area.bottom:g} mm"
