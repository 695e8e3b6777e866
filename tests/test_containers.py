"""The same two pages in every container that scanners and phones write, graded: the readings are the same.

One folder holds them all, in folders in folders, under names with spaces and of many scripts.
"""

import io
import struct

import cv2
import numpy as np
import pytest
from PIL import Image
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen import canvas

from omrgrade.images import find_pages, read_scan
from omrgrade.pipeline import grade_batch
from omrgrade.simulate import simulate_page
from omrgrade.template import load_template

SHEET = """omrgrade: 1
name: small
title: Small
page: [148, 148]
registration: {method: aruco, dictionary: 4x4_50, ids: [40, 41, 42, 43], size: 9, margin: 9}
fields:
  - {id: pupil, kind: digits, role: identifier, boxes: 4, at: [40, 40], size: [9, 11], gap: 3}
  - {id: q1..q6, kind: choice, role: item, options: ABCD, at: [40, 60], size: [5, 5], gap: 4, step: [0, 9]}
"""
DPI = 200
LEVEL = 190  # grey from which a fax page has paper: pencil is lighter than print
WIDTH = round(148 / 25.4 * DPI)
ANSWERS = {"q1": "A", "q2": "C", "q3": "", "q4": "D", "q5": "B", "q6": "A"}


# ---------------------------------------------------------------- writing


def saved(pixels, kind, **options):
    """A picture file's bytes."""
    data = io.BytesIO()
    (pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)).save(data, kind, **options)
    return data.getvalue()


def pdf(*pictures):
    """A page a picture, as scanners write them: JPEG stays JPEG, others are deflated."""
    data = io.BytesIO()
    page = canvas.Canvas(data)
    for picture in pictures:
        image = ImageReader(io.BytesIO(picture))
        size = tuple(side * 72 / DPI for side in image.getSize())
        page.setPageSize(size)
        page.drawImage(image, 0, 0, *size)
        page.showPage()
    page.save()
    return data.getvalue()


def g4_strip(black):
    """The fax-coded lines of a 1-bit picture (True: ink): what a TIFF of one strip holds."""
    file = io.BytesIO(saved(black, "TIFF", compression="group4", tiffinfo={278: black.shape[0]}))
    with Image.open(file) as tiff:
        (start,), (length,) = tiff.tag_v2[273], tiff.tag_v2[279]
    return file.getvalue()[start : start + length]


def jbig2(coded, width, height):
    """An embedded JBIG2 stream (ISO 14492): page information, one generic region in fax coding (MMR)."""
    page = struct.pack(">IIIIBH", width, height, 0, 0, 0, 0)
    region = struct.pack(">IIIIBB", width, height, 0, 0, 0, 1) + coded
    segments = ((0, 48, page), (1, 38, region))
    return b"".join(struct.pack(">IBBBI", n, kind, 0, 1, len(d)) + d for n, kind, d in segments)


def pdf_by_hand(stream, width, height, filters):
    """A PDF with one picture of one bit a pixel, coded as it comes."""
    points = tuple(side * 72 / DPI for side in (width, height))
    content = f"{points[0]:.4f} 0 0 {points[1]:.4f} 0 0 cm /I Do".encode()
    picture = (
        f"/Type /XObject /Subtype /Image /Width {width} /Height {height} /BitsPerComponent 1 "
        f"/ColorSpace /DeviceGray {filters} /Length {len(stream)}"
    )
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {points[0]:.4f} {points[1]:.4f}] /Contents 4 0 R "
        "/Resources << /XObject << /I 5 0 R >> >> >>".encode(),
        b"<< /Length %d >> stream\n%s\nendstream" % (len(content), content),
        b"<< %s >> stream\n%s\nendstream" % (picture.encode(), stream),
    ]
    data, places = b"%PDF-1.5\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(data))
        data += b"%d 0 obj %s endobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"trailer << /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % len(data)
    return data + b"xref\n0 6\n0000000000 65535 f \n" + table + end


