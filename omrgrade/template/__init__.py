"""A sheet's template: a YAML file, in mm, that says what is printed and what it means.

::

    omrgrade: 1                   # the format's version, on the first line
    name: quiz-a4                 # letters, digits, - and _
    title: Arithmetic quiz        # printed at the top
    page: A4                      # or Letter, or [210, 297]
    # blank: form.png             # the empty form, PDF or picture: marks are what is darker than on it
    registration:                 # four ArUco markers, one near each corner; other ways: docs/templates.md
      method: aruco
      dictionary: 4x4_50
      ids: [12, 13, 14, 15]       # top-left, top-right, bottom-right, bottom-left; other than on other sheets
      size: 9                     # the black square
      margin: 9                   # from the page's edge to the black square
    header: {at: [14, 22], size: [182, 36]}   # name line, instructions, how to write; nothing by default
    instructions: |
      Write one digit in each box.
    fields:
      - id: student_id
        kind: digits              # a number, one digit a box
        role: identifier          # or item: earns points; or info: is only read
        legal: {digits: 6, check: mod11}  # what it can be, also range: [0, 100]; else a person looks at it
        label: Student number
        boxes: 6
        at: [60, 64]              # top-left corner of the first box
        size: [8, 10]             # of one box
        gap: 3                    # between boxes
      - id: q1..q20               # twenty fields, written once
        kind: digits
        role: item
        label: "{n}."             # {n} is the repeat's number; "{n}" by default
        boxes: 3
        at: [30, 84]
        size: [8, 10]
        gap: 3
        step: [0, 16]             # from one repeat to the next
        group: {after: 5, step: [0, 4]}    # this much more after every fifth
        wrap: {after: 10, step: [50, 0]}   # a new column, this far from the last one, after every tenth
      - id: c1
        kind: choice              # bubbles: ellipses that fill their boxes, side by side
        role: item
        options: [A, B, C, D]     # or ABCD
        multiple: false           # true: several marks are an answer
        version: false            # true: says which version of the sheet it is, so which answers are right
        at: [30, 270]
        size: [5, 5]
        gap: 3
      - id: student_bubbles
        kind: grid                # a number as columns of bubbles
        role: identifier
        same_as: student_id       # carries the same value; a difference is a review
        boxes: 6                  # columns
        options: "0123456789"     # top to bottom
        at: [130, 90]
        size: [5, 5]
        gap: [6, 1.5]             # between columns, between rows

      - id: pupil
        kind: barcode             # whose sheet it is: a QR code of `omrgrade sheet --roster`, or a sticker
        role: identifier
        same_as: student_id       # the code decides; a number written otherwise is a review
        at: [170, 62]
        size: [22, 22]            # with white paper round the code
        formats: [qr]             # and code128, ean; all of them by default
        # role: info, with version: true: a sticker with the version; sheet: true: equal on a sheet's pages

Lengths are mm from the page's top-left corner, x right, y down.
Every mistake is a `TemplateError` with file and line.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from omrgrade.errors import TemplateError
from omrgrade.records import Rect, Template
from omrgrade.resources import bundled
from omrgrade.template.checks import QUIET_ZONE, check_geometry, quiet_zone
from omrgrade.template.fiducials import read_fiducials
from omrgrade.template.fields import read_fields
from omrgrade.template.pictures import blank_picture
from omrgrade.template.source import Mapping, parse, read_bytes

__all__ = ["PAGES", "QUIET_ZONE", "bundled_templates", "load_template", "quiet_zone"]

PAGES = {"A4": (210.0, 297.0), "Letter": (215.9, 279.4)}
"""Named page sizes: width and height, mm."""

_KEYS = ("omrgrade", "name", "title", "page", "registration", "blank", "header", "instructions", "fields")


def bundled_templates() -> list[str]:
    """Names of the templates that come with omrgrade, sorted."""
    return sorted(path.stem for path in bundled("templates").glob("*.yaml"))


def load_template(template: str | Path) -> Template:
    """Read and check a template: a path, or the name of a bundled one such as ``numeric-a4``.

    Raises `TemplateError` with file, line, key and what was received.
    """
    path = _find(template)
    data = read_bytes(path)
    root = parse(str(path), data)
    if root.text("omrgrade", default="missing") != "1":
        raise root.error("omrgrade", "must be 1, the only format there is", fix="begin with 'omrgrade: 1'")
    root.only(_KEYS)
    width, height = _page(root)
    fields, lines = read_fields(root)
    header = root.mapping("header") if "header" in root else None
    fiducials = read_fiducials(root.mapping("registration"), width, height)
    blank = fiducials.picture if fiducials.method == "reference" else b""
    if "blank" in root:
        blank = blank_picture(path.parent / root.text("blank"), 1, (width, height), root, "blank")
    result = Template(
        name=_name(root),
        title=root.text("title"),
        page_width=width,
        page_height=height,
        fiducials=fiducials,
        fields=fields,
        header=_rect(header) if header else None,
        instructions=root.text("instructions", default=""),
        blank=blank,
        digest=hashlib.sha256(data + fiducials.picture + blank).hexdigest(),
    )
    check_geometry(result, root, lines)
    return result


def _find(template: str | Path) -> Path:
    path = Path(template)
    if path.exists() or isinstance(template, Path) or path.suffix or len(path.parts) != 1:
        return path
    if template not in bundled_templates():
        raise TemplateError(
            "there is no file and no bundled template of this name",
            fix=f"give a path, or one of: {', '.join(bundled_templates())}",
            received=template,
        )
    return bundled("templates", f"{template}.yaml")


def _page(root: Mapping) -> tuple[float, float]:
    if root.is_list("page"):
        return root.pair("page", 70, 1000)
    return PAGES[root.choice("page", tuple(PAGES))]


def _name(root: Mapping) -> str:
    name = root.text("name")
    if not name.replace("-", "").replace("_", "").isalnum() or not name.isascii() or len(name) > 40:
        raise root.error("name", "must be at most 40 letters, digits, - and _")
    return name


def _rect(entry: Mapping) -> Rect:
    entry.only(("at", "size"))
    (x, y), (width, height) = entry.pair("at", 0, 1000), entry.pair("size", 10, 1000)
    return Rect(x=x, y=y, width=width, height=height)
