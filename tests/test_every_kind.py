"""Every kind of field at once, from rendered pages with known truth to marks: signs, points, fractions,
numbers written and bubbled, stickers of every kind for pupil, sheet and version, pictures."""

import cv2
import numpy as np
import pytest
import zxingcpp
from classroom import grade, save, table
from click.testing import CliRunner

from omrgrade.cli import cli
from omrgrade.review.desk import Desk
from omrgrade.review.pictures import Pictures
from omrgrade.simulate import simulate_page
from omrgrade.template import load_template

SHEET = """omrgrade: 1
name: kinds
title: Kinds
page: A4
registration: {method: aruco, dictionary: 4x4_50, ids: [24, 25, 26, 27], size: 9, margin: 9}
fields:
  - {id: pupil, kind: barcode, role: identifier, at: [25, 12], size: [45, 16], formats: [code128, ean, qr]}
  - {id: form, kind: barcode, role: info, version: true, at: [80, 8], size: [24, 24], formats: [qr, code128]}
  - {id: leaf, kind: barcode, role: info, at: [115, 12], size: [45, 16], formats: [ean]}
  - {id: temp, kind: digits, role: item, label: "1.", sign: true, boxes: 3, decimals: 1,
     at: [30, 45], size: [10, 12], gap: 3.2}
  - {id: price, kind: digits, role: item, label: "2.", boxes: 4, decimals: 2, point: written,
     at: [30, 72], size: [10, 12], gap: 3.2}
  - {id: part, kind: fraction, role: item, label: "3.", boxes: [1, 2], at: [30, 100],
     size: [10, 12], gap: 3.2}
  - {id: sum, kind: number, role: item, label: "4.", digits: 3, at: [30, 145], size: [30, 11]}
  - {id: sum_bubbles, kind: grid, role: item, same_as: sum, boxes: 3, options: "0123456789", empty: ends,
     at: [120, 60], size: [5, 5], gap: [6, 2]}
  - {id: bubbled, kind: grid, role: item, label: "5.", boxes: 2, options: "0123456789",
     at: [155, 60], size: [5, 5], gap: [6, 2]}
  - {id: working, kind: picture, role: info, label: Working, at: [30, 180], size: [120, 50]}
"""
ITEMS = ("temp", "price", "part", "sum", "sum_bubbles", "bubbled")
KEY = (
    "item,answer,points,version\ntemp,-12.5,1,A\ntemp,7.0,1,B\nprice,30.75,1,\npart,3/16,1,\n"
    "sum,248,1,\nbubbled,42,1,A\nbubbled,17,1,B\n"
)
ROSTER = "student_id,name\nA-17,Ada\n4006381333931,Ben\n96385074,Cleo\n1234,Dara\n"
STICKERS = {"A-17": "Code128", "4006381333931": "EAN13", "96385074": "EAN8", "1234": "QRCode"}
BY_VERSION = {"A": {"temp": "-12.5", "bubbled": "42"}, "B": {"temp": "7.0", "bubbled": "17"}}
SAME = {"price": "30.75", "part": "3/16", "sum": "248", "sum_bubbles": "248"}


