"""From picture to readings to marks, as a program that imports omrgrade sees it."""

import dataclasses
import subprocess
import sys
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from classroom import ANSWERS, save, slip_pixels, write_slip

from omrgrade import engine, pipeline
from omrgrade.classify import load_classifier
from omrgrade.engine import FEW_PAGES, default_jobs
from omrgrade.errors import ModelError, OmrgradeError
from omrgrade.images import find_pages, read_scan
from omrgrade.key import load_key
from omrgrade.outputs import write_outputs
from omrgrade.pipeline import (
    grade_batch,
    policy_for,
    read_boxes,
    read_crops,
    read_page,
)
from omrgrade.records import Crop, ModelCard, PageRef, Policy, Scan
from omrgrade.registration.geometry import project
from omrgrade.store import Store
from omrgrade.template import load_template
from omrgrade.training.boxes import LabelledBoxes, read_all

# ---------------------------------------------------------------- boxes

STROKES = {  # in a box of 100 x 100, y down
    "0": [[(50, 20), (34, 30), (30, 50), (34, 70), (50, 80), (66, 70), (70, 50), (66, 30), (50, 20)]],
    "1": [[(54, 18), (50, 82)]],
    "2": [[(32, 34), (42, 22), (58, 22), (66, 34), (60, 50), (32, 80), (70, 80)]],
    "3": [[(34, 26), (50, 19), (64, 30), (56, 44), (46, 48), (62, 54), (66, 68), (50, 81), (32, 74)]],
    "4": [[(40, 20), (32, 52), (68, 52)], [(60, 22), (58, 84)]],
    "7": [[(32, 24), (68, 24), (46, 82)]],
    "tick": [[(30, 56), (44, 76), (76, 22)]],
    "": [],
}


def box(strokes, *, side=100, outline=True, ink=40, paper=235, light=0.0):
    """A drawn box crop: uint8 (side, side); `light` darkens it towards the right."""
    picture = np.full((800, 800), paper, np.uint8)
    if outline:
        cv2.rectangle(picture, (70, 70), (730, 730), 90, 14)
    for stroke in STROKES[strokes]:
        points = np.array([[(8 * x, 8 * y) for x, y in stroke]], np.int32)
        cv2.polylines(picture, points, False, ink, 46, cv2.LINE_AA)
    shade = np.linspace(1, 1 - light, 800)
    small = cv2.resize((picture * shade).astype(np.uint8), (side, side), interpolation=cv2.INTER_AREA)
    grain = np.random.default_rng(side).normal(0, 1.5, small.shape)
    return (small + grain).clip(0, 255).astype(np.uint8)


LOOKS = [{}, {"side": 40}, {"outline": False}, {"light": 0.4}, {"ink": 120, "paper": 200}]
CASES = [(strokes, look) for strokes in STROKES for look in LOOKS]


@pytest.fixture(scope="module")
def drawn():
    return list(zip(CASES, read_boxes([box(strokes, **look) for strokes, look in CASES]), strict=True))


def test_a_drawn_digit_is_right_or_under_review(drawn):
    digits = [(strokes, reading) for (strokes, _), reading in drawn if strokes.isdigit()]
    assert all(reading.status != "blank" for _, reading in digits)
    assert not [(s, r) for s, r in digits if r.status == "read" and r.value != s]
    assert any(reading.status == "read" for _, reading in digits), "not everything is a doubt"


def test_an_empty_box_is_blank_on_any_paper(drawn):
    blanks = [reading for (strokes, _), reading in drawn if strokes == ""]
    assert [reading.status for reading in blanks] == ["blank"] * len(LOOKS)


def test_a_tick_is_never_accepted_as_a_number_of_its_own(drawn):
    plain = next(reading for (strokes, look), reading in drawn if strokes == "tick" and not look)
    assert plain.status == "review" and plain.reason


