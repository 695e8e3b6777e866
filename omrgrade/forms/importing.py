"""An OMRChecker folder -> our template, and its evaluation -> our key: ``omrgrade template import``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from omrgrade.errors import TemplateError
from omrgrade.forms.evaluation import Evaluation
from omrgrade.forms.omrchecker import Group, Imported, Line, paper_size, read_omrchecker
from omrgrade.forms.settling import Scale, settled
from omrgrade.images import SUFFIXES
from omrgrade.records import Scan, Template

BETWEEN_MARKERS = 0.85  # of a sheet's width lies between the middles of its corner markers, usually
IGNORED = {
    "Levels": "readings go by the paper beside each bubble",
    "GaussianBlur": "scans are smoothed as far as their own resolution asks for",
    "MedianBlur": "scans are smoothed as far as their own resolution asks for",
    "CLAHE": "readings go by the paper beside each bubble",
}
LOOKED_AT = 6  # pictures beside the JSON file, until one shows the bubbles
_PAGES = SUFFIXES - {".pdf"}
APART = 0.12  # mm between bubbles: where the source has them touch, ours are smaller
_WHOSE = re.compile(r"roll|student|pupil|candidate|matric|^id$|_id$|enrol|regist|admission|seat|number", re.I)
_RESERVED = {"source", "page", "student_id", "status", "total", "max", "percent", "to_review"}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Place:
    """The page, and how px become mm."""

    width: float  # mm, of the page
    height: float
    scale: Scale
    registration: str  # YAML


@dataclass(slots=True)
class Translation:
    """An OMRChecker template as ours, the files to lay beside it, and what a person should know."""

    name: str
    source: Imported
    place: _Place
    multiple: Sequence[str] = ()  # columns in which several marks are one answer
    items: Sequence[str] | None = None  # columns that are questions; None: those not called like a number
    settled_on: str = ""  # the page on which the bubbles were laid
    files: dict[str, bytes] = field(default_factory=dict)  # name -> content
    notes: list[str] = field(default_factory=list)
    ids: dict[str, str] = field(default_factory=dict)  # OMRChecker's column -> our field id

    @property
    def groups(self) -> dict[str, Group]:
        """The fields by OMRChecker's column."""
        return {group.name: group for group in self.source.groups}

    @property
    def text(self) -> str:
        """Our template."""
        scale = self.place.scale
        entries = [
            line
            for run in _runs(self.source.groups, self.ids, self.multiple, self.items)
            for line in _entry(run, self.ids, scale, self.multiple, self.items)
        ]
        return "\n".join([*_head(self), *entries]) + "\n"

    def settle(self, template: Template, scans: Iterable[Scan]) -> bool:
        """Lay the bubbles on those of the first page that shows them; template: this one, loaded."""
        for scan in scans:
            groups = settled(self.source.groups, self.place.scale, template, scan)
            if groups:
                self.source.groups = groups
                self.settled_on = Path(scan.source).name
                return True
        return False


def translate(path: Path, name: str, *, evaluation: Evaluation | None = None) -> Translation:
    """Read a `template.json`.

    evaluation: says which columns are questions, and to which several marks are one answer. Without it, all
    are questions that are not called like a person's number.
    """
    source = read_omrchecker(path)
    files: dict[str, bytes] = {}
    notes = list(source.notes)
    result = Translation(
        name=name, source=source, place=_place(source, name, files, notes), files=files, notes=notes
    )
    if evaluation:
        result.multiple = evaluation.multiple(result.groups)
        result.items = [question.name for question in evaluation.questions]
    result.ids = _ids(source.groups, notes)
    return result


def pictures_beside(translation: Translation) -> list[Path]:
    """Pictures in the JSON's folder and the folders in it: OMRChecker's way to lay out pages to be read."""
    folder = translation.source.source.parent
    named = set(translation.files.values())
    found = [
        p for pattern in ("*", "*/*") for p in sorted(folder.glob(pattern)) if p.suffix.lower() in _PAGES
    ]
    return [path for path in found if path.is_file() and path.read_bytes() not in named][:LOOKED_AT]


def _head(made: Translation) -> list[str]:
    name, place = made.name, made.place
    settled_on = f"# Bubbles are where {made.settled_on} has them." if made.settled_on else ""
    lines = [
        "omrgrade: 1",
        f"# Imported from OMRChecker's {made.source.source.name}. Columns are called as in its output,",
        "# lengths are mm. Where it lands on a page of yours: omrgrade template check THIS-FILE --scan PAGE",
        *filter(None, [settled_on]),
        *(f"# Note: {note}" for note in made.notes),
        f"name: {name}",
        f"title: {name.replace('-', ' ').replace('_', ' ')}",
        f"page: [{place.width:g}, {place.height:g}]",
        f"registration: {place.registration}",
        "fields:",
    ]
    return lines


# ---------------------------------------------------------------- registration


