"""The answer key: what is right and what it earns, from CSV or XLSX.

Columns ``item,answer`` and, where wanted, ``points,tolerance,penalty``. ``|`` stands between alternatives,
any of which is right; ``+`` joins the marks that one answer of a multiple-choice field needs together::

    item,answer,points,tolerance,penalty
    q1,12|21,2,,            12 or 21
    q2,3.5,1,0.5,           3 to 4, so 3 and 4
    q3,B,1,,0.25            B; any other mark takes a quarter of a point off
    q4,A+C|D,1,,            A and C together, or D alone

With a column ``version`` a line is for the sheets of that version only; which one a sheet is, says the field
that the template marks with ``version: true``. A line without a version is for all that have no own one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

from omrgrade.errors import AnswerKeyError
from omrgrade.records import AnswerKey, Field, KeyItem, Template
from omrgrade.tables import Columns, Row, read_table, suggestion

_COLUMNS = Columns(
    names={"item": (), "answer": (), "points": (), "tolerance": (), "penalty": (), "version": ()},
    required=("item", "answer"),
)
_LARGEST = Decimal(1_000_000)  # points and tolerances beyond this are a slip of the pen


def load_key(path: str | Path, template: Template | None = None) -> AnswerKey:
    """Read an answer key; with a template, also check that every item and answer can occur on that sheet.

    Items of the sheet that the key leaves out are allowed and earn nothing (see `unkeyed_items`).
    """
    table = read_table(path, _COLUMNS, AnswerKeyError)
    lines: dict[tuple[str, str], str] = {}  # item and version -> where it was
    items = []
    for row in table.rows:
        item = _key_item(row, template)
        if (item.item, item.version) in lines:
            raise AnswerKeyError(
                f'column "item": this item already stands at {lines[item.item, item.version]}',
                where=row.where,
                fix='keep one line; put several right answers into it as "12|21"',
                received=row.cells["item"],
            )
        lines[item.item, item.version] = row.where
        items.append(item)
    if not items:
        raise AnswerKeyError(
            "has a header but no items", where=table.where, fix="add a line an item", received=table.columns
        )
    key = AnswerKey(items=tuple(items), digest=table.digest)
    _check_versions(key, template, table.where)
    return key


def _check_versions(key: AnswerKey, template: Template | None, where: str) -> None:
    """Every version has a line for every item that any version has, and a sheet can say which it is."""
    if template and key.versions and not any(field.version for field in template.fields):
        raise AnswerKeyError(
            f'column "version": sheet {template.name!r} has no field that says which version it is',
            where=where,
            fix="mark one in the template with version: true, or leave the column empty",
            received=key.versions,
        )
    wanted = {item.item for item in key.items}
    for version in key.versions:
        if missing := sorted(wanted - {item.item for item in key.of_version(version)}):
            raise AnswerKeyError(
                f'column "version": version {version} lacks items that others have',
                where=where,
                fix="add a line for each, or one without a version for all",
                received=missing,
            )


def unkeyed_items(template: Template, key: AnswerKey) -> tuple[str, ...]:
    """Items of the sheet that the key leaves out, in sheet order: they are read but earn nothing."""
    keyed = {item.item for item in key.items}
    twins = {field.same_as for field in template.fields if field.id in keyed}
    return tuple(f.id for f in template.items if f.id not in keyed | twins and f.same_as not in keyed)


def _key_item(row: Row, template: Template | None) -> KeyItem:
    name = row.cells["item"]
    if not name:
        raise AnswerKeyError(
            'column "item": is empty', where=row.where, fix="name the field, e.g. q1", received=row.cells
        )
    field = _field(row, name, template) if template else None
    tolerance = _amount(row, "tolerance", Decimal(0))
    return KeyItem(
        item=field.id if field else name,
        answers=_answers(row, field, tolerance),
        points=float(_amount(row, "points", Decimal(1))),
        tolerance=float(tolerance),
        penalty=float(_amount(row, "penalty", Decimal(0))),
        version=_version(row, template),
    )


def _version(row: Row, template: Template | None) -> str:
    """The version as the template's bubbles spell it."""
    text = row.cells.get("version", "")
    field = next((f for f in template.fields if f.version), None) if template else None
    if not text or field is None or not field.options:
        return text
    spelt = [option for option in field.options if option.casefold() == text.casefold()]
    if len(spelt) != 1:
        raise AnswerKeyError(
            f'column "version": {field.id} has no bubble of that name',
            where=row.where,
            fix=f"its bubbles are {' '.join(field.options)}",
            received=text,
        )
    return spelt[0]


def _field(row: Row, name: str, template: Template) -> Field:
    names = [field.id for field in template.items]
    matches = [f for f in template.items if f.id == name] or [
        f for f in template.items if f.id.casefold() == name.casefold()
    ]
    if len(matches) == 1:
        return matches[0]
    if any(field.id.casefold() == name.casefold() for field in template.identifiers):
        what = f'column "item": on sheet {template.name!r} this says whose sheet it is, not an answer'
        raise AnswerKeyError(what, where=row.where, fix="remove the line", received=name)
    raise AnswerKeyError(
        f'column "item": sheet {template.name!r} has no such item',
        where=row.where,
        fix=suggestion(name, names) or f"its items are {_shortened(names)}",
        received=name,
    )


