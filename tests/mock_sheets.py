"""A small sheet and hand-made readings of it, for tests of what comes after reading."""

from omrgrade.records import BoxReading, Fiducials, Field, FieldReading, PageReading, Rect, Template

LETTERS = ("A", "B", "C", "D", "E")
DIGITS = tuple("0123456789")


def row_of_boxes(x, y, count, *, step=9.0, size=7.5):
    return tuple(Rect(x=x + step * i, y=y, width=size, height=size) for i in range(count))


def grid_of_bubbles(x, y, columns, options):
    return tuple(
        Rect(x=x + 6 * c, y=y + 5 * r, width=4, height=4) for c in range(columns) for r in range(options)
    )


def make_template(**changes):
    fields = (
        Field(id="student", kind="digits", role="identifier", boxes=row_of_boxes(30, 40, 4), label="Number"),
        Field(
            id="student_bubbles",
            kind="grid",
            role="identifier",
            boxes=grid_of_bubbles(150, 40, 4, 10),
            options=DIGITS,
            same_as="student",
        ),
        Field(id="q1", kind="digits", role="item", boxes=row_of_boxes(30, 110, 2)),
        Field(id="q2", kind="digits", role="item", boxes=row_of_boxes(30, 125, 3)),
        Field(id="q3", kind="choice", role="item", boxes=row_of_boxes(30, 140, 5, size=5), options=LETTERS),
        Field(
            id="q4",
            kind="choice",
            role="item",
            boxes=row_of_boxes(30, 155, 4, size=5),
            options=LETTERS[:4],
            multiple=True,
        ),
    )
    corners = tuple(Rect(x=x, y=y, width=12, height=12) for x, y in ((8, 8), (190, 8), (190, 277), (8, 277)))
    fiducials = Fiducials(method="aruco", dictionary="4x4_50", ids=(0, 1, 2, 3), boxes=corners)
    return Template(
        **{
            "name": "quiz",
            "title": "Quiz",
            "page_width": 210.0,
            "page_height": 297.0,
            "fiducials": fiducials,
            "fields": fields,
            "digest": "t" * 64,
            **changes,
        }
    )


KINDS = {f.id: f.kind for f in make_template().fields}


def read(field, value, *, confidence=0.999, runner_up="", kind=None):
    return FieldReading(
        field=field,
        kind=kind or KINDS[field],
        value=value,
        confidence=confidence,
        status="read" if value else "blank",
        runner_up=runner_up,
    )


def review(field, value, reason="uncertain", *, confidence=0.6, runner_up="", kind=None):
    return FieldReading(
        field=field,
        kind=kind or KINDS[field],
        value=value,
        confidence=confidence,
        status="review",
        reason=reason,
        runner_up=runner_up,
        boxes=(
            BoxReading(value="1", confidence=0.99, status="read"),
            BoxReading(value="7", confidence=confidence, status="review", reason=reason, runner_up="1"),
        ),
    )


def make_page(source="a.png", page=1, student="1001", **values):
    """A page's readings; a value is text, "" for blank, or a FieldReading. `student` fills both fields."""
    given = {"student": student, "student_bubbles": student, "q1": "12", "q2": "007", "q3": "B", "q4": "A+C"}
    given |= values
    fields = tuple(v if isinstance(v, FieldReading) else read(name, v) for name, v in given.items())
    return PageReading(source=source, page=page, fields=fields, digest=f"{source}#{page}")
