"""Marks put into a file that a gradebook gave out: which row is whose, and what there is to say about it."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from omrgrade.errors import OutputError
from omrgrade.grading.register import without_zeros
from omrgrade.outputs.csvtext import number_text
from omrgrade.outputs.export.pupils import Marked, PupilMark
from omrgrade.outputs.export.rawcsv import RawTable

LEAST = 0.5
"""Share (0-1) of the marks that must find their row before a column is believed to hold student numbers."""
_LISTED = 12


@dataclass(kw_only=True, slots=True)
class Filled:
    """What was done, for the teacher to read."""

    marks: int = 0  # written
    changed: list[str] = field(default_factory=list)  # pupils who had another mark there before
    left: list[str] = field(default_factory=list)  # rows left as they were, with the reason
    missing: list[str] = field(default_factory=list)  # marks whose pupil is not in the file
    names: list[str] = field(default_factory=list)  # numbers that fit, names that do not
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """Where marks go in a table."""

    column: int  # that is filled
    rows: Sequence[int]  # of pupils
    keys: Mapping[str, int]  # columns that may say who a row is about: heading -> place
    name_columns: Sequence[int]  # whose cells make the pupil's name
    unlikely: frozenset[str] = frozenset()  # headings that are believed only when asked for
    locked: Mapping[int, str] = field(default_factory=dict)  # rows that must stay as they are -> why
    most: Mapping[int, float] = field(default_factory=dict)  # rows -> the most points that are accepted
    points_possible: float | None = None
    comma: bool = False  # numbers are written 12,5


def fill(
    table: RawTable,
    target: Target,
    marked: Marked,
    *,
    people: Mapping[str, Sequence[str]] | None = None,
    match: str = "",
    scale: bool = False,
) -> Filled:
    """Write the marks into the table. `people`: what else a student number goes by (e-mail, login)."""
    filled = Filled()
    factor = _factor(target, marked, filled, scale)
    keys = _keys_of(marked, people or {})
    column, owners = _owners(table, target, keys, match)
    twice = {mark.student_id for mark, count in Counter(owners.values()).items() if count > 1}
    for row in target.rows:
        mark = owners.get(row)
        name = " ".join(table.text(row, c) for c in target.name_columns).strip() or table.text(row, column)
        if mark is None:
            filled.left.append(f"{name}: no mark")
        elif mark.student_id in twice:
            filled.left.append(f"{name}: {mark.student_id} stands in several rows")
        elif row in target.locked:
            filled.left.append(f"{name}: {target.locked[row]}")
        else:
            _check_name(mark, name, filled)
            _write(table, target, row, mark, name, factor, filled)
    found = {mark.student_id for mark in owners.values()}
    filled.missing = [f"{m.student_id} {m.name}".strip() for m in marked.marks if m.student_id not in found]
    return filled


def _factor(target: Target, marked: Marked, filled: Filled, scale: bool) -> float:
    possible = target.points_possible
    if possible is None or not marked.maximum or possible == marked.maximum:
        return 1.0
    worth = f"worth {number_text(possible)} points there, the test {number_text(marked.maximum)}"
    if scale:
        filled.notes.append(f"marks are converted: {worth}")
        return possible / marked.maximum
    filled.notes.append(f"the assignment is {worth}; points are written as they are (--scale converts them)")
    return 1.0


def _write(
    table: RawTable, target: Target, row: int, mark: PupilMark, name: str, factor: float, filled: Filled
) -> None:
    points = mark.points * factor
    if points > target.most.get(row, points):
        raise OutputError(
            f"{name} has {number_text(points)} points, more than the {number_text(target.most[row])} allowed",
            where=table.where,
            fix="raise the maximum grade there, or convert the points with --scale",
        )
    text = number_text(points).replace(".", "," if target.comma else ".")
    before = table.text(row, target.column)
    if as_number(before) != as_number(text):
        if before not in ("", "-"):
            filled.changed.append(f"{name}: {before} is now {text}")
        table.put(row, target.column, text)
    filled.marks += 1


def as_number(text: str) -> float | None:
    """12.5, 12,5 or 12.50 as a number; None for anything else."""
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return None


# ---------------------------------------------------------------- whose row it is


def _keys_of(marked: Marked, people: Mapping[str, Sequence[str]]) -> dict[str, PupilMark]:
    """Everything that a pupil with a mark goes by, folded; what two of them go by is left out."""
    owners: dict[str, set[PupilMark]] = defaultdict(set)
    for mark in marked.marks:
        for key in (mark.student_id, *people.get(mark.student_id, ())):
            for form in {_folded(key), without_zeros(_folded(key))} - {""}:
                owners[form].add(mark)
    return {key: next(iter(marks)) for key, marks in owners.items() if len(marks) == 1}


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip().casefold()


def _owners(
    table: RawTable, target: Target, keys: Mapping[str, PupilMark], match: str
) -> tuple[int, dict[int, PupilMark]]:
    """The column that says who a row is about, and row -> mark."""
    named = {_folded(heading): column for heading, column in target.keys.items()}
    if match:
        everything = {_folded(heading): n for n, heading in enumerate(table.header)}
        if _folded(match) not in everything:
            raise OutputError(
                "there is no such column to find pupils by",
                where=table.where,
                fix=f"choose from: {', '.join(table.header[:_LISTED])}",
                received=match,
            )
        named = {_folded(match): everything[_folded(match)]}
    unlikely = set() if match else {_folded(heading) for heading in target.unlikely}
    found = {
        column: owners
        for heading, column in named.items()
        if heading not in unlikely
        for owners in [_by_column(table, target.rows, column, keys)]
    }
    best = max(found, key=lambda column: len(found[column]), default=-1)
    wanted = len({mark.student_id for mark in keys.values()})
    if best < 0 or len(found[best]) < max(1, LEAST * min(wanted, len(target.rows))):
        tried = ", ".join(table.header[column] for column in found) or "none"
        raise OutputError(
            "the student numbers of the sheets are not in this file",
            where=table.where,
            fix="name the column that has them with --match, or a table that links student_id to e-mail or "
            "login with --people",
            received=f"looked in: {tried}",
        )
    return best, found[best]


def _by_column(
    table: RawTable, rows: Sequence[int], column: int, keys: Mapping[str, PupilMark]
) -> dict[int, PupilMark]:
    found = {}
    for row in rows:
        text = _folded(table.text(row, column))
        mark = keys.get(text) or keys.get(without_zeros(text))
        if mark is not None:
            found[row] = mark
    return found


def _check_name(mark: PupilMark, name: str, filled: Filled) -> None:
    """A number may be right and belong to somebody else over there; only names without a common part tell."""
    ours, theirs = _parts(mark.name), _parts(name)
    if ours and theirs and not ours & theirs:
        filled.names.append(f"{mark.student_id}: {mark.name} here, {name} there")


def _parts(name: str) -> set[str]:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().casefold()
    return set("".join(c if c.isalnum() else " " for c in plain).split())
