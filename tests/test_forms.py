"""A blank form becomes a template: every bubble and box found, called what the form calls it."""

import re

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from reportlab.pdfgen import canvas

from omrgrade.cli import cli
from omrgrade.errors import OmrgradeError
from omrgrade.forms.discovery import discover
from omrgrade.resources import bundled
from omrgrade.template import load_template

MM = 72 / 25.4


def made(path, tmp_path, **options):
    """The template that is found on a form, loaded."""
    found = discover(path, name="form", picture="form-blank.png", **options)
    for name, data in found.files.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "form.yaml").write_text(found.text)
    return load_template(tmp_path / "form.yaml"), found


def boxes_of(template):
    """Kind and middle of all bubbles and boxes; a barcode's place is paper on the blank form."""
    return [(f.kind, box.centre) for f in template.fields if f.kind != "barcode" for box in f.boxes]


def unlike(found, expected, *, within=0.3):
    """Boxes of which none of their kind was found within so many mm, and those that were found besides."""
    pairs = [
        [(other[0] == kind and np.hypot(*np.subtract(other[1], place)) < within) for other in found]
        for kind, place in expected
    ]
    hit = np.array(pairs).reshape(len(expected), len(found))
    return int((~hit.any(axis=1)).sum()), int((~hit.any(axis=0)).sum())


@pytest.mark.parametrize("name", ["choice-a4", "marklist-a4", "mixed-letter", "numeric-a4"])
def test_on_the_bundled_sheets_every_bubble_and_box_is_found(name, tmp_path):
    template, _ = made(bundled("templates", f"{name}.pdf"), tmp_path)
    original = load_template(name)
    assert template.fiducials.method == "aruco"
    assert template.fiducials.ids == original.fiducials.ids
    assert unlike(boxes_of(template), boxes_of(original)) == (0, 0)
    if name == "marklist-a4":
        return  # whose rows are pupils, which no form says
    assert {f.id for f in template.items} == {f.id for f in original.items}
    for item in template.items:
        assert item.options == original.field(item.id).options


def test_a_number_written_and_bubbled_is_one_number(tmp_path):
    template, _ = made(bundled("templates", "choice-a4.pdf"), tmp_path)
    assert [f.id for f in template.identifiers] == ["student_number", "student_number_bubbles"]
    assert template.identifiers[1].same_as == "student_number"


