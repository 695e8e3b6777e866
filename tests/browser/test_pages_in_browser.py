"""Several pages a pupil and pictures, as a teacher settles them in a browser."""

import shutil

import cv2
import numpy as np
import pytest
from classroom import save
from selenium.webdriver.common.keys import Keys
from test_several_pages import KEY, NUMBER, ROSTER, grade_sides, load_sides, pixels, side_text, values

from omrgrade.outputs import load_results

NAME = "- {id: name, kind: picture, role: info, label: Name, at: [22, 40], size: [36, 12]}"

INK = """
const canvas = document.createElement("canvas"), picture = arguments[0];
canvas.width = picture.naturalWidth; canvas.height = picture.naturalHeight;
const drawn = canvas.getContext("2d");
drawn.drawImage(picture, 0, 0);
const { data } = drawn.getImageData(0, 0, canvas.width, canvas.height);
return data.filter((value, n) => n % 4 === 0 && value < 90).length / (canvas.width * canvas.height);
"""


@pytest.fixture
def out(tmp_path, monkeypatch):
    """11 complete, 12 without a back, a front without a number, a back with two marks in its number.

    Graded without overlays: pictures of fields are kept all the same.
    """
    front, back = load_sides(
        tmp_path, {"front": side_text("front", number=f"{NUMBER}\n  {NAME}"), "back": side_text("back")}
    )
    (tmp_path / "key.csv").write_text(KEY)
    (tmp_path / "roster.csv").write_text(ROSTER)
    for pupil, name in (("11", "Ada"), ("12", "Ben"), ("", "Cleo")):
        page = pixels(front, values(front, pupil)).copy()
        cv2.putText(page, name, (160, 295), cv2.FONT_HERSHEY_SIMPLEX, 1.6, 30, 3)
        save(page, tmp_path / f"scans/front-{name}.png")
    save(pixels(back, values(back, "11")), tmp_path / "scans/back-Ada.png")
    page = pixels(back, values(back, "13")).copy()
    x, y = (round(v * 150 / 25.4) for v in back.field("pupil").boxes[7].centre)  # 1 and 7 in the first column
    cv2.circle(page, (x, y), 11, 40, -1)
    save(page, tmp_path / "scans/back-Cleo.png")
    monkeypatch.chdir(tmp_path)  # whole pages are then shown from the scans
    grade_sides(tmp_path, "--overlays", "none")
    return tmp_path / "out"


def test_names_are_seen_and_what_is_missing_is_settled(reviewing, out):
    with reviewing(out) as page:
        assert page.item.endswith("/pupil")
        page.view("pages")
        assert "front-Cleo.png" in page.text("main") and "no student number" in page.text("main")
        picture = page.one("figure img[alt=name]")
        page.until(lambda: page.script("return arguments[0].naturalWidth", picture))
        dark = page.script(INK, picture)
        assert 0.01 < dark < 0.3, "the name is to be seen"
        page.keys("/", "cleo", Keys.ENTER)
        assert "back is missing" in page.text("main")
        kinds = [(t.kind, page.desk.sheet(t.page)[0].source) for t in page.desk.troubles()]
        assert {kind for kind, _ in kinds} == {"missing_page"} and len(kinds) == 2
        page.view("doubts")
        page.keys("/", "cleo", Keys.ENTER)
        page.view("pages")
        assert "front-Ben.png" in page.text("main")
        assert page.one("figure img[alt=name]").is_displayed()
        page.keys(Keys.ENTER)  # by habit: that is not said so easily
        assert "front-Ben.png" in page.text("main") and "12 Ben Berg" in page.text("main")
        page.keys("w")
        assert "No page needs you" in page.text("main") and page.complaints() == []
    rows = {row.student_id: (row.status, row.total) for row in load_results(out).batch.rows}
    assert rows == {"11": ("ok", 7), "12": ("ok", 4), "13": ("ok", 7)}


def test_a_page_scanned_twice_is_set_aside(reviewing, out, tmp_path):
    shutil.rmtree(tmp_path / "scans")
    front = load_sides(tmp_path, {"front": side_text("front", number=f"{NUMBER}\n  {NAME}")})[0]
    save(pixels(front, values(front, "11"), seed=3), tmp_path / "scans/again.png")
    save(pixels(front, values(front, "11")), tmp_path / "scans/front.png")
    grade_sides(tmp_path)
    with reviewing(out) as page:
        page.view("pages")
        assert "front is there 2 times" in page.text("main")
        assert "Whole page of that one" in page.text("main")
        page.keys("s")
        assert "back is missing" in page.text("main")
        page.keys("u")
        assert "front is there 2 times" in page.text("main") and page.complaints() == []
    assert np.all([marks.status == "double_page" for marks in load_results(out).batch.marks])
