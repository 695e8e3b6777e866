"""The review without a browser: what there is to settle, what is refused, what is served to whom."""

import contextlib
import re
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from dataclasses import replace

import classroom
import pytest
from reviewing import ROSTER, make_run, sheet

from omrgrade.errors import OmrgradeError, OutputError
from omrgrade.outputs import load_results
from omrgrade.records import Field, PageReading, Rect, Registration, Scan
from omrgrade.review.checks import check_decision
from omrgrade.review.desk import Desk
from omrgrade.review.serve import Writing, serving
from omrgrade.review.server import create_app
from omrgrade.snapshots import scan_picture

BASE = "http://127.0.0.1:5000"


def pages(template):
    yield sheet(template, "11", 1, doubts={"n1": {2: 0.6}, "q1": {"A": 0.4}})
    yield sheet(template, "12", 2, doubts={"n1": {1: 0.3, 2: 0.9}})
    yield sheet(template, "12", 3, answers={"n2": "1"})
    yield sheet(template, "99", 4)
    yield PageReading(
        source="scan.png", page=5, problem="no corner markers found", digest="x", preview=b"\xff"
    )


@pytest.fixture
def out(tmp_path):
    make_run(tmp_path / "out", pages)
    return tmp_path / "out"


@pytest.fixture
def desk(out):
    return Desk(out, who="tester")


class Client:
    """A browser's part: it has opened the address with the secret and reads its page's token."""

    def __init__(self, desk):
        self.app = create_app(desk, token="secret", write=Writing(desk))
        self.client = self.app.test_client()
        assert self.client.get("/?token=secret", base_url=BASE).status_code == 302
        page = self.client.get("/", base_url=BASE).text
        self.token = re.search(r'name="review-token" content="([^"]+)"', page)[1]

    def get(self, path, **more):
        return self.client.get(path, base_url=more.pop("base_url", BASE), **more)

    def post(self, path, body, **headers):
        return self.client.post(path, json=body, base_url=BASE, headers={"X-Review": self.token, **headers})

    def state(self):
        return self.get("/api/state").json

    def decide(self, item, action, value="", box=0):
        one = {key: item[key] for key in ("page", "field", "version")}
        return self.post("/api/decide", [{**one, "action": action, "value": value, "box": box}])


@pytest.fixture
def client(desk):
    return Client(desk)


# ---------------------------------------------------------------- what there is to settle


def test_doubts_come_least_sure_first_and_pages_worst_first(client):
    state = client.state()
    assert [item["key"] for item in state["doubts"]] == ["1/n1", "0/q1", "0/n1"]
    assert [(t["page"], t["status"]) for t in state["troubles"]] == [
        (4, "unreadable"), (3, "unknown_student"), (1, "duplicate_student"), (2, "duplicate_student"),
    ]  # fmt: skip
    assert (state["settled"], state["left"]) == (0, 7)


def test_the_right_answer_is_told_only_when_asked(client):
    assert "12" not in [item.get("answer") for item in client.state()["doubts"]]
    assert not any("expected" in item or "answer" in item for item in client.state()["doubts"])
    assert client.get("/api/expected/n1").json == {"answers": ["12"]}


def test_settling_moves_on_and_marks_follow(client, out):
    first = client.state()["doubts"][1]
    told = client.decide(first, "set", "B").json
    assert [item["key"] for item in told["doubts"]] == ["0/n1"]
    assert (told["settled"], told["left"]) == (1, 6)
    assert (told["fields"][0]["value"], told["fields"][0]["settled"]) == ("B", "corrected")
    assert load_results(out).batch.pages[0].fields[1].value == "B"


def test_a_box_at_a_time(client):
    item = client.state()["doubts"][0]
    told = client.decide(item, "set", "1", box=1).json
    (left,) = told["doubts"]
    assert [box["status"] for box in left["boxes"]] == ["read", "review"]
    told = client.decide(left, "set", "3", box=2).json
    assert told["doubts"] == [] and told["fields"][0]["value"] == "13"


def test_a_pupil_is_picked_from_the_roster(client):
    unknown = client.state()["troubles"][1]
    assert ["14", "Dara Diaz"] in client.state()["roster"]
    body = {"page": 3, "field": "pupil", "action": "set", "value": "14", "version": unknown["fieldVersion"]}
    told = client.post("/api/decide", [{**body, "box": 0}]).json
    assert [t["page"] for t in told["troubles"]] == [4, 1, 2]


