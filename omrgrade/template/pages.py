"""A set: several pages a pupil, each with a template of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

from omrgrade.errors import TemplateError
from omrgrade.records import Collation, Field, Template


def sheet_set(templates: Sequence[Template], *, in_order: bool = False) -> Template:
    """The pages that every pupil hands in, first page first, as one template.

    in_order: scans follow one another page after page, sheet after sheet, as a duplex scanner leaves them;
    only then may a page lack a student number. Where every page has a barcode marked ``sheet: true``, that
    says which pages belong together, else the student number does. `TemplateError` if it cannot be told.
    """
    if len(templates) == 1:
        return templates[0]
    first = templates[0]
    _check_names(templates)
    fields = _all_fields(templates)
    collate: Collation = "order" if in_order else _collation(templates)
    if not any(_says_whose(page) for page in templates):
        raise TemplateError(
            "no page says whose it is", where=first.name, fix="give one a field with role: identifier"
        )
    digests = "\n".join(page.digest for page in templates)
    return replace(
        first,
        name="+".join(page.name for page in templates),
        fields=fields,
        header=None,
        blank=b"",
        digest=hashlib.sha256(digests.encode()).hexdigest(),
        pages=tuple(templates),
        collate=collate,
    )


def _check_names(templates: Sequence[Template]) -> None:
    for one, two in combinations(templates, 2):
        if one.name == two.name:
            raise TemplateError(
                "two pages have the same name",
                fix="give each template its own 'name', and each only once",
                received=one.name,
            )
    for page in templates:
        if any(field.row for field in page.fields):
            raise TemplateError(
                "a class list is no page of a pupil's sheet", where=page.name, fix="grade it by itself"
            )


def _all_fields(templates: Sequence[Template]) -> tuple[Field, ...]:
    """The fields of all pages; of those that only say whose a page is, one of each name."""
    fields: dict[str, Field] = {}
    pages: dict[str, str] = {}
    for page in templates:
        for field in page.fields:
            other = fields.setdefault(field.id, field)
            if other is not field and "item" in (other.role, field.role):
                raise TemplateError(
                    f"{field.id!r} is a field of {pages[field.id]!r} and of {page.name!r}",
                    fix="number questions on, e.g. q1..q20 on the front, q21..q40 on the back",
                    received=field.id,
                )
            pages.setdefault(field.id, page.name)
    return tuple(fields.values())


def _collation(templates: Sequence[Template]) -> Collation:
    coded = [page for page in templates if any(field.sheet for field in page.fields)]
    if len(coded) == len(templates):
        return "code"
    if coded:
        without = next(page for page in templates if page not in coded)
        raise TemplateError(
            "this page has no barcode that says which sheet it is of, and others have one",
            where=without.name,
            fix="give every page a barcode with sheet: true, or none",
        )
    for page in templates:
        if not _says_whose(page):
            raise TemplateError(
                "this page does not say whose it is",
                where=page.name,
                fix="give it a field with role: identifier, e.g. the barcode of a prefilled sheet; or, if a "
                "duplex scanner took page after page, use --collate order",
            )
    return "identifier"


def _says_whose(page: Template) -> bool:
    return any(field.kind != "choice" for field in page.identifiers)
