"""An OMRChecker template (JSON, pixels) as one of ours (YAML, mm): what its blocks, labels and gaps mean.

Follows OMRChecker's documented template format: a block's origin is the top-left corner of its first bubble;
bubbles of a field follow one another at `bubblesGap` along its direction, fields at `labelsGap` across it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

from omrgrade.errors import TemplateError
from omrgrade.forms.spellings import BUILT_IN, as_released, spelt
from omrgrade.template import PAGES

_RANGE = re.compile(r"(?P<stem>.*?\D|)(?P<first>\d+)\.{2,3}(?P<last>\d+)")
_SIGNS = {"+": "pos", "-": "neg", ".": "dot", "*": "ast", "/": "div", " ": "sp"}
_BLOCK_KEYS = {
    "fieldType", "fieldLabels", "origin", "bubblesGap", "labelsGap", "bubbleValues", "direction",
    "emptyValue", "emptyVal", "bubbleDimensions",
}  # fmt: skip
_TOP_KEYS = {
    "pageDimensions", "bubbleDimensions", "fieldBlocks", "preProcessors", "customLabels", "outputColumns",
    "emptyValue", "path", "$schema", "processingImageShape", "outputImageShape", "sortFiles",
    "fieldBlocksOffset",
}  # fmt: skip
_PARTS = {
    "conditionalSets": "other layouts for some pages are not taken over; import each by itself",
    "alignment": "not needed, bubbles are found on each page",
}
FITS = 0.07  # share by which a page's proportions may differ from paper that has a name


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """The bubbles of one label: a row or a column, px."""

    block: str
    label: str
    options: tuple[str, ...]
    values: tuple[str, ...]  # the options as OMRChecker writes them
    x: float  # top-left corner of the first bubble
    y: float
    width: float
    height: float
    gap: float  # from one bubble's corner to the next one's
    down: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """What becomes one field of ours: one line, or several whose values are joined."""

    name: str
    lines: tuple[Line, ...]

    @property
    def joined(self) -> bool:
        """Whether the value is one of several lines put together."""
        return len(self.lines) > 1


@dataclass(slots=True)
class Imported:
    """An OMRChecker template as it was understood."""

    source: Path
    width: float  # px
    height: float
    groups: list[Group] = field(default_factory=list)
    processors: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    shape: Sequence[float] = ()  # px, height and width to which pictures are brought before all else
    notes: list[str] = field(default_factory=list)  # what was not taken over, or otherwise

    def processor(self, name: str) -> Mapping[str, Any] | None:
        """The options of a preprocessor, None where it is not used."""
        return next((options for used, options in self.processors if used == name), None)


def read_omrchecker(path: Path) -> Imported:
    """Read a `template.json`; `TemplateError` where it cannot be one of OMRChecker's."""
    notes: list[str] = []
    data = as_released(path, found := read_json(path), notes)
    if not isinstance(data.get("fieldBlocks"), dict) or "pageDimensions" not in data:
        raise TemplateError(
            "this is no OMRChecker template", where=str(path),
            fix="it has 'pageDimensions' and 'fieldBlocks'", received=sorted(found)[:8],
        )  # fmt: skip
    width, height = _pair(path, "pageDimensions", data["pageDimensions"])
    result = Imported(source=path, width=width, height=height, notes=notes)
    result.notes += [
        f"{key}: {_PARTS.get(key, 'not known, ignored')}"
        for key in sorted(data.keys() - _TOP_KEYS)
        if data[key] or key not in _PARTS
    ]
    offset = _pair(path, "fieldBlocksOffset", data.get("fieldBlocksOffset") or [0, 0])
    lines: dict[str, Line] = {}
    for name, block in data["fieldBlocks"].items():
        for line in _lines(path, name, block, data, offset, result.notes):
            if line.label in lines:
                raise _wrong(path, f"fieldBlocks.{name}", "uses a label that another block has", line.label)
            lines[line.label] = line
    twins = _twins(lines.values(), result.notes)
    if not lines:
        raise _wrong(path, "fieldBlocks", "must have a block with bubbles", sorted(found)[:8])
    result.groups = _grouped(
        path, lines, twins, data.get("customLabels") or {}, data.get("outputColumns") or []
    )
    if data.get("processingImageShape"):
        result.shape = _pair(path, "processingImageShape", data["processingImageShape"])
    result.processors = _processors(path, data.get("preProcessors") or [])
    if data.get("emptyValue"):
        result.notes.append(f"emptyValue {data['emptyValue']!r}: unmarked fields are empty cells here")
    return result


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object; `TemplateError` with the line where it is none."""
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise TemplateError("this file cannot be read", where=str(path), received=error.strerror) from error
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        line = f":{error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise TemplateError("this is not valid JSON", where=f"{path}{line}", received=str(error)) from error
    if not isinstance(data, dict):
        raise TemplateError("this is not a JSON object", where=str(path), received=type(data).__name__)
    return data


def expand(path: Path, labels: Sequence[str]) -> list[str]:
    """Labels written out: ``q1..3`` (or ``q1...3``) is q1, q2, q3."""
    result: list[str] = []
    for label in labels:
        match = _RANGE.fullmatch(str(label))
        if not match and ".." in str(label):
            raise _wrong(path, "a label's range", "must be written like q1..10", label)
        if not match:
            result.append(str(label))
            continue
        first, last = int(match["first"]), int(match["last"])
        if not first <= last < first + 1000:
            raise _wrong(path, "a label's range", "must run upward", label)
        result += [f"{match['stem']}{n}" for n in range(first, last + 1)]
    return result


def paper_size(width: float, height: float) -> tuple[float, float]:
    """The mm of a page given in px: named paper if its proportions are near, else 210 mm wide."""
    best = min(
        (size for page in PAGES.values() for size in (page, page[::-1])),
        key=lambda size: abs((size[1] / size[0]) / (height / width) - 1),
    )
    if abs((best[1] / best[0]) / (height / width) - 1) < FITS:
        return best
    return 210.0, round(210.0 * height / width, 1)


# ---------------------------------------------------------------- blocks


def _processors(path: Path, entries: Any) -> list[tuple[str, Mapping[str, Any]]]:
    """The preprocessors' names and options, in turn."""
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise _wrong(path, "preProcessors", "must be a list of objects", entries)
    options = ["relativePath", "sheetToMarkerWidthRatio"]  # of which version 1 did not mind the case
    return [(str(entry.get("name")), spelt(entry.get("options") or {}, options)) for entry in entries]