def test_boxes_are_read_in_order_and_not_changed():
    images = [box("1"), box(""), box("7"), box("", outline=False)]
    copies = [image.copy() for image in images]
    together = read_boxes(images)
    alone = [read_boxes([image])[0] for image in images]
    assert [r.status == "blank" for r in together] == [False, True, False, True]
    for one, other in zip(together, alone, strict=True):
        assert (one.value, one.status, one.reason) == (other.value, other.status, other.reason)
        assert one.confidence == pytest.approx(other.confidence, abs=1e-5)
    assert all((image == copy).all() for image, copy in zip(images, copies, strict=True))
    assert read_boxes([]) == []
    assert len(read_boxes(np.stack([images[0], images[2]]))) == 2


@pytest.mark.parametrize(
    "wrong", [np.zeros((9, 9, 3), np.uint8), np.zeros((9, 9)), np.zeros((0, 9), np.uint8)], ids=str
)
def test_what_is_no_grey_picture_is_refused(wrong):
    with pytest.raises(ValueError, match="uint8"):
        read_boxes([box("1"), wrong])


class Oracle:
    """A classifier that says the same of everything, and counts how often it is asked."""

    def __init__(self, digit=3, confidence=0.999, **thresholds):
        classes = tuple("0123456789")
        self.card = ModelCard(
            classes=classes,
            normalizer=1,
            temperature=1.0,
            parameters=1,
            sha256="0" * 64,
            thresholds=thresholds,
        )
        self.asked = []
        self.answer = np.full(10, (1 - confidence) / 9, np.float32)
        self.answer[digit] = confidence

    def probabilities(self, images):
        self.asked.append(images.shape)
        assert images.dtype == np.uint8
        return np.tile(self.answer, (len(images), 1))


def test_all_boxes_go_to_the_classifier_in_one_call_and_empty_ones_not_at_all():
    oracle = Oracle()
    readings = read_boxes([box("1"), box(""), box("7")], classifier=oracle)
    assert [reading.value for reading in readings] == ["3", "", "3"]
    ((count, *shape),) = oracle.asked
    assert count >= 2 and shape == [28, 28]
    assert read_boxes([box("")], classifier=oracle)[0].status == "blank" and len(oracle.asked) == 1


def on_sheet(*strokes, dx=0, dy=0):
    """A sheet's box as it is cut out, with pen strokes moved by so many hundredths of the picture."""
    picture = np.full((800, 800), 235, np.uint8)
    cv2.rectangle(picture, (80, 80), (720, 720), 80, 20)
    points = [np.array([(8 * (x + dx), 8 * (y + dy)) for x, y in stroke], np.int32) for stroke in strokes]
    cv2.polylines(picture, points, False, 50, 36, cv2.LINE_AA)
    small = cv2.resize(picture, (80, 80), interpolation=cv2.INTER_AREA)
    grain = np.random.default_rng(7).normal(0, 1.5, small.shape)
    return Crop(pixels=(small + grain).clip(0, 255).astype(np.uint8), margin=8)


def read_on_sheet(crop):
    classifier = load_classifier()
    return read_crops([crop], classifier, policy_for(classifier))[0]


LEANING = [(50, 25), (53, 75)]  # a 1
SEVENS = {
    "hooked": [(38, 34), (40, 26), (60, 25), (50, 75)],
    "sloping": [(38, 30), (50, 25), (60, 24), (48, 75)],
    "arched": [(40, 32), (48, 25), (60, 27), (52, 75)],
}


@pytest.mark.parametrize("shape", SEVENS)
def test_a_7_whose_bar_lies_on_the_outline_is_no_sure_1(shape):
    for dy in range(-18, -8):
        reading = read_on_sheet(on_sheet(SEVENS[shape], dy=dy))
        assert reading.value == "7" or reading.status == "review", dy


@pytest.mark.parametrize("dx", range(-38, -30))
def test_a_1_that_leans_on_the_outline_is_not_overlooked(dx):
    reading = read_on_sheet(on_sheet(LEANING, dx=dx))
    assert reading.value == "1" or reading.status == "review"


