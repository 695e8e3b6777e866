"""The roster as a look-up: who a student number belongs to, or is most likely to belong to."""

from __future__ import annotations

from collections import defaultdict
from difflib import SequenceMatcher
from math import log

from omrgrade.records import FieldReading, Pupil, Roster

UNSEEN = 1e-4  # probability given to a digit that the reader did not consider at all
NEAREST = 3  # pupils offered


class Register:
    """Finds numbers exactly, else as numbers where only one pupil fits; ranks pupils for the others."""

    def __init__(self, roster: Roster) -> None:
        self._pupils = roster.pupils
        self._exact = {pupil.student_id for pupil in roster.pupils}
        self._by_number: dict[str, list[str]] = defaultdict(list)
        for student_id in self._exact:
            self._by_number[without_zeros(student_id)].append(student_id)

    def find(self, number: str) -> str:
        """The roster's own spelling of `number`; "" when it is not there."""
        if number in self._exact:
            return number
        similar = self._by_number.get(without_zeros(number), [])
        return similar[0] if len(similar) == 1 else ""

    def nearest(self, reading: FieldReading) -> list[Pupil]:
        """Up to NEAREST pupils that the reading may mean, likeliest first.

        By the probability that its digit boxes give each number; where these do not fit (bubbles, another
        length) by how alike the numbers look, and then only if at least half of them agrees.
        """
        ranked = []
        for place, pupil in enumerate(self._pupils):
            score = _log_probability(reading, pupil.student_id)
            if score is None:
                alike = SequenceMatcher(None, reading.value, pupil.student_id, autojunk=False).ratio()
                score = log(UNSEEN) * len(pupil.student_id) * (1 - alike)
            if score > log(UNSEEN) * len(pupil.student_id) / 2:
                ranked.append((-score, place, pupil))
        return [pupil for _, _, pupil in sorted(ranked)[:NEAREST]]


def without_zeros(text: str) -> str:
    """A number without leading zeros; other texts as they are."""
    return (text.lstrip("0") or "0") if text.isascii() and text.isdecimal() else text


def _log_probability(reading: FieldReading, number: str) -> float | None:
    """Log of the probability that the boxes say `number`; None if they cannot be compared with it."""
    boxes = [box for box in reading.boxes if box.status != "blank"]
    if len(boxes) != len(number) or not number.isdecimal() or not all(box.probabilities for box in boxes):
        return None
    return sum(
        log(max(UNSEEN, box.probabilities[int(digit)])) for box, digit in zip(boxes, number, strict=True)
    )
