"""What people decide is kept, wins over the machine, can be taken back, and is never lost or overwritten."""

import csv
import subprocess
import sys

import pytest
import reviewing
from hypothesis import given, settings
from hypothesis import strategies as st
from reviewing import make_run, sheet

from omrgrade.codec import from_text, to_text
from omrgrade.corrected import BY_HAND
from omrgrade.corrections import ConflictError, Corrections, Decision, page_digest
from omrgrade.errors import OutputError
from omrgrade.kept import RUN_FILE, kept_run, marked
from omrgrade.outputs import load_results, write_results
from omrgrade.records import PageReading
from omrgrade.store import Store


@pytest.fixture
def run(tmp_path):
    """Two sheets; on the first one box of n1, and q1, are in doubt."""

    def pages(template):
        yield sheet(template, "11", 1, doubts={"n1": {2: 0.6}, "q1": {"A": 0.4}})
        yield sheet(template, "12", 2, answers={"n2": "1"})

    make_run(tmp_path / "out", pages)
    return tmp_path / "out"


class Desk:
    """Decides about page 1 as a person would who has always seen the latest version."""

    def __init__(self, out):
        self.out = out
        with Store.open(out / RUN_FILE) as store:
            self.template = kept_run(store).template
            self.digest = page_digest(next(iter(store.pages())), self.template)

    def __call__(self, field, action, value="", *, box=0, version=None, page=1, digest=None):
        with Store.open(self.out / RUN_FILE) as store:
            log = Corrections(store)
            seen = log.versions().get(("scan.png", page, field), 0) if version is None else version
            wanted = Decision(
                source="scan.png", page=page, digest=digest or self.digest, action=action, version=seen,
                field=field, box=box, value=value,
            )  # fmt: skip
            return log.decide([wanted], "tester")[0].id

    def undo(self, entry, whole=False):
        with Store.open(self.out / RUN_FILE) as store:
            return Corrections(store).undo(entry, "tester", whole=whole)

    def says(self, field, page=1):
        return next(r for r in load_results(self.out).batch.pages[page - 1].fields if r.field == field)

    def marks(self, page=1):
        return load_results(self.out).batch.marks[page - 1]


@pytest.fixture
def desk(run):
    return Desk(run)


def test_without_corrections_results_are_those_of_the_machine(run):
    results = load_results(run)
    assert [marks.to_review for marks in results.batch.marks] == [2, 0]
    assert results.corrections == () and results.preview(results.batch.pages[0]).startswith(b"\xff\xd8")


def test_a_corrected_box_makes_its_field_read_and_scored(desk):
    assert desk.says("n1").status == "review" and desk.marks().total == 8
    desk("n1", "set", "2", box=2)
    field = desk.says("n1")
    assert (field.value, field.status, field.settled, field.confidence) == ("12", "read", "confirmed", 0.999)
    desk("q1", "set", "A")
    assert desk.marks().total == 11 and desk.marks().status == "ok"


@pytest.mark.parametrize(
    ("action", "value", "says", "settled", "outcome", "points"),
    [
        ("set", "12", "12", "confirmed", "correct", 2),
        ("set", "13", "13", "corrected", "incorrect", -1),
        ("blank", "", "", "corrected", "omitted", 0),
        ("illegible", "", "", "illegible", "omitted", 0),
    ],
)
def test_a_person_settles_a_field(desk, action, value, says, settled, outcome, points):
    desk("n1", action, value)
    field = desk.says("n1")
    assert (field.value, field.settled, field.reason) == (says, settled, "")
    score = next(score for score in desk.marks().scores if score.item == "n1")
    assert (score.outcome, score.points) == (outcome, points)


def test_an_accepted_reading_can_be_put_under_review(desk):
    desk("n2", "doubt", box=1)
    assert (desk.says("n2").status, desk.says("n2").reason) == ("review", f"box 1: {BY_HAND}")
    desk("q2", "doubt")
    assert (desk.says("q2").status, desk.says("q2").reason) == ("review", BY_HAND)
    assert desk.marks().to_review == 4


