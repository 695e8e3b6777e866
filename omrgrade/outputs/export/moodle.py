"""Marks for Moodle: in an assignment's grading worksheet, or as a table for the gradebook's CSV import.

The worksheet (View all submissions, Download grading worksheet) has Identifier ("Participant 123"), by
which Moodle finds the pupil, Full name, ID number and Email address where the site shows them, Grade,
Maximum grade, Grade can be changed, and Last modified (grade): a row that was changed in Moodle since then
is passed over by the import, so that cell goes back just as it came. Headings are in the teacher's
language: --assignment and --match name the columns then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from omrgrade.errors import OutputError
from omrgrade.outputs.csvtext import csv_bytes
from omrgrade.outputs.export.choosing import Column, choose
from omrgrade.outputs.export.filling import Target, as_number
from omrgrade.outputs.export.pupils import Marked
from omrgrade.outputs.export.rawcsv import RawTable

KEYS = ("ID number", "Email address", "Username")


def target(table: RawTable, assignment: str, title: str) -> Target:
    """Where marks go; `assignment`: the heading of the grade column where it is not "Grade"."""
    places = {heading.casefold(): n for n, heading in enumerate(table.header)}
    if "identifier" not in places and not assignment:
        raise OutputError(
            "is not a grading worksheet that Moodle gave out",
            where=table.where,
            fix="in Moodle: the assignment, View all submissions, Download grading worksheet; headings in "
            "another language: name the grade column with --assignment, the number's column with --match",
            received=table.header[:6],
        )
    columns = [Column(place=n, heading=h, title=h) for n, h in enumerate(table.header)]
    column = choose(table, columns, assignment or "Grade", title)
    rows = [row for row in range(1, len(table.rows)) if any(table.text(row, n) for n in range(3))]
    most = places.get("maximum grade", -1)
    maxima = {
        row: value for row in rows if most >= 0 for value in [as_number(table.text(row, most))] if value
    }
    change = places.get("grade can be changed", -1)
    locked = {
        row: "locked there" for row in rows if change >= 0 and table.text(row, change).casefold() == "no"
    }
    name = places.get("full name", 1)
    return Target(
        column=column,
        rows=rows,
        keys={key: places[key.casefold()] for key in KEYS if key.casefold() in places},
        name_columns=(name,),
        locked=locked,
        most=maxima,
        points_possible=max(maxima.values(), default=None),
        comma=most >= 0 and any("," in table.text(row, most) for row in rows),
    )


def gradebook(
    marked: Marked, title: str, *, by: str, people: Mapping[str, Sequence[str]]
) -> tuple[bytes, list[str]]:
    """A table for Grades, Import, CSV file, and whom it leaves out. `by`: "id" or "email".

    In Moodle map "ID number" or "Email address" to the same, and the title to the grade item.
    """
    if by == "email":
        emails = {number: [p for p in found if "@" in p] for number, found in people.items()}
        if not any(emails.values()):
            raise OutputError(
                "no e-mail address is known", fix="give a table of student_id,email with --people"
            )
        known = [m for m in marked.marks if emails.get(m.student_id)]
        rows = [(emails[m.student_id][0], m.name, m.points) for m in known]
    else:
        known = list(marked.marks)
        rows = [(m.student_id, m.name, m.points) for m in known]
    heading = "Email address" if by == "email" else "ID number"
    missing = [f"{m.student_id} {m.name}".strip() for m in marked.marks if m not in known]
    return csv_bytes((heading, "Full name", title), rows), missing
