"""The review as a teacher has it: in a browser, by keyboard, on a phone, in the dark, when it goes wrong."""

import time

import cv2
import pytest
from classroom import ROSTER as CLASS
from classroom import run_omrgrade, save, slip_pixels, write_slip
from reviewing import ROSTER, make_run, sheet
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from omrgrade.outputs import load_results

EVIL = "<img src=x onerror='window.hacked=1'>"


def doubtful(template):
    yield sheet(
        template, "11", 1,
        doubts={"q1": {"A": 0.1}, "n1": {2: 0.2}, "q4": {"A": 0.3}, "n2": {1: 0.4}, "n3": {1: 0.5, 2: 0.9}},
    )  # fmt: skip
    yield sheet(template, "12", 2, doubts={"n1": {1: 0.6}, "q2": {"B": 0.7}})


@pytest.fixture
def out(tmp_path):
    make_run(tmp_path / "out", doubtful)
    return tmp_path / "out"


def readings(out, page=0):
    return {r.field: (r.value, r.settled) for r in load_results(out).batch.pages[page].fields}


def test_a_whole_review_by_keyboard(reviewing, out):
    with reviewing(out) as page:
        assert page.counts() == "0 of 7 settled" and page.item == "0/q1"
        page.keys("b")  # an option's letter, not "blank"
        assert page.item == "0/n1"
        page.keys("3")  # the doubtful second box
        assert page.item == "0/n2"
        page.keys("b", "x")  # nothing is written there; the next is illegible
        assert page.item == "1/n1"
        page.keys(Keys.ENTER)  # as read
        assert page.item == "0/q4"
        page.keys("a", "c", Keys.ENTER)  # both marks
        page.keys("b")
        assert page.counts() == "7 of 7 settled" and "Everything is settled" in page.text("main")
        for _ in range(9):
            page.keys(Keys.SHIFT + Keys.TAB)
            if page.script("return document.activeElement.id") == "write":
                page.keys(Keys.ENTER)
                break
        page.until(lambda: (out / "marks.csv").exists())
        page.script("document.getElementById('main').focus()")
        page.keys(Keys.ENTER, Keys.ENTER)  # on settled things Enter does no more
        assert len(page.desk.recent()) == 7
        page.keys("f")
        assert "The marks are written" in page.text("main") and page.served.finished.is_set()
        assert page.complaints() == []
    assert readings(out) == {
        "pupil": ("11", ""), "q1": ("B", "corrected"), "q2": ("B", ""), "q3": ("C", ""),
        "q4": ("A+C", "corrected"), "n1": ("13", "corrected"), "n2": ("", "corrected"),
        "n3": ("", "illegible"),
    }  # fmt: skip
    assert readings(out, 1)["n1"] == ("12", "confirmed") and readings(out, 1)["q2"] == ("B", "confirmed")
    assert ",B," not in (out / "marks.csv").read_text() and "11,ok" in (out / "marks.csv").read_text()


def test_arrows_move_between_doubts_and_boxes(reviewing, out):
    with reviewing(out) as page:
        page.keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_LEFT)
        assert page.item == "0/n1"
        page.keys(Keys.ARROW_UP, "9")  # the first box, of which nobody was in doubt
        assert page.item == "0/n1", "its second box is still in doubt"
        page.keys("3")
        assert page.item != "0/n1"
    assert readings(out)["n1"] == ("93", "corrected")


def test_the_right_answer_is_shown_only_when_asked(reviewing, out):
    with reviewing(out) as page:
        assert "Right:" not in page.text("body")
        page.keys("?")
        assert page.text("#said") == "Right: A"


def test_the_whole_page_is_a_key_away_with_the_field_outlined(reviewing, out):
    with reviewing(out) as page:
        page.keys(Keys.ARROW_RIGHT, " ")
        picture, mark = page.one("#sheet-picture"), page.one("#sheet-mark")
        page.until(lambda: page.script("return arguments[0].naturalHeight", picture) == 592)
        frame, inside = picture.rect, mark.rect
        assert (inside["x"] - frame["x"]) / frame["width"] == pytest.approx(20.8 / 105, abs=0.02)
        assert (inside["y"] - frame["y"]) / frame["height"] == pytest.approx(88.8 / 148, abs=0.02)
        page.keys(Keys.ESCAPE)
        assert page.script("return document.getElementById('sheet').open") is False
        assert page.item == "0/n1" and page.counts().startswith("0 of 7")


def test_undo_takes_back_the_last_decision_also_after_a_restart(reviewing, out):
    with reviewing(out) as page:
        page.keys("b", "3")
        page.keys("u")
        assert page.item == "0/n1" and page.counts() == "1 of 7 settled"
    assert readings(out)["q1"] == ("B", "corrected")
    with reviewing(out) as page:  # the laptop was closed half-way
        assert page.counts() == "1 of 7 settled" and page.item == "0/n1"
        page.keys("u")
        assert page.item == "0/q1" and page.counts() == "0 of 7 settled"
        page.view("decided")
        assert "Nothing has been decided" in page.text("main")
    assert readings(out)["q1"] == ("A", "")


