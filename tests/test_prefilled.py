"""Sheets printed for each pupil, and read back: the code decides whose they are."""

import dataclasses

import numpy as np
import pypdfium2
import pytest
import zxingcpp
from click.testing import CliRunner

from omrgrade.barcodes import FORMATS, MARGIN, SCALE, Prefilled, prefilled, read_barcode
from omrgrade.classify import load_classifier
from omrgrade.cli import cli
from omrgrade.errors import TemplateError
from omrgrade.grading import cross_check, mark_sheets
from omrgrade.pipeline import read_page
from omrgrade.records import Crop, Field, FieldReading, PageReading, Pupil, Rect, Roster, Scan
from omrgrade.render.prefilled import prefilled_page, prefilled_pdf
from omrgrade.simulate import simulate_page
from omrgrade.template import bundled_templates, load_template
from omrgrade.template.layout import BARCODES

SHEETS = ("numeric-a4", "choice-a4", "mixed-letter")
PUPILS = Roster(
    pupils=(
        Pupil(student_id="300", name="Zoë"),
        Pupil(student_id="20", name="ada"),
        Pupil(student_id="1", name="Bo"),
    )
)


@pytest.fixture(scope="module")
def classifier():
    return load_classifier()


def read(page, template, classifier):
    """A simulated page's readings, as grading would see them."""
    grey = page.image if page.image.ndim == 2 else page.image[..., 1]
    scan = Scan(source="s.png", page=1, pixels=np.ascontiguousarray(grey), dpi=0.0)
    return cross_check(read_page(scan, template, classifier=classifier), template)


def by_id(page):
    return {reading.field: reading for reading in page.fields}


# ---------------------------------------------------------------- what a code says


def test_what_a_sheets_code_says_comes_back():
    sheet = Prefilled(template="numeric-a4", page=2, student_id="a:b:c")
    assert prefilled(sheet.text()) == sheet


@pytest.mark.parametrize(
    "text", ["", "1234", "OMR1", "OMR1:x:y:z", "OMR1:1:t:", "OMR2:1:t:5", "http://x:1:2:3"]
)
def test_other_codes_are_none_of_ours(text):
    assert prefilled(text) is None


def field(**options):
    box = Rect(x=0, y=0, width=30, height=14)
    return Field(
        id="pupil", kind="barcode", role="identifier", boxes=(box,), **{"formats": BARCODES, **options}
    )


def crop_of(text, form, turn=0):
    """A code as it would be cut out of a page."""
    code = zxingcpp.create_barcode(text, getattr(zxingcpp.BarcodeFormat, form))
    pixels = np.asarray(zxingcpp.write_barcode_to_image(code, scale=3, add_quiet_zones=True))
    rim = round(MARGIN * SCALE)
    return Crop(pixels=np.rot90(np.pad(pixels, rim, constant_values=255), turn).astype(np.uint8), margin=rim)


@pytest.mark.parametrize(
    ("form", "text"),
    [("QRCode", "100234"), ("Code128", "00A-17"), ("EAN13", "4006381333931"), ("EAN8", "96385074")],
)
@pytest.mark.parametrize("turn", [0, 2])
def test_stickers_are_read_as_they_are(form, text, turn):
    reading = read_barcode(crop_of(text, form, turn), field(), "any")
    assert (reading.value, reading.status) == (text, "read")


def test_bars_shrunk_to_a_third_are_not_believed():
    code = zxingcpp.create_barcode("A-17", zxingcpp.BarcodeFormat.Code128)
    bars = np.asarray(zxingcpp.write_barcode_to_image(code, scale=4, add_quiet_zones=False))
    pixels = np.full((440, 560), 240, np.uint8)
    pixels[100 : 100 + bars.shape[0], 60 : 60 + bars.shape[1]] = bars
    seen, real = [], zxingcpp.read_barcodes

    def read_barcodes(image, *, formats, try_downscale):
        seen.append(try_downscale)
        return real(image, formats=formats) if try_downscale else []

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("zxingcpp.read_barcodes", read_barcodes)
        assert read_barcode(Crop(pixels=pixels, margin=24), field(), "t").status == "review"
    assert read_barcode(Crop(pixels=pixels, margin=24), field(), "t").value == "A-17" and seen == [
        False,
        True,
    ]