def test_digits_of_a_whole_number_go_to_their_boxes(desk):
    desk("n1", "set", "13")
    assert [(box.value, box.status) for box in desk.says("n1").boxes] == [("1", "read"), ("3", "read")]


def test_a_gap_left_by_a_blank_box_is_asked_about(desk):
    desk("n1", "blank", box=1)
    desk("n1", "set", "2", box=2)
    assert desk.says("n1").value == "2", "right-aligned numbers are numbers"


def test_a_page_set_aside_counts_no_more(desk):
    desk("", "aside", page=1)
    assert desk.marks().status == "set_aside" and desk.marks().scores == () and desk.marks().to_review == 0
    assert [pupil.student_id for pupil in load_results(desk.out).batch.absent] == ["11", "13", "14"]


def test_undo_brings_back_what_stood_before_and_stays_in_the_log(desk):
    first = desk("n1", "set", "13")
    second = desk("n1", "set", "14")
    desk.undo(second)
    assert desk.says("n1").value == "13"
    desk.undo(first)
    assert desk.says("n1").status == "review"
    assert [entry.action for entry in load_results(desk.out).corrections] == ["set", "set", "undo", "undo"]


def test_what_was_taken_back_or_decided_over_cannot_be_undone(desk):
    first = desk("n1", "set", "13")
    second = desk("n1", "set", "14")
    with pytest.raises(ConflictError, match="decided there since"):
        desk.undo(first)
    desk.undo(second)
    with pytest.raises(ConflictError, match="taken back already"):
        desk.undo(second)


def test_nobody_overwrites_what_he_has_not_seen(desk):
    desk("n1", "set", "13", version=0)
    with pytest.raises(ConflictError, match="another tab"):
        desk("n1", "set", "14", version=0)
    assert desk.says("n1").value == "13"


def test_decisions_of_one_transaction_are_kept_together_or_not_at_all(desk):
    desk("q2", "blank")
    with Store.open(desk.out / RUN_FILE) as store:
        some = [
            Decision(source="scan.png", page=1, digest=desk.digest, action="blank", version=0, field=field)
            for field in ("q1", "q2")
        ]
        with pytest.raises(ConflictError):
            Corrections(store).decide(some, "tester")
    assert desk.says("q1").status == "review"


def test_what_was_decided_at_one_stroke_is_undone_at_one_stroke(desk):
    before = load_results(desk.out).batch
    with Store.open(desk.out / RUN_FILE) as store:
        wanted = {"source": "scan.png", "page": 1, "digest": desk.digest, "version": 0, "action": "set"}
        boxes = [("n1", 1, "3"), ("n1", 2, "4"), ("n2", 1, "5")]
        some = [Decision(**wanted, field=field, box=box, value=value) for field, box, value in boxes]
        made = Corrections(store).decide(some, "tester")
    assert [desk.says(field).value for field in ("n1", "n2")] == ["34", "5"]
    assert len(desk.undo(made[0].id, whole=True)) == 3
    assert load_results(desk.out).batch == before


def test_a_decision_about_other_pixels_or_another_template_is_not_applied(desk):
    desk("n1", "set", "99", digest="another")
    assert desk.says("n1").status == "review"
    assert len(load_results(desk.out).corrections) == 1, "but nothing is dropped from the log"