def test_outlines_are_no_ink_and_digits_clear_of_them_are_read():
    assert read_on_sheet(on_sheet()).status == "blank"
    for shape in SEVENS.values():
        assert read_on_sheet(on_sheet(shape, dy=5)).value == "7"


class Unsure(Oracle):
    """Sure of every box but the first, of which it is nine tenths sure; the rest is "no digit"."""

    def __init__(self):
        super().__init__()
        self.card = dataclasses.replace(self.card, classes=(*self.card.classes, "not_digit"))

    def probabilities(self, images):
        found = np.zeros((len(images), 11), np.float32)
        found[:, 1] = 1.0
        found[0, 1], found[0, 10] = 0.9, 0.1
        return found


def test_an_unclear_digit_counts_for_more_on_a_page_of_clear_ones():
    crops = [Crop(pixels=box("1"), margin=0) for _ in range(31)]
    policy, papers = Policy(accept=0.95), ["page"] * len(crops)

    def first(policy, papers):
        return read_crops(crops, Unsure(), policy, papers)[0].status

    assert first(policy, ()) == "review"
    assert first(policy, papers) == "read"
    assert first(policy, list(range(len(crops)))) == "review"  # each on a page of its own
    assert first(dataclasses.replace(policy, beside=False), papers) == "review"


def test_a_streak_in_an_empty_box_is_no_likelier_a_1_for_the_digits_beside_it():
    streak = np.full((80, 80), 235, np.uint8)
    cv2.rectangle(streak, (8, 8), (72, 72), 80, 2)
    streak[:, 40] = np.minimum(streak[:, 40], 235 - 14)
    crops = [Crop(pixels=streak, margin=8)] + [Crop(pixels=box("1"), margin=0) for _ in range(30)]
    reading = read_crops(crops, Unsure(), Policy(accept=0.95, faint=5.0), ["page"] * len(crops))[0]
    assert reading.status != "read"


def test_labelled_boxes_of_one_group_are_of_one_paper():
    count = 31
    images = np.stack([box("1")] * count)

    def first(groups):
        boxes = LabelledBoxes(images=images, truth=np.ones(count, np.int64), groups=np.array(groups))
        return read_all(boxes, Unsure(), Policy(accept=0.95))[0].status

    assert first(["page"] * count) == "read"
    assert first([f"page {n}" for n in range(count)]) == "review"


def test_the_models_thresholds_count_unless_others_are_given():
    strict = Oracle(accept=0.9995)
    assert policy_for(strict) == dataclasses.replace(Policy(), accept=0.9995)
    assert read_boxes([box("1")], classifier=strict)[0].status == "review"
    assert read_boxes([box("1")], classifier=strict, policy=Policy(accept=0.9))[0].status == "read"
    with pytest.raises(ModelError, match=r"thresholds.*newer_than_this"):
        policy_for(Oracle(newer_than_this=0.5))


# ---------------------------------------------------------------- pages


