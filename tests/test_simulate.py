"""Simulated pages: what the truth says stands there, where the matrix says."""

import csv
import runpy
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from omrgrade.cli import cli
from omrgrade.errors import DatasetError
from omrgrade.resources import bundled
from omrgrade.simulate import PROFILES, Digits, simulate_batch, simulate_page
from omrgrade.simulate.handwriting import Hand, Pen, trace, write_digit
from omrgrade.template import bundled_templates, load_template


def upright(page, template, px_per_mm=6.0):
    """The page as its own matrix says it lies, straightened: (height, width) grey."""
    scale = np.array([[px_per_mm, 0, -0.5], [0, px_per_mm, -0.5], [0, 0, 1.0]])
    matrix = scale @ np.linalg.inv(np.array(page.page_to_scan))
    size = round(template.page_width * px_per_mm), round(template.page_height * px_per_mm)
    grey = page.image if page.image.ndim == 2 else cv2.cvtColor(page.image, cv2.COLOR_BGR2GRAY)
    return cv2.warpPerspective(grey, matrix, size, flags=cv2.INTER_AREA, borderValue=255)


def around(image, box, rim, px_per_mm=6.0):
    """The pixels of a box grown by `rim` (a share of its size; negative: shrunk)."""
    dx, dy = rim * box.width, rim * box.height
    rows = slice(round((box.y - dy) * px_per_mm), round((box.bottom + dy) * px_per_mm))
    return image[rows, round((box.x - dx) * px_per_mm) : round((box.right + dx) * px_per_mm)]


def darkness(image, box):
    """Mean darkness (0-1) inside a box, its rim left out, beside the paper just there."""
    return 1 - float(around(image, box, -0.22).mean()) / float(np.percentile(around(image, box, 0.4), 85))


def has_ink(image, box):
    """Whether a stroke is in the box: its darkest 2 % are well darker than the paper just there."""
    inside = cv2.blur(around(image, box, -0.15), (3, 3))
    return np.percentile(inside, 2) < 0.88 * np.percentile(inside, 70)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_markers_lie_where_the_matrix_says(page_factory, profile, turn):
    page = page_factory("choice-a4", seed=turn + 1, profile=profile, turn=turn)
    template = load_template("choice-a4")
    corners, ids, _ = cv2.aruco.ArucoDetector(
        cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_50), _refined()
    ).detectMarkers(page.image)
    found = dict(zip(np.ravel(ids).tolist(), (c[0] for c in corners), strict=True))
    assert set(template.fiducials.ids) <= set(found)
    matrix = np.array(page.page_to_scan)
    px_per_mm = np.sqrt(abs(np.linalg.det(matrix[:2, :2])))
    for marker, box in zip(template.fiducials.ids, template.fiducials.boxes, strict=True):
        mm = np.array([(box.x, box.y), (box.right, box.y), (box.right, box.bottom), (box.x, box.bottom)])
        expected = matrix @ np.column_stack([mm, np.ones(4)]).T
        expected = (expected[:2] / expected[2]).T
        assert np.abs(found[marker] - expected).max() / px_per_mm < 0.3
    assert page.rotation == turn


def _refined():
    parameters = cv2.aruco.DetectorParameters()
    parameters.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
    return parameters


@pytest.mark.parametrize("profile", PROFILES)
def test_the_truth_stands_on_the_page(page_factory, profile):
    template = load_template("mixed-letter")
    page = page_factory("mixed-letter", seed=5, profile=profile)
    image = upright(page, template)
    for made in template.fields:
        value = page.truth[made.id]
        if made.kind == "choice":
            dark = [darkness(image, box) for box in made.boxes]
            marked = [o for o, d in zip(made.options, dark, strict=True) if d > 0.06]
            assert "+".join(marked) == value
        else:
            assert sum(has_ink(image, box) for box in made.boxes) == len(value)


def test_what_is_asked_for_is_written(page_factory):
    values = {"student_id": "012345", "student_bubbles": "012345", "q3": "B", "q37": "A+D"}
    page = page_factory("choice-a4", seed=9, profile="clean", values=values)
    assert {name: value for name, value in page.truth.items() if value} == values
    template = load_template("choice-a4")
    image = upright(page, template)
    for made in template.fields:
        for box in made.boxes if made.id not in values else ():
            assert darkness(image, box) == pytest.approx(0, abs=0.01)
    grid = template.field("student_bubbles")
    marked = [n for n, box in enumerate(grid.boxes) if darkness(image, box) > 0.2]
    assert marked == [10 * column + digit for column, digit in enumerate((0, 1, 2, 3, 4, 5))]


def test_the_same_seed_gives_the_same_page():
    template = load_template("numeric-a4")
    one, two, other = (simulate_page(template, seed=seed, profile="copier") for seed in (4, 4, 5))
    assert np.array_equal(one.image, two.image) and one.truth == two.truth
    assert one.truth != other.truth