def turned_by_exif(pixels, orientation):
    """A JPEG whose stored pixels are turned so that its EXIF orientation turns them back."""
    back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Image.Transpose
    image = Image.fromarray(pixels)
    if orientation in back:
        image = image.transpose(Image.Transpose(back[orientation]))
    exif = Image.Exif()
    exif[274] = orientation
    return saved(image, "JPEG", quality=95, exif=exif, dpi=(DPI, DPI))


def encoded(suffix, pixels):
    return cv2.imencode(suffix, pixels)[1].tobytes()


def containers(one, two):
    """Path in the folder -> contents, and which of the pages (0, 1) its pages are."""
    paper = one > LEVEL
    height, width = one.shape
    jpegs = [saved(page, "JPEG", quality=90, dpi=(DPI, DPI)) for page in (one, two)]
    opaque = np.dstack([one, one, one, np.full_like(one, 255)])
    ink = np.dstack([np.zeros_like(one), 255 - one])  # black on nothing
    strip = g4_strip(~paper)
    fax = f"/Filter /CCITTFaxDecode /DecodeParms << /K -1 /Columns {width} /Rows {height} >>"
    second = [Image.fromarray(two > LEVEL)], [Image.fromarray(two)]
    files = {
        "plain.png": (saved(one, "PNG"), [0]),
        "pdf/jpeg.pdf": (pdf(*jpegs), [0, 1]),
        "pdf/deflated.pdf": (pdf(saved(one, "PNG")), [0]),
        "pdf/fax.pdf": (pdf_by_hand(strip, width, height, fax), [0]),
        "pdf/jbig2.pdf": (
            pdf_by_hand(jbig2(strip, width, height), width, height, "/Filter /JBIG2Decode"), [0],
        ),
        "tiff/fax.TIF": (
            saved(paper, "TIFF", compression="group4", save_all=True, append_images=second[0]), [0, 1],
        ),
        "tiff/lzw.tiff": (
            saved(one, "TIFF", compression="tiff_lzw", save_all=True, append_images=second[1]),
            [0, 1],
        ),
        "tiff/16 bit.tif": (encoded(".tif", one.astype(np.uint16) * 257), [0]),
        "16 bit.png": (encoded(".png", one.astype(np.uint16) * 257), [0]),
        "alpha/opaque.png": (saved(opaque, "PNG"), [0]),
        "alpha/ink on nothing.png": (saved(Image.fromarray(ink, "LA"), "PNG"), [0]),
        "cmyk.jpg": (saved(Image.fromarray(one).convert("CMYK"), "JPEG", quality=92), [0]),
        "rgb.webp.png": (saved(Image.fromarray(one).convert("RGB"), "PNG"), [0]),
        "Klasse 7b/Prüfung  Ä/数学 テスト.png": (saved(one, "PNG"), [0]),
        "Klasse 7b/اختبار/контрольная №1.png": (saved(two, "PNG"), [1]),
        "Klasse 7b/a#b%20c&d '1'.png": (saved(two, "PNG"), [1]),
        **{f"exif/turn {n}.jpg": (turned_by_exif(one, n), [0]) for n in range(1, 9)},
    }  # fmt: skip
    return files


# ---------------------------------------------------------------- reading

EXACT = {
    "plain.png", "pdf/deflated.pdf", "tiff/lzw.tiff", "tiff/16 bit.tif", "16 bit.png", "alpha/opaque.png",
    "alpha/ink on nothing.png", "rgb.webp.png",
}  # fmt: skip
BLACK_AND_WHITE = {"pdf/fax.pdf", "pdf/jbig2.pdf", "tiff/fax.TIF"}


@pytest.fixture(scope="module")
def sheet(tmp_path_factory):
    path = tmp_path_factory.mktemp("sheet") / "small.yaml"
    path.write_text(SHEET)
    return load_template(path)


