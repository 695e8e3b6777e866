"""Readings with everything that people decided about them: what follows from the log of `corrections`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from omrgrade.corrections import Corrections, page_digest, standing
from omrgrade.fields import KINDS
from omrgrade.records import BoxReading, Correction, Field, FieldReading, PageReading, Settled, Template
from omrgrade.store import Store, storable

BY_HAND = "marked as doubtful"
"""The reason of a reading that a person put under review."""


def other_templates(store: Store, template: Template) -> dict[str, Template]:
    """Templates, by name, of the pages of a set, and those with which pages were read again."""
    log = Corrections(store)
    read = [log.rereading(entry.id) for entry in standing(log.entries()) if entry.action == "reread"]
    pages = {page.name: page for page in template.pages}
    return pages | {again.page.template: again.template for again in read if again.page.template}


def corrected_pages(
    store: Store, template: Template, pages: Iterable[PageReading] | None = None
) -> Iterator[PageReading]:
    """The run's pages, or the given ones of it, in order, with everything that people decided."""
    log = Corrections(store)
    by_page: dict[tuple[str, int], list[Correction]] = defaultdict(list)
    for entry in standing(log.entries()):
        by_page[entry.source, entry.page].append(entry)
    for page in store.pages() if pages is None else pages:
        entries = by_page.get((storable(page.source), page.page), ())
        yield corrected(page, entries, template, log) if entries else page


def corrected(
    page: PageReading, entries: Sequence[Correction], template: Template, log: Corrections | None = None
) -> PageReading:
    """A page with its standing decisions, oldest first. Those about other pixels or another template pass.

    Fields that say the same (`Field.same_as`) follow the one that was decided last. log: where pages
    that were read again are found.
    """
    digest = page_digest(page, template)
    holding = [entry for entry in entries if entry.digest == digest]
    again = [entry.id for entry in holding if entry.action == "reread"]
    template = template.of_page(page.template)
    if again and log:
        read = log.rereading(again[-1])
        template = read.template
        page = replace(read.page, source=page.source, page=page.page, digest=page.digest)
    if any(entry.action == "aside" for entry in holding):
        page = replace(page, aside=True)
    if any(entry.action == "whole" for entry in holding):
        page = replace(page, whole=True)
    if page.registration and any(entry.action == "confirm" for entry in holding):
        page = replace(page, registration=replace(page.registration, doubt=""))
    readings = {reading.field: reading for reading in page.fields}
    fields = {field.id: field for field in template.fields}
    machine = dict(readings)
    for entry in holding:
        if entry.field in readings and entry.field in fields:
            field = fields[entry.field]
            readings[field.id] = _decided(readings[field.id], machine[field.id], entry, field)
            _twins_follow(readings, field, template)
    if readings == machine:
        return page
    return replace(page, fields=tuple(readings[reading.field] for reading in page.fields))


def _decided(reading: FieldReading, machine: FieldReading, entry: Correction, field: Field) -> FieldReading:
    if entry.action == "illegible":
        return replace(reading, value="", confidence=1.0, status="blank", reason="", runner_up="",
                       settled="illegible")  # fmt: skip
    if entry.box and entry.box <= len(reading.boxes):
        boxes = [*reading.boxes]
        boxes[entry.box - 1] = _decided_box(boxes[entry.box - 1], entry)
        made = KINDS[field.kind](field, boxes)
        return made if made.status == "review" else replace(made, settled=_settled(made.value, machine))
    if entry.action == "doubt":
        return replace(reading, status="review", reason=BY_HAND, settled="")
    value = entry.value if entry.action == "set" else ""
    return replace(
        reading,
        value=value,
        confidence=1.0,
        status="read" if value else "blank",
        reason="",
        runner_up="",
        boxes=_spread(value, reading, field),
        settled=_settled(value, machine),
    )


def _settled(value: str, machine: FieldReading) -> Settled:
    return "confirmed" if value == machine.value else "corrected"


def _decided_box(box: BoxReading, entry: Correction) -> BoxReading:
    if entry.action == "doubt":
        return replace(box, status="review", reason=BY_HAND)
    value = entry.value if entry.action == "set" else ""
    return replace(box, value=value, confidence=1.0, status="read" if value else "blank", reason="")


def _spread(value: str, reading: FieldReading, field: Field) -> Sequence[BoxReading]:
    """A number's digits in its boxes, where it is plain which goes where; else the boxes as they are."""
    if field.kind != "digits" or not value.isdecimal():
        return reading.boxes
    written = [n for n, box in enumerate(reading.boxes) if box.status != "blank"]
    places = written if len(written) == len(value) else list(range(len(reading.boxes)))
    if len(places) != len(value):
        return reading.boxes
    digits = dict(zip(places, value, strict=True))
    return tuple(
        replace(box, value=digits.get(n, ""), confidence=1.0, status="read" if n in digits else "blank",
                reason="")
        for n, box in enumerate(reading.boxes)
    )  # fmt: skip


def _twins_follow(readings: dict[str, FieldReading], field: Field, template: Template) -> None:
    """Fields that carry the same value say what was decided about one of them."""
    decided, group = readings[field.id], field.same_as or field.id
    for twin in template.fields:
        other = readings.get(twin.id)
        if other is None or twin.id == field.id or (twin.same_as or twin.id) != group or not decided.settled:
            continue
        if other.status == "blank":
            continue  # nothing stands there, so nothing contradicts
        same = (other.value, other.status) == (decided.value, decided.status)
        readings[twin.id] = other if same else replace(
            other, value=decided.value, confidence=1.0, status=decided.status, reason="", runner_up="",
            settled=decided.settled if decided.settled == "illegible" else "corrected",
        )  # fmt: skip
