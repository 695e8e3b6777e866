"""Records as JSON text and back: how a run's file keeps the template, the key and the roster.

Every record is written with its name, so a text can only ever become a record of `omrgrade.records`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from omrgrade import records
from omrgrade.errors import OutputError

_NAME = "record"  # the key under which a record's class stands


def to_text(value: object) -> str:
    """A record, or tuples and dictionaries of them, as JSON. Other sequences become tuples."""
    return json.dumps(_plain(value))


def from_text(text: str, *, where: str = "") -> Any:
    """What `to_text` was given; `OutputError` if this is not such a text, or one of another version."""
    try:
        return _record(json.loads(text))
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise OutputError(
            "the run was kept by another version, or is damaged",
            where=where,
            fix="grade the scans again",
            received=str(error),
        ) from error


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        named = {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
        return {_NAME: type(value).__name__, **named}
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if value is None or isinstance(value, str | int | float):
        return value
    return float(value)  # type: ignore[arg-type]  # NumPy's numbers are not JSON's


def _record(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_record(item) for item in value)
    if not isinstance(value, dict):
        return value
    if set(value) == {"bytes"}:
        return base64.b64decode(value["bytes"])
    inside = {key: _record(item) for key, item in value.items()}
    if _NAME not in inside:
        return inside
    kind = getattr(records, inside.pop(_NAME))
    if not is_dataclass(kind):
        raise TypeError(f"{kind!r} is not a record")
    return kind(**inside)  # type: ignore[operator]