def test_two_tabs_do_not_overwrite_one_another_silently(reviewing, out):
    with reviewing(out) as page:
        first = page.browser.current_window_handle
        page.browser.switch_to.new_window("tab")
        page.open()
        page.keys("b")
        page.browser.switch_to.window(first)
        assert page.item == "0/q1", "this tab does not know yet"
        page.keys("c")
        assert "another tab" in page.text("#message")
        assert page.item != "0/q1" and page.counts() == "1 of 7 settled", "now it does"
    assert readings(out)["q1"] == ("B", "corrected")


def test_the_odd_ones_of_a_wall_go_to_review_and_the_rest_is_confirmed(reviewing, out):
    with reviewing(out) as page:
        page.view("wall")
        page.keys("2")
        tiles = page.all(".wall button")
        assert [tile.get_attribute("data-key") for tile in tiles[:2]] == ["0/n1/2", "1/n1/2"]
        assert "doubt" in tiles[0].get_attribute("class") and len(tiles) == 3
        page.until(
            lambda: page.script(
                "return [...document.querySelectorAll('main img')].every((one) => one.naturalWidth)"
            )
        )
        page.keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, " ")
        assert page.one(".wall button[aria-pressed=true]").get_attribute("data-key") == "1/n1/2"
        page.keys("r")
        assert page.counts() == "0 of 7 settled", "n1 of that page is in doubt anyway, by another box"
        page.keys("u", "a", "u", "a")
        assert page.counts() == "1 of 7 settled"
        assert page.complaints() == []
    assert readings(out)["n1"] == ("12", "confirmed")


def test_pupils_are_picked_and_sheets_set_aside(reviewing, tmp_path):
    out = tmp_path / "out"
    make_run(out, lambda t: [sheet(t, "99", 1), sheet(t, "12", 2), sheet(t, "12", 3)])
    with reviewing(out) as page:
        page.view("pages")
        assert page.item == "0/" and "not on the roster" in page.text("main")
        page.keys("/", "dara", Keys.ENTER)
        assert page.item == "1/" and "also stands on" in page.text("main")
        assert "Whole page of that one" in page.text("main") and "[object" not in page.text("main")
        page.keys(Keys.ARROW_RIGHT, "s")
        assert "No page needs you" in page.text("main")
    assert [m.student_id for m in load_results(out).batch.marks] == ["14", "12", ""]
    assert [m.status for m in load_results(out).batch.marks] == ["ok", "ok", "set_aside"]


