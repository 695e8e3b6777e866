"""What the page and the server tell one another: records as JSON types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from omrgrade.records import Correction, Field, FieldReading, Rect, Template
from omrgrade.review.checks import BOXED
from omrgrade.review.desk import Desk, Doubt, Seen, Trouble
from omrgrade.snapshots import picture_rect

Json = dict[str, Any]


def doubt(desk: Desk, found: Doubt) -> Json:
    """A field to settle."""
    return field(desk, found.page, found.field, found.reading, found.version)


def field(desk: Desk, n: int, f: Field, reading: FieldReading, version: int) -> Json:
    """A field as it stands. Never with its right answer: that would sway."""
    sheet, marks = desk.sheet(n)
    template = desk.template_of(sheet)
    shown, row = picture_rect(f), desk.pupil(n, f.id)
    whole = Rect(x=0, y=0, width=template.page_width, height=template.page_height)
    pupils = desk.pupils_like(reading) if f.role == "identifier" and reading.status == "review" else []
    return {
        "key": f"{n}/{f.id}",
        "page": n,
        "source": sheet.source,
        "number": sheet.page,
        "field": f.id,
        "label": f.label,
        "kind": f.kind,
        "role": f.role,
        "options": list(f.options),
        "multiple": f.multiple,
        "value": reading.value,
        "status": reading.status,
        "settled": reading.settled,
        "reason": reading.reason,
        "other": reading.runner_up,
        "confidence": round(reading.confidence, 4),
        "boxes": _boxes(f, reading) if f.kind in BOXED else [],
        "keys": _keys(f, desk.run.key.versions if desk.run.key else ()),
        "places": [_percent(box, shown) for box in f.boxes],
        "shape": round(shown.width / shown.height, 4),
        "onPage": _percent(shown, whole),
        "student": row.student_id if row else marks.student_id,
        "name": row.name if row else _name(desk, marks.student_id),
        "pupils": [{"id": p.student_id, "name": p.name} for p in pupils],
        "pictures": _pictures(template) if f.role == "identifier" else [],
        "version": version,
    }


def _pictures(template: Template) -> list[str]:
    """Fields that nobody reads but people: a name says whose sheet it is where the number does not."""
    return [f.id for f in template.fields if f.kind == "picture"]


def _keys(f: Field, versions: Sequence[str]) -> list[str]:
    """What can be typed there: marks, versions, or characters of a number."""
    if f.version and f.kind == "barcode":
        return list(versions)
    if f.bubble_columns:
        return list(dict.fromkeys(label for labels in f.bubble_columns for label in labels))
    sign = "-" if "sign" in f.parts else ""
    point = "." if f.decimals or "point" in f.parts else ""
    return [*"0123456789", *sign, *point, *("/" if f.kind == "fraction" else "")]


def _boxes(f: Field, reading: FieldReading) -> list[Json]:
    return [
        {
            "value": box.value,
            "status": box.status,
            "other": box.runner_up,
            "reason": box.reason,
            "confidence": round(box.confidence, 4),
        }
        for box, _ in zip(reading.boxes, f.boxes, strict=False)
    ]


def trouble(desk: Desk, found: Trouble) -> Json:
    """A page to settle."""
    sheet, _ = desk.sheet(found.page)
    return {
        "key": f"{found.page}/",
        "page": found.page,
        "source": sheet.source,
        "number": sheet.page,
        "status": found.kind,
        "problem": found.problem,
        "frames": _frames(desk, found.page) if found.kind == "misplaced" else [],
        "student": found.marks.student_id,
        "name": _name(desk, found.marks.student_id),
        "version": found.version,
        "pictures": _pictures(desk.template_of(sheet)),
        "field": found.identifier.field if found.identifier else "",
        "fieldVersion": found.identifier_version,
        "value": found.identifier.value if found.identifier else "",
        "pupils": [
            {"id": p.student_id, "name": p.name}
            for p in (desk.pupils_like(found.identifier) if found.identifier else [])
            if p.student_id != found.marks.student_id
        ],
        "others": [_sheet(desk, n) for n in desk.also(found.page)[:3]],
    }


def _frames(desk: Desk, n: int) -> list[list[float]]:
    """Where every field was read, percent of the page."""
    template = desk.template_of(desk.sheet(n)[0])
    whole = Rect(x=0, y=0, width=template.page_width, height=template.page_height)
    return [_percent(box, whole) for f in template.fields for box in f.boxes]


def _sheet(desk: Desk, n: int) -> Json:
    sheet, _ = desk.sheet(n)
    return {"page": n, "source": sheet.source, "number": sheet.page}


def entry(desk: Desk, found: Correction) -> Json:
    """A decision in the list of the last ones."""
    return {
        "id": found.id,
        "time": found.time,
        "who": found.who,
        "page": desk.place(found.source, found.page),
        "source": found.source,
        "number": found.page,
        "field": found.field,
        "box": found.box,
        "action": found.action,
        "value": found.value,
        "old": found.old,
    }


def seen(desk: Desk, found: Seen) -> Json:
    """A box on the wall."""
    sheet, _ = desk.sheet(found.page)
    return {
        "page": found.page,
        "field": found.field,
        "box": found.box,
        "confidence": round(found.confidence, 4),
        "doubtful": found.doubtful,
        "settled": found.settled,
        "version": desk.version(found.page, found.field),
        "source": sheet.source,
        "number": sheet.page,
    }


def _percent(rect: Rect, within: Rect) -> list[float]:
    """Left, top, width, height as shares (percent) of `within`."""
    return [
        round(100 * (rect.x - within.x) / within.width, 3),
        round(100 * (rect.y - within.y) / within.height, 3),
        round(100 * rect.width / within.width, 3),
        round(100 * rect.height / within.height, 3),
    ]


def _name(desk: Desk, student_id: str) -> str:
    return desk.names.get(student_id, "") if student_id else ""
