"""The printed sheet: vector, embedded, with everything where the template says and nothing too near to it."""

import re
from dataclasses import replace
from io import BytesIO

import cv2
import numpy as np
import pypdfium2
import pytest
from click.testing import CliRunner

from omrgrade.cli import cli
from omrgrade.errors import OutputError, TemplateError
from omrgrade.records import Rect
from omrgrade.render import pdf_bytes, render_layout, render_page, render_pdf
from omrgrade.resources import bundled
from omrgrade.template import bundled_templates, load_template

NAMES = bundled_templates()
DPI = 300
MM = DPI / 25.4  # px


@pytest.fixture(scope="module", params=NAMES)
def template(request):
    return load_template(request.param)


@pytest.fixture(scope="module")
def page(template):
    return render_page(template, DPI)


def inside(page, rect, shrink=0.0):
    """The pixels of a rectangle, `shrink` mm smaller on every side (negative: larger)."""
    rows = slice(round((rect.y + shrink) * MM), round((rect.bottom - shrink) * MM))
    return page[rows, round((rect.x + shrink) * MM) : round((rect.right - shrink) * MM)]


def test_one_page_of_the_right_size(template):
    document = pypdfium2.PdfDocument(pdf_bytes(template))
    assert len(document) == 1
    width, height = document[0].get_size()
    assert width == pytest.approx(template.page_width / 25.4 * 72, abs=0.01)
    assert height == pytest.approx(template.page_height / 25.4 * 72, abs=0.01)


def test_vector_only_and_fonts_embedded(template):
    document = pypdfium2.PdfDocument(pdf_bytes(template))
    kinds = {item.type for item in document[0].get_objects()}
    assert kinds == {pypdfium2.raw.FPDF_PAGEOBJ_PATH, pypdfium2.raw.FPDF_PAGEOBJ_TEXT}
    data = pdf_bytes(template)
    # Every font that is used is described with its file; reportlab always lists Helvetica, unused.
    assert data.count(b"/FontFile2") >= 2
    text = document[0].get_textpage().get_text_bounded()
    assert template.title in text and template.name in text


def test_the_same_bytes_every_time(template):
    assert pdf_bytes(template) == pdf_bytes(template)


def test_the_committed_pdf_is_this_template(template, page):
    document = pypdfium2.PdfDocument(bundled("templates", f"{template.name}.pdf"))
    committed = document[0].render(scale=DPI / 72, grayscale=True).to_numpy().reshape(page.shape)
    assert np.array_equal(committed, page), "print it again: omrgrade sheet"


def test_the_markers_are_found_where_they_should_be(template, page):
    dictionary = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_50)
    parameters = cv2.aruco.DetectorParameters()
    parameters.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
    corners, ids, _ = cv2.aruco.ArucoDetector(dictionary, parameters).detectMarkers(page)
    found = dict(zip(ids.ravel().tolist(), (c[0] for c in corners), strict=True))
    assert sorted(found) == sorted(template.fiducials.ids)
    for marker, box in zip(template.fiducials.ids, template.fiducials.boxes, strict=True):
        expected = [(box.x, box.y), (box.right, box.y), (box.right, box.bottom), (box.x, box.bottom)]
        scale = np.array(page.shape[::-1]) / (template.page_width, template.page_height)
        assert np.abs((found[marker] + 0.5) / scale - expected).max() < 0.1


def test_boxes_are_white_inside_and_outlined(template, page):
    for made in template.fields:
        for box in made.boxes:
            if made.kind == "digits":
                assert inside(page, box, 0.4).min() == 255
                outline = Rect(x=box.x - 0.3, y=box.y + 1, width=0.6, height=box.height - 2)
                assert inside(page, outline).min(axis=1).max() < 120
            else:
                inner = 0.2 * min(box.width, box.height)
                assert inside(page, box, inner).min() == 255


def test_nothing_is_printed_within_1_2_mm_of_a_digit_box(template, page):
    rim = round(0.9 * MM)  # 1.2 mm less the outline's own half width
    for made in template.fields:
        for box in made.boxes if made.kind == "digits" else ():
            around = inside(page, box, -1.2)
            for strip in (around[:rim], around[-rim:], around[:, :rim], around[:, -rim:]):
                assert strip.min() == 255


