"""The ways in which OMRChecker's versions wrote a template, brought to one: the released one's.

Version 1 has `dimensions`, `qBlocks`, `concatenations`, in any case, at first with blocks beside these keys;
later development `templateDimensions`, `bubbleFieldType` and groups of blocks. What they mean is the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from omrgrade.errors import TemplateError

BUILT_IN: dict[str, dict[str, Any]] = {
    "QTYPE_INT": {"bubbleValues": list("0123456789"), "direction": "vertical"},
    "QTYPE_INT_FROM_1": {"bubbleValues": list("1234567890"), "direction": "vertical"},
    "QTYPE_MCQ4": {"bubbleValues": list("ABCD"), "direction": "horizontal"},
    "QTYPE_MCQ5": {"bubbleValues": list("ABCDE"), "direction": "horizontal"},
    "QTYPE_MCQ4_RTL": {"bubbleValues": list("DCBA"), "direction": "horizontal"},
    "QTYPE_MCQ5_RTL": {"bubbleValues": list("EDCBA"), "direction": "horizontal"},
    "QTYPE_ROLL": {"bubbleValues": list("0123456789"), "direction": "vertical"},  # version 1, as the next
    "QTYPE_MED": {"bubbleValues": ["E", "H"], "direction": "vertical"},
}
_TOP = {
    "templateDimensions": "pageDimensions", "dimensions": "pageDimensions", "emptyVal": "emptyValue",
    "customFieldTypes": "customBubbleFieldTypes",
}  # fmt: skip
_OLD_TOP = {"concatenations", "singles", "qBlocks", "qTypes", "mapper", "Globals"}
_KNOWN = [
    *_TOP, *_TOP.values(), *_OLD_TOP, "bubbleDimensions", "fieldBlocks", "fieldBlockGroups",
    "fieldBlocksOffset", "preProcessors", "customLabels", "outputColumns", "processingImageShape",
    "outputImageShape", "sortFiles",
]  # fmt: skip
_OLD_BLOCK = ["qNos", "orig", "gaps", "bigGaps", "vals", "orient", "qType", "emptyVal"]
_READ_OTHERWISE = {"OCR", "BARCODE_QR", "BARCODE", "QTYPE_TEXT", "QTYPE_BARCODE"}
_NO_TYPE = {"BUBBLES_THRESHOLD", "CUSTOM", "CUSTOM_BUBBLE_FIELD_TYPE"}  # they say that another key has it


def spelt(data: Mapping[str, Any], known: Iterable[str]) -> dict[str, Any]:
    """The keys as `known` spells them, whatever their case and underscores are here."""
    names = {_squashed(name): name for name in known}
    return {key if key in known else names.get(_squashed(key), key): value for key, value in data.items()}


def _squashed(key: str) -> str:
    return key.replace("_", "").casefold()


def as_released(path: Path, data: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    """A template's JSON in the released version's keys; `notes` gets what could not be brought over."""
    data = spelt(data, _KNOWN)
    old = _mapping(data.get("qBlocks")) | {n: b for n, b in data.items() if _is_old_block(b)}
    result = {
        _TOP.get(key, key): value for key, value in data.items() if key not in _OLD_TOP and key not in old
    }
    blocks = _flat(_mapping(result.get("fieldBlocks")))
    for group in _mapping(result.pop("fieldBlockGroups", None)).values():
        blocks |= _mapping(group)
    types = BUILT_IN | _mapping(result.pop("customBubbleFieldTypes", None))
    types |= {name: _old_type(kind) for name, kind in _mapping(data.get("qTypes")).items()}
    for name, block in old.items():
        blocks |= _old_blocks(path, name, spelt(_mapping(block), _OLD_BLOCK), types)
    if blocks:
        others = {name: block for name, block in blocks.items() if _other(name, block, notes)}
        blocks = {name: block for name, block in blocks.items() if name not in others}
        result["fieldBlocks"] = {name: _typed(name, block, types, notes) for name, block in blocks.items()}
        result["customLabels"] = _without(_mapping(result.get("customLabels")), others, notes)
    if old:
        joined = _mapping(data.get("concatenations"))
        result["customLabels"] = _with_blocks_only(joined, result["fieldBlocks"], notes)
        result["outputColumns"] = [*joined, *(data.get("singles") or [])]
    processors = result.get("preProcessors")
    if isinstance(processors, dict):
        result["preProcessors"] = [{"name": name, "options": own} for name, own in processors.items()]
    columns = result.get("outputColumns")
    if isinstance(columns, dict):
        result["outputColumns"] = columns.get("customOrder") or []
    return result


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _flat(blocks: Mapping[str, Any]) -> dict[str, Any]:
    """The blocks, those of groups too: a group holds nothing but blocks."""
    result: dict[str, Any] = {}
    for name, block in blocks.items():
        inner = list(_mapping(block).values())
        grouped = bool(inner) and all("origin" in _mapping(one) for one in inner)
        result |= block if grouped else {name: block}
    return result


def _other(name: str, block: Any, notes: list[str]) -> bool:
    """Whether a block has no bubbles; then it is named."""
    block = _mapping(block)
    how = block.get("fieldDetectionType") or block.get("fieldType")
    if how in _READ_OTHERWISE:
        notes.append(f"fieldBlocks.{name}: {how} is not taken over, left out")
    return how in _READ_OTHERWISE


def _without(custom: Mapping[str, Any], others: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    """`customLabels` without the labels of blocks that are left out."""
    gone = {str(label) for block in others.values() for label in _mapping(block).get("fieldLabels") or []}
    result = {}
    for name, labels in custom.items():
        kept = [label for label in labels if label not in gone] if isinstance(labels, list) else labels
        if kept != labels:
            notes.append(f"customLabels.{name}: without {sorted(gone.intersection(labels))}, left out above")
        if kept:
            result[name] = kept
    return result


def _typed(name: str, block: Any, types: Mapping[str, Any], notes: list[str]) -> Any:
    """A block with its bubbles' values where a type of the template's own has them."""
    if not isinstance(block, dict):
        return block
    result = {key: value for key, value in block.items() if key not in ("fieldDetectionType", "bubbleCount")}
    kind = result.pop("bubbleFieldType", None) or result.pop("fieldType", None)
    if result.get("fieldType") in _NO_TYPE:
        del result["fieldType"]
    if kind is None or kind in _NO_TYPE:
        return result
    own = {"bubbleValues", "direction"} & result.keys()
    known = _mapping(types.get(str(kind)))
    if not known:
        if {"bubbleValues", "direction"} == own:
            notes.append(f"fieldBlocks.{name}: its own values, as the type {kind} is not known")
            return result
        return {**result, "fieldType": kind}
    for key in sorted(own):
        if result[key] != known.get(key):
            notes.append(f"fieldBlocks.{name}.{key}: OMRChecker goes by the type {kind}, so it is here")
    return {**result, **{key: known[key] for key in ("bubbleValues", "direction") if key in known}}


# ---------------------------------------------------------------- version 1


def _is_old_block(block: Any) -> bool:
    return isinstance(block, dict) and {"qnos", "orig"} <= {_squashed(key) for key in block}


def _old_type(kind: Any) -> dict[str, Any]:
    kind = spelt(_mapping(kind), _OLD_BLOCK)
    direction = "horizontal" if kind.get("orient") == "H" else "vertical"
    return {"bubbleValues": kind.get("vals"), "direction": direction}


def _with_blocks_only(
    joined: Mapping[str, Any], blocks: Mapping[str, Any], notes: list[str]
) -> dict[str, list[str]]:
    """`concatenations` of labels that blocks have: version 1 took others for empty."""
    known = {str(label) for block in blocks.values() for label in block["fieldLabels"]}
    result = {}
    for name, labels in joined.items():
        if lost := [label for label in labels if label not in known]:
            notes.append(f"concatenations.{name}: no block has {', '.join(map(str, lost))}, left out")
        if kept := [label for label in labels if label in known]:
            result[name] = kept
    return result


def _old_blocks(
    path: Path, name: str, block: Mapping[str, Any], types: Mapping[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """A block of version 1, a block for each group of `qNos`.

    Gaps are across and down whichever way bubbles run; `bigGaps` lie between groups, as its code lays them.
    """
    kind = block.get("qType")
    own = {"bubbleValues": block.get("vals"), "direction": "vertical" if block.get("orient") == "V" else ""}
    shape = own if kind is None else _mapping(types.get(str(kind)))
    rows = _rows(block.get("qNos"))
    origin, gaps, big = (_two_numbers(block.get(key)) for key in ("orig", "gaps", "bigGaps"))
    values = shape.get("bubbleValues")
    if not rows or not isinstance(values, list) or not origin or not gaps:
        raise TemplateError(
            f"'qBlocks.{name}' must have a 'qType' that is known (or 'vals'), labels in 'qNos', and two "
            "numbers in 'orig', 'gaps' and 'bigGaps'",
            where=str(path), fix="correct the JSON file", received=dict(block),
        )  # fmt: skip
    direction = shape.get("direction") or "horizontal"
    along, across = (1, 0) if direction == "vertical" else (0, 1)  # axes: of bubbles, and of questions
    base = {"bubbleValues": values, "direction": direction, "emptyValue": block.get("emptyVal")}
    base |= {"bubblesGap": gaps[along], "labelsGap": gaps[across]}
    big = big or (0.0, 0.0)
    at, number, step = list(origin), 0, [0.0, 0.0]
    for row in rows:
        at[across] = origin[across]
        for labels in row:
            number += 1
            yield (
                name if number == 1 else f"{name} ({number})",
                base | {"origin": [*at], "fieldLabels": labels},
            )
            counts = len(labels), len(values)
            step = [big[0] + (counts[across] - 1) * gaps[along], big[1] + (counts[along] - 1) * gaps[across]]
            at[across] += step[across]
        at[along] += step[along]


def _rows(labels: Any) -> list[list[list[str]]]:
    """`qNos` as rows of groups of labels, also where it has fewer brackets; nothing where it is none."""
    for missing in range(3):
        if all(isinstance(label, str) for label in _leaves(labels, 3 - missing)):
            for _ in range(missing):
                labels = [labels]
            return list(labels)
    return []


def _leaves(labels: Any, depth: int) -> list[Any]:
    """What lies `depth` lists deep; [None] where something is no list, or an empty one."""
    if depth == 0:
        return [labels]
    if not isinstance(labels, list) or not labels:
        return [None]
    return [leaf for one in labels for leaf in _leaves(one, depth - 1)]


def _two_numbers(value: Any) -> tuple[float, float] | None:
    if not isinstance(value, list) or len(value) != 2:
        return None
    if any(isinstance(one, bool) or not isinstance(one, int | float) for one in value):
        return None
    return float(value[0]), float(value[1])