def _lines(
    path: Path,
    name: str,
    block: Any,
    data: Mapping[str, Any],
    offset: tuple[float, float],
    notes: list[str],
) -> Iterator[Line]:
    where = f"fieldBlocks.{name}"
    if not isinstance(block, dict):
        raise _wrong(path, where, "must be an object", block)
    block = spelt(block, _BLOCK_KEYS)
    notes += [f"{where}.{key}: not known, ignored" for key in sorted(block.keys() - _BLOCK_KEYS)]
    if empty := block.get("emptyValue") or block.get("emptyVal"):
        notes.append(f"{where}.emptyValue {empty!r}: unmarked fields are empty cells here")
    values, direction = _values(path, where, block)
    x, y = _pair(path, f"{where}.origin", block.get("origin"))
    width, height = _pair(
        path, f"{where}.bubbleDimensions", block.get("bubbleDimensions") or data.get("bubbleDimensions")
    )
    gap = _number(path, f"{where}.bubblesGap", block.get("bubblesGap", 0 if len(values) == 1 else None))
    if len(values) == 1:  # it has no next one
        gap = max(gap, 2 * max(width, height))
    labels = expand(path, block.get("fieldLabels") or [])
    steps = _steps(path, where, block.get("labelsGap"), len(labels))
    down = direction == "vertical"
    for label, step in zip(labels, steps, strict=True):
        yield Line(
            block=name,
            label=label,
            options=_options(where, values, notes),
            values=values,
            x=x + offset[0] + (step if down else 0),
            y=y + offset[1] + (0 if down else step),
            width=width,
            height=height,
            gap=gap,
            down=down,
        )


