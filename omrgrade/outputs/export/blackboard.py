"""Marks in the file that Blackboard's gradebook gave out (Work Offline, Download), to be uploaded again.

Tab-separated UTF-16 called .xls, or CSV. Blackboard finds pupils by Username and columns by the number at
the end of ``Title [Total Pts: 10 Score] |1281892``; columns that it works out itself say "up to" so many
points.
"""

from __future__ import annotations

import re

from omrgrade.errors import OutputError
from omrgrade.outputs.csvtext import csv_bytes
from omrgrade.outputs.export.choosing import Column, choose
from omrgrade.outputs.export.filling import Target, as_number
from omrgrade.outputs.export.pupils import Marked
from omrgrade.outputs.export.rawcsv import RawTable

KEYS = ("Student ID", "Username")
_COLUMN = re.compile(
    r"(?P<title>.*\S)\s*\[Total Pts: (?P<calculated>up to )?(?P<points>[\d.,]*)[^]]*\]\s*\|(?P<id>\d+)",
    re.DOTALL,
)


def target(table: RawTable, assignment: str, title: str) -> Target:
    """Where marks go; `assignment`: the column's title, its number or the whole heading."""
    header = table.header
    if "Username" not in header:
        raise OutputError(
            "is not a gradebook that Blackboard gave out",
            where=table.where,
            fix="in Blackboard: Gradebook, Download (Work Offline, Download); keep the column Username",
            received=header[:5],
        )
    matches = {place: match for place, h in enumerate(header) if (match := _COLUMN.fullmatch(h))}
    columns = [
        Column(place=place, heading=header[place], title=match["title"], id=match["id"])
        for place, match in matches.items()
        if not match["calculated"]
    ]
    column = choose(table, columns, assignment, title)
    name = [header.index(heading) for heading in ("First Name", "Last Name") if heading in header]
    username = header.index("Username")
    return Target(
        column=column,
        rows=[row for row in range(1, len(table.rows)) if table.text(row, username)],
        keys={key: header.index(key) for key in KEYS if key in header},
        name_columns=name or [username],
        points_possible=as_number(matches[column]["points"]),
    )


def gradebook(marked: Marked, title: str) -> bytes:
    """A new column for Blackboard to make; the student numbers must be the usernames there."""
    return csv_bytes(("Username", title), ((m.student_id, m.points) for m in marked.marks))