def test_a_page_that_was_not_found_is_read_where_a_person_shows_its_corners(reviewing, tmp_path):
    template = write_slip(tmp_path)
    pixels = slip_pixels(template, "12")
    pixels[: pixels.shape[0] // 8] = 255  # both upper markers torn off
    save(pixels, tmp_path / "scans/torn.png")
    save(slip_pixels(template, "11"), tmp_path / "scans/whole.png")
    (tmp_path / "roster.csv").write_text(CLASS)
    arguments = (
        "scans",
        "-t",
        "slip.yaml",
        "-k",
        "key.csv",
        "-r",
        "roster.csv",
        "-o",
        "out",
        "--no-overlays",
    )
    graded = run_omrgrade(tmp_path, "grade", *arguments)
    assert graded.returncode == 4, graded.stderr
    (tmp_path / "scans/torn.png").unlink()  # the scans have moved: the run's own picture has to do
    with reviewing(tmp_path / "out") as page:
        page.view("pages")
        assert "corner marker" in page.text(".why")
        page.keys("c")
        page.until(lambda: page.script("return document.querySelector('.scan img').naturalWidth"))
        for key in (Keys.ARROW_RIGHT, Keys.ARROW_LEFT, Keys.ARROW_DOWN, Keys.ARROW_UP):
            page.keys(key)
        handle = page.all(".handle")[2]
        ActionChains(page.browser).drag_and_drop_by_offset(handle, 4, 4).drag_and_drop_by_offset(
            handle, -4, -4
        ).perform()
        page.keys(Keys.ENTER)
        assert page.complaints() == [] and page.text("#message") == ""
        assert "No page needs you" in page.text("main")
    results = load_results(tmp_path / "out")
    torn = results.batch.pages[0]
    assert torn.problem == "" and {r.field: r.value for r in torn.fields}["q2"] == "C"
    assert results.batch.marks[0].student_id == "12"
    assert cv2.imdecode(__import__("numpy").frombuffer(results.preview(torn), "uint8"), 0).shape == (592, 420)


def test_names_full_of_html_are_text(reviewing, tmp_path):
    out = tmp_path / "out"
    roster = {**ROSTER, "11": f"{EVIL}<script>window.hacked=1</script>", "13": '<b>Bold</b> & "Co"'}

    def pages(template):
        yield sheet(template, "11", 1, name=f"{EVIL}.png", doubts={"n1": {2: 0.2}, "pupil": {1: 0.6}})
        yield sheet(template, "13", 1, name="javascript:window.hacked=1//.png", doubts={"n1": {2: 0.3}})
        yield sheet(template, "98", 2, name=f"{EVIL}.png")

    make_run(out, pages, roster=roster)
    with reviewing(out) as page:
        assert EVIL in page.text("main")
        page.keys(Keys.ENTER, " ", Keys.ESCAPE)
        assert "<b>Bold</b>" in page.text("main")
        page.keys(Keys.ENTER, "/", "<")
        assert EVIL in page.text(".picker")
        page.keys(Keys.ESCAPE)
        for view in ("decided", "pages", "wall"):
            page.view(view)
        page.keys("2")
        assert page.script("return window.hacked") is None
        assert (
            not page.all("img[src=x]") and not page.all("main b:not(:only-child)") and page.complaints() == []
        )


def test_a_thousand_doubts_are_as_light_as_ten(reviewing, tmp_path, capsys):
    doubts = {"q1": {"A": 0.4}, "q2": {"B": 0.5}, "q3": {"C": 0.3}, "q4": {"A": 0.6}, "pupil": {1: 0.8},
              "n1": {2: 0.2}, "n2": {1: 0.7}, "n3": {1: 0.1}}  # fmt: skip
    roster = {str(n): f"Pupil {n}" for n in range(10, 100)}
    times = {}
    for number in (10, 1000):
        out = tmp_path / f"out{number}"
        numbers = range(1, number // 8 + 1)
        make_run(out, lambda t, ns=numbers: [sheet(t, "11", n, doubts=doubts) for n in ns], roster=roster)
        begun = time.perf_counter()
        with reviewing(out) as page:
            page.until(lambda: page.script("return document.querySelector('.stage img')?.naturalWidth"))
            first = time.perf_counter() - begun
            begun, decisions = time.perf_counter(), 8
            for _ in range(decisions):
                page.keys(Keys.ENTER)
            times[number] = first, (time.perf_counter() - begun) / decisions
            assert page.counts().startswith("8 of ") and page.complaints() == []
    told = "; ".join(
        f"{n} doubts: first crop {a:.2f} s, {1000 * b:.0f} ms a decision" for n, (a, b) in times.items()
    )
    with capsys.disabled():
        print(f" [{told}]", end="")


@pytest.mark.parametrize("width", [360, 768])
def test_it_fits_a_phone_and_the_dark(reviewing, out, width):
    with reviewing(out) as page:
        emulate = page.browser.execute_cdp_cmd
        emulate(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": 700, "deviceScaleFactor": 2, "mobile": True},
        )
        emulate(
            "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
        )
        try:
            page.open()
            for view in ("doubts", "wall", "pages", "decided"):
                page.view(view)
                assert page.script("return document.documentElement.scrollWidth") <= width
            assert page.script("return getComputedStyle(document.body).backgroundColor") == "rgb(20, 20, 19)"
            page.view("doubts")
            heights = (
                "return [...document.querySelectorAll('button')].map((b) => b.offsetHeight).filter(Boolean)"
            )
            assert min(page.script(heights)) >= 40, "buttons are as large as a thumb"
        finally:
            emulate("Emulation.clearDeviceMetricsOverride", {})
            emulate("Emulation.setEmulatedMedia", {"features": []})


def test_nothing_is_loaded_from_elsewhere(reviewing, out):
    with reviewing(out) as page:
        page.keys(Keys.ENTER)
        loaded = page.script("return performance.getEntriesByType('resource').map((entry) => entry.name)")
        assert len(loaded) > 4 and all(
            name.startswith(page.script("return location.origin")) for name in loaded
        )


def test_other_sites_and_other_host_names_are_refused(reviewing, out):
    with reviewing(out) as page:
        origin = page.script("return location.origin")
        page.browser.get("data:text/html,<title>another site</title>")
        reached = page.browser.execute_async_script(
            """const [origin, tell] = arguments;
            const body = JSON.stringify([{page: 0, field: "q1", action: "blank", version: 0}]);
            const one = fetch(origin + "/api/state", {credentials: "include"}).then(() => true, () => false);
            const blind = {method: "POST", mode: "no-cors", credentials: "include", body};
            const two = fetch(origin + "/api/decide", blind);
            Promise.all([one, two.then(() => false, () => false)]).then(([read]) => tell(read));""",
            origin,
        )
        assert reached is False
        page.browser.get(page.served.address.replace("127.0.0.1", "elsewhere.example"))
        assert "another host name" in page.text("body")
        assert page.desk.recent() == []


def test_a_review_that_was_stopped_says_so(reviewing, out):
    with reviewing(out) as page:
        pass
    with reviewing(out) as page:
        page.served_before = page.served
        page.script("window.fetch = () => Promise.reject(new TypeError('Failed to fetch'))")
        page.keys("b")
        assert "omrgrade review" in page.text("#message") and page.item == "0/q1"