def stick(pixels, box, text, form):
    """A sticker in the middle of a field, as large as fits with whole pixels; 300 dpi."""
    code = zxingcpp.create_barcode(text, getattr(zxingcpp.BarcodeFormat, form))
    scale = 4
    while scale:
        label = np.asarray(zxingcpp.write_barcode_to_image(code, scale=scale, add_quiet_zones=True))
        height, width = label.shape
        x, y = (round(value * 300 / 25.4) for value in box.centre)
        if height <= box.height * 300 / 25.4 and width <= box.width * 300 / 25.4:
            break
        scale -= 1
    pixels[y - height // 2 : y - height // 2 + height, x - width // 2 : x - width // 2 + width] = label


def page(template, pupil, version, seed):
    values = {**SAME, **BY_VERSION[version]}
    made = simulate_page(template, seed=seed, profile="clean", turn=0, values=values)
    pixels = made.image.copy() if made.image.ndim == 2 else cv2.cvtColor(made.image, cv2.COLOR_BGR2GRAY)
    stick(pixels, template.field("pupil").boxes[0], pupil, STICKERS[pupil])
    stick(pixels, template.field("form").boxes[0], version, "QRCode" if version == "A" else "Code128")
    stick(pixels, template.field("leaf").boxes[0], "96385074", "EAN8")
    cv2.putText(pixels, pupil, (420, 2450), cv2.FONT_HERSHEY_SIMPLEX, 3, 40, 8)  # in the picture
    noise = np.random.default_rng(seed).normal(0, 6, pixels.shape)
    blurred = cv2.GaussianBlur(pixels, (0, 0), 0.8) * 0.85 + 30 + noise
    return np.rot90(blurred.clip(0, 255).astype(np.uint8), 2 * (seed % 2))


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """A class of four, graded without overlays, and their scans gone."""
    folder = tmp_path_factory.mktemp("kinds")
    for name, text in (("kinds.yaml", SHEET), ("key.csv", KEY), ("roster.csv", ROSTER)):
        (folder / name).write_text(text)
    template = load_template(folder / "kinds.yaml")
    for n, pupil in enumerate(STICKERS):
        save(page(template, pupil, "AB"[n % 2], n), folder / f"scans/{n}.png").touch()
    done = grade(folder, "-r", "roster.csv", "--overlays", "none", template="kinds.yaml")
    assert done.exit_code == 0, done.output
    for scan in (folder / "scans").iterdir():
        scan.unlink()
    return folder


def test_stickers_say_whose_sheet_it_is_which_leaf_and_which_version(graded):
    rows = table(graded / "out/marks.csv")
    assert [row["student_id"] for row in rows] == list(STICKERS)
    said = {
        (row["student_id"], row["field"]): (row["value"], row["status"])
        for row in table(graded / "out/readings.csv")
    }
    for n, pupil in enumerate(STICKERS):
        assert said[pupil, "form"] == ("AB"[n % 2], "read")
        assert said[pupil, "leaf"] == ("96385074", "read")


def test_signs_points_fractions_and_numbers_written_and_bubbled_earn_what_they_should(graded):
    rows = [row for row in table(graded / "out/readings.csv") if row["field"] in ITEMS]
    assert len(rows) == 4 * len(ITEMS)
    wrong = [(row["student_id"], row["field"], row["value"]) for row in rows if row["outcome"] == "incorrect"]
    sure = [row for row in rows if row["status"] == "read"]
    assert not wrong and len(sure) >= 0.8 * len(rows)
    for n, row in enumerate(table(graded / "out/marks.csv")):
        truth = BY_VERSION["AB"[n % 2]]
        answers = {r["field"]: r["answer"] for r in rows if r["student_id"] == row["student_id"]}
        assert (answers["temp"], answers["bubbled"]) == (truth["temp"], truth["bubbled"])
        assert row["bubbled"] == "1"  # bubbles leave no doubt


def test_pictures_are_there_without_overlays_and_without_the_scans(graded):
    desk = Desk(graded / "out", who="T")
    picture = Pictures(desk).field(0, desk.run.template.field("working"))
    pixels = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert pixels.shape[1] > 2 * pixels.shape[0] and (pixels < 100).mean() > 0.003
    done = CliRunner().invoke(cli, ["export", str(graded / "out"), "-f", "pictures"])
    assert done.exit_code == 0, done.output
    names = sorted(path.name for path in (graded / "out/pictures").iterdir())
    assert names == sorted(f"{pupil}_scans_{n}-p1_working.jpg" for n, pupil in enumerate(STICKERS))
    again = cv2.imread(str(graded / "out/pictures" / names[0]), cv2.IMREAD_GRAYSCALE)
    assert again.shape[1] > 2 * again.shape[0]


def test_a_sheet_without_pictures_has_none_to_write(tmp_path, graded):
    (tmp_path / "plain.yaml").write_text(SHEET.partition("  - {id: working")[0])
    template = load_template(tmp_path / "plain.yaml")
    save(page(template, "1234", "A", 0), tmp_path / "scans/a.png")
    grade(tmp_path, template="plain.yaml", key=None)
    done = CliRunner().invoke(cli, ["export", str(tmp_path / "out"), "-f", "pictures"])
    assert "no pictures" in str(done.exception) and not (tmp_path / "out/pictures").exists()


def test_a_version_that_no_sticker_says_is_a_doubt_and_can_be_typed(tmp_path):
    for name, text in (("kinds.yaml", SHEET), ("key.csv", KEY)):
        (tmp_path / name).write_text(text)
    template = load_template(tmp_path / "kinds.yaml")
    made = simulate_page(template, seed=1, profile="clean", turn=0, values=SAME | BY_VERSION["B"])
    save(made.image, tmp_path / "scans/a.png")
    grade(tmp_path, template="kinds.yaml")
    (row,) = table(tmp_path / "out/marks.csv")
    assert (row["temp"], row["bubbled"]) == ("", "")
    desk = Desk(tmp_path / "out", who="T")
    from omrgrade.review import wire

    (doubt,) = [d for d in desk.doubts() if d.field.id == "form"]
    assert wire.doubt(desk, doubt)["keys"] == ["A", "B"]
    desk.decide([desk.decision(0, "form", 0, "set", "B", 0)])
    from omrgrade.outputs import load_results

    (marks,) = load_results(tmp_path / "out").batch.marks
    assert {score.item: score.outcome for score in marks.scores}["bubbled"] == "correct"
