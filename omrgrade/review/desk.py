"""What there is to settle in a run, and the decisions about it. Knows nothing of the web.

Everything that is shown follows from the run's file; what is held in memory is only a view of it, brought up
to date with the log before every answer, so that several tabs, or several reviews of one run, agree.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from omrgrade.corrected import corrected_pages, other_templates
from omrgrade.corrections import (
    Corrections,
    Decision,
    Rereading,
    page_digest,
    standing,
)
from omrgrade.errors import OutputError
from omrgrade.grading import NOT_COUNTED, mark_sheets
from omrgrade.grading.classlist import class_rows, is_class_list
from omrgrade.grading.register import Register
from omrgrade.grading.sheets import mark_set
from omrgrade.kept import RUN_FILE, kept_run
from omrgrade.marking import check_page
from omrgrade.records import Correction, Field, FieldReading, PageReading, Pupil, Sheet, SheetMarks, Template
from omrgrade.review.checks import BOXED, check_decision
from omrgrade.store import Store, storable

GAPS = ("missing_page", "double_page", "out_of_order")
"""What may be wrong with a sheet of several pages."""
WORST_FIRST = ("unreadable", "misplaced", "unknown_student", "duplicate_student", *GAPS)
"""What may be wrong with a whole page and is settled here: statuses of sheets, and boxes that lie badly."""
OFFERED = 5  # pupils offered for a doubtful number
RECENT = 30  # decisions listed
PAGE_WORDS = {"aside": "set aside", "confirm": "boxes lie well", "whole": "counts as it is"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Doubt:
    """A field under review."""

    page: int  # its place in the run, 0-based
    field: Field
    reading: FieldReading
    version: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Trouble:
    """A whole page with a problem."""

    page: int
    kind: str  # one of WORST_FIRST
    problem: str  # in words
    marks: SheetMarks
    version: int  # of the page
    identifier: FieldReading | None  # where a pupil can be assigned
    identifier_version: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """A digit box in the group view."""

    page: int
    field: str
    box: int  # 1-based
    confidence: float
    doubtful: bool
    settled: bool


@dataclass(slots=True)
class _View:
    """What is remembered of a page: enough for lists, not its readings."""

    sheet: PageReading  # with only what says whose it is
    doubts: list[tuple[Field, FieldReading]] = field(default_factory=list)
    digits: dict[str, list[Seen]] = field(default_factory=dict)  # by the digit read
    pupils: dict[str, Pupil] = field(default_factory=dict)  # of a class list: by the field of their row


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """How far the review is."""

    settled: int
    left: int


class Desk:
    """A run under review. Every method may be called from any thread."""

    def __init__(self, out: str | Path, *, who: str) -> None:
        self.out = Path(out)
        self.who = who
        self._lock = threading.RLock()
        with self.open() as store:
            self.run = kept_run(store)
            self._register = Register(self.run.roster) if self.run.roster else None
            self.names = {p.student_id: p.name for p in self.run.roster.pupils} if self.run.roster else {}
            self._log = 0  # the last entry that the view has taken in
            self._load(store)

    def open(self) -> Store:
        """The run's file, for one thread."""
        return Store.open(self.out / RUN_FILE)

    # ------------------------------------------------------------ the view

    def _load(self, store: Store) -> None:
        entries = Corrections(store).entries()
        self._log = entries[-1].id if entries else 0
        self.others: dict[str, Template] = other_templates(store, self.run.template)
        self._views = [self._view(n, page) for n, page in enumerate(self._corrected(store, None))]
        self._places = {(storable(v.sheet.source), v.sheet.page): n for n, v in enumerate(self._views)}
        self._note(entries)
        self._mark()

    def _corrected(self, store: Store, pages: Iterable[PageReading] | None) -> Iterable[PageReading]:
        for page in corrected_pages(store, self.run.template, pages):
            yield check_page(page, self.template_of(page), self.run.roster)

    def _note(self, entries: Sequence[Correction]) -> None:
        self._entries = list(entries)
        self._versions = {(e.source, e.page, e.field): e.id for e in entries}

    def _mark(self) -> None:
        """Whose the pages are, and which of them count, by what is known of their pupils."""
        sheets = [view.sheet for view in self._views]
        self._leaves: dict[int, Sheet] = {}  # of several pages a pupil: the sheet of each page
        run = self.run
        if run.template.pages:
            found, self._marks = mark_set(sheets, run.template, None, run.roster, self.others)
            self._leaves = {n: sheet for sheet in found for n in sheet.pages}
        else:
            self._marks = mark_sheets(sheets, run.template, None, run.roster, self.others)
        self._double: dict[str, list[int]] = defaultdict(list)
        for n, marks in enumerate(self._marks):
            if marks.status == "duplicate_student":
                self._double[marks.student_id].append(n)

    def _refresh(self, store: Store) -> set[int]:
        """Take in what was decided since; the pages concerned."""
        log = Corrections(store)
        new = log.entries(after=self._log)
        if not new:
            return set()
        self._log = new[-1].id
        if any(entry.action == "reread" for entry in new):
            self.others = other_templates(store, self.run.template)
        changed = {self._places[e.source, e.page] for e in new if (e.source, e.page) in self._places}
        found = [(n, store.page(v.sheet.source, v.sheet.page)) for n in changed if (v := self._views[n])]
        there = [(n, page) for n, page in found if page is not None]
        moved = False
        fresh = self._corrected(store, [page for _, page in there])
        for (n, _), page in zip(there, fresh, strict=True):
            before, self._views[n] = self._views[n].sheet, self._view(n, page)
            moved |= before != self._views[n].sheet
        self._note([*self._entries, *new])
        if moved:  # decisions about answers, nearly all, leave the pupils where they were
            self._mark()
        return changed

    def _view(self, n: int, page: PageReading) -> _View:
        template = self.template_of(page)
        fields = {f.id: f for f in template.fields}
        known = [(fields[r.field], r) for r in page.fields if r.field in fields]
        identifiers = tuple(r for f, r in known if f.role == "identifier" or f.sheet)
        view = _View(sheet=replace(page, fields=identifiers, crops=(), preview=b""))
        digits: dict[str, list[Seen]] = defaultdict(list)
        groups: set[str] = set()
        for f, reading in sorted(known, key=lambda pair: pair[1].confidence):
            if reading.status == "review" and (f.same_as or f.id) not in groups:
                groups.add(f.same_as or f.id)  # fields that say the same are settled together
                view.doubts.append((f, reading))
            for number, box in enumerate(reading.boxes, 1) if f.kind in BOXED else ():
                if box.value.isdecimal() and reading.settled != "illegible":
                    doubtful = box.status == "review"
                    digits[box.value].append(
                        Seen(page=n, field=f.id, box=number, confidence=box.confidence, doubtful=doubtful,
                             settled=bool(reading.settled))
                    )  # fmt: skip
        view.digits = dict(digits)
        if is_class_list(template):
            rows = class_rows(page, template, self.run.roster)
            view.pupils = {row.reading.field: row.pupil for row in rows if row.pupil}
        return view

    def template_of(self, page: PageReading) -> Template:
        """The template that a page was read with."""
        return self.others.get(page.template, self.run.template)

    # ------------------------------------------------------------ what there is to settle

    def doubts(self, pages: Iterable[int] | None = None) -> list[Doubt]:
        """Fields under review on pages that count, all or these, least sure first."""
        with self._lock, self.open() as store:
            self._refresh(store)
            wanted = range(len(self._views)) if pages is None else sorted(pages)
            found = [d for n in wanted for d in self._doubts_on(n)]
        return sorted(found, key=lambda doubt: (doubt.reading.confidence, doubt.page))

    def _doubts_on(self, n: int) -> list[Doubt]:
        if self._marks[n].status in NOT_COUNTED:
            return []
        sheet = self._views[n].sheet
        return [
            Doubt(page=n, field=f, reading=reading, version=self._version(sheet, f.id))
            for f, reading in self._views[n].doubts
        ]

    def troubles(self) -> list[Trouble]:
        """Pages that could not be read, and those of unknown or of the same pupil."""
        with self._lock, self.open() as store:
            self._refresh(store)
            found = [self._trouble(n, kind) for n in range(len(self._views)) if (kind := self._kind(n))]
        return sorted(found, key=lambda t: (WORST_FIRST.index(t.kind), t.marks.student_id, t.page))

    def _kind(self, n: int) -> str:
        """What is wrong with a page, if anything."""
        registration, status = self._views[n].sheet.registration, self._marks[n].status
        if registration and registration.doubt and status not in NOT_COUNTED:
            return "misplaced"
        if status in GAPS and n not in self._to_settle(self._leaves[n]):
            return ""
        return status if status in WORST_FIRST else ""

    def _to_settle(self, sheet: Sheet) -> tuple[int, ...]:
        """The pages of a sheet with a gap that are shown for it: those that are there twice, or the first."""
        if sheet.marks.status != "double_page":
            return sheet.pages[:1]
        pairs = list(zip(sheet.pages, sheet.templates, strict=True))
        return tuple(n for n, name in pairs if sheet.templates.count(name) > 1)

    def _trouble(self, n: int, kind: str) -> Trouble:
        sheet = self._views[n].sheet
        doubt = sheet.registration.doubt if sheet.registration else ""
        readings = {reading.field: reading for reading in sheet.fields}
        template = self.template_of(sheet)
        plain = [f.id for f in template.identifiers if f.kind != "choice" and not f.same_as]
        alone = readings.get(plain[0]) if len(plain) == 1 else None
        return Trouble(
            page=n,
            kind=kind,
            problem=doubt if kind == "misplaced" else self._marks[n].problem,
            marks=self._marks[n],
            version=self._version(sheet, ""),
            identifier=alone,
            identifier_version=self._version(sheet, plain[0]) if plain else 0,
        )

    def wall(self, digit: str) -> list[Seen]:
        """Every box read as `digit` on pages that count: doubtful ones first, then the least sure."""
        with self._lock, self.open() as store:
            self._refresh(store)
            found = [
                seen
                for view, marks in zip(self._views, self._marks, strict=True)
                if marks.status not in NOT_COUNTED
                for seen in view.digits.get(digit, ())
            ]
        return sorted(found, key=lambda s: (not s.doubtful, s.confidence, s.page))

    def digits(self) -> dict[str, int]:
        """How many boxes were read as each digit."""
        with self._lock:
            counts: dict[str, int] = defaultdict(int)
            for view, marks in zip(self._views, self._marks, strict=True):
                for digit, seen in view.digits.items() if marks.status not in NOT_COUNTED else ():
                    counts[digit] += len(seen)
            return dict(sorted(counts.items()))

    def progress(self) -> Progress:
        """Decisions that stand about fields and pages, and doubts and troubled pages that are left."""
        with self._lock:
            left = {
                (n, name)
                for n, (view, marks) in enumerate(zip(self._views, self._marks, strict=True))
                for name in ([f.id for f, _ in view.doubts] if marks.status not in NOT_COUNTED else [])
                + ([""] if self._kind(n) else [])
            }
            decided = {(self.place(e.source, e.page), e.field) for e in standing(self._entries)}
        return Progress(settled=len(decided - left), left=len(left))

    def recent(self) -> list[Correction]:
        """The last decisions that stand, latest first."""
        with self._lock:
            return standing(self._entries)[::-1][:RECENT]

    # ------------------------------------------------------------ single things

    def __len__(self) -> int:
        return len(self._views)

    def sheet(self, n: int) -> tuple[PageReading, SheetMarks]:
        """A page, with its identifiers only, and whose it is."""
        with self._lock:
            return self._views[n].sheet, self._marks[n]

    def field(self, n: int, field_id: str) -> tuple[Field, FieldReading, int]:
        """A field of a page, what it says now, and its version."""
        with self._lock, self.open() as store:
            self._refresh(store)
            sheet = self._views[n].sheet
            found = store.page(sheet.source, sheet.page)
            for page in self._corrected(store, [found] if found else []):
                for reading in page.fields:
                    if reading.field == field_id:
                        return self.template_of(page).field(field_id), reading, self._version(sheet, field_id)
        raise OutputError("no such field", received=field_id)

    def _version(self, sheet: PageReading, field_id: str) -> int:
        return self._versions.get((storable(sheet.source), sheet.page, field_id), 0)

    def version(self, n: int, field_id: str) -> int:
        """The last entry about a field of a page, or with "" about the page; 0 for none."""
        with self._lock:
            return self._version(self._views[n].sheet, field_id)

    def pupil(self, n: int, field_id: str) -> Pupil | None:
        """Whom a field of a class list is about."""
        with self._lock:
            return self._views[n].pupils.get(field_id)

    def place(self, source: str, page: int) -> int | None:
        """Where a page stands in the run."""
        return self._places.get((storable(source), page))

    def pupils_like(self, reading: FieldReading) -> list[Pupil]:
        """The roster's pupils whom a number may mean, likeliest first."""
        return self._register.nearest(reading)[:OFFERED] if self._register else []

    def also(self, n: int) -> list[int]:
        """Other pages that count and have the same student number, or are of the same sheet."""
        with self._lock:
            if n in self._leaves and self._marks[n].status in GAPS:
                sheet = self._leaves[n]
                wanted = self._to_settle(sheet) if self._marks[n].status == "double_page" else sheet.pages
                return [other for other in wanted if other != n]
            return [other for other in self._double.get(self._marks[n].student_id, []) if other != n]

    def expected(self, field_id: str) -> list[str]:
        """What the key says is right; shown only when asked for."""
        items = self.run.key.items if self.run.key else ()
        twins = {field_id, *(f.same_as or f.id for f in self.run.template.fields if f.id == field_id)}
        return [answer for item in items if item.item in twins for answer in item.answers]

    # ------------------------------------------------------------ decisions

    def decide(self, wanted: Sequence[Decision]) -> set[int]:
        """Keep decisions, all or none; the pages that look different now. `ConflictError` if outdated."""
        with self._lock, self.open() as store:
            Corrections(store).decide(wanted, self.who)
            return self._refresh(store)

    def decision(self, n: int, field_id: str, box: int, action: str, value: str, version: int) -> Decision:
        """A decision about page `n`, checked; `OutputError` if nobody could mean it."""
        sheet, marks = self.sheet(n)
        old = marks.student_id
        if field_id:
            f, reading, _ = self.field(n, field_id)
            old = reading.boxes[box - 1].value if 0 < box <= len(reading.boxes) else reading.value
            check_decision(f, box, action, value)
        elif action not in PAGE_WORDS:
            raise OutputError("that cannot be decided about a whole page", received=action)
        return Decision(
            source=sheet.source,
            page=sheet.page,
            digest=page_digest(sheet, self.run.template),
            action=action,  # type: ignore[arg-type]  # checked
            version=version,
            field=field_id,
            box=box,
            value=PAGE_WORDS.get(action, "") if not field_id else value,
            old=old,
        )

    def reread(self, n: int, again: Rereading, how: str, version: int) -> set[int]:
        """Keep what a page says after it was read again."""
        sheet, marks = self.sheet(n)
        other = again.template.digest != self.run.template.digest
        page = replace(again.page, template=again.template.name if other else "", problem="")
        wanted = Decision(
            source=sheet.source,
            page=sheet.page,
            digest=page_digest(sheet, self.run.template),
            action="reread",
            version=version,
            value=how,
            old=marks.problem,
            again=Rereading(page=page, template=again.template),
        )
        return self.decide([wanted])

    def undo(self, entry: int, *, whole: bool = False) -> tuple[set[int], tuple[Correction, ...]]:
        """Take a decision back, or all made at one stroke with it; the pages concerned and the new entries.

        `ConflictError` if it is outdated.
        """
        with self._lock, self.open() as store:
            made = Corrections(store).undo(entry, self.who, whole=whole)
            return self._refresh(store), made
