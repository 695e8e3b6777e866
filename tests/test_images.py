"""Every container a scanner writes is read exactly; every damaged one is refused with its reason."""

import contextlib
import io
import struct
import zlib

import numpy as np
import pypdfium2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen import canvas

from omrgrade.errors import OmrgradeError, UnreadableImageError
from omrgrade.images import find_pages, page_digest, read_scan
from omrgrade.images.pictures import is_whole_jpeg
from omrgrade.records import PageRef, Scan


def picture(height=300, width=200) -> np.ndarray:
    """Grey, smooth enough for JPEG, with a different mean in each corner so that turns show."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    return (120 + 60 * x + 60 * y * y).astype(np.uint8)


def jpeg(pixels, **options) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=95, **options)
    return out.getvalue()


def pdf_of(path, *images, size=(200, 300), draw=None, encrypt=None):
    page = canvas.Canvas(str(path), pagesize=size, encrypt=encrypt)
    for data in images:
        page.drawImage(ImageReader(io.BytesIO(data)), 0, 0, *size)
        if draw:
            draw(page)
        page.showPage()
    page.save()
    return path


def read(path, page=1):
    return read_scan(PageRef(path=str(path), page=page))


def close(a, b, tolerance=3):
    return a.shape == b.shape and np.abs(a.astype(int) - b.astype(int)).max() <= tolerance


# ---------------------------------------------------------------- finding


def test_folders_are_searched_in_natural_order_and_hidden_files_are_left(tmp_path):
    for name in [
        "page 10.png",
        "page 2.PNG",
        "b/page 1.tif",
        "A/ü x.jpeg",
        ".hidden.png",
        ".git/a.png",
        "notes.txt",
    ]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    names = [ref.path.removeprefix(f"{tmp_path}/") for ref in find_pages([tmp_path])]
    assert names == ["A/ü x.jpeg", "b/page 1.tif", "page 2.PNG", "page 10.png"]


def test_a_named_file_is_kept_whatever_its_suffix_and_no_file_comes_twice(tmp_path):
    scan, other = tmp_path / "a.png", tmp_path / "scan.dat"
    scan.write_bytes(b"")
    other.write_bytes(b"")
    assert [r.path for r in find_pages([other, scan, tmp_path])] == [str(other), str(scan)]


def test_an_output_folder_inside_the_scans_is_left_out(tmp_path):
    for name in ["a.png", "out/overlay.png"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert len(find_pages([tmp_path], exclude=[tmp_path / "out"])) == 1


def test_no_scans_is_an_error_that_ends_with_what_was_received(tmp_path):
    with pytest.raises(OmrgradeError, match="no scans found") as error:
        find_pages([tmp_path])
    assert error.value.exit_code == 3
    with pytest.raises(OmrgradeError, match="no such file or folder"):
        find_pages([tmp_path / "missing"])


def test_pages_of_pdf_and_tiff_are_counted_and_read_in_order(tmp_path):
    frames = [Image.fromarray(255 - picture() // (k + 1)) for k in (1, 2, 3)]
    frames[0].save(tmp_path / "b.tif", save_all=True, append_images=frames[1:])
    pdf_of(tmp_path / "a.pdf", *(jpeg(255 - picture() // (k + 1)) for k in (1, 2)))
    refs = find_pages([tmp_path])
    assert [(ref.path[-5:], ref.page) for ref in refs] == [
        ("a.pdf", 1), ("a.pdf", 2), ("b.tif", 1), ("b.tif", 2), ("b.tif", 3),
    ]  # fmt: skip
    for ref, k in zip(refs, (1, 2, 1, 2, 3), strict=True):
        assert close(read_scan(ref).pixels, 255 - picture() // (k + 1)), ref


def test_an_unreadable_file_counts_as_one_page(tmp_path):
    (tmp_path / "empty.pdf").write_bytes(b"")
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.7 nothing more")
    (tmp_path / "broken.tif").write_bytes(b"II*\0\xff\xff\xff\xff")
    pdf_of(tmp_path / "locked.pdf", jpeg(picture()), encrypt="secret")
    assert [ref.page for ref in find_pages([tmp_path])] == [1, 1, 1, 1]


@pytest.mark.parametrize("big", [False, True], ids=["TIFF", "BigTIFF"])
def test_a_tiff_that_is_cut_off_never_passes_for_one_of_fewer_pages(big, tmp_path):
    frames = [Image.fromarray(picture(40, 30)) for _ in range(3)]
    frames[0].save(tmp_path / "a.tif", save_all=True, append_images=frames[1:], big_tiff=big)
    whole = (tmp_path / "a.tif").read_bytes()
    assert len(find_pages([tmp_path])) == 3
    for size in range(1, len(whole), 11):
        (tmp_path / "a.tif").write_bytes(whole[:size])
        refs = find_pages([tmp_path])
        assert len(refs) == 3 or not all(is_read(ref) for ref in refs), size


def is_read(ref):
    try:
        read_scan(ref)
    except UnreadableImageError as error:
        assert str(error)
        return False
    return True


def test_pages_of_a_tiff_are_counted_no_further_than_the_limit(tmp_path):
    directories = [struct.pack("<HHHIII", 1, 256, 4, 1, 9, 8 + 18 * (n + 1)) for n in range(400_000)]
    (tmp_path / "long.tif").write_bytes(b"II*\0\x08\0\0\0" + b"".join(directories))
    (tmp_path / "loop.tif").write_bytes(b"II*\0\x08\0\0\0" + directories[0] + b"\0\0\0\0\0\0\x08\0\0\0")
    (long,), loop = find_pages([tmp_path / "long.tif"]), find_pages([tmp_path / "loop.tif"])
    assert "more than 5000 pages" in long.problem and len(loop) == 2


# ---------------------------------------------------------------- reading


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns_are_applied(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    # What has to be stored so that the turned picture is `picture()`.
    back = {1: 0, 2: Image.FLIP_LEFT_RIGHT, 3: Image.ROTATE_180, 4: Image.FLIP_TOP_BOTTOM, 5: Image.TRANSPOSE,
            6: Image.ROTATE_90, 7: Image.TRANSVERSE, 8: Image.ROTATE_270}[orientation]  # fmt: skip
    stored = Image.fromarray(picture())
    stored = stored.transpose(back) if orientation > 1 else stored
    for name in ("a.jpg", "a.png", "a.tif"):
        stored.save(tmp_path / name, exif=exif)
        assert close(read(tmp_path / name).pixels, picture()), name


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "RGBA", "LA", "CMYK", "I;16"])
def test_every_kind_of_pixel_becomes_grey(tmp_path, mode):
    truth = np.where(picture() > 180, 255, 0).astype(np.uint8) if mode == "1" else picture()
    if mode == "I;16":
        Image.fromarray(truth.astype(np.uint16) * 257).save(tmp_path / "a.tif")
        Image.fromarray(truth.astype(np.uint16) * 257).save(tmp_path / "a.png")
        names = ["a.tif", "a.png"]
    else:
        names = {"CMYK": ["a.tif", "a.jpg"], "1": ["a.tif", "a.png"]}.get(mode, ["a.png"])
        for name in names:
            Image.fromarray(truth).convert("RGB").convert(mode).save(tmp_path / name)
    for name in names:
        scan = read(tmp_path / name)
        assert scan.pixels.dtype == np.uint8
        assert close(scan.pixels, truth, 12 if mode == "CMYK" else 3), name


def test_a_palette_becomes_grey(tmp_path):
    Image.fromarray(picture()).convert("P").save(tmp_path / "a.png")
    Image.fromarray(picture()).save(tmp_path / "a.gif")
    for name in ("a.png", "a.gif"):
        assert close(read(tmp_path / name).pixels, picture(), 8)


def test_16_bit_colour_tiff(tmp_path):
    colour = np.repeat(picture()[:, :, None].astype(np.uint16) * 257, 3, axis=2)
    import cv2

    cv2.imwrite(str(tmp_path / "a.tif"), colour)
    assert close(read(tmp_path / "a.tif").pixels, picture())


def test_transparency_is_paper(tmp_path):
    rgba = np.zeros((40, 30, 4), np.uint8)
    rgba[10:20, 10:20, 3] = 255
    Image.fromarray(rgba).save(tmp_path / "a.png")
    pixels = read(tmp_path / "a.png").pixels
    assert pixels[0, 0] == 255 and pixels[15, 15] == 0


def test_fax_compressed_tiff_is_exact_and_says_its_dpi(tmp_path):
    truth = (picture() > 180).astype(np.uint8) * 255
    Image.fromarray(truth).convert("1", dither=0).save(
        tmp_path / "a.tif", compression="group4", dpi=(300, 300)
    )
    scan = read(tmp_path / "a.tif")
    assert np.array_equal(scan.pixels, truth) and scan.dpi == pytest.approx(300)


@pytest.mark.parametrize("claimed", [1, 0, 1e9])
def test_a_dpi_that_is_nonsense_counts_as_none(tmp_path, claimed):
    Image.fromarray(picture()).save(tmp_path / "a.tif", dpi=(claimed, claimed))
    assert read(tmp_path / "a.tif").dpi == 0


def test_a_digest_is_of_the_picture_not_of_the_file(tmp_path):
    Image.fromarray(picture()).save(tmp_path / "a.png")
    Image.fromarray(picture()).save(tmp_path / "b.tif")
    Image.fromarray(picture() // 2).save(tmp_path / "c.png")
    a, b, c = (page_digest(read(tmp_path / name)) for name in ("a.png", "b.tif", "c.png"))
    assert a == b != c and len(a) == 64
    tall, wide = (Scan(source="", page=1, pixels=np.zeros(s, np.uint8), dpi=0) for s in ((4, 2), (2, 4)))
    assert page_digest(tall) != page_digest(wide)


# ---------------------------------------------------------------- PDF


def test_a_scanned_pdf_page_is_taken_out_pixel_for_pixel(tmp_path):
    data = jpeg(picture())
    truth = np.asarray(Image.open(io.BytesIO(data)))
    scan = read(pdf_of(tmp_path / "a.pdf", data, size=(100, 150)))  # 200 x 300 px on 100 x 150 points
    assert np.array_equal(scan.pixels, truth) and scan.dpi == pytest.approx(144)


def test_text_recognition_under_the_picture_does_not_matter(tmp_path):
    def hidden(page):
        text = page.beginText(20, 20)
        text.setTextRenderMode(3)
        text.textLine("recognised")
        page.drawText(text)

    assert read(pdf_of(tmp_path / "a.pdf", jpeg(picture()), draw=hidden)).pixels.shape == (300, 200)


def test_a_pdf_page_with_more_on_it_is_drawn(tmp_path):
    scan = read(pdf_of(tmp_path / "a.pdf", jpeg(picture()), draw=lambda p: p.rect(50, 50, 50, 50, fill=1)))
    assert scan.dpi == 300 and scan.pixels.shape == (1250, 834)
    assert scan.pixels[int(1250 - 75 / 72 * 300), int(75 / 72 * 300)] < 10


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_a_turned_pdf_page_is_taken_out_as_it_is_shown(tmp_path, rotation):
    pdf_of(tmp_path / "a.pdf", jpeg(picture()))
    document = pypdfium2.PdfDocument(tmp_path / "a.pdf")
    document[0].set_rotation(rotation)
    document.save(tmp_path / "b.pdf")
    shown = document[0].render(scale=1).to_numpy()[:, :, 0]
    assert close(read(tmp_path / "b.pdf").pixels, shown, 6)


# ---------------------------------------------------------------- refusing


def bomb_png(side=60_000) -> bytes:
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


def huge_jpeg() -> bytes:
    data = bytearray(jpeg(picture()))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", 14_000, 12_400)  # 173 megapixels, under Pillow's own limit
    return bytes(data)


FAULTS = {
    "empty.jpg": (lambda: b"", "empty"),
    "text.jpg": (lambda: "Das ist nur Text, übrigens.\n".encode() * 100, "text file"),
    "word.jpg": (lambda: b"PK\x03\x04" + bytes(100), "ZIP"),
    "phone.jpg": (lambda: b"\0\0\0\x18ftypheic" + bytes(100), "HEIC"),
    "cut.jpg": (lambda: jpeg(picture())[:-600], "cut off"),
    "cut_a_little.jpg": (lambda: jpeg(picture())[:-20], "cut off"),
    "cut.png": (lambda: png()[:-300], "cut off"),
    "cut_header.png": (lambda: png()[:20], "picture is damaged"),
    "bomb.png": (bomb_png, "too large"),
    "huge.jpg": (huge_jpeg, "too large"),
    "broken.pdf": (lambda: b"%PDF-1.7 nothing more", "PDF is damaged"),
    "noise.jpg": (lambda: b"\xff\xd8\xff\xe0" + bytes(range(256)) * 4, "damaged|not a picture"),
}  # fmt: skip


def png() -> bytes:
    out = io.BytesIO()
    Image.fromarray(picture()).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize("name", FAULTS)
def test_a_damaged_file_is_refused_with_its_reason(tmp_path, name, capfd):
    make, reason = FAULTS[name]
    (tmp_path / name).write_bytes(make())
    with pytest.raises(UnreadableImageError, match=reason) as error:
        read(tmp_path / name)
    assert str(error.value).startswith(str(tmp_path / name))
    assert capfd.readouterr().err == ""


def test_an_encrypted_pdf_says_so(tmp_path):
    pdf_of(tmp_path / "a.pdf", jpeg(picture()), encrypt="secret")
    with pytest.raises(UnreadableImageError, match=r"encrypted; save it without a password"):
        read(tmp_path / "a.pdf")


def test_a_cut_jpeg_inside_a_pdf_is_refused(tmp_path):
    data = jpeg(picture())
    whole = pdf_of(tmp_path / "a.pdf", data).read_bytes()
    at = whole.index(b"stream") + 6
    assert data[100:200] not in whole[:at]
    # reportlab writes ASCII85; a raw stream of the same length is simpler to cut.
    document = pypdfium2.PdfDocument.new()
    image = pypdfium2.PdfImage.new(document)
    image.load_jpeg(io.BytesIO(data))
    image.set_matrix(pypdfium2.PdfMatrix().scale(200, 300))
    page = document.new_page(200, 300)
    page.insert_obj(image)
    page.gen_content()
    document.save(tmp_path / "b.pdf")
    raw = (tmp_path / "b.pdf").read_bytes()
    cut = raw.replace(data[-1000:], bytes(1000))
    assert cut != raw
    (tmp_path / "b.pdf").write_bytes(cut)
    with pytest.raises(UnreadableImageError, match="cut off"):
        read(tmp_path / "b.pdf")


def test_a_missing_file_is_a_page_error(tmp_path):
    with pytest.raises(UnreadableImageError, match="no such file"):
        read(tmp_path / "gone.png")


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_mutation_escapes_as_anything_but_a_page_error(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("fuzz") / "a"
    kind = data.draw(st.sampled_from(["jpg", "png", "tif"]))
    out = io.BytesIO()
    Image.fromarray(picture(60, 40)).save(out, {"jpg": "JPEG", "png": "PNG", "tif": "TIFF"}[kind])
    raw = bytearray(out.getvalue())
    for _ in range(data.draw(st.integers(1, 8))):
        raw[data.draw(st.integers(0, min(len(raw) - 1, 400)))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(raw[: data.draw(st.integers(1, len(raw)))]))
    for ref in find_pages([path])[:3]:
        with contextlib.suppress(UnreadableImageError):
            assert read_scan(ref).pixels.ndim == 2


@given(st.binary(max_size=300))
def test_any_cut_of_a_jpeg_is_seen(tail):
    data = jpeg(picture(40, 30))
    assert is_whole_jpeg(data + tail)
    assert not any(is_whole_jpeg(data[:n]) for n in range(2, len(data) - 1, 37))


# ---------------------------------------------------------------- speed without loss


def test_a_600_dpi_jpeg_is_decoded_at_half_its_resolution(tmp_path):
    """What reading does not need is not decoded; the scan's dpi says what it is then."""
    fine = np.full((7016, 4960), 230, np.uint8)
    fine[2000:2400, 1000:1400] = 20
    image = Image.fromarray(fine)
    image.save(tmp_path / "a.jpg", dpi=(600, 600))
    image.save(tmp_path / "a.pdf", resolution=600)
    for name in ("a.jpg", "a.pdf"):
        scan = read_scan(PageRef(path=str(tmp_path / name)))
        assert scan.pixels.shape == (3508, 2480)
        assert abs(scan.dpi - 300) < 1
        assert scan.pixels[1100, 600] < 40 < 200 < scan.pixels[900, 600]


def test_a_picture_that_only_says_600_dpi_keeps_its_pixels(tmp_path):
    Image.new("L", (1240, 1754), 255).save(tmp_path / "a.jpg", dpi=(600, 600))
    assert read_scan(PageRef(path=str(tmp_path / "a.jpg"))).pixels.shape == (1754, 1240)


@pytest.mark.parametrize("mode", ["1", "L"])
def test_plain_png_has_every_pixel_and_none_when_damaged(tmp_path, mode):
    grey = np.random.default_rng(4).integers(0, 256, (90, 77), np.uint8)
    image = Image.fromarray(grey).convert(mode)
    path = tmp_path / "a.png"
    image.save(path)
    assert (read_scan(PageRef(path=str(path))).pixels == np.asarray(image.convert("L"))).all()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(UnreadableImageError):
        read_scan(PageRef(path=str(path)))


def test_a_png_turned_by_exif_is_turned(tmp_path):
    grey = np.zeros((40, 60), np.uint8)
    grey[0, :] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(grey).save(tmp_path / "a.png", exif=exif)
    assert read_scan(PageRef(path=str(tmp_path / "a.png"))).pixels.shape == (60, 40)
