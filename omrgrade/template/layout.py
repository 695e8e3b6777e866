"""Where a field's boxes lie: one function a kind of field."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from omrgrade.records import Part, Rect
from omrgrade.template.source import Mapping

SMALLEST_DIGIT = 5.0  # mm: in less nobody writes a legible digit
SMALLEST_BUBBLE = 1.5  # mm: existing forms have bubbles of 2 mm; on new ones 4 mm or more are wise
SMALLEST_BARCODE = 8.0  # mm
BARCODES = ("qr", "code128", "ean")  # keys of barcodes.FORMATS
NARROWEST = 0.1  # mm between bubbles
POINT_GAP = 4.2  # mm between boxes with a printed decimal point between them: paper round a box is white
BAR_GAP = 5.0  # mm between the boxes over and under a fraction's bar

Boxes = tuple[Rect, ...]
Columns = tuple[tuple[str, ...], ...]
Laid = tuple[Boxes, tuple[str, ...], Columns]
"""A field's boxes, its options, and the labels of its columns where they differ."""


def _digits(entry: Mapping) -> Laid:
    # Under 2 mm apart, strokes enter the next box.
    count, gap = entry.integer("boxes", 1, 20), entry.number("gap", 2, 100)
    parts = digit_parts(entry)
    boxes = _grid(entry, 1, len(parts) or count, (gap, 0.0), SMALLEST_DIGIT)
    if "decimals" in entry and "point" not in parts:  # room for the printed point
        first, wider = len(boxes) - entry.integer("decimals", 1, 10), max(0.0, POINT_GAP - gap)
        boxes = boxes[:first] + tuple(replace(box, x=box.x + wider) for box in boxes[first:])
    return boxes, (), ()


def digit_parts(entry: Mapping) -> tuple[Part, ...]:
    """What is written in each box where it is not a digit everywhere: ``sign: true``, ``point: written``."""
    count = entry.integer("boxes", 1, 20)
    decimals = entry.integer("decimals", 1, 10) if "decimals" in entry else 0
    if decimals >= count:
        raise entry.error("decimals", "must leave a box before the point", fix="make 'boxes' larger")
    written = entry.choice("point", ("printed", "written"), "printed") == "written"
    if written and not decimals:
        raise entry.error("point", "needs 'decimals'", fix="say how many boxes stand behind it")
    sign: tuple[Part, ...] = ("sign",) if entry.flag("sign", default=False) else ()
    point: tuple[Part, ...] = ("point",) if written else ()
    if not sign and not point:
        return ()
    digits: list[Part] = ["digit"] * count
    whole = count - decimals
    return (*sign, *digits[:whole], *point, *digits[whole:])


def _fraction(entry: Mapping) -> Laid:
    """Digit boxes over and under a printed bar, centred; ``boxes: [1, 2]`` says how many of each."""
    counts = entry.numbers("boxes", 1, 10)
    if len(counts) != 2 or not all(count.is_integer() for count in counts):
        raise entry.error("boxes", "must be two whole numbers: boxes over and under the bar")
    (x, y), (width, height) = entry.pair("at", 0, 1000), entry.pair("size", SMALLEST_DIGIT, 50)
    gap = entry.number("gap", 2, 100)
    room = max(count * (width + gap) - gap for count in counts)
    rows = []
    for count, top in zip(counts, (y, y + height + BAR_GAP), strict=True):
        left = x + (room - count * (width + gap) + gap) / 2
        rows += [
            Rect(x=left + n * (width + gap), y=top, width=width, height=height) for n in range(int(count))
        ]
    return tuple(rows), (), ()


def _picture(entry: Mapping) -> Laid:
    (x, y), (width, height) = entry.pair("at", 0, 1000), entry.pair("size", SMALLEST_DIGIT, 300)
    return (Rect(x=x, y=y, width=width, height=height),), (), ()


def _number(entry: Mapping) -> Laid:
    return _grid(entry, 1, 1, (0.0, 0.0), SMALLEST_DIGIT), (), ()


def _barcode(entry: Mapping) -> Laid:
    return _grid(entry, 1, 1, (0.0, 0.0), SMALLEST_BARCODE), (), ()


def _choice(entry: Mapping) -> Laid:
    options = _options(entry, least=1)  # one: a box to tick, or not
    return _line(entry, options, _down(entry, default="right")), options, ()


