"""The fields of a template: repeats written out, each kind with its boxes."""

from __future__ import annotations

import re
from typing import Literal, cast

from omrgrade.records import Field, Rect, Role
from omrgrade.template.layout import BARCODES, KINDS, digit_parts
from omrgrade.template.legal import read_legal
from omrgrade.template.source import Mapping

_MAX_REPEATS = 500
_MAX_BOXES = 5000  # a sheet, all fields together
_COMMON = ("id", "kind", "role", "label", "at", "size", "gap", "step", "group", "wrap", "same_as")
_ID = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")
_REPEAT = re.compile(r"(?P<stem>.*?)(?P<first>\d{1,4})\.\.(?P<stem2>.*?)(?P<last>\d{1,4})")
# Column names of marks.csv: an item called "total" would be one of two.
_RESERVED = {"source", "page", "student_id", "status", "total", "max", "percent", "to_review"}


def read_fields(root: Mapping) -> tuple[tuple[Field, ...], dict[str, Mapping]]:
    """All fields in sheet order, and for each id the entry it was written in."""
    fields: dict[str, Field] = {}
    entries: dict[str, Mapping] = {}
    for entry in root.mappings("fields"):
        for made in _expand(entry):
            if made.id in fields:
                raise entry.error(
                    "id", f"is used twice (the first is on line {entries[made.id].line})",
                    fix="give every field its own", received=made.id,
                )  # fmt: skip
            fields[made.id], entries[made.id] = made, entry
        if sum(len(f.boxes) for f in fields.values()) > _MAX_BOXES:
            raise entry.error("id", f"brings the sheet over {_MAX_BOXES} boxes", fix="use several sheets")
    for made in fields.values():
        _check_same_as(made, fields, entries[made.id])
    return tuple(fields.values()), entries


def _expand(entry: Mapping) -> list[Field]:
    entry.what = f"field {entry.text('id')!r}"
    kind = entry.choice("kind", tuple(KINDS))
    lay_out, keys = KINDS[kind]
    entry.only((*_COMMON, *keys))
    ids = _ids(entry)
    first, options, columns = lay_out(entry)
    role = cast(Role, entry.choice("role", ("identifier", "item", "info")))
    if role == "item" and (clash := _RESERVED.intersection(ids)):
        raise entry.error("id", "is a column of marks.csv", fix="rename the field", received=min(clash))
    if role == "item" and kind == "barcode":
        raise entry.error("role", "of a barcode is identifier or info: nobody answers with one")
    if role != "info" and entry.flag("sheet", default=False):
        raise entry.error("sheet", "says which pages belong together, not whose they are", fix="role: info")
    label = entry.text("label", default="{n}" if role == "item" else "")
    return [
        Field(
            id=field_id,
            kind=kind,
            role=role,
            boxes=tuple(
                Rect(x=round(b.x + dx, 4), y=round(b.y + dy, 4), width=b.width, height=b.height)
                for b in first
            ),
            options=options,
            columns=columns,
            label=label.replace("{n}", number),
            multiple=kind == "choice" and entry.flag("multiple", default=False),
            same_as=entry.text("same_as", default="").replace("{n}", number),
            empty=cast(
                Literal["none", "ends", "any"], entry.choice("empty", ("none", "ends", "any"), "none")
            ),
            digits=entry.integer("digits", 1, 4) if "digits" in entry else 4,
            formats=_formats(entry) if kind == "barcode" else (),
            row=row if entry.flag("rows", default=False) else 0,
            name_room=entry.number("name_room", 0, 200, 0.0),
            parts=digit_parts(entry) if kind == "digits" else (),
            decimals=entry.integer("decimals", 1, 10) if "decimals" in entry else 0,
            over=int(entry.numbers("boxes", 1, 10)[0]) if kind == "fraction" else 0,
            version=entry.flag("version", default=False),
            sheet=entry.flag("sheet", default=False),
            part=entry.flag("part", default=False),
            legal=read_legal(entry.mapping("legal")) if "legal" in entry else None,
            square=entry.flag("square", default=False),
            struck_out=cast(
                Literal["review", "cancels"], entry.choice("struck_out", ("review", "cancels"), "review")
            ),
        )
        for row, ((field_id, number), (dx, dy)) in enumerate(
            zip(ids.items(), _offsets(entry, len(ids)), strict=True), 1
        )
    ]