def test_a_template_can_ask_for_one_kind_only():
    crop = crop_of("100234", "QRCode")
    assert read_barcode(crop, field(formats=("qr",)), "t").status == "read"
    assert read_barcode(crop, field(formats=("code128",)), "t").status == "review"


def test_every_kind_that_a_template_may_ask_for_is_known():
    assert tuple(FORMATS) == BARCODES
    names = {name for names in FORMATS.values() for name in names}
    assert all(hasattr(zxingcpp.BarcodeFormat, name) for name in names)


def test_empty_paper_is_blank_a_spoilt_code_or_two_are_a_doubt():
    paper = np.random.default_rng(1).normal(225, 5, (216, 408)).clip(0, 255).astype(np.uint8)
    assert read_barcode(Crop(pixels=paper, margin=24), field(), "t").status == "blank"
    good = crop_of("100234", "QRCode")
    spoilt = good.pixels.copy()
    spoilt[:, 40:70] = 0
    assert (
        read_barcode(Crop(pixels=spoilt, margin=24), field(), "t").reason == "a barcode that cannot be read"
    )
    two = np.hstack([good.pixels, crop_of("100235", "QRCode").pixels])
    assert (
        read_barcode(Crop(pixels=two, margin=24), field(), "t").reason == "several barcodes: 100234, 100235"
    )


# ---------------------------------------------------------------- printing


def pages(data):
    return [page.get_textpage().get_text_range() for page in pypdfium2.PdfDocument(data)]


@pytest.mark.parametrize(
    ("order", "names"),
    [("roster", ("Zoë", "ada", "Bo")), ("name", ("ada", "Bo", "Zoë")), ("number", ("Bo", "ada", "Zoë"))],
)
def test_a_page_a_pupil_in_the_order_wanted(order, names):
    found = pages(prefilled_pdf([load_template("numeric-a4")], PUPILS, order=order))
    assert [name in text for name, text in zip(names, found, strict=True)] == [True] * 3


def test_printed_on_both_sides_no_leaf_has_two_pupils():
    sheet, other = load_template("numeric-a4"), load_template("choice-a4")
    found = pages(prefilled_pdf([sheet], PUPILS, double_sided=True))
    assert [bool(text.strip()) for text in found] == [True, False, True, False, True, False]
    found = pages(prefilled_pdf([sheet, other], PUPILS, double_sided=True))
    assert ["Numeric" in text for text in found] == [True, False] * 3
    assert ["Zoë" in text for text in found] == [True, True, False, False, False, False]


def test_the_same_roster_gives_the_same_bytes():
    sheet = load_template("numeric-a4")
    assert prefilled_pdf([sheet], PUPILS) == prefilled_pdf([sheet], PUPILS)


def test_long_names_are_cut_and_the_number_stays():
    long = Roster(pupils=(Pupil(student_id="4711", name="Wolfeschlegelsteinhausenbergerdorff " * 4),))
    (text,) = pages(prefilled_pdf([load_template("choice-a4")], long))
    assert "…" in text
    assert "4711" in text


def test_a_sheet_without_a_place_for_the_code_is_a_mistake_that_says_how_to_make_one():
    sheet = load_template("numeric-a4")
    without = dataclasses.replace(sheet, fields=tuple(f for f in sheet.fields if f.kind != "barcode"))
    with pytest.raises(TemplateError, match="kind: barcode"):
        prefilled_pdf([without], PUPILS)
    small = [
        dataclasses.replace(f, boxes=(Rect(x=20, y=20, width=8, height=8),)) if f.kind == "barcode" else f
        for f in sheet.fields
    ]
    with pytest.raises(TemplateError, match="too small"):
        prefilled_pdf([dataclasses.replace(sheet, fields=tuple(small))], PUPILS)
    with pytest.raises(TemplateError, match="one size"):
        prefilled_pdf([sheet, load_template("mixed-letter")], PUPILS)


