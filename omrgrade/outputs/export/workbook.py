"""The marks as an Excel workbook: pupils, items, answers, and what somebody should look at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from io import BytesIO
from typing import Any

from omrgrade.outputs import items as item_tables
from omrgrade.outputs import review
from omrgrade.outputs.export import plain
from omrgrade.outputs.export.pupils import Marked
from omrgrade.outputs.results import Cell, Results

_FORMATS = {
    "points": "0.##", "max": "0.##", "percent": "0.0", "confidence": "0.000", "difficulty": "0.00",
    "item_total_r": "0.00", "upper_27": "0.00", "lower_27": "0.00", "discrimination": "0.00", "share": "0 %",
    "point_biserial": "0.00",
}  # fmt: skip
_GOOD, _BAD, _DOUBT, _HEAD = "C6EFCE", "FFC7CE", "FFEB9C", "D9E1F2"
_WIDEST = 60


def workbook(results: Results, marked: Marked) -> bytes:
    """The .xlsx file."""
    from openpyxl import Workbook

    book = Workbook()
    book.properties.creator = "omrgrade"
    marks = book.active
    marks.title = "Marks"
    header = plain.columns(results)
    count = _table(marks, header, plain.rows(results, marked), frozen="C2")
    _colour_marks(marks, results, header, count)
    found = item_tables.statistics(results)
    count = _table(book.create_sheet("Items"), item_tables.COLUMNS, item_tables.rows(found))
    _colour_items(book["Items"], count)
    _table(book.create_sheet("Answers"), item_tables.ANSWER_COLUMNS, item_tables.answer_rows(found))
    _table(book.create_sheet("To review"), review.COLUMNS, review.rows(results))
    stream = BytesIO()
    book.save(stream)
    return stream.getvalue()


def _table(sheet: Any, header: Sequence[str], rows: Iterable[Sequence[Cell]], *, frozen: str = "B2") -> int:
    """Write a header and rows; how many rows. Text stays text, whatever it begins with."""
    from openpyxl.styles import Alignment, Font
    from openpyxl.utils import get_column_letter

    widths = [len(name) + 3 for name in header]
    for column, name in enumerate(header, 1):
        cell = sheet.cell(1, column, name)
        cell.font, cell.fill = Font(bold=True), _fill(_HEAD)
    count = 0
    for count, row in enumerate(rows, 1):
        for column, value in enumerate(row, 1):
            _write(sheet.cell(count + 1, column), value, _FORMATS.get(header[column - 1], ""))
            if isinstance(value, str):
                widths[column - 1] = max(widths[column - 1], min(len(value) + 2, _WIDEST))
            elif value is not None:
                sheet.cell(1, column).alignment = Alignment(horizontal="right")
    for column, width in enumerate(widths, 1):
        sheet.column_dimensions[get_column_letter(column)].width = width
    sheet.freeze_panes = frozen
    sheet.auto_filter.ref = f"A1:{get_column_letter(len(header))}{count + 1}"
    sheet.page_setup.orientation, sheet.page_setup.fitToHeight = "landscape", 0
    sheet.sheet_properties.pageSetUpPr.fitToPage = True
    sheet.print_title_rows = "1:1"
    return count


def _write(cell: Any, value: Cell, number_format: str) -> None:
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    if isinstance(value, str):
        cell.value = ILLEGAL_CHARACTERS_RE.sub("", value).encode("utf-8", "backslashreplace").decode()
        cell.data_type, cell.number_format = "s", "@"  # a name like =1+1, a number like 007
    elif value is not None:
        cell.value = value
        if number_format:
            cell.number_format = number_format


def _fill(colour: str) -> Any:
    """A plain fill; both colours, since for rules Excel takes the second and others the first."""
    from openpyxl.styles import PatternFill

    return PatternFill("solid", start_color=colour, end_color=colour)


def _colour_marks(sheet: Any, results: Results, header: Sequence[str], count: int) -> None:
    """Full points green, none red, something to review yellow; a bar for the percentage."""
    from openpyxl.formatting.rule import CellIsRule, DataBarRule, FormulaRule
    from openpyxl.utils import get_column_letter

    if not count:
        return
    good, bad, doubt = (_fill(colour) for colour in (_GOOD, _BAD, _DOUBT))
    percent = get_column_letter(header.index("percent") + 1)
    bar = DataBarRule(start_type="num", start_value=0, end_type="num", end_value=100, color="FF8DB4E2")
    sheet.conditional_formatting.add(f"{percent}2:{percent}{count + 1}", bar)
    note = get_column_letter(header.index("note") + 1)
    rule = FormulaRule(formula=[f"LEN(${note}2)>0"], fill=doubt)
    sheet.conditional_formatting.add(f"A2:{note}{count + 1}", rule)
    worth: dict[str, float] = {}
    for item in results.key.items if results.key else ():
        worth[item.item] = max(item.points, worth.get(item.item, 0.0))
    for column, name in enumerate(results.scored_items(), len(plain.BEFORE) + 1):
        letter = get_column_letter(column)
        cells = f"{letter}2:{letter}{count + 1}"
        empty = FormulaRule(formula=[f"ISBLANK({letter}2)"], stopIfTrue=True)
        sheet.conditional_formatting.add(cells, empty)  # an empty cell would count as 0
        full = CellIsRule(operator="greaterThanOrEqual", formula=[str(worth[name])], fill=good)
        sheet.conditional_formatting.add(cells, full)
        none = CellIsRule(operator="lessThanOrEqual", formula=["0"], fill=bad)
        sheet.conditional_formatting.add(cells, none)


def _colour_items(sheet: Any, count: int) -> None:
    """Negative discrimination red; difficulty from hard to easy as a bar."""
    from openpyxl.formatting.rule import CellIsRule, DataBarRule
    from openpyxl.utils import get_column_letter

    if not count:
        return
    for name in ("item_total_r", "discrimination"):
        letter = get_column_letter(item_tables.COLUMNS.index(name) + 1)
        rule = CellIsRule(operator="lessThan", formula=["0"], fill=_fill(_BAD))
        sheet.conditional_formatting.add(f"{letter}2:{letter}{count + 1}", rule)
    letter = get_column_letter(item_tables.COLUMNS.index("difficulty") + 1)
    bar = DataBarRule(start_type="num", start_value=0, end_type="num", end_value=1, color="FF8DB4E2")
    sheet.conditional_formatting.add(f"{letter}2:{letter}{count + 1}", bar)
