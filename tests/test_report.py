"""The report: one file that needs nothing else, says what matters, and runs nothing that was written."""

import csv
import io
import json
from html.parser import HTMLParser

import pytest
from classroom import SLIP, grade, save, slip_pixels, write_slip
from click.testing import CliRunner
from mock_sheets import make_page, make_template, read, review

from omrgrade.cli import cli
from omrgrade.grading import absent_pupils, mark_sheets
from omrgrade.itemstats import analyse
from omrgrade.outputs import write_outputs
from omrgrade.outputs.report import context, page
from omrgrade.outputs.report.charts import confidence_histogram, residual_histogram, totals_histogram
from omrgrade.outputs.results import Results
from omrgrade.records import AnswerKey, Batch, KeyItem, PageReading, Pupil, Registration, Roster

TEMPLATE = make_template()
KEY = AnswerKey(
    items=(
        KeyItem(item="q1", answers=("12",)),
        KeyItem(item="q2", answers=("7",), points=2),
        KeyItem(item="q3", answers=("B",)),
        KeyItem(item="q4", answers=("A+C",)),
    )
)
ROSTER = Roster(pupils=tuple(Pupil(student_id=str(1000 + n), name=f"Pupil {n}") for n in range(9)))


def results(pages, *, key=KEY, roster=ROSTER, template=TEMPLATE):
    marks = mark_sheets(pages, template, key, roster)
    batch = Batch(pages=tuple(pages), marks=marks, absent=absent_pupils(marks, roster))
    return Results(batch=batch, template=template, key=key, roster=roster)


def a_class(**last):
    """Eight pupils, the later the better."""
    return [
        make_page(
            f"{n}.png", student=str(1000 + n), q1="12" if n > 2 else "21", q2="7" if n > 4 else "",
            **{"q3": "B" if n > 1 else "C", **(last if n == 7 else {})},
        )
        for n in range(8)
    ]  # fmt: skip