def lettered_form(path, *, questions=12, columns=2, marks=True):
    """A form of another make: small lettered bubbles, corner squares, an example, a number grid."""
    page = canvas.Canvas(str(path), pagesize=(215.9 * MM, 279.4 * MM))

    def bubble(x, y, letter, filled=False):
        page.circle(x * MM, (279.4 - y) * MM, 1.5 * MM, fill=int(filled))
        page.setFont("Helvetica", 6)
        page.drawCentredString(x * MM, (279.4 - y) * MM - 2, letter)

    if marks:
        for x, y in ((10, 10), (201.9, 10), (201.9, 265.4), (10, 265.4)):
            page.rect(x * MM, (279.4 - y - 4) * MM, 4 * MM, 4 * MM, fill=1)
    page.setFont("Helvetica", 9)
    page.drawString(40 * MM, (279.4 - 30) * MM, "CANDIDATE ID")
    for column in range(6):
        for digit in range(10):
            bubble(40 + 5 * column, 36 + 5 * digit, str(digit))
    page.setFont("Helvetica", 9)
    page.drawString(40 * MM, (279.4 - 97) * MM, "Mark like this:")
    for n in range(4):
        bubble(70 + 5 * n, 96, "ABCD"[n], filled=n == 2)
    for number in range(questions):
        column, row = divmod(number, questions // columns)
        x, y = 40 + 60 * column, 120 + 6 * row
        page.setFont("Helvetica-Bold", 9)
        page.drawRightString((x - 4) * MM, (279.4 - y - 1) * MM, f"{number + 1}.")
        for n, letter in enumerate("ABCD"):
            bubble(x + 5.5 * n, y, letter)
    page.save()
    return path


def test_a_form_of_another_make_says_itself_what_it_asks(tmp_path):
    template, found = made(lettered_form(tmp_path / "their form.pdf"), tmp_path)
    assert [f.id for f in template.items] == [f"q{n}" for n in range(1, 13)]
    assert all(f.options == tuple("ABCD") for f in template.items)
    (number,) = template.identifiers
    assert (number.id, number.kind, number.options) == ("candidate_id", "grid", tuple("0123456789"))
    assert len(number.boxes) == 60
    assert template.fiducials.method == "corners"
    assert len(template.fiducials.boxes) == 4
    assert any("example" in reason for _, reason in found.layout.left_out)
    assert template.blank


def boxes_at(page, height, places, size):
    for x, y in places:
        page.rect(x * MM, (height - y - size[1]) * MM, size[0] * MM, size[1] * MM)


def test_a_worksheets_boxes_are_called_like_its_questions(tmp_path):
    """Boxes for numbers, unevenly far apart, each at the end of its question; a name's box is left out."""
    page = canvas.Canvas(str(tmp_path / "sheet.pdf"), pagesize=(210 * MM, 297 * MM))
    places = [(150, 60), (150, 78), (150, 100), (150, 126)]
    for n, (_, y) in enumerate(places, 1):
        page.drawString(20 * MM, (297 - y - 7) * MM, f"{n}. How much is {n} times 17, and {n} more?")
    page.drawString(20 * MM, 262 * MM, "Name:")
    page.drawString(120 * MM, 142 * MM, "Total marks:")
    boxes_at(page, 297, [*places, (150, 150)], (26, 10))
    boxes_at(page, 297, [(36, 28)], (90, 9))
    page.save()
    template, _ = made(tmp_path / "sheet.pdf", tmp_path)
    assert {f.id: f.role for f in template.fields} == {f"q{n}": "item" for n in range(1, 5)} | {
        "total_marks": "info"
    }
    assert {f.kind for f in template.fields} == {"number"}
    middles = [("number", (x + 13, y + 5)) for x, y in [*places, (150, 150)]]
    assert unlike(boxes_of(template), middles) == (0, 0)


def test_a_tables_columns_are_called_by_their_headings(tmp_path):
    """Ruled rows, cell beside cell: the numbers of the columns are read, headings and names are not."""
    page = canvas.Canvas(str(tmp_path / "table.pdf"), pagesize=(210 * MM, 297 * MM))
    columns = (("No", 10), ("Name", 62), ("Oral", 18), ("Part A", 18), ("Total", 24))
    edges = np.cumsum([20, *(width for _, width in columns)]).tolist()
    for row in range(14):
        page.line(20 * MM, (260 - 9 * row) * MM, edges[-1] * MM, (260 - 9 * row) * MM)
    for x in edges:
        page.line(x * MM, 260 * MM, x * MM, (260 - 9 * 13) * MM)
    for (text, _), x in zip(columns, edges, strict=False):
        page.drawString((x + 2) * MM, 254 * MM, text)
    for row in range(1, 13):
        page.drawString(22 * MM, (254 - 9 * row) * MM, str(row))
    page.save()
    template, _ = made(tmp_path / "table.pdf", tmp_path)
    wanted = {
        f"{name}_{n}": (n, k) for k, name in enumerate(("oral", "part_a", "total"), 2) for n in range(1, 13)
    }
    assert {f.id for f in template.fields} == set(wanted)
    for made_field in template.fields:
        row, column = wanted[made_field.id]
        x = edges[column] + columns[column][1] / 2
        assert made_field.kind == "number"
        assert made_field.boxes[0].centre == pytest.approx((x, 37 + 9 * row + 4.5), abs=0.3)


def ten_questions(page, height):
    """Rows of four bubbles with their numbers, and labels over the first."""
    for n in range(4):
        page.drawCentredString((60 + 9 * n) * MM, (height - 54) * MM, str(n + 1))
    for row in range(10):
        y = height - 60 - 12 * row
        page.drawRightString(50 * MM, (y - 1) * MM, f"{row + 1}.")
        for n in range(4):
            page.circle((60 + 9 * n) * MM, y * MM, 2.2 * MM)


def target(page, x, y):
    for radius, fill in ((6, 0), (4.2, 1), (2.4, 0), (1.0, 1)):
        page.setFillGray(1 - fill)
        page.circle(x * MM, y * MM, radius * MM, stroke=1 - fill, fill=1)
    page.setFillGray(0)


def cross(page, x, y):
    page.setLineWidth(2)
    page.line((x - 4) * MM, y * MM, (x + 4) * MM, y * MM)
    page.line(x * MM, (y - 4) * MM, x * MM, (y + 4) * MM)
    page.setLineWidth(1)


def test_dotted_boxes_are_boxes(tmp_path):
    page = canvas.Canvas(str(tmp_path / "form.pdf"), pagesize=(210 * MM, 297 * MM))
    places = [(45 + 11 * n, 45 + 20 * row) for row in range(10) for n in range(3)]
    for row in range(10):
        page.drawString(30 * MM, (297 - 53 - 20 * row) * MM, f"{row + 1})")
    page.setDash(1.2, 1.6)
    boxes_at(page, 297, places, (8, 11))
    page.save()
    template, _ = made(tmp_path / "form.pdf", tmp_path)
    assert [f.id for f in template.fields] == [f"q{n}" for n in range(1, 11)]
    assert unlike(boxes_of(template), [("digits", (x + 4, y + 5.5)) for x, y in places]) == (0, 0)


def test_boxes_to_tick_are_called_by_what_they_mean(tmp_path):
    """Unevenly far apart, each with its word behind it."""
    page = canvas.Canvas(str(tmp_path / "form.pdf"), pagesize=(210 * MM, 297 * MM))
    places = {"bus": (30, 60), "on_foot": (52, 60), "bicycle": (85, 60), "i_have_read": (30, 200)}
    boxes_at(page, 297, places.values(), (4, 4))
    boxes_at(page, 297, [(150, 30)], (9, 11))
    page.drawString(130 * MM, (297 - 38) * MM, "Grade:")
    for name, (x, y) in places.items():
        page.drawString((x + 6) * MM, (297 - y - 3.5) * MM, name.replace("_", " "))
    page.drawString(50 * MM, (297 - 203.5) * MM, "all the rules.")
    page.save()
    template, _ = made(tmp_path / "form.pdf", tmp_path)
    grade, *ticks = sorted(template.fields, key=lambda f: f.kind == "choice")
    assert (grade.id, grade.kind) == ("grade", "digits")
    assert {f.id: f.boxes[0].centre for f in ticks} == {
        name: pytest.approx((x + 2, y + 2), abs=0.3) for name, (x, y) in places.items()
    }
    assert {(f.kind, f.role, f.square, len(f.boxes)) for f in ticks} == {("choice", "info", True, 1)}


@pytest.mark.parametrize(("mark", "corners"), [(target, 4), (cross, 4), (target, 3)])
def test_a_picture_repeated_in_the_corners_is_what_pages_are_found_by(mark, corners, tmp_path):
    page = canvas.Canvas(str(tmp_path / "form.pdf"), pagesize=(210 * MM, 297 * MM))
    places = [(20, 277), (190, 277), (190, 20), (20, 20)][:corners]
    for x, y in places:
        mark(page, x, y)
    ten_questions(page, 297)
    page.save()
    template, found = made(tmp_path / "form.pdf", tmp_path)
    assert (template.fiducials.method, template.fiducials.marker) == ("corners", "picture")
    middles = [box.centre for box in template.fiducials.boxes]
    assert np.abs(np.subtract(middles, [(x, 297 - y) for x, y in places])).max() < 0.3
    assert [f.id for f in template.items] == [f"q{n}" for n in range(1, 11)]
    assert template.items[0].options == ("1", "2", "3", "4")
    assert set(found.files) == {"form-blank.png", "marker.png"}


@pytest.mark.parametrize("edges", [(5,), (5, 200)])
def test_timing_marks_along_edges_are_tracks(edges, tmp_path):
    page = canvas.Canvas(str(tmp_path / "form.pdf"), pagesize=(210 * MM, 297 * MM))
    for x in edges:
        for n in range(30):
            page.rect(x * MM, (270 - 8 * n) * MM, 5 * MM, 2 * MM, fill=1)
    ten_questions(page, 297)
    page.save()
    template, _ = made(tmp_path / "form.pdf", tmp_path)
    assert (template.fiducials.method, template.fiducials.tracks) == ("timing", (30,) * len(edges))
    expected = [(x + 2.5, 297 - (271 - 8 * n)) for x in edges for n in range(30)]
    assert np.abs(np.subtract([box.centre for box in template.fiducials.boxes], expected)).max() < 0.2


def test_words_in_the_corners_are_no_marks(tmp_path):
    """The same large letter at the top left and right, and two lines of print below."""
    page = canvas.Canvas(str(tmp_path / "form.pdf"), pagesize=(210 * MM, 297 * MM))
    page.setFont("Helvetica-Bold", 40)
    for x in (15, 180):
        page.drawString(x * MM, 270 * MM, "A")
    page.setFont("Helvetica", 9)
    for x in (15, 150):
        page.drawString(x * MM, 20 * MM, "Hand in by Friday, please.")
    ten_questions(page, 297)
    page.save()
    template, found = made(tmp_path / "form.pdf", tmp_path)
    assert template.fiducials.method == "reference"
    assert set(found.files) == {"form-blank.png"}


def test_without_markers_pages_are_laid_on_the_form_itself(tmp_path):
    template, _ = made(lettered_form(tmp_path / "form.pdf", marks=False), tmp_path)
    assert template.fiducials.method == "reference"
    assert template.fiducials.picture


@pytest.mark.parametrize("skew", [0.0, 1.5, -2.0])
def test_a_scanned_form_has_the_same_bubbles(tmp_path, skew):
    """Of a picture the words are unknown: questions are numbered by place, labels guessed, and it says so."""
    import pypdfium2

    pdf = lettered_form(tmp_path / "form.pdf")
    with pypdfium2.PdfDocument(pdf) as document:
        pixels = document[0].render(scale=150 / 72, grayscale=True).to_numpy()
    pixels = pixels.reshape(pixels.shape[:2])
    height, width = pixels.shape
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), skew, 1)
    picture = tmp_path / "scan.png"
    cv2.imwrite(str(picture), cv2.warpAffine(pixels, turn, (width, height), borderValue=255))
    template, found = made(picture, tmp_path, size=(215.9, 279.4))
    assert [f.id for f in template.items] == [f"q{n}" for n in range(1, 13)]
    assert all(f.options == tuple("ABCD") for f in template.items)
    assert [len(f.boxes) for f in template.identifiers] == [60]
    assert "guess" in found.text


