"""Readings as the rows of a run's file, and back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, overload

from omrgrade.records import Bend, BoxReading, FieldReading, Registration

FieldRow = tuple[str, str, str, float, Any, str, str, str]
"""field, kind, value, confidence, status, reason, runner-up, boxes."""

_encode = json.JSONEncoder(default=float).encode  # NumPy's numbers are not JSON's
_decode = json.JSONDecoder().decode


class KeptBoxes(Sequence[BoxReading]):
    """A field's boxes as they are kept; made into records once somebody asks for them.

    Of a page's hundred boxes nearly none is ever asked for: marks follow from what the fields say.
    """

    __slots__ = ("_kept",)

    def __init__(self, text: str) -> None:
        self._kept: str | tuple[BoxReading, ...] = text

    @classmethod
    def of(cls, boxes: Sequence[BoxReading]) -> KeptBoxes:
        """Boxes as they are kept: sending a text takes a third of the time of sending records."""
        return boxes if isinstance(boxes, cls) else cls(_text(boxes))

    def __reduce__(self) -> tuple[type[KeptBoxes], tuple[str]]:
        return KeptBoxes, (self.text(),)

    def text(self) -> str:
        """As they are kept."""
        return self._kept if isinstance(self._kept, str) else _text(self._kept)

    def _made(self) -> tuple[BoxReading, ...]:
        kept = self._kept
        if isinstance(kept, str):
            kept = self._kept = tuple(_box(*values) for values in _decode(kept))
        return kept

    def __len__(self) -> int:
        return len(self._made())

    def __iter__(self) -> Iterator[BoxReading]:
        return iter(self._made())

    @overload
    def __getitem__(self, index: int) -> BoxReading: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[BoxReading, ...]: ...
    def __getitem__(self, index: int | slice) -> BoxReading | tuple[BoxReading, ...]:
        return self._made()[index]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, KeptBoxes):
            return self._made() == other._made()
        return self._made() == other if isinstance(other, tuple) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._made())

    def __repr__(self) -> str:
        return repr(self._made())


def field_row(reading: FieldReading) -> FieldRow:
    """A field's reading as it is kept."""
    confidence = float(reading.confidence)
    return (reading.field, reading.kind, reading.value, confidence, reading.status, reading.reason,
            reading.runner_up, KeptBoxes.of(reading.boxes).text())  # fmt: skip


def _text(boxes: Sequence[BoxReading]) -> str:
    return _encode([[b.value, b.confidence, b.status, b.reason, b.runner_up, b.probabilities] for b in boxes])


def field_reading(
    field: str, kind: str, value: str, confidence: float, status: Any, reason: str, runner_up: str, boxes: str
) -> FieldReading:
    """The reading of such a row."""
    return FieldReading(
        field=field, kind=kind, value=value, confidence=confidence, status=status, reason=reason,
        runner_up=runner_up, boxes=() if boxes == "[]" else KeptBoxes(boxes),
    )  # fmt: skip


def _box(
    value: str, confidence: float, status: Any, reason: str, runner_up: str, probabilities: Sequence[float]
) -> BoxReading:
    return BoxReading(
        value=value, confidence=confidence, status=status, reason=reason, runner_up=runner_up,
        probabilities=tuple(probabilities),
    )  # fmt: skip


def registration_text(registration: Registration | None) -> str | None:
    """Where a page lies, as it is kept."""
    return None if registration is None else json.dumps(asdict(registration))


def registration_of(text: str | None) -> Registration | None:
    """What `registration_text` was given."""
    if text is None:
        return None
    values = json.loads(text)
    values["page_to_scan"] = tuple(tuple(row) for row in values["page_to_scan"])
    if bend := values.get("bend"):
        values["bend"] = Bend(**bend | {"shifts": tuple(map(tuple, bend["shifts"]))})
    return Registration(**values)
