"""What else a student number goes by elsewhere: e-mail, login, another system's id."""

from __future__ import annotations

from pathlib import Path

from omrgrade.errors import RosterError
from omrgrade.tables import Columns, read_table

_COLUMNS = Columns(
    names={
        "student_id": ("student number", "student no", "studentid", "number", "id"),
        "email": ("email address", "e-mail", "mail"),
        "login": ("username", "user name", "sis login id", "login id"),
        "other": ("sis user id", "integration id", "id number"),
    },
    required=("student_id",),
    ignore_others=True,
)


def load_people(path: str | Path) -> dict[str, tuple[str, ...]]:
    """Student number -> other names, from a CSV or XLSX with student_id and any of email, login, other."""
    table = read_table(path, _COLUMNS, RosterError)
    if len(table.columns) < 2:
        raise RosterError(
            "has nothing beside the student number",
            where=table.where,
            fix="add a column email or login",
            received=table.columns,
        )
    return {
        row.cells["student_id"]: tuple(
            text for column, text in row.cells.items() if column != "student_id" and text
        )
        for row in table.rows
    }