def test_a_page_without_bubbles_is_refused_with_a_way_out(tmp_path):
    path = tmp_path / "letter.pdf"
    page = canvas.Canvas(str(path))
    page.drawString(100, 700, "Dear parents, OOO OOO OOO")
    page.save()
    with pytest.raises(OmrgradeError, match="no bubbles and no boxes"):
        discover(path, name="x", picture="x.png")


def test_a_picture_of_no_known_size_asks_for_it(tmp_path):
    picture = tmp_path / "square.png"
    cv2.imwrite(str(picture), np.full((900, 900), 255, np.uint8))
    with pytest.raises(OmrgradeError, match="--page"):
        discover(picture, name="x", picture="x.png")


def test_the_command_writes_template_blank_and_overlay_and_keeps_what_exists(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lettered_form(tmp_path / "form.pdf")
    run = CliRunner().invoke(cli, ["template", "new", "form.pdf", "-o", "mine.yaml"])
    assert run.exit_code == 0, run.output
    assert {p.name for p in tmp_path.iterdir()} == {
        "form.pdf", "mine.yaml", "mine-blank.png", "mine-overlay.png",
    }  # fmt: skip
    assert re.search(r"12 items, 1 identifiers, 108 boxes", run.output)
    again = CliRunner().invoke(cli, ["template", "new", "form.pdf", "-o", "mine.yaml"])
    assert again.exit_code != 0
