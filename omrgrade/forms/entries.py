"""Fields of an imported template as entries of ours."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from omrgrade.forms.omrchecker import Group, Line
from omrgrade.forms.settling import Scale

_WHOSE = re.compile(r"roll|student|pupil|candidate|matric|^id$|_id$|enrol|regist|admission|seat|number", re.I)
_RESERVED = {"source", "page", "student_id", "status", "total", "max", "percent", "to_review"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Use:
    """What columns are for, as an evaluation says."""

    multiple: Sequence[str] = ()  # columns in which several marks are one answer
    items: Sequence[str] | None = None  # columns that are questions; None: those not called like a number
    version: str = ""  # the column that says which answers are right

    def role(self, group: Group) -> str:
        """The role of a column's field."""
        if group.name == self.version:
            return "info"
        if self.items is not None and group.name in self.items:
            return "item"
        if _WHOSE.search(group.name):
            return "identifier"
        return "item" if self.items is None else "info"

    def of(self, group: Group) -> tuple[str, bool, bool]:
        """What must be equal for fields to be one entry."""
        return self.role(group), group.name in self.multiple, group.name == self.version


def field_ids(groups: Sequence[Group], notes: list[str]) -> dict[str, str]:
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


def runs(groups: Sequence[Group], ids: Mapping[str, str], use: Use) -> Iterator[list[Group]]:
    """Groups that can be written as one repeat: q1..q10, equal and equally far apart."""
    run: list[Group] = []
    for group in groups:
        if run and _goes_on(run, group, ids) and use.of(run[0]) == use.of(group):
            run.append(group)
            continue
        if run:
            yield run
        run = [group]
    if run:
        yield run


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


def entry(run: Sequence[Group], ids: Mapping[str, str], place: Scale, use: Use) -> list[str]:
    """The template's lines for one run; place: how its px become mm."""
    group = run[0]
    name = ids[group.name] if len(run) == 1 else f"{ids[group.name]}..{ids[run[-1].name]}"
    role, multiple, version = use.of(group)
    if group.joined:
        return _joined_entry(group, name, role, place)
    line = group.lines[0]
    keys = {"id": name, "kind": "choice", "role": role, **_geometry(line, place)}
    if multiple:
        keys["multiple"] = "true"
    if version:
        keys["version"] = "true"
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
    keys = {
        "options": _labels(line.options),
        "at": _xy(x, y),
        "size": _xy(width, height),
        "gap": f"{pitch - (height if line.down else width):.3f}",
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