def _place(source: Imported, name: str, files: dict[str, bytes], notes: list[str]) -> _Place:
    """Which registration of ours does what the preprocessors did."""
    for used, _ in source.processors:
        if used in IGNORED:
            notes.append(f"preProcessor {used}: not needed, {IGNORED[used]}")
        elif used not in ("CropOnMarkers", "CropPage", "FeatureBasedAlignment"):
            notes.append(f"preProcessor {used}: not supported, left out")
    if (options := source.processor("CropOnMarkers")) is not None:
        return _between_markers(source, options, name, files, notes)
    width, height = paper_size(source.width, source.height)
    if (options := source.processor("FeatureBasedAlignment")) is not None:
        blank = _picture(source, options.get("reference"), "FeatureBasedAlignment.reference")
        file = f"{name}-blank{blank.suffix.lower()}"
        files[file] = blank.read_bytes()
        registration = f"{{method: reference, blank: {file}}}"
    elif source.processor("CropPage") is not None:
        registration = "{method: page}  # the sheet's own edges, as CropPage did"
    else:
        registration = (
            "{method: page}  # the sheet's edges, or else the picture's: OMRChecker took the picture"
        )
        notes.append(
            "no CropPage, CropOnMarkers or FeatureBasedAlignment: a page must about fill its picture; with a "
            "blank form, 'registration: {method: reference, blank: form.pdf}' finds it anywhere"
        )
    scale = Scale(x=0.0, y=0.0, across=width / source.width, down=height / source.height)
    return _Place(width=width, height=height, scale=scale, registration=registration)


def _between_markers(
    source: Imported, options: Mapping[str, Any], name: str, files: dict[str, bytes], notes: list[str]
) -> _Place:
    """The page that OMRChecker cuts out reaches from marker middle to marker middle; ours has them on it."""
    marker = _picture(source, options.get("relativePath"), "CropOnMarkers.relativePath")
    file = f"{name}-marker{marker.suffix.lower()}"
    files[file] = marker.read_bytes()
    for option in sorted(options.keys() - {"relativePath", "sheetToMarkerWidthRatio"}):
        notes.append(f"CropOnMarkers.{option}: not needed, left out")
    sheet = 210.0 if source.height > 0.6 * source.width else 297.0
    scale = BETWEEN_MARKERS * sheet / source.width
    size = sheet / float(options.get("sheetToMarkerWidthRatio") or 17)
    tall = size * _proportion(marker)
    rim_x, rim_y = round(size, 1), round(tall, 1)
    width, height = source.width * scale, source.height * scale
    places = [
        (rim_x, rim_y),
        (rim_x + width, rim_y),
        (rim_x + width, rim_y + height),
        (rim_x, rim_y + height),
    ]
    at = ", ".join(f"[{x - size / 2:.2f}, {y - tall / 2:.2f}]" for x, y in places)
    return _Place(
        width=round(width + 2 * rim_x, 1),
        height=round(height + 2 * rim_y, 1),
        scale=Scale(x=rim_x, y=rim_y, across=scale, down=scale),
        registration=f"{{method: corners, marker: {file}, size: [{size:.2f}, {tall:.2f}], at: [{at}]}}",
    )


def _picture(source: Imported, name: Any, where: str) -> Path:
    """A picture that the JSON names, beside it."""
    path = source.source.parent / str(name or "")
    if not name or not path.is_file():
        raise TemplateError(
            f"{where!r} names a picture that is not there", where=str(source.source),
            fix="lay it beside the JSON file", received=str(path),
        )  # fmt: skip
    return path


def _proportion(path: Path) -> float:
    """Height over width of a picture."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            return image.height / image.width
    except OSError as error:
        raise TemplateError("this picture cannot be read", where=str(path), received=str(error)) from error


# ---------------------------------------------------------------- fields


def _ids(groups: Sequence[Group], notes: list[str]) -> dict[str, str]:
    """OMRChecker's column names as ids of ours: the same wherever it can be."""
    ids: dict[str, str] = {}
    for group in groups:
        name = re.sub(r"[^A-Za-z0-9_-]", "_", group.name)[:38]
        if not name or not name[0].isalpha():
            name = f"f{name}"
        while name in ids.values() or name in _RESERVED:
            name += "_"
        if name != group.name:
            notes.append(f"column {group.name!r} is called {name!r} here")
        ids[group.name] = name
    return ids


def _role(group: Group, items: Sequence[str] | None) -> str:
    if items is not None and group.name in items:
        return "item"
    if _WHOSE.search(group.name):
        return "identifier"
    return "item" if items is None else "info"


def _runs(
    groups: Sequence[Group], ids: Mapping[str, str], multiple: Sequence[str], items: Sequence[str] | None
) -> Iterator[list[Group]]:
    """Groups that can be written as one repeat: q1..q10, equal and equally far apart."""
    run: list[Group] = []
    for group in groups:
        if run and _goes_on(run, group, ids) and _alike(run[0], group, multiple, items):
            run.append(group)
            continue
        if run:
            yield run
        run = [group]
    if run:
        yield run


