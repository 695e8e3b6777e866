"""The report in a browser: it sorts, runs nothing written, asks for nothing, fits a phone, prints."""

import base64

import pypdfium2
import pytest
from mock_sheets import make_page, make_template, review
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from omrgrade.grading import absent_pupils, mark_sheets
from omrgrade.outputs import write_outputs
from omrgrade.records import AnswerKey, Batch, KeyItem, PageReading, Pupil, Roster

EVIL = "<img src=x onerror='window.hacked=1'><script>window.hacked=1</script>"
KEY = AnswerKey(
    items=(
        KeyItem(item="q1", answers=("12",)),
        KeyItem(item="q2", answers=("7",), points=2),
        KeyItem(item="q3", answers=("B",)),
        KeyItem(item="q4", answers=("A+C",)),
    )
)


@pytest.fixture
def report(tmp_path, chromium):
    """The report of ten pupils, open."""
    template = make_template(title=EVIL)
    pages = [
        make_page(
            f"{n}{EVIL}.png", student=str(1000 + n), q1="12" if n > 2 else "21", q2="7" if n > 5 else "",
            q3=review("q3", "B") if n == 4 else "B" if n > 7 else EVIL,
        )
        for n in range(10)
    ]  # fmt: skip
    pages.append(PageReading(source="x.png", page=1, problem=EVIL))
    roster = Roster(pupils=tuple(Pupil(student_id=str(1000 + n), name=f"{n} {EVIL}") for n in range(11)))
    marks = mark_sheets(pages, template, KEY, roster)
    batch = Batch(pages=tuple(pages), marks=marks, absent=absent_pupils(marks, roster))
    write_outputs(batch, tmp_path, template=template, key=KEY, roster=roster, formats=["report"])
    chromium.get_log("browser")
    chromium.get((tmp_path / "report.html").as_uri())
    yield chromium
    chromium.set_window_size(1100, 900)
    chromium.get("about:blank")


def test_nothing_that_was_written_is_run_and_nothing_is_asked_for(report):
    assert report.execute_script("return window.hacked") is None
    assert report.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert [entry for entry in report.get_log("browser") if entry["level"] == "SEVERE"] == []
    assert report.execute_script("return document.images.length") == 0


def test_tables_are_sorted_by_mouse_and_keyboard_empty_cells_last(report):
    tables = report.find_elements(By.CSS_SELECTOR, "table.sortable")
    sheets = tables[-1]

    def points():
        rows = sheets.find_elements(By.CSS_SELECTOR, "tbody tr")
        return [row.find_elements(By.TAG_NAME, "td")[2].text for row in rows]

    head = sheets.find_elements(By.CSS_SELECTOR, "th [role=button]")[2]
    head.click()
    up = points()
    assert [float(p) for p in up[:-1]] == sorted(float(p) for p in up[:-1]) and up[-1] == "–"
    head.send_keys(Keys.ENTER)
    down = points()
    assert [float(p) for p in down[:-1]] == sorted((float(p) for p in up[:-1]), reverse=True)
    assert down[-1] == "–"  # the page that could not be read


def test_on_a_phone_nothing_but_tables_is_wider_than_the_screen(report):
    report.set_window_size(500, 900)
    assert report.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")


def test_it_prints_with_the_tables_whole(report):
    pdf = base64.b64decode(report.print_page())
    text = "".join(page.get_textpage().get_text_range() for page in pypdfium2.PdfDocument(pdf))
    assert all(str(1000 + n) in text for n in range(10))
    assert "Reading quality" in text and "↕" not in text