def _shortened(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 12 else f"{', '.join(names[:6])} ... {names[-1]}"


# ---------------------------------------------------------------- numbers


def _amount(row: Row, column: str, default: Decimal) -> Decimal:
    """A number >= 0 from `column`, or the default where the cell is empty."""
    text = row.cells.get(column, "")
    if not text:
        return default
    number = _number(text)
    if number is None:
        what, fix = "is not a number", "write e.g. 1 or 2.5"
    elif number < 0:
        what, fix = "is negative", "write it without the minus"
    elif number > _LARGEST:
        what, fix = f"is larger than {_LARGEST}", "check the line"
    else:
        return number
    raise AnswerKeyError(f'column "{column}": {what}', where=row.where, fix=fix, received=text)


def _number(text: str) -> Decimal | None:
    """A finite number, with a point or a decimal comma; None for anything else.

    1,000 is refused too: in some countries it is one, in others a thousand.
    """
    if len(text) > 30 or not re.fullmatch(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)", text, re.ASCII):
        return None
    if re.fullmatch(r"[+-]?[1-9]\d{0,2},\d{3}", text):
        return None
    return Decimal(text.replace(",", ".")) + 0  # + 0: no negative zero


# ---------------------------------------------------------------- answers


def _answers(row: Row, field: Field | None, tolerance: Decimal) -> tuple[str, ...]:
    text = row.cells["answer"]
    parts = [part.strip() for part in text.split("|")]
    if "" in parts:
        raise AnswerKeyError(
            'column "answer": is empty' if not text else 'column "answer": nothing stands beside a "|"',
            where=row.where,
            fix=f"write what is right for {row.cells['item']}",
            received=text,
        )
    if field is None:
        return tuple(dict.fromkeys(parts))
    if field.kind == "choice":
        if tolerance:
            raise AnswerKeyError(
                f'column "tolerance": {field.id} is a choice, not a number',
                where=row.where,
                fix="leave it empty",
                received=row.cells["tolerance"],
            )
        return tuple(dict.fromkeys(_choice(row, field, part) for part in parts))
    return tuple(dict.fromkeys(_numeric(row, field, part, tolerance) for part in parts))


def _choice(row: Row, field: Field, text: str) -> str:
    """An answer of one or several marks in the template's spelling and order, e.g. ``c+a`` -> ``A+C``."""
    labels = [label.strip() for label in text.split("+")]
    marked = set()
    for label in labels:
        matches = [label] if label in field.options else []
        matches = matches or [o for o in field.options if o.casefold() == label.casefold()]
        if len(matches) != 1:
            raise AnswerKeyError(
                f'column "answer": {field.id} has no bubble of that name',
                where=row.where,
                fix=f"its bubbles are {' '.join(field.options)}",
                received=text,
            )
        marked.update(matches)
    if len(marked) > 1 and not field.multiple:
        raise AnswerKeyError(
            f'column "answer": {field.id} takes one mark, this asks for {len(marked)} together',
            where=row.where,
            fix=f'if each of them is right, write "{"|".join(labels)}"',
            received=text,
        )
    return "+".join(option for option in field.options if option in marked)


def _numeric(row: Row, field: Field, text: str, tolerance: Decimal) -> str:
    """A number that the field's boxes can hold, to within the tolerance."""
    bubbles = field.bubble_columns
    if not all(len(label) == 1 and label.isdecimal() for labels in bubbles for label in labels):
        return _lettered(row, field, text)
    if field.kind == "fraction":
        return _fraction(row, field, text)
    digits = field.parts.count("digit") or len(field.boxes)
    columns = field.digits if field.kind == "number" else len(bubbles) or digits
    number = _number(text)
    if number is None:
        what, fix = "is not a number", f"{field.id} is a number, write e.g. 12"
    else:
        step = Decimal(1).scaleb(-field.decimals)
        largest = (10**columns - 1) * step
        smallest = -largest if "sign" in field.parts else Decimal(0)
        nearest = min(max(number.quantize(step), smallest), largest)
        if abs(nearest - number) <= tolerance:
            return f"{number:f}"
        kind = f"numbers in steps of {step}" if field.decimals else "whole numbers"
        what, fix = "cannot be written there", f"{field.id} holds {kind} from {smallest} to {largest}"
    raise AnswerKeyError(f'column "answer": {what}', where=row.where, fix=fix, received=text)


def _fraction(row: Row, field: Field, text: str) -> str:
    """An answer such as 3/4, or a whole number, that has room over and under the bar."""
    above, slash, below = (part.strip() for part in text.partition("/"))
    under = len(field.boxes) - field.over
    fits = above.isascii() and above.isdecimal() and len(above) <= field.over
    if slash:
        fits &= below.isascii() and below.isdecimal() and len(below) <= under and below.strip("0") != ""
    if fits:
        return f"{above}/{below}" if slash else above
    raise AnswerKeyError(
        'column "answer": is no fraction that can be written there',
        where=row.where,
        fix=f"{field.id} holds {field.over} digits over {under}, write e.g. 3/4",
        received=text,
    )


def _lettered(row: Row, field: Field, text: str) -> str:
    """An answer in a bubble grid that is not of digits alone: a label a column, some perhaps left empty."""
    columns = field.bubble_columns
    spelt = _spelt(columns, text.casefold())
    if spelt is None:
        labels = sorted({label for labels in columns for label in labels})
        raise AnswerKeyError(
            'column "answer": cannot be marked there',
            where=row.where,
            fix=f"{field.id} holds {len(columns)} of {' '.join(labels)}",
            received=text,
        )
    return spelt


def _spelt(columns: Sequence[Sequence[str]], text: str) -> str | None:
    """`text` (folded) in the columns' own spelling; None if they cannot spell it."""
    if not columns:
        return None if text else ""
    for label in (*columns[0], ""):
        if text.startswith(label.casefold()):
            rest = _spelt(columns[1:], text[len(label) :])
            if rest is not None:
                return label + rest
    return None