class Tags(HTMLParser):
    """All tags with their attributes, and the text."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += f"{data} "


def test_it_needs_no_other_file_and_no_network():
    html = page(results(a_class()))
    tags = Tags(html).tags
    assert not [a for _, attributes in tags for a in ("src", "href", "action") if a in attributes]
    assert "http" not in html.replace("http-equiv", "")
    assert "default-src 'none'" in html


def test_nothing_that_was_written_is_run():
    evil = '"><script>alert(1)</script>{{ 7 * 7 }}'
    template = make_template(title=evil)
    pages = [*a_class(), make_page(evil, student="1000", q1=evil, q4=review("q4", "A", evil))]
    roster = Roster(pupils=(Pupil(student_id="1001", name=evil), Pupil(student_id="absent", name=evil)))
    html = page(results(pages, roster=roster, template=template))
    assert "<script>alert" not in html
    assert [tag for tag, _ in Tags(html).tags].count("script") == 1
    assert html.count("{{ 7 * 7 }}") >= 4


def test_it_says_the_same_as_items_csv(tmp_path):
    given = results(a_class())
    write_outputs(given.batch, tmp_path, template=TEMPLATE, key=KEY, roster=ROSTER, formats=["items", "run"])
    rows = list(csv.DictReader(io.StringIO((tmp_path / "items.csv").read_text())))
    text = Tags(page(given)).text
    for row in rows:
        assert f"{float(row['difficulty']):.2f}" in text
    found = json.loads((tmp_path / "run.json").read_text())["statistics"]
    expected = analyse(list(given.sheets()))
    assert found["mean"] == expected.mean
    assert found["reliability"]["value"] == expected.reliability.value
    assert f"{expected.reliability.value:.2f}" in text


def test_without_a_key_there_are_no_items_and_old_ones_go(tmp_path):
    given = results(a_class())
    write_outputs(given.batch, tmp_path, template=TEMPLATE, key=KEY)
    write_outputs(results(a_class(), key=None).batch, tmp_path, template=TEMPLATE)
    assert not (tmp_path / "items.csv").exists()
    assert not (tmp_path / "answers.csv").exists()
    assert "Items" not in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_pages_are_no_trouble(count):
    assert "<!doctype html>" in page(results(a_class()[:count]))


def test_it_says_when_figures_are_not_final():
    assert "not final" not in page(results(a_class()))
    html = page(results(a_class(q3=review("q3", "B"))))
    assert "1 reading awaits review" in html
    assert "1 of 8 totals may still rise" in html


def test_pages_to_scan_again_are_named_with_their_reason():
    creased = Registration(
        page_to_scan=((1, 0, 0), (0, 1, 0), (0, 0, 1)), residual=0.8, rotation=0, method="aruco", landmarks=9
    )
    doubtful = make_page("c.png", student="1003", q1=review("q1", "12"), q3=review("q3", "B"))
    pages = [
        make_page("a.png", student="1001"),
        PageReading(source="b.png", page=1, problem="no printed marks found"),
        doubtful,
        PageReading(source="d.png", page=2, fields=(read("q1", "12"),), registration=creased),
    ]
    found = [(r.source, r.reason) for r in context(results(pages))["rescans"]]
    assert found == [
        ("b.png", "no printed marks found"),
        ("c.png", "2 of 6 fields in doubt"),
        ("d.png", "the print lies 0.80 mm off: creased, curled or badly lit"),
    ]


# ---------------------------------------------------------------- charts


def test_whole_points_have_a_bar_each_up_to_the_maximum():
    found = totals_histogram([(0, False), (3, True), (3, False), (10, False)], 10)
    assert [bar.label for bar in found] == [str(n) for n in range(11)]
    assert (found[3].settled, found[3].doubtful) == (1, 1)
    assert found[10].settled == 1
    assert found[3].settled_height + found[3].doubtful_height == 1


def test_many_points_share_bars_of_round_width():
    found = totals_histogram([(0, False), (4, False), (5, False), (100, False)], 100)
    assert [bar.label for bar in found[:2]] == ["0-4", "5-9"] if len(found) == 21 else ["0-3", "4-7"]
    assert [bar.settled for bar in found[:2]] == [2, 1]
    assert found[-1].label == "100"
    assert len(found) <= 26


@pytest.mark.parametrize("maximum", [0.5, 1, 2.5, 7.5, 22, 33.25, 60, 250])
def test_every_total_is_in_a_bar(maximum):
    totals = [(maximum * n / 13, n % 2 == 0) for n in range(14)]
    found = totals_histogram(totals, maximum)
    assert sum(bar.settled + bar.doubtful for bar in found) == 14
    assert len(found) <= 27


def test_histograms_take_their_extremes():
    assert sum(bar.settled for bar in confidence_histogram([0.0, 1.0, 0.95], [])) == 3
    assert sum(bar.settled for bar in residual_histogram([0.0, 0.05, 1.0, 7.0], 1.0)) == 4
    assert totals_histogram([], 5) == ()


# ---------------------------------------------------------------- the command


def test_the_command_writes_it_anew_from_the_run(tmp_path):
    template = write_slip(tmp_path)
    assert "slip" in SLIP
    for pupil in ("11", "12"):
        save(slip_pixels(template, pupil), tmp_path / "scans" / f"{pupil}.png")
    assert grade(tmp_path, "-r", "roster.csv", "--no-overlays").exit_code == 0
    files = [tmp_path / "out" / name for name in ("report.html", "items.csv", "answers.csv")]
    before = [file.read_bytes() for file in files]
    for file in files:
        file.unlink()
    result = CliRunner().invoke(cli, ["report", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    assert [file.read_bytes() for file in files] == before


def test_a_folder_without_a_run_is_an_error_in_words(tmp_path):
    result = CliRunner().invoke(cli, ["report", str(tmp_path)])
    assert result.exit_code != 0
    assert "no run here" in str(result.exception)
