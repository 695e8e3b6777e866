"""The roster: who should hand in a sheet, from CSV or XLSX."""

from __future__ import annotations

import re
from pathlib import Path

from omrgrade.errors import RosterError
from omrgrade.records import Pupil, Roster
from omrgrade.tables import Columns, Row, read_table

_COLUMNS = Columns(
    names={
        "student_id": (
            "student number",
            "student no",
            "studentid",
            "id number",
            "sis id",
            "number",
            "no",
            "id",
        ),
        "name": ("student name", "full name", "student", "pupil"),
        "first_name": ("given name", "forename"),
        "last_name": ("family name", "surname"),
    },
    required=("student_id",),
    ignore_others=True,
)
# What Excel leaves of a long number in a CSV: 1.23457E+11.
_SHORTENED = re.compile(r"\d([.,]\d+)?E\+\d+", re.IGNORECASE)


def load_roster(path: str | Path) -> Roster:
    """Read a roster: ``student_id`` and, where wanted, ``name`` (or first and last name); others are ignored.

    Student numbers are text: leading zeros stay.
    """
    table = read_table(path, _COLUMNS, RosterError)
    lines: dict[str, str] = {}  # student number -> where it was
    pupils = []
    for row in table.rows:
        pupil = _pupil(row)
        if pupil.student_id in lines:
            raise RosterError(
                f'column "student_id": this number already stands at {lines[pupil.student_id]}',
                where=row.where,
                fix="keep one line a pupil",
                received=pupil.student_id,
            )
        lines[pupil.student_id] = row.where
        pupils.append(pupil)
    if not pupils:
        raise RosterError(
            "has a header but no pupils", where=table.where, fix="add a line a pupil", received=table.columns
        )
    return Roster(pupils=tuple(pupils), digest=table.digest)


def _pupil(row: Row) -> Pupil:
    student_id = row.cells["student_id"]
    if not student_id:
        raise RosterError(
            'column "student_id": is empty', where=row.where, fix="write the number", received=row.cells
        )
    if _SHORTENED.fullmatch(student_id):
        raise RosterError(
            'column "student_id": the spreadsheet has shortened this number',
            where=row.where,
            fix="format the column as text, or as a number without decimals, and save again",
            received=student_id,
        )
    full = f"{row.cells.get('first_name', '')} {row.cells.get('last_name', '')}".strip()
    return Pupil(student_id=student_id, name=row.cells.get("name") or full)