def _ids(entry: Mapping) -> dict[str, str]:
    """id -> its number: ``q1..q3`` gives q1: 1, q2: 2, q3: 3."""
    written = entry.text("id")
    repeat = _REPEAT.fullmatch(written)
    if not repeat:
        ids = {written: re.sub(r"^\D*", "", written) or written}
    else:
        stem, first, last = repeat["stem"], repeat["first"], repeat["last"]
        count = int(last) - int(first) + 1
        if repeat["stem2"] not in ("", stem) or not 1 <= count <= _MAX_REPEATS:
            raise entry.error(
                "id", f"must run upward over at most {_MAX_REPEATS} repeats", fix="write it like q1..q20"
            )
        width = len(first) if first.startswith("0") else 1
        ids = {f"{stem}{n:0{width}}": str(n) for n in range(int(first), int(last) + 1)}
    for field_id in ids:
        if not _ID.fullmatch(field_id):
            raise entry.error("id", "must be a letter, then letters, digits, - or _ (40 at most)")
    return ids


def _offsets(entry: Mapping, count: int) -> list[tuple[float, float]]:
    """How far each repeat lies from the first, mm."""
    if count == 1:
        for key in ("step", "group", "wrap"):
            if key in entry:
                raise entry.error(key, "needs a repeat", fix="write the id like q1..q20, or leave it out")
        return [(0.0, 0.0)]
    step_x, step_y = entry.pair("step", -1000, 1000)
    group, group_x, group_y = _every(entry, "group", count)
    wrap, wrap_x, wrap_y = _every(entry, "wrap", count)
    result = []
    for n in range(count):
        column, row = divmod(n, wrap)
        result.append((
            column * wrap_x + row * step_x + row // group * group_x,
            column * wrap_y + row * step_y + row // group * group_y,
        ))  # fmt: skip
    return result


def _every(entry: Mapping, key: str, count: int) -> tuple[int, float, float]:
    if key not in entry:
        return count, 0.0, 0.0
    inner = entry.mapping(key)
    inner.only(("after", "step"))
    return inner.integer("after", 1, _MAX_REPEATS), *inner.pair("step", -1000, 1000)


def _check_same_as(made: Field, fields: dict[str, Field], entry: Mapping) -> None:
    if not made.same_as:
        return
    other = fields.get(made.same_as)
    if other is None or other is made:
        raise entry.error("same_as", "must be the id of another field", fix=f"known are: {_some(fields)}")
    if other.same_as:
        raise entry.error(
            "same_as", f"points to {other.id!r}, which itself points on", fix="point to one field"
        )
    if made.kind != "barcode" and other.kind == "barcode":
        raise entry.error("same_as", f"points to the barcode {other.id!r}", fix="let the barcode point here")
    if other.role != made.role or (made.kind != "barcode" and _length(other) != _length(made)):
        raise entry.error("same_as", f"points to {other.id!r}, which has another role or number of digits")


def _formats(entry: Mapping) -> tuple[str, ...]:
    """Which barcodes are looked for: all that are known unless the template says so."""
    formats = entry.texts("formats") if "formats" in entry else BARCODES
    if not formats or not set(formats) <= set(BARCODES):
        raise entry.error(
            "formats", f"must be among {', '.join(BARCODES)}", fix="write them like [qr, code128]"
        )
    return formats


def _length(made: Field) -> int:
    """How many characters the field's value can have."""
    if made.kind == "number":
        return made.digits
    return len(made.bubble_columns) or len(made.boxes)


def _some(fields: dict[str, Field]) -> str:
    names = list(fields)
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
