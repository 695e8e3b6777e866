"""`omrgrade score`: another key, the same readings; and the next step at the end of every command."""

import pytest
from classroom import run_omrgrade, table
from reviewing import KEY, make_run, sheet

from omrgrade.corrections import Corrections, Decision, page_digest
from omrgrade.kept import RUN_FILE
from omrgrade.outputs import load_results
from omrgrade.store import Store


@pytest.fixture
def desk(tmp_path):
    """A folder with a run of two sheets, none of whose scans exist; q1 of the second is in doubt."""

    def pages(template):
        yield sheet(template, "11", 1, answers={"n2": "8"})
        yield sheet(template, "12", 2, doubts={"q1": {"A": 0.4}})

    make_run(tmp_path / "out", pages)
    return tmp_path


def score(desk, key=KEY, *more):
    (desk / "key.csv").write_text(key)
    return run_omrgrade(desk, "score", "out", "-k", "key.csv", *more)


def test_a_changed_key_is_marked_and_the_change_is_told(desk):
    changed = score(desk, KEY.replace("n2,7,", "n2,7|8,"))
    assert changed.returncode == 0, changed.stderr
    header, *rows = changed.stdout.splitlines()
    assert header.split() == [
        "source",
        "page",
        "student_id",
        "name",
        "before",
        "after",
        "difference",
        "items",
    ]
    assert [row.split() for row in rows] == [
        ["scan.png", "1", "11", "Ada", "Abel", "9/11", "11/11", "+2", "n2"]
    ]
    assert "marks changed on 1 of 2 sheets" in changed.stderr
    assert [row["total"] for row in table(desk / "out/marks.csv")] == ["11", "10"]
    assert [marks.total for marks in load_results(desk / "out").batch.marks] == [11, 10], (
        "it is the run's key now"
    )


def test_the_same_key_changes_nothing(desk):
    assert score(desk).stdout == "" and "no marks changed on 2 sheets" in score(desk).stderr


def test_other_points_and_other_items_are_told_for_everybody(desk):
    told = score(desk, KEY.replace("q3,C,1", "q3,C,3").replace("q2,B,1,\n", ""))
    assert [row.split()[-4:] for row in told.stdout.splitlines()[1:]] == [
        ["10/12", "+1", "q3", "q2"], ["11/12", "+1", "q3", "q2"],
    ]  # fmt: skip
    assert "not in the key, so not scored: q2" in told.stderr


def test_corrections_count_when_scored_again(desk):
    results = load_results(desk / "out")
    page = results.batch.pages[1]
    wanted = Decision(
        source="scan.png", page=2, digest=page_digest(page, results.template), action="set", version=0,
        field="q1", value="D",
    )  # fmt: skip
    with Store.open(desk / "out" / RUN_FILE) as store:
        Corrections(store).decide([wanted], "tester")
    told = score(desk, KEY.replace("q1,A,", "q1,D,"))
    assert told.stdout.splitlines()[1].split()[5:] == ["9/11", "7.5/11", "-1.5", "q1"]
    assert told.stdout.splitlines()[2].split()[5:] == ["9.5/11", "11/11", "+1.5", "q1"]
    assert [row["new"] for row in table(desk / "out/corrections.csv")] == ["D"]


def test_a_key_that_does_not_fit_changes_nothing(desk):
    refused = score(desk, KEY.replace("q1,A", "q1,Z"))
    assert refused.returncode == 3 and "no bubble of that name" in refused.stderr
    assert not (desk / "out/marks.csv").exists()
    assert load_results(desk / "out").key.items[0].answers == ("A",)


def test_the_next_step_is_named(desk):
    assert score(desk).stderr.splitlines()[-1] == "Next: omrgrade review out"
    (desk / "all of it").mkdir()
    make_run(desk / "all of it", lambda template: [sheet(template, "11", 1)])
    done = run_omrgrade(desk, "score", "all of it", "-k", "key.csv")
    assert done.stderr.splitlines()[-1] == 'Next: omrgrade export "all of it" --format xlsx'
    assert score(desk, KEY, "-q").stderr == ""


def test_a_folder_without_a_run_is_refused(tmp_path):
    (tmp_path / "key.csv").write_text(KEY)
    for command in (("score", ".", "-k", "key.csv"), ("review", ".", "--no-browser")):
        refused = run_omrgrade(tmp_path, *command)
        assert refused.returncode == 3 and "no run here" in refused.stderr