def test_the_quiet_zone_of_markers_is_white(template, page):
    for box in template.fiducials.boxes:
        zone = inside(page, box, -2.2).copy()
        rim = round(2.2 * MM)
        zone[rim - 3 : -rim + 3, rim - 3 : -rim + 3] = 255
        assert zone.min() == 255


def test_the_layout_shows_every_field(template):
    image = render_layout(template)
    blank = render_page(template, 6 * 25.4)
    assert image.shape == (*blank.shape, 3) and image.dtype == np.uint8
    for made in template.fields:
        x, y = (round(v * 6) for v in made.boxes[-1].centre)
        blue, green, red = (int(v) for v in image[y, x])
        assert max(blue, green, red) - min(blue, green, red) > 20


# ---------------------------------------------------------------- what does not fit


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"title": "x" * 400}, "does not fit between the markers"),
        ({"title": "数学"}, "no glyph"),
        ({"instructions": "word " * 2000}, "do not fit"),
        ({"header": Rect(x=14, y=25, width=40, height=90)}, "too narrow"),
    ],
)
def test_print_that_does_not_fit_is_a_mistake(change, words):
    with pytest.raises(TemplateError, match=words):
        pdf_bytes(replace(load_template("choice-a4"), **change))


@pytest.mark.parametrize(
    "label", ["a label longer than the margin beside it is wide", "0123456789 0123456789"]
)
def test_a_label_that_leaves_the_page_is_a_mistake(label):
    template = load_template("numeric-a4")
    long = tuple(replace(made, label=label) for made in template.fields)
    with pytest.raises(TemplateError, match="comes too near to the page's edge"):
        pdf_bytes(replace(template, fields=long))


def test_a_label_over_another_field_is_a_mistake():
    template = load_template("numeric-a4")
    fields = tuple(
        replace(m, label="a label that is much too long") if m.id == "q11" else m for m in template.fields
    )
    with pytest.raises(TemplateError, match=r"field 'q11'.*too near to q1"):
        pdf_bytes(replace(template, fields=fields))


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(OutputError, match="none"):
        render_pdf(load_template("numeric-a4"), tmp_path / "none" / "sheet.pdf")


# ---------------------------------------------------------------- commands


@pytest.mark.parametrize("name", NAMES)
def test_sheet_prints_the_bundled_pdf(tmp_path, name):
    out = tmp_path / "sheet.pdf"
    result = CliRunner().invoke(cli, ["sheet", name, "-o", str(out)])
    assert result.exit_code == 0 and result.stdout == ""
    assert re.match(rb"%PDF-1\.\d", out.read_bytes())
    assert out.read_bytes() == pdf_bytes(load_template(name))


def test_template_check_draws_the_layout(tmp_path):
    out = tmp_path / "layout.png"
    result = CliRunner().invoke(cli, ["template", "check", "mixed-letter", "-o", str(out)])
    assert result.exit_code == 0
    assert "22 items, 2 identifiers" in result.stderr
    image = cv2.imread(str(out))
    assert np.array_equal(image, render_layout(load_template("mixed-letter")))


def test_template_check_names_the_mistake(tmp_path):
    bad = tmp_path / "bad.yaml"
    bad.write_text(bundled("templates", "numeric-a4.yaml").read_text().replace("boxes: 3", "boxes: three"))
    result = CliRunner().invoke(cli, ["template", "check", str(bad), "-o", str(tmp_path / "x.png")])
    assert isinstance(result.exception, TemplateError) and result.exception.exit_code == 3
    assert "bad.yaml:17: 'boxes' of field 'q1..q20' must be a number (received 'three')" in str(
        result.exception
    )
    assert not (tmp_path / "x.png").exists()


def test_a_rendered_page_has_the_promised_scale():
    template = load_template("mixed-letter")
    page = render_page(template, 200)
    box = template.field("q13").boxes[0]
    scale = page.shape[1] / template.page_width
    column = page[round(box.centre[1] * scale), :].astype(float)
    near = slice(round((box.x - 1) * scale), round((box.x + 1) * scale))
    ink = 255 - column[near]
    centre = near.start + (ink * np.arange(len(ink))).sum() / ink.sum()
    assert centre == pytest.approx(box.x * scale - 0.5, abs=0.3)
    assert BytesIO(pdf_bytes(template)).read(4) == b"%PDF"