def test_a_kill_loses_nothing(run):
    code = (
        "import os, sys; sys.path.insert(0, sys.argv[2]); from pathlib import Path\n"
        "from test_corrections import Desk\n"
        "desk = Desk(Path(sys.argv[1])); desk('n1', 'set', '13'); os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(run), "tests"]).returncode == -9
    assert Desk(run).says("n1").value == "13"


values = st.sampled_from(["1", "2", "77"])
steps = st.lists(st.tuples(st.sampled_from(["n1", "n2", "n3"]), st.none() | values), max_size=12)


@settings(max_examples=20, deadline=None)
@given(steps=steps)
def test_undoing_everything_gives_the_machine_s_readings(tmp_path_factory, steps):
    out = tmp_path_factory.mktemp("run") / "out"
    make_run(out, lambda template: [sheet(template, "11", 1, doubts={"n1": {2: 0.6}})])
    desk = Desk(out)
    before = load_results(out).batch
    made = []
    for field, value in steps:
        made.append(desk(field, "set" if value else "blank", value or ""))
    last = {field: value or "" for field, value in steps}
    assert {field: desk.says(field).value for field in last} == last
    for entry in reversed(made):
        desk.undo(entry)
    assert load_results(out).batch == before


def twin_sheet(monkeypatch):
    """The pupil's number is asked for twice."""
    twin = "role: identifier, boxes: 2, same_as: pupil, at: [60, 20], size: [9, 11], gap: 3}"
    text = f"{reviewing.SHEET}  - {{id: again, kind: digits, {twin}\n"
    monkeypatch.setattr(reviewing, "SHEET", text)


def test_fields_that_say_the_same_follow_one_another(tmp_path, monkeypatch):
    twin_sheet(monkeypatch)
    make_run(tmp_path / "out", lambda t: [sheet(t, "11", 1, answers={"again": "12"})])
    desk = Desk(tmp_path / "out")
    assert desk.says("pupil").status == desk.says("again").status == "review", "they contradict one another"
    desk("again", "set", "13")
    assert [(desk.says(f).value, desk.says(f).settled) for f in ("pupil", "again")] == [
        ("13", "corrected"), ("13", "corrected"),
    ]  # fmt: skip
    assert desk.marks().student_id == "13" and desk.marks().status == "ok"


def test_a_field_in_which_nothing_stands_follows_nobody(tmp_path, monkeypatch):
    twin_sheet(monkeypatch)
    make_run(tmp_path / "out", lambda t: [sheet(t, "11", 1, answers={"again": ""})])
    desk = Desk(tmp_path / "out")
    desk("pupil", "set", "13")
    assert (desk.says("again").status, desk.says("again").settled) == ("blank", "")
    assert desk.marks().student_id == "13"


def test_outputs_are_written_from_the_store_and_say_who_decided(desk):
    desk("n1", "set", "13")
    desk.undo(desk("q1", "illegible"))
    results = load_results(desk.out)
    write_results(results, desk.out, formats=["marks", "readings", "corrections"])
    rows = list(csv.DictReader((desk.out / "corrections.csv").open()))
    assert [(r["who"], r["field"], r["action"], r["new"], r["stands"]) for r in rows] == [
        ("tester", "n1", "set", "13", "1"),
        ("tester", "q1", "illegible", "", "0"),
        ("tester", "q1", "undo", "", ""),
    ]
    status = {
        r["field"]: r["status"]
        for r in csv.DictReader((desk.out / "readings.csv").open())
        if r["page"] == "1"
    }
    assert (status["n1"], status["q1"], status["n2"]) == ("corrected", "review", "read")


def test_without_corrections_there_is_no_such_file(run):
    write_results(load_results(run), run, formats=["corrections"])
    assert not (run / "corrections.csv").exists()


def test_a_folder_without_a_finished_run_is_refused(tmp_path):
    with pytest.raises(OutputError, match="no run here"):
        load_results(tmp_path)
    Store.create(tmp_path / RUN_FILE).close()
    with pytest.raises(OutputError, match="never finished"):
        load_results(tmp_path)


def test_what_a_run_was_made_with_comes_back_as_it_was(run):
    with Store.open(run / RUN_FILE) as store:
        kept = kept_run(store)
        assert marked(store, kept).marks == load_results(run).batch.marks
    assert from_text(to_text(kept.template)) == kept.template
    assert (kept.key.total, len(kept.roster.pupils)) == (11, 4)


@given(st.binary(max_size=9), st.text(max_size=9), st.floats(allow_nan=False, allow_infinity=False))
def test_records_survive_being_text(data, text, number):
    page = PageReading(source=text, page=1, preview=data, crops=((text, data),))
    assert from_text(to_text({"page": page, "more": (number, [text], None)})) == {
        "page": page, "more": (number, (text,), None),
    }  # fmt: skip


@pytest.mark.parametrize(
    "text",
    ["", "{", '{"record": "sys"}', '{"record": "PageReading", "no": 1}', '{"record": 1}', "[" * 100_000],
)
def test_what_is_no_record_is_refused(text):
    with pytest.raises(OutputError, match="another version"):
        from_text(text)
