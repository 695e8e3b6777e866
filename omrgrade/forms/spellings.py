"""The ways in which OMRChecker's versions wrote a template, brought to one: the released one's.

Version 1 has `dimensions`, `qBlocks`, `concatenations`; later development `templateDimensions`,
`bubbleFieldType` and groups of blocks. What they mean is the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omrgrade.errors import TemplateError

_TOP = {"templateDimensions": "pageDimensions", "dimensions": "pageDimensions", "emptyVal": "emptyValue"}
_OLD_TOP = {"concatenations", "singles", "qBlocks", "mapper", "Globals"}
_READ_OTHERWISE = {"OCR", "BARCODE_QR"}
_NO_TYPE = {"BUBBLES_THRESHOLD", "CUSTOM", "CUSTOM_BUBBLE_FIELD_TYPE"}  # they say that another key has it


def as_released(path: Path, data: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    """A template's JSON in the released version's keys; `notes` gets what could not be brought over."""
    result = {_TOP.get(key, key): value for key, value in data.items() if key not in _OLD_TOP}
    blocks = dict(result.get("fieldBlocks") or {})
    for group in _mapping(result.pop("fieldBlockGroups", None)).values():
        blocks |= _mapping(group)
    old = _mapping(data.get("qBlocks"))
    blocks |= {name: _old_block(path, name, block) for name, block in old.items()}
    if old:
        result["customLabels"] = _mapping(data.get("concatenations"))
        result["outputColumns"] = [*result["customLabels"], *(data.get("singles") or [])]
    types = _mapping(result.pop("customBubbleFieldTypes", None))
    if blocks:
        result["fieldBlocks"] = {
            name: _typed(block, types) for name, block in blocks.items() if not _other(name, block, notes)
        }
    columns = result.get("outputColumns")
    if isinstance(columns, dict):
        result["outputColumns"] = columns.get("customOrder") or []
    return result


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _other(name: str, block: Any, notes: list[str]) -> bool:
    """Whether a block has no bubbles; then it is named."""
    how = _mapping(block).get("fieldDetectionType")
    if how in _READ_OTHERWISE:
        notes.append(f"fieldBlocks.{name}: {how} is not taken over, left out")
    return how in _READ_OTHERWISE


def _typed(block: Any, types: Mapping[str, Any]) -> Any:
    """A block with its bubbles' values where a type of the template's own has them."""
    if not isinstance(block, dict):
        return block
    result = {key: value for key, value in block.items() if key not in ("fieldDetectionType", "bubbleCount")}
    kind = result.pop("bubbleFieldType", None) or result.pop("fieldType", None)
    if result.get("fieldType") in _NO_TYPE:
        del result["fieldType"]
    if kind in types:
        return {**_mapping(types[kind]), **result}
    return result if kind is None or kind in _NO_TYPE else {**result, "fieldType": kind}


def _old_block(path: Path, name: str, block: Any) -> Any:
    """A block of version 1, whose gaps are across and down whichever way its bubbles run."""
    block = _mapping(block)
    labels, gaps = block.get("qNos"), block.get("gaps")
    while isinstance(labels, list) and len(labels) == 1 and isinstance(labels[0], list):
        labels = labels[0]
    plain = isinstance(labels, list) and not any(isinstance(label, list) for label in labels)
    if not plain or not isinstance(gaps, list) or len(gaps) != 2:
        raise TemplateError(
            f"'qBlocks.{name}' must have one group in 'qNos' and two 'gaps'", where=str(path),
            fix="give each group a block of its own", received=block,
        )  # fmt: skip
    down = block.get("orient") == "V" or str(block.get("qType", "")).startswith("QTYPE_INT")
    new = {
        "fieldType": block.get("qType"), "bubbleValues": block.get("vals"), "origin": block.get("orig"),
        "fieldLabels": labels, "bubblesGap": gaps[1 if down else 0], "labelsGap": gaps[0 if down else 1],
        "direction": "vertical" if down else "horizontal", "emptyValue": block.get("emptyVal"),
    }  # fmt: skip
    return {key: value for key, value in new.items() if value is not None}
