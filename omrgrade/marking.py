"""What follows from readings without looking at a scan: cross-checks, whose sheet it is, marks."""

from __future__ import annotations

from collections.abc import Iterable

from omrgrade.grading import absent_pupils, cross_check, mark_sheets, suggest_pupils
from omrgrade.records import AnswerKey, Batch, PageReading, Roster, Template


def mark_batch(
    pages: Iterable[PageReading],
    template: Template,
    key: AnswerKey | None = None,
    roster: Roster | None = None,
) -> Batch:
    """Mark pages, in their order. Grading does so after reading, everything else from what was kept."""
    checked = tuple(check_page(page, template, roster) for page in pages)
    marks = mark_sheets(checked, template, key, roster)
    return Batch(pages=checked, marks=marks, absent=absent_pupils(marks, roster))


def check_page(page: PageReading, template: Template, roster: Roster | None) -> PageReading:
    """A page with contradictions under review, and the roster's likeliest pupil beside a doubtful number."""
    page = cross_check(page, template)
    return page if roster is None else suggest_pupils(page, template, roster)