def _alike(one: Group, two: Group, multiple: Sequence[str], items: Sequence[str] | None) -> bool:
    return _role(one, items) == _role(two, items) and (one.name in multiple) == (two.name in multiple)


def _goes_on(run: Sequence[Group], group: Group, ids: Mapping[str, str]) -> bool:
    last = run[-1]
    first_name, next_name = (
        re.fullmatch(r"(.*?)(\d+)", ids[last.name]),
        re.fullmatch(r"(.*?)(\d+)", ids[group.name]),
    )
    if last.joined or group.joined or not first_name or not next_name:
        return False
    if (
        first_name[1] != next_name[1]
        or int(next_name[2]) != int(first_name[2]) + 1
        or next_name[2].startswith("0")
    ):
        return False
    one, two = last.lines[0], group.lines[0]
    if replace(one, block="", label="", x=0, y=0) != replace(two, block="", label="", x=0, y=0):
        return False
    if len(run) == 1:
        return True
    before = run[-2].lines[0]
    return (
        abs((two.x - one.x) - (one.x - before.x)) < 0.01 and abs((two.y - one.y) - (one.y - before.y)) < 0.01
    )


def _entry(
    run: Sequence[Group], ids: Mapping[str, str], place: Scale, multiple: Sequence[str],
    items: Sequence[str] | None,
) -> list[str]:  # fmt: skip
    group = run[0]
    name = ids[group.name] if len(run) == 1 else f"{ids[group.name]}..{ids[run[-1].name]}"
    role = _role(group, items)
    if group.joined:
        return _joined_entry(group, name, role, place)
    line = group.lines[0]
    keys = {"id": name, "kind": "choice", "role": role, **_geometry(line, place)}
    if group.name in multiple:
        keys["multiple"] = "true"
    if len(run) > 1:
        second = run[1].lines[0]
        keys["step"] = _xy((second.x - line.x) * place.across, (second.y - line.y) * place.down)
    return _written("  - {", keys)


def _joined_entry(group: Group, name: str, role: str, place: Scale) -> list[str]:
    """A field whose value is that of several lines in a row."""
    lines = [f"  - id: {name}", "    kind: grid", f"    role: {role}"]
    lines += ["    empty: any  # OMRChecker joins what is marked, too", "    columns:"]
    for same in _repeated(group.lines):
        keys = _geometry(same[0], place)
        keys.setdefault("direction", "right")
        if len(same) > 1:
            keys["repeat"] = str(len(same))
            keys["step"] = _xy((same[1].x - same[0].x) * place.across, (same[1].y - same[0].y) * place.down)
        lines += _written("      - {", keys)
    return lines


def _repeated(lines: Sequence[Line]) -> list[list[Line]]:
    """Neighbouring lines that are alike and equally far apart, together."""
    runs: list[list[Line]] = []
    for line in lines:
        run = runs[-1] if runs else []
        alike = run and replace(run[-1], block="", label="", x=0, y=0) == replace(
            line, block="", label="", x=0, y=0
        )
        step = (line.x - run[-1].x, line.y - run[-1].y) if run else (0.0, 0.0)
        even = len(run) < 2 or max(
            abs(step[0] - (run[1].x - run[0].x)), abs(step[1] - (run[1].y - run[0].y))
        ) < 0.01  # fmt: skip
        if alike and even:
            run.append(line)
        else:
            runs.append([line])
    return runs


def _geometry(line: Line, place: Scale) -> dict[str, str]:
    """Where a line's bubbles are, mm."""
    width, height = line.width * place.across, line.height * place.down
    x, y = place.x + line.x * place.across, place.y + line.y * place.down
    pitch = line.gap * (place.down if line.down else place.across)
    shrink = max((height if line.down else width) + APART - pitch, 0.0)
    keys = {
        "options": _labels(line.options),
        "at": _xy(x + shrink / 2, y + shrink / 2),
        "size": _xy(width - shrink, height - shrink),
        "gap": f"{pitch - (height if line.down else width) + shrink:.3f}",
    }
    if line.down:
        keys["direction"] = "down"
    return keys


def _labels(options: Sequence[str]) -> str:
    if all(len(option) == 1 for option in options):
        return '"' + "".join(options) + '"'
    return "[" + ", ".join(f'"{option}"' for option in options) + "]"


def _xy(x: float, y: float) -> str:
    return f"[{x:.3f}, {y:.3f}]"


def _written(start: str, keys: Mapping[str, str]) -> list[str]:
    lines, line = [], start
    for n, (key, value) in enumerate(keys.items()):
        part = f"{key}: {value}" + ("}" if n == len(keys) - 1 else ", ")
        if len(line) + len(part) > 110:
            lines.append(line.rstrip())
            line = " " * len(start)
        line += part
    return [*lines, line]
