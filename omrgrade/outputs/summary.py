"""What a person reads in the terminal: the marks as a plain table, and the state of the batch in words."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Container, Iterable, Sequence
from statistics import mean

from omrgrade.grading import NOT_COUNTED
from omrgrade.grading.marker import place
from omrgrade.outputs.csvtext import number_text
from omrgrade.records import Batch, PageReading, Pupil, SheetMarks

_HEADER = ("source", "page", "student_id", "status", "total", "percent", "to_review")
_TO_THE_RIGHT = {"page", "total", "percent", "to_review"}
_NAMED = 10  # so many absent pupils and unreadable pages are named; absent.csv and review.csv have all


def marks_table(batch: Batch) -> str:
    """A row a sheet, in page order, columns aligned."""
    gaps = batch.gaps
    return plain_table(_HEADER, [_row(sheet, gaps) for sheet in batch.rows], _TO_THE_RIGHT)


def plain_table(header: Sequence[str], body: Sequence[Sequence[str]], to_the_right: Container[str]) -> str:
    """Rows under a header, columns aligned, those named in `to_the_right` on the right."""
    rows = [header, *body]
    cells = [[_printable(cell) for cell in row] for row in rows]
    widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(
            _padded(cell, width, right=name in to_the_right)
            for cell, width, name in zip(row, widths, header, strict=True)
        ).rstrip()
        for row in cells
    )


def _row(sheet: SheetMarks, gaps: Container[tuple[str, int]]) -> tuple[str, ...]:
    scored = sheet.scores and (sheet.source, sheet.page) not in gaps
    total = f"{number_text(sheet.total)}/{number_text(sheet.maximum)}" if scored else ""
    percent = f"{sheet.percent:.1f}" if scored else ""
    review = "" if sheet.status in NOT_COUNTED else str(sheet.to_review)
    return (sheet.source, str(sheet.page), sheet.student_id, sheet.status, total, percent, review)


def _printable(text: str) -> str:
    """Without control characters: a file name must not steer the terminal."""
    return "".join("?" if unicodedata.category(c)[0] == "C" else c for c in text)


def _width(text: str) -> int:
    """Columns in a terminal: East Asian letters take two, combining accents none."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )


def _padded(text: str, width: int, *, right: bool) -> str:
    blanks = " " * (width - _width(text))
    return blanks + text if right else text + blanks


# ---------------------------------------------------------------- in words


def page_line(page: PageReading) -> str:
    """How reading one page went: its name, and its problem or how much of it is in doubt."""
    doubts = sum(reading.status == "review" for reading in page.fields)
    doubt = page.registration.doubt if page.registration else ""
    state = page.problem or doubt or (f"{doubts} to review" if doubts else "ok")
    return _printable(f"{place(page)}: {state}")


def summary(batch: Batch, *, unkeyed: Sequence[str] = ()) -> str:
    """Pages, marks, doubts and absences, a line each; only what there is to say.

    `unkeyed` are items that the key leaves out (`key.unkeyed_items`).
    """
    counts = Counter(sheet.status for sheet in batch.rows)
    return "\n".join(
        line
        for line in (
            _pages_line(batch),
            *_unreadable_lines(batch),
            _counted(
                sum(1 for marks in batch.marks if marks.doubt),
                "page",
                "whose boxes may not lie well, see review.csv",
            ),
            _mean_line(batch),
            _review_line(batch),
            *_gap_lines(batch),
            _counted(counts["unknown_student"], "sheet", "without a known student number"),
            _counted(counts["duplicate_student"], "sheet", "with a student number that others claim too"),
            _counted(counts["duplicate_page"], "page", "scanned twice, counted once"),
            _counted(counts["set_aside"], "page", "set aside by hand"),
            _absent_line(batch.absent, batch.rows),
            f"not in the key, so not scored: {', '.join(unkeyed)}" if unkeyed else "",
            "interrupted: not all pages were read" if batch.interrupted else "",
        )
        if line
    )


def _counted(number: int, noun: str, rest: str = "") -> str:
    return f"{number} {noun}{'' if number == 1 else 's'} {rest}".rstrip() if number else ""


def _pages_line(batch: Batch) -> str:
    line = _counted(len(batch.pages), "page") or "no pages"
    if batch.unreadable:
        line += f", {batch.unreadable} unreadable"
    if batch.kept:
        line += f", {batch.kept} of them read before"
    return f"{line}, {batch.seconds:.1f} s" if batch.seconds else line


def _unreadable_lines(batch: Batch) -> list[str]:
    """Which pages gave nothing, and why."""
    unread = [marks for marks in batch.marks if marks.status == "unreadable"]
    more = [f"  and {len(unread) - _NAMED} more, see review.csv"] if len(unread) > _NAMED else []
    return [_printable(f"  {place(marks)}: {marks.problem}") for marks in unread[:_NAMED]] + more


def _gap_lines(batch: Batch) -> list[str]:
    """Which sheets lack a page, or have one twice."""
    gaps = [sheet.marks for sheet in batch.sheets if not sheet.complete and sheet.marks.problem]
    if not gaps:
        return []
    named = [
        _printable(f"  {row.student_id or f'{row.source} page {row.page}'}: {row.problem}") for row in gaps
    ]
    more = [f"  and {len(gaps) - _NAMED} more, see pages.csv"] if len(gaps) > _NAMED else []
    head = _counted(len(gaps), "sheet", "whose pages are not all there, or not sure, so without a total:")
    return [head, *named[:_NAMED], *more]


def _mean_line(batch: Batch) -> str:
    gaps = batch.gaps
    scored = [sheet for sheet in batch.rows if sheet.scores and (sheet.source, sheet.page) not in gaps]
    if not scored:
        return ""
    points, percent = mean(sheet.total for sheet in scored), mean(sheet.percent for sheet in scored)
    so_far = " before review" if batch.to_review else ""
    sheets, maximum = _counted(len(scored), "sheet"), number_text(scored[0].maximum)
    return f"mean {points:.2f} of {maximum} points ({percent:.1f} %) over {sheets}{so_far}"


def _review_line(batch: Batch) -> str:
    sheets = _counted(sum(1 for sheet in batch.rows if sheet.to_review), "sheet")
    return _counted(batch.to_review, "reading", f"to review on {sheets}")


def _absent_line(absent: Sequence[Pupil], marks: Iterable[SheetMarks]) -> str:
    if not absent:
        return ""
    names = [_printable(f"{pupil.student_id} {pupil.name}".strip()) for pupil in absent[:_NAMED]]
    more = f" and {len(absent) - _NAMED} more" if len(absent) > _NAMED else ""
    nobodys = sum(1 for sheet in marks if not sheet.student_id and sheet.status not in NOT_COUNTED)
    perhaps = f" ({_counted(nobodys, 'sheet')} without a sure number may be theirs)" if nobodys else ""
    return f"{len(absent)} absent{perhaps}: {', '.join(names)}{more}"
