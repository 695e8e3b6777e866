"""Marks of several pages a pupil: the pages are marked one by one and put together."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence

from omrgrade.grading.collate import Group, Placed, group_pages
from omrgrade.grading.marker import Marker, claimed_twice, place
from omrgrade.grading.register import register_of
from omrgrade.grading.scoring import cross_check
from omrgrade.records import AnswerKey, ItemScore, PageReading, Roster, Sheet, SheetMarks, Template

_SURE = ("ok", "review")


def mark_set(
    pages: Sequence[PageReading],
    template: Template,
    key: AnswerKey | None = None,
    roster: Roster | None = None,
    others: Mapping[str, Template] | None = None,
) -> tuple[tuple[Sheet, ...], tuple[SheetMarks, ...]]:
    """The sheets of a set, and a row a page that says what its sheet's says, with the page's own scores.

    `template` is the set; others: see `grading.mark_sheets`. Pages are gone through twice: what one says (the
    version) may decide what is right on another.
    """
    templates = {"": template} | {page.name: page for page in template.pages} | dict(others or {})
    register = register_of(roster) if roster else None
    lookers = {name: Marker(used, None, register) for name, used in templates.items()}
    found = [_look(page, templates, lookers, template) for page in pages]
    _note_copies(found, by_sheet=template.collate == "order")
    groups = _groups(found, template)
    copies = {n: look.copy_of for n, look in enumerate(found) if look.copy_of is not None}
    versions = _versions(found, groups, template)
    markers = {name: Marker(used, key, register) for name, used in templates.items()}
    rows = [
        markers.get(page.template, markers[""]).mark(
            cross_check(page, templates.get(page.template, template)),
            found[copies[n]].row if n in copies else None,
            versions[n],
        )
        for n, page in enumerate(pages)
    ]
    put = _Putting(template, markers, rows, found, versions)
    sheets = [put.together(group) for group in groups]
    pages_of = [page.template for page in pages]
    alone = set(range(len(rows))) - {n for group in groups for n in group.scans}
    sheets += [Sheet(marks=rows[n], pages=(n,), templates=(pages_of[n],), complete=True) for n in alone]
    sheets.sort(key=lambda sheet: min(sheet.pages))
    marks = claimed_twice([sheet.marks for sheet in sheets])
    sheets = [dataclasses.replace(s, marks=row) for s, row in zip(sheets, marks, strict=True)]
    return tuple(sheets), _page_rows(sheets, rows)


@dataclasses.dataclass(slots=True)
class _Look:
    """What a first look at a page tells."""

    row: SheetMarks  # without a key
    placed: Placed
    version: str | None  # None: the page does not say
    sought: bool  # its number or its code is under review
    whole: bool
    digest: str
    copy_of: int | None = None


def _look(
    page: PageReading, templates: Mapping[str, Template], lookers: Mapping[str, Marker], template: Template
) -> _Look:
    used = templates.get(page.template, template)
    checked = cross_check(page, used)
    row = lookers.get(page.template, lookers[""]).mark(checked, None)
    fields = {field.id: field for field in used.fields}
    names = [one.name for one in template.pages]
    code, version, sought = "", None, False
    for reading in checked.fields:
        field = fields.get(reading.field)
        if field is None:
            continue
        sought |= reading.status == "review" and (field.role == "identifier" or field.sheet)
        if field.sheet and reading.status == "read":
            code = reading.value
        if field.version:
            version = reading.value if reading.status == "read" else ""
    placed = Placed(
        kind=names.index(page.template) if page.template in names and not page.problem else -1,
        counts=not page.problem and not page.aside,
        aside=page.aside,
        owner=row.student_id,
        code=code,
        source=page.source,
        number=page.page,
    )
    return _Look(
        row=row, placed=placed, version=version, sought=sought, whole=page.whole,
        digest="" if page.aside or page.problem else page.digest,
    )  # fmt: skip


def _note_copies(found: Sequence[_Look], *, by_sheet: bool) -> None:
    """Pages whose pixels were seen before do not count; by order that is told of whole sheets, see below."""
    first: dict[str, int] = {}
    for n, look in enumerate(found if not by_sheet else ()):
        if look.digest and look.digest in first:
            look.copy_of = first[look.digest]
            look.placed = dataclasses.replace(look.placed, counts=False)
        elif look.digest:
            first[look.digest] = n


def _groups(found: Sequence[_Look], template: Template) -> list[Group]:
    """The sheets; where the order tells, without those whose every page is a copy: empty backs look alike."""
    groups = group_pages([look.placed for look in found], len(template.pages), template.collate)
    if template.collate != "order":
        return groups
    kept: dict[tuple[str, ...], Group] = {}
    for n, group in enumerate(groups):
        digests = tuple(found[scan].digest for scan in group.scans)
        first = kept.setdefault(digests if all(digests) else (str(n),), group)
        for copy, original in zip(group.scans, first.scans, strict=False) if first is not group else ():
            found[copy].copy_of = original
    return list(kept.values())


def _versions(found: Sequence[_Look], groups: Sequence[Group], template: Template) -> list[str | None]:
    """Which version each page is of; "" where its sheet does not say or says two. None: as it says."""
    versions: list[str | None] = [look.version for look in found]
    if any(field.version for field in template.fields):
        for group in groups:
            said = {found[n].version for n in group.scans if found[n].version}
            for n in group.scans:
                versions[n] = min(filter(None, said)) if len(said) == 1 else ""
    return versions


class _Putting:
    """Puts the pages of a sheet together."""

    def __init__(
        self,
        template: Template,
        markers: Mapping[str, Marker],
        rows: Sequence[SheetMarks],
        found: Sequence[_Look],
        versions: Sequence[str | None],
    ) -> None:
        self._names = [page.name for page in template.pages]
        self._markers = markers
        self._rows = rows
        self._found = found
        self._versions = versions

    def together(self, group: Group) -> Sheet:
        """The row of a group's sheet."""
        scans = group.scans
        rows = [self._rows[n] for n in scans]
        whole = any(self._found[n].whole for n in scans)
        owners = list(dict.fromkeys(row.student_id for row in rows if row.student_id))
        faults = list(self._faults(group, owners, whole=whole))
        to_review = sum(row.to_review for row in rows)
        scores = tuple(
            score
            for kind, there in enumerate(group.pages)
            for score in self._scores(kind, there, self._versions[scans[0]], whole=whole)
        )
        total = round(math.fsum(score.points for score in scores), 9)
        marks = dataclasses.replace(
            rows[0],
            student_id=owners[0] if len(owners) == 1 else "",
            status=faults[0][0] if faults else "review" if to_review else "ok",
            problem="; ".join(problem for _, problem in faults),
            scores=scores,
            total=min(max(total, 0.0), rows[0].maximum),
            to_review=to_review,
        )
        gaps = bool(group.loose or group.double or len(owners) > 1)
        gaps |= not whole and bool(group.missing or group.broken)
        return Sheet(marks=marks, pages=scans, templates=tuple(map(self._name, scans)), complete=not gaps)

    def _scores(
        self, kind: int, there: Sequence[int], version: str | None, *, whole: bool
    ) -> Iterable[ItemScore]:
        """What a page's items earn; nothing while it is missing or double, 0 if it was never handed in."""
        if len(there) == 1:
            return self._rows[there[0]].scores
        return self._markers[self._names[kind]].left_out(version or "") if whole and not there else ()

    def _faults(self, group: Group, owners: Sequence[str], *, whole: bool) -> Iterable[tuple[str, str]]:
        """(status, problem in words), the gravest first."""
        rows = {n: self._rows[n] for n in group.scans}
        if len(owners) > 1:
            said = (f"{self._name(n)} says {row.student_id}" for n, row in rows.items() if row.student_id)
            yield "unknown_student", ", ".join(said)
        strangers = [row for row in rows.values() if row.status == "unknown_student"]
        if len(owners) == 1 and (told := [row for row in strangers if row.student_id]):
            yield "unknown_student", told[0].problem
        sought = any(self._found[n].sought for n in rows)
        if not owners and not sought and not group.missing:
            yield "unknown_student", strangers[0].problem if strangers else "nothing says whose it is"
        if group.loose:
            if not owners and not sought and group.missing:
                yield "unknown_student", (strangers[0].problem if strangers else "nothing says whose it is")
            return
        for kind in group.double:
            where = " and ".join(place(self._rows[n]) for n in group.pages[kind])
            yield "double_page", f"{self._names[kind]} is there {len(group.pages[kind])} times: {where}"
        if group.missing and not whole:
            names = ", ".join(self._names[kind] for kind in group.missing)
            unread = f" ({place(self._rows[group.holes[0]])} may be it)" if group.holes else ""
            yield "missing_page", f"{names} {'is' if len(group.missing) == 1 else 'are'} missing{unread}"
        if group.broken and not whole:
            yield "out_of_order", f"the pages do not come in turn: {group.broken}"

    def _name(self, n: int) -> str:
        return self._names[self._found[n].placed.kind]


def _page_rows(sheets: Sequence[Sheet], rows: Sequence[SheetMarks]) -> tuple[SheetMarks, ...]:
    """Each page's own scores and doubts, with its sheet's pupil, state and total."""
    found = list(rows)
    for sheet in sheets:
        marks = sheet.marks
        for n in sheet.pages if len(sheet.pages) > 1 or not sheet.complete else ():
            own = "review" if rows[n].to_review else "ok"
            found[n] = dataclasses.replace(
                rows[n],
                student_id=marks.student_id,
                status=own if marks.status in _SURE else marks.status,
                problem=marks.problem,
                total=marks.total,
                maximum=marks.maximum,
            )
    return tuple(found)