@pytest.mark.parametrize("name", bundled_templates())
def test_twins_carry_the_same_value(page_factory, name):
    template = load_template(name)
    truth = page_factory(name, seed=2).truth
    assert list(truth) == [made.id for made in template.fields]
    for made in template.fields:
        if made.same_as and made.kind != "barcode":  # printed for a pupil, or not at all
            assert truth[made.id] == truth[made.same_as]


def test_profiles_look_as_they_should(page_factory):
    scan, copy, photo = (
        page_factory("numeric-a4", seed=1, profile=p) for p in ("scanner", "copier", "photo")
    )
    assert scan.image.ndim == 2 and scan.capture.dpi in (200, 300)
    assert set(np.unique(copy.image)) == {0, 255}
    assert photo.image.ndim == 3 and 2400 <= max(photo.image.shape) <= 3000 and photo.capture.dpi == 0
    height, width = photo.image.shape[:2]
    corners = np.array(photo.page_to_scan) @ np.array([[0, 210, 210, 0], [0, 0, 297, 297], [1, 1, 1, 1]])
    x, y = corners[:2] / corners[2]
    assert min(x.min(), y.min()) > 0 and x.max() < width and y.max() < height


# ---------------------------------------------------------------- handwriting


@pytest.fixture(scope="module")
def mnist():
    with np.load(bundled("models", "mnist.npz")) as data:
        return data["x_test"][:200], data["y_test"][:200]


def test_a_traced_digit_is_the_same_digit(mnist):
    """Redrawn with a pen as wide as MNIST's, the ink lies where MNIST's lies."""
    rng = np.random.default_rng(0)
    overlaps = []
    for image in mnist[0]:
        strokes = trace(image)
        if not strokes.faithful:
            continue
        ink = np.zeros((28 * 8, 28 * 8), np.uint8)
        _draw_in_place(ink, strokes, rng)
        back = cv2.resize(ink, (28, 28), interpolation=cv2.INTER_AREA).astype(float)
        old = image.astype(float)
        overlaps.append(2 * np.minimum(back, old).sum() / (back.sum() + old.sum()))
    assert len(overlaps) > 120
    assert np.median(overlaps) > 0.75 and min(overlaps) > 0.5


def _draw_in_place(ink, strokes, rng):
    from omrgrade.simulate.handwriting import _stroke

    pen = Pen(width=2.6, darkness=1.0, pressure=1.0)
    _stroke(ink, strokes, np.array([[1, 0, 0.5], [0, 1, 0.5]]), (8.0, 8.0), pen, 1.0)