def test_of_two_sheets_of_one_pupil_one_is_set_aside(client, out):
    double = client.state()["troubles"][3]
    told = client.decide({**double, "field": ""}, "aside").json
    assert [t["page"] for t in told["troubles"]] == [4, 3]
    assert load_results(out).batch.marks[2].status == "set_aside"


def test_the_wall_shows_every_box_read_as_a_digit_doubtful_first(client):
    told = client.get("/api/wall/2").json
    assert told["all"] == 6
    assert [box["doubtful"] for box in told["boxes"][:3]] == [True, True, False]
    odd = told["boxes"][-1]
    after = client.decide(odd, "doubt", box=odd["box"]).json
    assert after["fields"][0]["status"] == "review"
    assert client.get("/api/wall/2").json["boxes"][2]["doubtful"]


def test_a_wall_of_many_boxes_is_settled_at_once(client):
    boxes = [box for box in client.get("/api/wall/2").json["boxes"] if box["doubtful"]]
    named = ("page", "field", "box", "version")
    wanted = [{**{name: box[name] for name in named}, "action": "set", "value": "2"} for box in boxes]
    assert client.post("/api/decide", wanted).status_code == 200
    assert not any(box["doubtful"] for box in client.get("/api/wall/2").json["boxes"])


def test_a_page_that_lies_badly_is_looked_at(tmp_path):
    doubt = "the boxes lie up to 0.8 mm from where they should"
    rows = ((4.0, 0.0, 0.0), (0.0, 4.0, 0.0), (0.0, 0.0, 1.0))
    askew = Registration(
        page_to_scan=rows, residual=0.8, rotation=0, method="aruco", landmarks=9, doubt=doubt
    )
    out = tmp_path / "out"
    make_run(out, lambda template: [replace(sheet(template, "11", 1), registration=askew)])
    client = Client(Desk(out, who="tester"))
    (found,) = client.state()["troubles"]
    assert (found["status"], found["problem"], len(found["frames"])) == ("misplaced", doubt, 24)
    told = client.decide({**found, "field": ""}, "confirm").json
    assert told["troubles"] == [] and (told["settled"], told["left"]) == (1, 0)
    assert load_results(out).batch.pages[0].registration.doubt == ""


def test_undo_even_after_a_restart(client, out):
    client.decide(client.state()["doubts"][1], "set", "B")
    again = Client(Desk(out, who="somebody else"))
    (last,) = again.state()["recent"]
    assert (last["field"], last["value"], last["who"]) == ("q1", "B", "tester")
    told = again.post("/api/undo", {"id": last["id"]}).json
    assert told["fields"][0]["status"] == "review" and told["recent"] == []


def test_two_tabs_do_not_overwrite_one_another(client):
    item = client.state()["doubts"][1]
    assert client.decide(item, "set", "B").status_code == 200
    refused = client.decide(item, "set", "C")
    assert refused.status_code == 409 and "another tab" in refused.json["error"]
    (last,) = client.state()["recent"]
    assert last["value"] == "B"


def test_two_programs_on_one_run_see_each_other(client, out):
    other = Client(Desk(out, who="colleague"))
    other.decide(other.state()["doubts"][1], "set", "B")
    assert [item["key"] for item in client.state()["doubts"]] == ["1/n1", "0/n1"]
    assert [entry["who"] for entry in client.state()["recent"]] == ["colleague"]


def test_results_are_rewritten_when_asked_and_only_what_changed(client, out):
    assert client.post("/api/write", {}).json == {"written": []}
    client.decide(client.state()["doubts"][1], "set", "B")
    (out / "overlays").mkdir()
    written = client.post("/api/write", {}).json["written"]
    assert {"marks.csv", "corrections.csv", "overlays/scan-p1.jpg"} <= set(written)
    assert sum(name.startswith("overlays") for name in written) == 1
    assert client.post("/api/write", {}).json == {"written": []}


@pytest.mark.parametrize(
    ("field", "box", "action", "value"),
    [
        ("q1", 0, "set", "E"), ("q1", 1, "set", "A"), ("q1", 0, "set", ""), ("q1", 0, "blank", "A"),
        ("n1", 3, "set", "1"), ("n1", 1, "set", "12"), ("n1", 0, "set", "123"), ("n1", 0, "set", "１"),
        ("n1", 0, "explode", ""), ("nothing", 0, "blank", ""), ("", 0, "blank", ""),
        ("n1", 1, "illegible", ""),
    ],
)  # fmt: skip
def test_what_nobody_can_mean_is_refused(client, desk, field, box, action, value):
    item = {"page": 0, "field": field, "version": 0}
    assert client.decide(item, action, value, box).status_code == 400
    assert desk.recent() == []


