"""What was found on a blank form -> a commented template, and a picture to check it by."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from omrgrade.forms.blank import Blank
from omrgrade.forms.found import FoundField, Layout
from omrgrade.forms.lattice import Block
from omrgrade.forms.marks import Marks
from omrgrade.outputs.drawing import (
    AMBER,
    BLUE,
    GREEN,
    GREY,
    RED,
    Box,
    Colour,
    frame,
    text_width,
    tint,
    write,
)
from omrgrade.records import Rect
from omrgrade.template import PAGES

OVERLAY_PX_PER_MM = 8.0
DIGIT = 0.7  # of its height: how wide a written digit is, with the space behind it
_SAME_PAGE = 0.15  # mm
_COLOURS: dict[str, Colour] = {
    "choice": GREEN,
    "grid": BLUE,
    "digits": (200, 110, 0),
    "number": (200, 110, 0),
}


def template_text(name: str, blank: Blank, picture: str, marks: Marks, *, layout: Layout) -> str:
    """The template as YAML; `picture` is the blank form's file beside it."""
    lines = [
        "omrgrade: 1",
        f"# Made from {Path(blank.source).name}. Look at the overlay beside this file: a number there is an",
        "# entry below. Rename fields, correct labels, delete what is not wanted, then type",
        "# omrgrade template check THIS-FILE. Lengths are mm from the page's top-left corner.",
        f"name: {name}",
        f"title: {name.replace('-', ' ').replace('_', ' ')}",
        f"page: {_page(blank)}",
        f"registration: {marks.text}  # {marks.why}",
        f"blank: {picture}  # the empty form: marks are what is darker than on it",
        "fields:",
    ]
    for number, found in enumerate(layout.fields, 1):
        lines += _entry(number, found)
    if layout.left_out:
        lines.append("# Left out:")
        lines += [f"# - {_place(block)}: {reason}" for block, reason in layout.left_out]
    return "\n".join(lines) + "\n"


def _page(blank: Blank) -> str:
    for name, (width, height) in PAGES.items():
        if abs(blank.width - width) < _SAME_PAGE and abs(blank.height - height) < _SAME_PAGE:
            return name
    return f"[{blank.width:g}, {blank.height:g}]"


def _entry(number: int, found: FoundField) -> list[str]:
    block = found.block
    doubt = "; labels or order are a guess, check them" if found.guessed else ""
    roles = {
        "item": "earns points",
        "identifier": "says whose sheet it is",
        "info": "read and listed, no more",
    }
    lines = [f"  # {number}: {_described(found)}; {roles[found.role]}{doubt}"]
    first, (gap_x, gap_y) = block.rect(0, 0), block.gap
    keys = {"id": _range(found.ids), "kind": found.kind, "role": found.role}
    if found.same_as:
        keys["same_as"] = found.same_as
    if found.options:
        keys["options"] = _options(found.options)
    keys |= {"at": _pair(first.x, first.y), "size": _pair(first.width, first.height)}
    if found.kind == "grid":
        keys |= {"boxes": str(block.columns), "gap": _pair(gap_x, gap_y)}
        keys["empty"] = "any" if len(found.options) > 10 else "ends"
    elif found.kind == "number":
        keys["digits"] = str(most_digits(block))
    elif found.kind == "digits":
        keys |= {"boxes": str(block.columns), "gap": f"{gap_x if block.columns > 1 else 2:.2f}"}
    else:
        keys["gap"] = f"{(gap_y if found.down else gap_x) if len(found.options) > 1 else 2:.2f}"
        if found.down:
            keys["direction"] = "down"
    if len(found.ids) > 1:
        keys["step"] = _pair(block.step_x, 0) if found.down else _pair(0, block.step_y)
    if not block.round and found.kind not in ("digits", "number"):
        keys["square"] = "true"
    if len(found.ids) > 1 and ".." not in keys["id"]:
        return [*lines, *_one_by_one(found, keys)]
    return [*lines, *_written(keys)]


def _one_by_one(found: FoundField, keys: dict[str, str]) -> list[str]:
    """Fields whose numbers do not run on, an entry each."""
    lines = []
    for n, name in enumerate(found.ids):
        first = found.block.rect(0, n) if found.down else found.block.rect(n, 0)
        own = {key: value for key, value in keys.items() if key != "step"}
        lines += _written(own | {"id": name, "at": _pair(first.x, first.y)})
    return lines


def _written(keys: dict[str, str]) -> list[str]:
    """One entry, over as few lines as are easily read."""
    lines, line = [], "  - {"
    for n, (key, value) in enumerate(keys.items()):
        part = f"{key}: {value}" + ("}" if n == len(keys) - 1 else ", ")
        if len(line) + len(part) > 110:
            lines.append(line.rstrip())
            line = "     "
        line += part
    return [*lines, line]


