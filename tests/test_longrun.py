"""Runs past memory give the same files as others, and their pages are gone through as seldom as can be."""

import pytest

from omrgrade import longrun
from omrgrade.corrections import Corrections, Decision, page_digest
from omrgrade.kept import RUN_FILE, KeptRun, keep_run
from omrgrade.outputs import load_results, write_results
from omrgrade.outputs.summary import marks_table, summary
from omrgrade.records import (
    AnswerKey,
    BoxReading,
    Fiducials,
    Field,
    FieldReading,
    KeyItem,
    PageReading,
    Pupil,
    Rect,
    Registration,
    Roster,
    Template,
)
from omrgrade.store import Store

TABLES = ("readings", "marks", "review", "pages", "absent", "items", "report", "corrections", "run")
BOX = (Rect(x=10, y=10, width=8, height=8),)


def sheet(name: str, item: str) -> Template:
    """A page with one digit for the pupil and a question of three options."""
    fields = (
        Field(id=f"{name}-who", kind="digits", role="identifier", boxes=BOX),
        Field(id=item, kind="choice", role="item", boxes=BOX * 3, options=("A", "B", "C")),
    )
    return Template(
        name=name, title="T", page_width=210, page_height=297, digest=name, fields=fields,
        fiducials=Fiducials(method="page"),
    )  # fmt: skip


FRONT, BACK = sheet("front", "q1"), sheet("back", "q2")
SET = Template(
    name="both", title="T", page_width=210, page_height=297, digest="both", fiducials=FRONT.fiducials,
    fields=FRONT.fields + BACK.fields, pages=(FRONT, BACK),
)  # fmt: skip


def page(template: Template, pupil: int, answer: str, **more) -> PageReading:
    """What was read of it: a digit that is doubtful above 7, an answer that is doubtful when it is C."""

    def said(field: str, kind: str, value: str, doubt: bool) -> FieldReading:
        box = BoxReading(value=value, confidence=0.9, status="read", probabilities=(0.1,) * 10)
        status, reason = ("review", "unsure") if doubt else ("read", "")
        return FieldReading(
            field=field, kind=kind, value=value, confidence=0.5 if doubt else 0.9, status=status,
            reason=reason, boxes=(box,),
        )  # fmt: skip

    who, item = template.fields
    fields = (said(who.id, "digits", str(pupil), pupil > 7), said(item.id, "choice", answer, answer == "C"))
    lies = Registration(
        page_to_scan=((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)), residual=pupil / 10, rotation=0,
        method="page", landmarks=4, doubt="lies badly" if pupil == 3 else "",
    )  # fmt: skip
    known = {"registration": lies, "template": template.name, "fields": fields} | more
    digest = f"{template.name} {pupil} {answer}"
    return PageReading(source=f"{template.name}{pupil}.png", page=1, digest=digest, **known)


def single() -> tuple[Template, list[PageReading]]:
    pages = [page(FRONT, n, "ABC"[n % 3]) for n in range(9)]
    return FRONT, [*pages, page(FRONT, 9, "A", fields=(), registration=None, problem="no page")]


def several() -> tuple[Template, list[PageReading]]:
    """Fronts first, then backs; pupil 5's is missing."""
    fronts = [page(FRONT, n, "ABC"[n % 3]) for n in range(7)]
    return SET, [*fronts, *(page(BACK, n, "AAB"[n % 3]) for n in (6, 4, 3, 2, 1, 0))]


def files(folder, template: Template, pages: list[PageReading]) -> dict[str, str]:
    """The tables of a run of these pages, one of which somebody has corrected, and what is printed."""
    key = AnswerKey(items=tuple(KeyItem(item=item.id, answers=("A",)) for item in template.items))
    roster = Roster(pupils=tuple(Pupil(student_id=str(n), name=f"Pupil {n}") for n in range(9)))
    with Store.create(folder / RUN_FILE) as store:
        store.add_pages(pages)
        keep_run(store, KeptRun(template=template, key=key, roster=roster))
        corrected = Decision(
            source=pages[2].source, page=1, digest=page_digest(pages[2], template), action="set",
            version=0, field="q1", value="B",
        )  # fmt: skip
        Corrections(store).decide([corrected], "me")
        with store.writing() as database:
            database.execute("UPDATE corrections SET time = 'then'")
    results = load_results(folder)
    write_results(results, folder, formats=TABLES)
    written = {p.name: p.read_text("utf-8") for p in folder.iterdir() if p.name != RUN_FILE}
    return written | {"terminal": f"{marks_table(results.batch)}\n{summary(results.batch)}"}


@pytest.mark.parametrize("made", [single, several])
def test_a_run_past_memory_gives_the_files_of_one_that_fits(tmp_path, monkeypatch, made):
    for name in ("fits", "past"):
        (tmp_path / name).mkdir()
    expected = files(tmp_path / "fits", *made())
    monkeypatch.setattr(longrun, "MANY", 0)
    found = files(tmp_path / "past", *made())
    assert found == expected
    assert "lies badly" in found["review.csv"] and "corrected" in found["readings.csv"]


def test_the_pages_of_a_long_run_are_read_once_to_mark_them_and_once_to_write_all_tables(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(longrun, "MANY", 0)
    times, begin = [], longrun.StoredPages.__iter__
    monkeypatch.setattr(longrun.StoredPages, "__iter__", lambda self: (times.append(1), begin(self))[1])
    files(tmp_path, *single())
    assert len(times) == 2