def _number_grid(entry: Mapping) -> Laid:
    """A number as columns of bubbles; with ``direction: right`` as rows, one below the other."""
    if "columns" in entry:
        return _lone_columns(entry)
    options = _options(entry)
    if any(len(o) != 1 for o in options):
        raise entry.error("options", "of a grid must be single characters: its value has one for each column")
    gap, count = entry.pair("gap", NARROWEST, 100), entry.integer("boxes", 1, 20)
    if _down(entry, default="down"):
        return _grid(entry, len(options), count, gap, SMALLEST_BUBBLE), options, ()
    boxes = _grid(entry, count, len(options), gap, SMALLEST_BUBBLE)
    return tuple(box for row in range(count) for box in boxes[row::count]), options, ()


def _lone_columns(entry: Mapping) -> Laid:
    """A grid whose columns have labels or places of their own, each perhaps repeated."""
    for key in ("at", "size", "gap", "boxes", "options", "direction"):
        if key in entry:
            raise entry.error(key, "belongs into each of 'columns' here")
    boxes: list[Rect] = []
    columns: list[tuple[str, ...]] = []
    for column in entry.mappings("columns"):
        column.only(("options", "at", "size", "gap", "direction", "repeat", "step"))
        options = _options(column)
        first = _line(column, options, _down(column, default="down"))
        repeat = column.integer("repeat", 1, 20) if "repeat" in column else 1
        dx, dy = column.pair("step", -1000, 1000) if repeat > 1 else (0.0, 0.0)
        for n in range(repeat):
            boxes += [Rect(x=b.x + n * dx, y=b.y + n * dy, width=b.width, height=b.height) for b in first]
            columns.append(options)
    if len(columns) > 20:
        raise entry.error("columns", "must be at most 20", received=len(columns))
    return tuple(boxes), (), tuple(columns)


KINDS: dict[str, tuple[Callable[[Mapping], Laid], tuple[str, ...]]] = {
    "digits": (
        _digits,
        ("boxes", "rows", "name_room", "legal", "version", "sign", "decimals", "point"),
    ),
    "fraction": (_fraction, ("boxes",)),
    "picture": (_picture, ()),
    "number": (_number, ("digits", "rows", "name_room", "legal")),
    "choice": (_choice, ("options", "multiple", "direction", "square", "struck_out", "part", "version")),
    "grid": (
        _number_grid,
        ("boxes", "options", "columns", "direction", "empty", "square", "struck_out", "legal"),
    ),
    "barcode": (_barcode, ("formats", "version", "sheet")),
}
"""kind -> how its boxes are laid out, and the keys it has besides the common ones."""


def _options(entry: Mapping, *, least: int = 2) -> tuple[str, ...]:
    options = entry.texts("options")
    if not least <= len(options) <= 26 or len(set(options)) != len(options):
        raise entry.error(
            "options", f"must be {least} to 26 different labels", fix="write them like [A, B, C, D]"
        )
    if any(not o.isalnum() or len(o) > 3 for o in options):
        # "+" joins the marks of one field, and a long label does not fit over a bubble.
        raise entry.error("options", "must be labels of 1 to 3 letters or digits")
    return options


def _down(entry: Mapping, *, default: str) -> bool:
    """Whether the bubbles of which one is marked stand below one another."""
    return entry.choice("direction", ("right", "down"), default) == "down"


def _line(entry: Mapping, options: tuple[str, ...], down: bool) -> Boxes:
    """One row or column of bubbles."""
    gap = entry.number("gap", NARROWEST, 100)
    rows, columns = (len(options), 1) if down else (1, len(options))
    return _grid(entry, rows, columns, (gap, gap), SMALLEST_BUBBLE)


def _grid(entry: Mapping, rows: int, columns: int, gap: tuple[float, float], smallest: float) -> Boxes:
    """Boxes column after column, top to bottom; `gap` across and down, mm."""
    x, y = entry.pair("at", 0, 1000)
    width, height = entry.pair("size", smallest, 50)
    return tuple(
        Rect(x=x + column * (width + gap[0]), y=y + row * (height + gap[1]), width=width, height=height)
        for column in range(columns)
        for row in range(rows)
    )