def _range(ids: Sequence[str]) -> str:
    """``q1..q15`` where the ids run on, else the first."""
    first, last = re.fullmatch(r"(.*?)(\d+)", ids[0]), re.fullmatch(r"(.*?)(\d+)", ids[-1])
    if len(ids) > 1 and first and last and first[1] == last[1]:
        run = [f"{first[1]}{n}" for n in range(int(first[2]), int(first[2]) + len(ids))]
        if run == list(ids):
            return f"{ids[0]}..{ids[-1]}"
    return ids[0]


def _options(options: Sequence[str]) -> str:
    if all(len(option) == 1 for option in options) and len(options) > 6:
        return f'"{"".join(options)}"'
    return (
        "[" + ", ".join(f'"{o}"' if o.isdecimal() or o in ("y", "n", "Y", "N") else o for o in options) + "]"
    )


def _pair(x: float, y: float) -> str:
    return f"[{x:.2f}, {y:.2f}]"


def _described(found: FoundField) -> str:
    block = found.block
    if found.kind == "number":
        boxes = _counted(block.rows, "box", "boxes")
        return f"{boxes} for a whole number of at most {most_digits(block)} digits"
    if found.kind == "digits":
        return f"{block.rows} x {block.columns} boxes"
    if found.kind == "grid":
        return f"{block.columns} columns of {block.rows} bubbles"
    if len(found.options) == 1:
        return "a box to tick"
    count, size = (block.columns, block.rows) if found.down else (block.rows, block.columns)
    return f"{count} question{'s' if count > 1 else ''} of {size} bubbles"


def most_digits(block: Block) -> int:
    """How many digits may stand in a wide box: hands differ, so rather one too many."""
    return max(1, min(math.ceil(block.width / (DIGIT * block.height)), 4))


def _counted(count: int, one: str, several: str) -> str:
    return f"{count} {one if count == 1 else several}"


def _place(block: Block) -> str:
    shape = "bubbles" if block.round else "boxes"
    return f"{block.rows} x {block.columns} {shape} at x {block.area.x:.0f}, y {block.area.y:.0f} mm"


# ---------------------------------------------------------------- overlay


def draw_found(blank: Blank, marks: Marks, layout: Layout) -> NDArray[np.uint8]:
    """The blank form with every entry framed and numbered, every outline drawn: (h, w, 3) uint8 BGR."""
    size = round(blank.width * OVERLAY_PX_PER_MM), round(blank.height * OVERLAY_PX_PER_MM)
    grey = cv2.resize(blank.pixels, size, interpolation=cv2.INTER_AREA)
    faded = np.asarray(255 - (255 - grey) * 0.55, np.uint8)
    picture = np.asarray(cv2.cvtColor(faded, cv2.COLOR_GRAY2BGR), np.uint8)
    for block, _ in layout.left_out:
        frame(picture, _pixels(block.area, 1.0), GREY, 2)
        _note(picture, "left out", block.area, GREY)
    for rect in marks.rects:
        frame(picture, _pixels(rect, 0.6), RED, 4)
    for number, found in enumerate(layout.fields, 1):
        _draw_field(picture, number, found)
    return picture


def _draw_field(picture: NDArray[np.uint8], number: int, found: FoundField) -> None:
    colour = AMBER if found.guessed else _COLOURS[found.kind]
    block = found.block
    tint(picture, _pixels(block.area, 1.0), colour, 0.08)
    frame(picture, _pixels(block.area, 1.0), colour, 2)
    for rect in block.rects:
        left, top, right, bottom = _pixels(rect, 0.0)
        if block.round:
            centre, axes = (
                ((left + right) // 2, (top + bottom) // 2),
                ((right - left) // 2, (bottom - top) // 2),
            )
            cv2.ellipse(picture, centre, axes, 0, 0, 360, colour, 2, cv2.LINE_AA)
        else:
            frame(picture, (left, top, right, bottom), colour, 2)
    several = f"{found.ids[0]} - {found.ids[-1]}" if len(found.ids) > 1 else found.ids[0]
    _note(picture, f"{number}  {several}: {_short(found.options)}".rstrip(": "), block.area, colour)


def _short(options: Sequence[str]) -> str:
    text = " ".join(options)
    return text if len(text) <= 12 else f"{options[0]} .. {options[-1]}"


def _note(picture: NDArray[np.uint8], text: str, area: Rect, colour: Colour) -> None:
    """Text on white above an area, inside of the picture."""
    size = 22
    left, top, _, _ = _pixels(area, 1.0)
    width = text_width(text, size, bold=True)
    left = max(min(left, picture.shape[1] - width - 4), 2)
    top = max(top, size + 6)
    picture[top - size - 4 : top, left : left + width + 6] = 255
    write(picture, text, left + 3, top - 6, size, colour, bold=True)


def _pixels(rect: Rect, by: float) -> Box:
    """A rectangle grown by so many mm, in px of the overlay."""
    scale = OVERLAY_PX_PER_MM
    return (
        round((rect.x - by) * scale),
        round((rect.y - by) * scale),
        round((rect.right + by) * scale),
        round((rect.bottom + by) * scale),
    )
