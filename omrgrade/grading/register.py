"""The roster as a look-up: who a student number belongs to, or is most likely to belong to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from difflib import SequenceMatcher
from functools import lru_cache, reduce
from math import log

import numpy as np
from numpy.typing import NDArray

from omrgrade.records import FieldReading, Pupil, Roster

UNSEEN = 1e-4  # probability given to a digit that the reader did not consider at all
Reals = NDArray[np.float64]
NEAREST = 3  # pupils offered
REMEMBERED = 10_000  # readings whose nearest pupils are kept: some 50 MB
MOST_OTHERS = 5000  # pupils whose numbers are compared letter by letter, where probabilities cannot be
STRANGERS = 0.02  # share of sheets supposed to bear a number that is not on the roster, by slip or by guest


class Register:
    """Finds numbers exactly, else as numbers where only one pupil fits; ranks pupils for the others."""

    def __init__(self, roster: Roster) -> None:
        self._pupils = roster.pupils
        self._exact = {pupil.student_id for pupil in roster.pupils}
        self._by_number: dict[str, list[str]] = defaultdict(list)
        for student_id in self._exact:
            self._by_number[without_zeros(student_id)].append(student_id)
        self._by_length: dict[int, list[int]] = defaultdict(list)  # places of pupils with plain numbers
        for place, pupil in enumerate(self._pupils):
            if pupil.student_id.isascii() and pupil.student_id.isdecimal():
                self._by_length[len(pupil.student_id)].append(place)
        self._groups = {
            length: _groups([self._pupils[n].student_id for n in places], length)
            for length, places in self._by_length.items()
        }
        self._others: dict[int, list[int]] = {}  # places of those without plain numbers of a length
        # a page is asked about whenever the run is gone through
        self._remembered = lru_cache(maxsize=REMEMBERED)(self._nearest)

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
        return list(self._remembered(reading))

    def sureness(self, reading: FieldReading) -> float:
        """How probable it is (0-1) that a number in digit boxes is of the pupil whose number it reads as.

        Bayes' rule: every pupil of the roster is as likely as another, other numbers share STRANGERS. A
        number that differs in the doubtful digit is hardly meant if no pupil has it; if one has, the doubt
        stays. Ink that is no digit tells nothing about which it stands for. 0 for numbers of nobody on the
        roster.
        """
        boxes = reading.boxes
        if reading.value not in self._exact or not all(box.value and box.probabilities for box in boxes):
            return 0.0
        groups = self._groups.get(len(boxes))
        if groups is None or len(reading.value) != len(boxes):
            return 0.0
        chances = np.array([box.probabilities[:10] for box in boxes])
        chances += np.maximum(1 - chances.sum(axis=1, keepdims=True), 0) / 10
        each = _of_each(chances, groups, np.multiply)
        own = chances[np.arange(len(boxes)), [int(digit) for digit in reading.value]].prod()
        strangers = STRANGERS / (1 - STRANGERS) * len(each) / 10.0 ** len(boxes)
        return float(own / (each.sum() + strangers))

    def _nearest(self, reading: FieldReading) -> tuple[Pupil, ...]:
        boxes = [box for box in reading.boxes if box.status != "blank"]
        length = len(boxes) if all(box.probabilities for box in boxes) else 0
        comparable = self._by_length.get(length, [])
        ranked = []
        if comparable:  # all at once: an exam may have a hundred thousand pupils
            logs = np.log(np.maximum([box.probabilities[:10] for box in boxes], UNSEEN))
            # rounded: of equally likely pupils the roster's first comes first, whatever the last bits say
            scores = np.round(_of_each(logs, self._groups[length], np.add), 9)
            best = np.partition(scores, -NEAREST)[-NEAREST] if len(scores) > NEAREST else -np.inf
            good = np.flatnonzero((scores > log(UNSEEN) * length / 2) & (scores >= best))
            good = good[np.argsort(-scores[good], kind="stable")][:NEAREST]
            ranked = [(-float(scores[n]), comparable[n], self._pupils[comparable[n]]) for n in good]
        for place in self._besides(length):
            pupil = self._pupils[place]
            alike = SequenceMatcher(None, reading.value, pupil.student_id, autojunk=False).ratio()
            score = log(UNSEEN) * len(pupil.student_id) * (1 - alike)
            if score > log(UNSEEN) * len(pupil.student_id) / 2:
                ranked.append((-score, place, pupil))
        return tuple(pupil for _, _, pupil in sorted(ranked)[:NEAREST])

    def _besides(self, length: int) -> list[int]:
        """Places of the pupils without a plain number of that length; none if they are too many."""
        if length not in self._others:
            comparable = set(self._by_length.get(length, []))
            few = len(self._pupils) - len(comparable) <= MOST_OTHERS
            places = range(len(self._pupils)) if few else ()
            self._others[length] = [place for place in places if place not in comparable]
        return self._others[length]


_DIGITS = 3
"""Digits of a number that are looked up at once: a tenth of the time, for a hundred thousand pupils."""


def _groups(numbers: Sequence[str], length: int) -> list[NDArray[np.intp]]:
    """Of each group of up to `_DIGITS` digits, from the left: (pupils,) what stands there as a number."""
    return [
        np.array([int(number[start : start + _DIGITS]) for number in numbers], np.intp)
        for start in range(0, length, _DIGITS)
    ]


def _of_each(table: Reals, groups: Sequence[NDArray[np.intp]], together: np.ufunc) -> Reals:
    """(pupils,) the values of a number's digits put together; table: (length, 10), by place and digit."""
    parts = []
    for n, group in enumerate(groups):
        rows = table[n * _DIGITS : (n + 1) * _DIGITS]
        parts.append(reduce(together.outer, rows).reshape(-1)[group])
    return np.asarray(reduce(together, parts), np.float64)


_last: list[tuple[Roster, Register]] = []


def register_of(roster: Roster) -> Register:
    """The register of a roster; that of the last one asked for is kept, since every page asks."""
    if not _last or _last[0][0] is not roster:
        _last[:] = [(roster, Register(roster))]
    return _last[0][1]


def without_zeros(text: str) -> str:
    """A number without leading zeros; other texts as they are."""
    return (text.lstrip("0") or "0") if text.isascii() and text.isdecimal() else text