@pytest.mark.parametrize(
    "name, profile", [("numeric-a4", "scanner"), ("choice-a4", "copier"), ("mixed-letter", "photo")]
)
def test_a_page_says_what_was_written_or_asks(page_factory, name, profile):
    page, template = page_factory(name, seed=11, profile=profile, turn=90), load_template(name)
    grey = page.image if page.image.ndim == 2 else cv2.cvtColor(page.image, cv2.COLOR_BGR2GRAY)
    reading = read_page(Scan(source="a scan", page=3, pixels=grey, dpi=0), template)
    assert (reading.source, reading.page, reading.problem) == ("a scan", 3, "")
    assert [f.field for f in reading.fields] == [f.id for f in template.fields]
    wrong = [f for f in reading.fields if f.value != page.truth[f.field] and f.status != "review"]
    assert not wrong
    bubbles = [f for f in reading.fields if f.kind == "choice"]
    assert sum(f.status == "review" for f in bubbles) <= 0.05 * len(bubbles)
    for made, found in zip(template.fields, reading.fields, strict=True):
        assert len(found.boxes) == len(made.boxes)
    assert reading.registration.rotation == 90
    points = np.array([(x, y) for x in (20.0, 100, 190) for y in (20, 140, 260)])
    true = project(np.array(page.page_to_scan), points)
    back = project(np.linalg.inv(reading.registration.page_to_scan), true)
    assert np.hypot(*(back - points).T).max() < 0.4  # mm
    assert reading.preview.startswith(b"\xff\xd8") and len(reading.digest) == 64


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A class of small sheets: more than two chunks, two of them bad."""
    folder = tmp_path_factory.mktemp("class")
    template = write_slip(folder)
    for n in range(10):
        pupil = list(ANSWERS)[n % 4]
        save(slip_pixels(template, pupil, seed=n, turn=180 * (n % 2)), folder / f"scans/{n}.png")
    (folder / "scans/3.png").write_bytes(b"")
    save(np.full((400, 300), 250, np.uint8), folder / "scans/7.png")
    return SimpleNamespace(
        path=folder, scans=folder / "scans", template=template, key=load_key(folder / "key.csv", template)
    )


@pytest.fixture(scope="module")
def batch(folder):
    return grade_batch([folder.scans], folder.template, folder.key)


def comparable(page):
    return dataclasses.replace(page, preview=b"", crops=())


def test_a_path_a_text_and_a_scan_read_the_same(folder):
    path = folder.scans / "0.png"
    scan = read_scan(PageRef(path=str(path)))
    one, two, three = (read_page(image, folder.template) for image in (path, str(path), scan))
    assert one == two == three and one.fields


def test_a_page_that_cannot_be_read_is_a_value(folder):
    for name, word in (("3.png", "empty"), ("7.png", "blank"), ("none.png", "no such file")):
        reading = read_page(folder.scans / name, folder.template)
        assert word in reading.problem and not reading.fields and reading.registration is None


# ---------------------------------------------------------------- batches


def test_a_batch_has_a_row_a_page_in_order(folder, batch):
    names = [f"{folder.scans}/{n}.png" for n in range(10)]
    assert [page.source for page in batch.pages] == [sheet.source for sheet in batch.marks] == names
    assert [bool(page.problem) for page in batch.pages] == [n in (3, 7) for n in range(10)]
    assert (batch.unreadable, batch.interrupted, batch.exit_code()) == (2, False, 4)
    pupils = [list(ANSWERS)[n % 4] if n not in (3, 7) else "" for n in range(10)]
    assert [sheet.student_id for sheet in batch.marks] == pupils
    for page in batch.pages:
        alone = read_page(page.source, folder.template)
        assert [(f.value, f.status) for f in page.fields] == [(f.value, f.status) for f in alone.fields]


def test_two_processes_bring_the_same_pages_in_the_same_order(folder, batch):
    assert grade_batch([folder.scans], folder.template, folder.key, jobs=2) == batch


def test_without_a_store_pages_keep_their_pictures_and_outputs_use_them(folder, batch, tmp_path):
    assert [bool(page.preview) for page in batch.pages] == [n != 3 for n in range(10)]
    assert batch.pages[7].problem, "its corners can be marked by hand on its picture, but it has no overlay"
    written = write_outputs(batch, tmp_path / "out", template=folder.template, key=folder.key)
    assert len([path for path in written if path.suffix == ".jpg"]) == 8
    assert {"marks.csv", "readings.csv", "review.csv", "run.json"} <= {path.name for path in written}


def test_a_store_holds_every_page_with_its_picture(folder, batch, tmp_path):
    with Store.create(tmp_path / "run.sqlite") as store:
        stored = grade_batch([folder.scans], folder.template, folder.key, store=store)
        kept = list(store.pages(previews=True))
    assert [comparable(page) for page in kept] == [comparable(page) for page in batch.pages]
    assert [page.preview for page in kept] == [page.preview for page in batch.pages]
    assert all(page.preview == b"" for page in stored.pages), "pictures stay in the store"
    assert stored.marks == batch.marks


def test_without_a_key_nothing_is_scored(folder):
    batch = grade_batch([folder.scans / "0.png"], folder.template)
    (sheet,) = batch.marks
    assert sheet.scores == () and sheet.student_id == "11" and batch.exit_code() == 0


def test_pages_found_before_are_taken_as_they_are(folder, batch):
    refs = find_pages([folder.scans])
    again = grade_batch(refs[4:6], folder.template, folder.key)
    assert again.pages == batch.pages[4:6]
    with pytest.raises(OmrgradeError, match="no scans found"):
        grade_batch([], folder.template)


def test_what_is_excluded_is_not_read(folder):
    (folder.path / "more/out").mkdir(parents=True)
    for place in ("more/a.png", "more/out/b.png"):
        (folder.path / place).write_bytes((folder.scans / "0.png").read_bytes())
    batch = grade_batch([folder.path / "more"], folder.template, exclude=[folder.path / "more/out"])
    assert [page.source for page in batch.pages] == [str(folder.path / "more/a.png")]


def test_progress_hears_of_every_page_once_in_order(folder, batch):
    heard = []
    grade_batch([folder.scans], folder.template, progress=heard.append)
    assert [(page.source, page.problem) for page in heard] == [(p.source, p.problem) for p in batch.pages]


def test_a_surprise_in_a_stage_costs_only_its_page(folder, batch, monkeypatch):
    crop = pipeline.crop_boxes

    def surprised(scan, *arguments, **options):
        if scan.source.endswith("5.png"):
            raise ZeroDivisionError("a surprise")
        return crop(scan, *arguments, **options)

    monkeypatch.setattr(pipeline, "crop_boxes", surprised)
    pages = grade_batch([folder.scans], folder.template).pages
    assert pages[5].problem == "ZeroDivisionError: a surprise"
    rest = [n for n in range(10) if n != 5]
    assert [pages[n].problem for n in rest] == [batch.pages[n].problem for n in rest]
    for n in rest:
        assert [f.value for f in pages[n].fields] == [f.value for f in batch.pages[n].fields]


def test_ctrl_c_between_keeping_and_counting_loses_no_page(folder, tmp_path):
    class Interrupted(Store):
        def add_pages(self, readings, positions=()):
            super().add_pages(readings, positions)
            if len(self) == 8:
                raise KeyboardInterrupt

    with Interrupted.create(tmp_path / "run.sqlite") as store:
        batch = grade_batch([folder.scans], folder.template, folder.key, store=store)
        assert [page.source for page in store.pages()] == [page.source for page in batch.pages]
    assert batch.interrupted and len(batch.pages) == len(batch.marks) == 8


def test_few_pages_are_read_in_this_process(monkeypatch):
    monkeypatch.setattr(engine, "available_cores", lambda: 6)
    assert [default_jobs(n) for n in (1, FEW_PAGES - 1, FEW_PAGES, 1000)] == [1, 1, 6, 6]


def test_reading_loads_nothing_heavy(folder):
    code = (
        "import sys; from omrgrade.cli import cli\n"
        "try: cli(sys.argv[1:])\n"
        "except SystemExit as end: assert end.code == 4, end.code\n"
        "heavy = {'tensorflow', 'keras', 'pandas', 'sklearn', 'matplotlib', 'scipy.stats', 'reportlab'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    line = ["grade", "scans", "-t", "slip.yaml", "-k", "key.csv", "-r", "roster.csv", "-o", "out", "-q"]
    run = subprocess.run(
        [sys.executable, "-c", code, *line], cwd=folder.path, capture_output=True, text=True, check=True
    )
    assert run.stdout == "[]\n"


def test_the_bundled_model_brings_a_policy_that_holds():
    policy = policy_for(load_classifier())
    assert 0.5 < policy.accept < 1 and policy.faint > 0