def _steps(path: Path, where: str, gap: Any, count: int) -> list[float]:
    """How far each label's line is from the first one's, px; `gap` may be a list of all the gaps."""
    if not isinstance(gap, list):
        gap = [_number(path, f"{where}.labelsGap", 0 if count == 1 else gap)] * (count - 1)
    gaps = [_number(path, f"{where}.labelsGap", one) for one in gap[: count - 1]]
    if len(gaps) < count - 1:
        raise _wrong(path, f"{where}.labelsGap", "must have a gap for each label but the last", gap)
    return [0.0, *accumulate(gaps)][:count]


def _values(path: Path, where: str, block: Mapping[str, Any]) -> tuple[tuple[str, ...], str]:
    """A block's bubble values, and the direction in which they follow one another."""
    if kind := block.get("fieldType"):
        raise TemplateError(
            f"'{where}.fieldType' must be one of {', '.join(BUILT_IN)}", where=str(path),
            fix="or give the block its 'bubbleValues' and 'direction'", received=kind,
        )  # fmt: skip
    values = tuple(str(value) for value in block.get("bubbleValues") or ())
    if not 1 <= len(values) <= 26:
        raise _wrong(
            path, f"{where}.bubbleValues", "must be 1 to 26 values, or there must be a fieldType", values
        )
    direction = block.get("direction") or "vertical"
    if direction not in ("vertical", "horizontal"):
        raise _wrong(path, f"{where}.direction", "must be vertical or horizontal", direction)
    return values, str(direction)


def _options(where: str, values: tuple[str, ...], notes: list[str]) -> tuple[str, ...]:
    """The values as labels of ours: letters and digits, at most three."""
    result = tuple(
        _SIGNS.get(value, re.sub(r"[^0-9A-Za-z]", "", value)[:3] or f"v{n}") for n, value in enumerate(values)
    )
    if len(set(result)) < len(result):
        result = tuple(f"v{n}" for n in range(len(values)))
    if (
        result != values
        and (note := f"{where}.bubbleValues {list(values)}: read as {list(result)}") not in notes
    ):
        notes.append(note)
    return result


def _twins(lines: Iterable[Line], notes: list[str]) -> set[str]:
    """Labels whose bubbles are those of a label before them: a bubble here is of one field."""
    first: dict[tuple[object, ...], str] = {}
    result = set()
    for line in lines:
        before = first.setdefault((line.x, line.y, line.down), line.label)
        if before != line.label:
            notes.append(f"fieldBlocks.{line.block}: {line.label} has the bubbles of {before}, left out")
            result.add(line.label)
    return result


def _grouped(
    path: Path,
    lines: Mapping[str, Line],
    twins: Collection[str],
    custom: Mapping[str, Any],
    order: Sequence[str],
) -> list[Group]:
    """Lines joined as `customLabels` says, the rest each for itself; in the order of the output's columns."""
    groups: dict[str, Group] = {}
    used: set[str] = set(twins)
    for name, labels in custom.items():
        members = expand(path, labels if isinstance(labels, list) else [labels])
        members = [label for label in members if label not in twins]
        for label in members:
            if label not in lines or label in used:
                raise _wrong(path, f"customLabels.{name}", "must name labels of blocks, each once", label)
        used.update(members)
        if members:
            groups[str(name)] = Group(name=str(name), lines=tuple(lines[label] for label in members))
    groups |= {label: Group(name=label, lines=(line,)) for label, line in lines.items() if label not in used}
    wanted = [name for name in expand(path, list(order)) if name in groups] or sorted(groups, key=_natural)
    return [groups[name] for name in dict.fromkeys([*wanted, *groups])]


def _natural(name: str) -> list[tuple[str, int]]:
    """q2 before q10."""
    return [(text.casefold(), int(digits or 0)) for text, digits in re.findall(r"(\D*)(\d*)", name)]


def _pair(path: Path, where: str, value: Any) -> tuple[float, float]:
    if not isinstance(value, list) or len(value) != 2:
        raise _wrong(path, where, "must be two numbers", value)
    return _number(path, where, value[0]), _number(path, where, value[1])


def _number(path: Path, where: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(path, where, "must be a number", value)
    return float(value)


def _wrong(path: Path, where: str, what: str, received: object) -> TemplateError:
    return TemplateError(f"{where!r} {what}", where=str(path), fix="correct the JSON file", received=received)