@pytest.mark.parametrize(
    "body", [[], {}, "x", [1], [{"page": "0"}], [{"page": 0, "field": 1}], [{"page": -1}]]
)
def test_malformed_requests_are_refused(client, body):
    assert client.post("/api/decide", body).status_code == 400
    assert client.post("/api/undo", body).status_code in (400, 409)


@pytest.mark.parametrize(
    ("kind", "value", "box", "fits"),
    [
        ("digits", "-12", 0, True), ("digits", "1.5", 0, True), ("digits", "-", 1, True),
        ("digits", "1234", 0, False), ("digits", "1-2", 0, False), ("fraction", "3/4", 0, True),
        ("fraction", "3/", 0, False), ("number", "123", 0, True), ("number", "1", 1, False),
    ],
)  # fmt: skip
def test_signs_points_and_bars_can_be_written(kind, value, box, fits):
    boxes = (Rect(x=0, y=0, width=8, height=10),) * 3
    asked = Field(id="n", kind=kind, role="item", boxes=boxes)
    with contextlib.nullcontext() if fits else pytest.raises(OutputError):
        check_decision(asked, box, "set", value)


# ---------------------------------------------------------------- who is served what


@pytest.mark.parametrize(
    "base_url", ["http://evil.example:5000", "http://127.0.0.1:5001", "http://10.0.0.1:5000"]
)
def test_another_host_name_is_refused(client, base_url):
    port = {"SERVER_PORT": "5000"}
    for path in ("/", "/api/state", "/page/0.jpg", "/static/review.js"):
        assert client.get(path, base_url=base_url, environ_overrides=port).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": "http://127.0.0.1:5001"},
        {"Origin": "https://127.0.0.1:5000"}, {"Sec-Fetch-Site": "cross-site"}, {"X-Review": "guess"},
    ],
)  # fmt: skip
def test_another_origin_and_a_missing_token_are_refused(client, desk, headers):
    item = client.state()["doubts"][0]
    body = [{"page": item["page"], "field": item["field"], "action": "blank", "version": 0}]
    assert client.post("/api/decide", body, **headers).status_code == 403
    assert desk.recent() == []


def test_without_the_secret_nothing_is_served(desk):
    app = create_app(desk, token="secret", write=list)
    for path in ("/", "/?token=guess", "/api/state", "/page/0.jpg", "/field/0/n1.jpg", "/static/review.js"):
        assert app.test_client().get(path, base_url=BASE).status_code == 403


def test_the_address_on_a_browser_s_command_line_opens_the_review_once(desk):
    app = create_app(desk, token="secret", write=list, once="launch")
    answers = [app.test_client().get("/?token=launch", base_url=BASE).status_code for _ in range(2)]
    assert answers == [302, 403]


def test_only_pictures_of_this_run_are_served(client):
    for path in ("/page/0.jpg", "/field/0/n1.jpg", "/box/0/n1/2.jpg"):
        answer = client.get(path)
        assert answer.status_code == 200 and answer.data.startswith(b"\xff\xd8")
    for path in (
        "/page/5.jpg", "/page/-1.jpg", "/field/0/no.jpg", "/box/0/n1/9.jpg", "/field/4/n1.jpg", "/run.sqlite",
        "/static/../server.py", "/static/..%2fserver.py", "/page/../../etc/passwd", "/overlays/scan-1.jpg",
    ):  # fmt: skip
        assert client.get(path).status_code == 404


def test_the_page_may_load_nothing_from_elsewhere(client):
    answer = client.get("/")
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert not re.search(r"(src|href)=\"(https?:)?//", answer.text)
    assert "://" not in client.get("/static/review.js").text.replace("http://www.w3.org/2000/svg", "")


def test_it_listens_on_this_computer_only(desk):
    with serving(desk) as served:
        assert served.address.startswith("http://127.0.0.1:")
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(served.address.split("?")[0])
        port = int(re.search(r":(\d+)/", served.address)[1])
        with pytest.raises(OmrgradeError, match="taken"), serving(desk, port=port):
            pass
    assert all(not thread.name.startswith("Thread-serve") for thread in threading.enumerate())


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(OutputError, match="no run here"):
        Desk(tmp_path, who="tester")


def test_without_a_roster_nobody_is_offered(tmp_path):
    make_run(tmp_path / "out", pages, roster={})
    state = Client(Desk(tmp_path / "out", who="tester")).state()
    assert state["roster"] == [] and ROSTER
    assert [t["status"] for t in state["troubles"]] == [
        "unreadable",
        "duplicate_student",
        "duplicate_student",
    ]


