"""Marks in the gradebook CSV that Canvas gave out (Grades, Export), to be imported there again.

The columns are Student, ID, perhaps SIS User ID, SIS Login ID, Integration ID, Root Account, then Section,
the teacher's own columns, and the assignments as ``Title (id)``. Canvas finds pupils by ID, assignments by
id. Below the header there may be a row that says "Manual Posting", then comes the row "Points Possible", in
which columns that Canvas works out itself are marked "(read only)". EX is an excused pupil, N/A one who has
no such assignment.
"""

from __future__ import annotations

import re

from omrgrade.errors import OutputError
from omrgrade.outputs.export.choosing import Column, choose
from omrgrade.outputs.export.filling import Target, as_number
from omrgrade.outputs.export.rawcsv import RawTable

KEYS = ("SIS User ID", "SIS Login ID", "Integration ID", "ID")
_WITH_ID = re.compile(r"(?P<title>.*\S)\s*\((?P<id>\d+)\)", re.DOTALL)
_LOCKED = {"EX": "excused there", "N/A": "does not have this assignment"}


def target(table: RawTable, assignment: str, title: str) -> Target:
    """Where marks go; `assignment`: its title, its id or both as in the header; `title`: the test's own."""
    header = table.header
    by_name = header[:1] == ["Student"] or header[:2] == ["LastName", "FirstName"]
    if not by_name or "ID" not in header or "Section" not in header:
        raise OutputError(
            "is not a gradebook that Canvas exported",
            where=table.where,
            fix="in Canvas: Grades, Export, Export Entire Gradebook",
            received=header[:5],
        )
    names = 1 if header[0] == "Student" else 2
    rows = range(1, len(table.rows))
    points = next((row for row in rows if "Points Possible" in table.text(row, 0)), None)
    column = choose(table, _assignments(table, points), assignment, title)
    pupils = [
        row
        for row in rows
        if row > (points or 0)
        and any(table.text(row, n) for n in range(names))
        and not _test_student(table, row)
    ]
    locked = {row: _LOCKED[text] for row in pupils if (text := table.text(row, column).upper()) in _LOCKED}
    return Target(
        column=column,
        rows=pupils,
        keys={key: header.index(key) for key in KEYS if key in header},
        name_columns=range(names),
        unlikely=frozenset({"ID"}),  # Canvas's own number of a pupil, which may be another's student number
        locked=locked,
        points_possible=None if points is None else as_number(table.text(points, column)),
    )


def _assignments(table: RawTable, points: int | None) -> list[Column]:
    found = []
    for place, heading in enumerate(table.header):
        match = _WITH_ID.fullmatch(heading)
        read_only = points is not None and "read only" in table.text(points, place)
        if match and place > table.header.index("Section") and not read_only:
            found.append(Column(place=place, heading=heading, title=match["title"], id=match["id"]))
    return found


def _test_student(table: RawTable, row: int) -> bool:
    """Canvas's own make-believe pupil, who is in every gradebook."""
    return table.text(row, 0) == "Student, Test" or [table.text(row, n) for n in (0, 1)] == [
        "Student",
        "Test",
    ]
