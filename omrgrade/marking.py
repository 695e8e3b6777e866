"""What follows from readings without looking at a scan: cross-checks, whose sheet it is, marks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from omrgrade.grading import absent_pupils, confirm_pupils, cross_check, mark_sheets, suggest_pupils
from omrgrade.grading.classlist import absent_from_list, is_class_list
from omrgrade.grading.legal import check_legal
from omrgrade.grading.sheets import mark_set
from omrgrade.longrun import StoredPages
from omrgrade.records import AnswerKey, Batch, PageReading, Roster, Template


def mark_batch(
    pages: Iterable[PageReading],
    template: Template,
    key: AnswerKey | None = None,
    roster: Roster | None = None,
    others: Mapping[str, Template] | None = None,
) -> Batch:
    """Mark pages, in their order. Grading does so after reading, everything else from what was kept.

    others: templates by name, for pages read with another one (`PageReading.template`). Of a set there is
    also a row a sheet (`Batch.sheets`).
    """
    known = others or {}

    def check(page: PageReading) -> PageReading:
        return check_page(page, known.get(page.template) or template.of_page(page.template), roster)

    checked = pages.changed(check) if isinstance(pages, StoredPages) else tuple(map(check, pages))
    if template.pages:
        sheets, marks = mark_set(checked, template, key, roster, known)
        return Batch(pages=checked, marks=marks, absent=absent_pupils(marks, roster), sheets=sheets)
    marks = mark_sheets(checked, template, key, roster, known)
    if roster is not None and is_class_list(template):
        absent = absent_from_list(checked, template, roster)
    else:
        absent = absent_pupils(marks, roster)
    return Batch(pages=checked, marks=marks, absent=absent)


def check_page(page: PageReading, template: Template, roster: Roster | None) -> PageReading:
    """A page with contradictions and impossible values under review, and what they may mean beside them.

    Beside a doubtful student number that is the roster's likeliest pupil; doubts that the roster settles are
    none.
    """
    if roster is not None:
        page = confirm_pupils(page, template, roster)
    page = check_legal(cross_check(page, template), template)
    return page if roster is None else suggest_pupils(page, template, roster)