def test_the_command_serves_until_ctrl_c_and_then_brings_the_results_up_to_date(out):
    command = [sys.executable, "-m", "omrgrade", "review", str(out), "--no-browser", "--who", "Ms Roe"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        address = re.search(r"http://127\.0\.0\.1:\d+/\?token=\S+", process.stderr.readline())[0]
        process.stderr.readline()
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        page = browser.open(address).read().decode()
        token = re.search(r'name="review-token" content="([^"]+)"', page)[1]
        body = b'[{"page": 0, "field": "q1", "box": 0, "action": "set", "value": "B", "version": 0}]'
        headers = {"X-Review": token, "Content-Type": "application/json"}
        request = urllib.request.Request(address.split("?")[0] + "api/decide", body, headers)
        assert browser.open(request).status == 200
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "1 settled, 6 left" in told and f"Next: omrgrade review {out}" in told
    assert ",Ms Roe," in (out / "corrections.csv").read_text()
    assert (out / "marks.csv").exists()


def test_a_page_of_another_sheet_is_read_with_its_template(tmp_path, page_factory):
    values = {"student_id": "000014", "q1": "12", "q2": "7"}
    other = page_factory("numeric-a4", seed=5, profile="clean", turn=0, values=values).image

    def some(template):
        yield sheet(template, "11", 1)
        scan = Scan(source="scan.png", page=2, pixels=other, dpi=0)
        problem = "markers of another template (ids 0, 1, 2, 3)"
        yield PageReading(source="scan.png", page=2, problem=problem, digest="x", preview=scan_picture(scan))

    out = tmp_path / "out"
    make_run(out, some, roster={**ROSTER, "000014": "Fay"})
    client = Client(Desk(out, who="tester"))
    (found,) = client.state()["troubles"]
    body = {"page": 1, "template": "numeric-a4", "corners": None, "version": 0}
    assert client.post("/api/reread", {**body, "template": ""}).status_code == 400, "it is another sheet"
    assert client.post("/api/reread", {**body, "template": "../key"}).status_code == 400
    told = client.post("/api/reread", body).json
    assert told["troubles"] == [] and found["status"] == "unreadable"
    results = load_results(out)
    assert results.template_of(results.batch.pages[1]).name == "numeric-a4"
    assert results.batch.marks[1].student_id == "000014"
    assert {r.field: r.value for r in results.batch.pages[1].fields}["q1"] == "12"
    (out / "overlays").mkdir()
    assert "overlays/scan-p2.jpg" in client.post("/api/write", {}).json["written"]
    client.post("/api/undo", {"id": told["recent"][0]["id"]})
    assert [t["status"] for t in client.state()["troubles"]] == ["unreadable"]


def test_grading_again_keeps_what_people_decided(tmp_path):
    template = classroom.write_slip(tmp_path)
    classroom.save(classroom.slip_pixels(template, "12"), tmp_path / "scans/12.png")
    assert classroom.grade(tmp_path).exit_code == 0
    desk = Desk(tmp_path / "out", who="tester")
    desk.decide([desk.decision(0, "q1", 0, "set", "D", 0)])
    classroom.save(classroom.slip_pixels(template, "11"), tmp_path / "scans/11.png")
    assert classroom.grade(tmp_path).exit_code == 0
    rows = [row for row in classroom.table(tmp_path / "out/readings.csv") if row["field"] == "q1"]
    assert [(row["value"], row["status"]) for row in rows] == [("A", "read"), ("D", "corrected")]
    classroom.save(classroom.slip_pixels(template, "13"), tmp_path / "scans/12.png")
    assert classroom.grade(tmp_path).exit_code == 0
    rows = [row for row in classroom.table(tmp_path / "out/readings.csv") if row["field"] == "q1"]
    assert rows[1]["status"] == "read", "what was decided was about other paper"
    assert len(load_results(tmp_path / "out").corrections) == 1, "but it stays in the log"


def test_two_runs_can_be_reviewed_in_one_browser(tmp_path):
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    for name in ("one", "two"):
        make_run(tmp_path / name / "out", pages)
    with (
        serving(Desk(tmp_path / "one/out", who="a")) as one,
        serving(Desk(tmp_path / "two/out", who="a")) as two,
    ):
        for served in (one, two):
            browser.open(served.address)
        for served in (one, two):
            assert browser.open(served.address.split("?")[0] + "api/state").status == 200