@pytest.fixture(scope="module")
def pages(sheet):
    """Two pupils' pages, (h, w) uint8 at 200 dpi, upright."""
    made = []
    for seed, number in ((5, "4071"), (6, "2938")):
        values = ANSWERS | {"pupil": number}
        page = simulate_page(sheet, seed=seed, profile="clean", values=values, turn=0)
        made.append(cv2.resize(page.image, (WIDTH, WIDTH), interpolation=cv2.INTER_AREA))
    return made


@pytest.fixture(scope="module")
def folder(pages, tmp_path_factory):
    root = tmp_path_factory.mktemp("scans of a class")
    for name, (data, _) in containers(*pages).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


@pytest.fixture(scope="module")
def graded(sheet, folder):
    """Path in the folder and page -> readings, read in one go."""
    batch = grade_batch([folder], sheet)
    assert not [page.problem for page in batch.pages if page.problem]
    found = {}
    for page in batch.pages:
        name = page.source.removeprefix(str(folder)).lstrip("/")
        found[name, page.page] = page.fields
    return found


def test_every_container_is_found_with_all_its_pages(graded, pages):
    expected = {(name, n) for name, (_, own) in containers(*pages).items() for n in range(1, len(own) + 1)}
    assert set(graded) == expected


def test_every_container_reads_like_the_plain_page(graded, pages):
    """Bubbles are the same everywhere; a digit may be doubted in one container, but is never another."""
    for name, (_, own) in containers(*pages).items():
        for number, which in enumerate(own, 1):
            said = {reading.field: reading for reading in graded[name, number]}
            truth = ANSWERS | {"pupil": ("4071", "2938")[which]}
            for field, value in truth.items():
                reading = said[field]
                if field != "pupil" or reading.status == "read":
                    assert (reading.value, reading.status) == (value, "read" if value else "blank"), (
                        name,
                        field,
                    )
    assert all(said[0].status == "read" for name, said in graded.items() if name[0] in EXACT)


def test_what_loses_nothing_reads_the_same_to_the_last_digit(graded):
    plain = graded["plain.png", 1]
    assert all(graded[name, 1] == plain for name in EXACT)
    one, *others = (graded[name, 1] for name in sorted(BLACK_AND_WHITE))
    assert all(other == one for other in others)


def test_pictures_come_out_of_their_containers_as_they_went_in(folder, pages):
    for name, (_, own) in containers(*pages).items():
        for ref, which in zip(find_pages([folder / name]), own, strict=True):
            scan = read_scan(ref).pixels
            if name in EXACT:
                assert np.array_equal(scan, pages[which]), name
            elif name in BLACK_AND_WHITE:
                assert np.array_equal(scan, np.where(pages[which] > LEVEL, 255, 0)), name
            else:
                assert scan.shape == pages[which].shape, name
                assert np.abs(scan.astype(int) - pages[which]).mean() < 4, name


def test_a_jpeg_in_a_pdf_is_not_decoded_otherwise_than_by_itself(folder, pages):
    first, second = (read_scan(ref).pixels for ref in find_pages([folder / "pdf" / "jpeg.pdf"]))
    for scan, page in ((first, pages[0]), (second, pages[1])):
        with Image.open(io.BytesIO(saved(page, "JPEG", quality=90))) as image:
            assert np.array_equal(scan, np.asarray(image))


def test_a_pdf_of_fax_pages_says_its_resolution(folder):
    """Taken out at the scanner's resolution, not drawn at one of ours."""
    for name in ("fax", "jbig2"):
        assert read_scan(find_pages([folder / "pdf" / f"{name}.pdf"])[0]).dpi == pytest.approx(DPI, abs=0.5)


def test_a_phones_heic_reads_the_same(sheet, pages, tmp_path):
    pillow_heif = pytest.importorskip("pillow_heif")
    path = tmp_path / "IMG 0001.HEIC"
    pillow_heif.from_pillow(Image.fromarray(pages[0]).convert("RGB")).save(path, quality=90)
    (page,) = grade_batch([tmp_path], sheet).pages
    assert {r.field: r.value for r in page.fields} == ANSWERS | {"pupil": "4071"}