def test_the_command(tmp_path):
    (tmp_path / "r.csv").write_text("student_id,name\n7,Ada\n8,Bo\n")
    arguments = ["sheet", "numeric-a4", "-r", str(tmp_path / "r.csv"), "-o", str(tmp_path / "s.pdf")]
    assert CliRunner().invoke(cli, [*arguments, "--back", "choice-a4"]).exit_code == 0
    assert len(pages((tmp_path / "s.pdf").read_bytes())) == 4
    assert CliRunner().invoke(cli, ["sheet", "numeric-a4", "--double-sided"]).exit_code == 2


def test_every_bundled_answer_sheet_can_be_prefilled():
    kinds = {name: {f.kind for f in load_template(name).fields} for name in bundled_templates()}
    assert all("barcode" in kinds[name] for name in SHEETS)


# ---------------------------------------------------------------- reading back


@pytest.mark.parametrize("name", SHEETS)
@pytest.mark.parametrize("profile", ["scanner", "photo", "copier"])
def test_the_code_is_read_back_and_the_printed_number_agrees(name, profile, classifier):
    template = load_template(name)
    page = simulate_page(template, seed=11, profile=profile, values={"pupil": "140829"})
    found = by_id(read(page, template, classifier))
    assert (found["pupil"].value, found["pupil"].status) == ("140829", "read")
    for other in ("student_id", "student_bubbles"):
        if other in found:
            assert (found[other].value, found[other].status) == ("140829", "read")


def test_an_unprinted_sheet_has_a_blank_code(classifier):
    template = load_template("numeric-a4")
    page = simulate_page(template, seed=3, values={"student_id": "140829"})
    assert by_id(read(page, template, classifier))["pupil"].status == "blank"


def test_a_code_printed_for_another_sheet_is_a_doubt(classifier):
    template = load_template("numeric-a4")
    other = dataclasses.replace(template, name="another")
    pixels = prefilled_page(other, Pupil(student_id="140829"), 200)
    scan = Scan(source="s.png", page=1, pixels=pixels, dpi=200.0)
    reading = by_id(read_page(scan, template, classifier=classifier))["pupil"]
    assert (reading.status, reading.reason) == ("review", "printed for another sheet: another")


def sheet_of(template, **values):
    """Hand-made readings of a sheet's identifiers."""

    def reading(name, value):
        if isinstance(value, FieldReading):
            return value
        kind = template.field(name).kind
        return FieldReading(
            field=name, kind=kind, value=value, confidence=0.99, status="read" if value else "blank"
        )

    return PageReading(
        source="a", page=1, fields=tuple(reading(name, value) for name, value in values.items())
    )


def doubt(name, kind, value):
    return FieldReading(
        field=name, kind=kind, value=value, confidence=0.5, status="review", reason="unclear 7"
    )


@pytest.mark.parametrize(
    ("written", "code", "owner", "status", "in_doubt"),
    [
        ("100001", "100001", "100001", "ok", []),
        ("", "100001", "100001", "ok", []),
        ("100002", "100001", "100001", "review", ["student_id"]),  # somebody else's name on it? look
        (doubt("student_id", "digits", "100001"), "100001", "100001", "ok", []),
        (doubt("student_id", "digits", "100007"), "100001", "100001", "review", ["student_id"]),
        ("100001", "", "100001", "ok", []),
        ("100001", doubt("pupil", "barcode", ""), "100001", "review", ["pupil"]),
        ("", doubt("pupil", "barcode", "100001"), "", "review", ["pupil"]),
        ("100002", "4711", "4711", "unknown_student", ["student_id"]),
    ],
)
def test_the_code_decides_and_a_number_that_says_otherwise_is_a_review(
    written, code, owner, status, in_doubt
):
    template = load_template("numeric-a4")
    roster = Roster(pupils=tuple(Pupil(student_id=str(100000 + n)) for n in range(9)))
    page = cross_check(sheet_of(template, student_id=written, pupil=code), template)
    assert [reading.field for reading in page.fields if reading.status == "review"] == in_doubt
    assert cross_check(page, template) == page
    (marks,) = mark_sheets([page], template, None, roster)
    assert (marks.student_id, marks.status) == (owner, status)