def test_strokes_are_smooth_not_blocks():
    """At 300 dpi the outline of a digit has no steps of upscaled pixels: its edge is one pixel of grey."""
    rng = np.random.default_rng(1)
    digits = Digits.load()
    hand = Hand(pen=Pen(width=0.6, darkness=1.0), size=0.8, slant=0.0, unsteady=0.0)
    box = load_template("numeric-a4").field("q1").boxes[0]
    for digit in range(10):
        ink = np.zeros((1500, 1000), np.uint8)
        write_digit(ink, digits.pick(digit, rng), box, (300 / 25.4, 300 / 25.4), hand, rng)
        grey, solid = ((ink > 10) & (ink < 245)).sum(), (ink >= 245).sum()
        contours, _ = cv2.findContours((ink > 127).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        outline = sum(len(c) for c in contours)
        assert solid > 200 and 0.5 < grey / outline < 2.2
        straight = max(len(c) / len(cv2.approxPolyDP(c, 0.8, True)) for c in contours)
        assert straight < 60  # px: a side of an upscaled pixel would repeat; a stroke bends


def test_most_digits_keep_within_their_box():
    rng = np.random.default_rng(2)
    digits = Digits.load()
    box = load_template("numeric-a4").field("q1").boxes[0]
    s = 300 / 25.4
    outside = 0
    for n in range(120):
        ink = np.zeros((1500, 1000), np.uint8)
        hand = Hand(pen=Pen(width=0.5, darkness=1.0), size=0.7, slant=0.1, unsteady=0.7)
        write_digit(ink, digits.pick(n % 10, rng), box, (s, s), hand, rng)
        rows, columns = np.nonzero(ink > 127)
        spill = max(box.x - columns.min() / s, columns.max() / s - box.right,
                    box.y - rows.min() / s, rows.max() / s - box.bottom)  # fmt: skip
        assert spill < 1.0
        outside += spill > 0
    assert 1 <= outside <= 12


@pytest.mark.parametrize(
    "content", [None, b"no npz", {"x_train": np.zeros(3)}, {"x_test": np.zeros((5, 9, 9))}]
)
def test_a_missing_or_foreign_data_set_is_named(tmp_path, content):
    path = tmp_path / "mnist.npz"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.savez(path, y_test=np.arange(5), **content)
    with pytest.raises(DatasetError, match=r"mnist\.npz"):
        Digits.load(path)


# ---------------------------------------------------------------- a class


@pytest.fixture(scope="module")
def batch(tmp_path_factory):
    directory = tmp_path_factory.mktemp("class")
    simulate_batch(load_template("mixed-letter"), 6, 7, "copier", directory)
    return directory


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_class_is_complete(batch):
    template = load_template("mixed-letter")
    truth = rows(batch / "truth.csv")
    images = sorted(p.name for p in batch.iterdir() if p.suffix in (".png", ".tif"))
    assert list(dict.fromkeys(row["source"] for row in truth)) == images and len(images) == 6
    assert Counter(row["source"] for row in truth) == dict.fromkeys(images, len(template.fields))
    assert {row["item"] for row in rows(batch / "key.csv")} == {item.id for item in template.items}
    numbers = {row["student_id"] for row in rows(batch / "roster.csv")}
    assert numbers == {row["value"] for row in truth if row["field"] == "student_id"} and len(numbers) == 6


def test_images_say_their_dpi_and_are_one_bit(batch):
    for path in batch.glob("page-*"):
        with Image.open(path) as image:
            assert image.mode == "1" and round(image.info["dpi"][0]) in (200, 300)


def test_pupils_answer_mostly_right(tmp_path):
    template = load_template("choice-a4")
    simulate_batch(template, 8, 1, "clean", tmp_path)
    key = {row["item"]: row["answer"] for row in rows(tmp_path / "key.csv")}
    answers = [
        (row["value"], key[row["field"]]) for row in rows(tmp_path / "truth.csv") if row["field"] in key
    ]
    right = np.mean([given == wanted for given, wanted in answers])
    assert 0.5 < right < 0.95
    assert 0 < np.mean([given == "" for given, _ in answers]) < 0.1


def test_the_command_writes_the_same_class_again(tmp_path, batch):
    arguments = [
        "simulate",
        "mixed-letter",
        "-n",
        "6",
        "--seed",
        "7",
        "--profile",
        "copier",
        "-o",
        str(tmp_path),
    ]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0 and result.stdout == ""
    for path in sorted(Path(batch).iterdir()):
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()


def test_simulate_refuses_what_it_does_not_know(tmp_path):
    assert CliRunner().invoke(cli, ["simulate", "numeric-a4", "--profile", "fax", "-o", "x"]).exit_code == 2
    result = CliRunner().invoke(
        cli, ["simulate", "numeric-a4", "--data", str(tmp_path / "no.npz"), "-o", "x"]
    )
    assert isinstance(result.exception, DatasetError)


def test_any_sheet_can_be_simulated(tmp_path):
    """Without a header, with letters in a grid, and with an identifier of choices before the number."""
    sheet = tmp_path / "odd.yaml"
    sheet.write_text("""\
omrgrade: 1
name: odd
title: Odd
page: [150, 200]
registration: {method: aruco, dictionary: 5x5_50, ids: [4, 3, 2, 1], size: 8, margin: 7}
fields:
  - {id: version, kind: choice, role: identifier, options: [I, II], at: [30, 30], size: [5, 5], gap: 5}
  - {id: code, kind: grid, role: identifier, boxes: 3, options: WXYZ, at: [30, 60], size: [5, 4], gap: [3, 2]}
  - {id: q1, kind: digits, role: item, boxes: 1, at: [90, 60], size: [8, 9], gap: 2}
""")
    template = load_template(sheet)
    simulate_batch(template, 12, 3, "photo", tmp_path)
    codes = {row["student_id"] for row in rows(tmp_path / "roster.csv")}
    assert len(codes) == 12 and all(len(code) == 3 and set(code) <= set("WXYZ") for code in codes)
    truth = rows(tmp_path / "truth.csv")
    assert {row["value"] for row in truth if row["field"] == "code"} == codes
    assert {row["value"] for row in truth if row["field"] == "version"} <= {"I", "II"}


# ---------------------------------------------------------------- the bundled samples


def test_the_samples_are_what_their_script_makes(tmp_path):
    samples = bundled("samples")
    runpy.run_path(str(samples / "make.py"))["make"](tmp_path)
    made = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    assert len(made) == 17 and sum(path.parent.name == "scans" for path in made) == 13
    for name in ("key.csv", "roster.csv", "truth.csv", "expected_marks.csv"):
        assert (tmp_path / name).read_bytes() == (samples / name).read_bytes()
    # Pixels may differ in a hair between versions of the image libraries; names and sizes may not.
    for name in made:
        assert (samples / name).is_file()
        assert (tmp_path / name).stat().st_size == pytest.approx((samples / name).stat().st_size, rel=0.05)


def test_the_samples_are_small():
    assert sum(path.stat().st_size for path in bundled("samples").rglob("*") if path.is_file()) < 6_000_000


def test_a_hand_of_nothing_but_blots_is_written_all_the_same():
    blots = Digits(np.full((2, 28, 28), 255, np.uint8), np.array([3, 3]))
    assert not blots.pick(3, np.random.default_rng(0)).faithful
