"""Files made to break a reader: mutated good ones and crafted bad ones, the same for the same seed.

`corpus(folder, seed, count)` writes them by kind into subfolders; `attempt(path)` reads one the way omrgrade
would and returns the reason it was refused with, or "" when it was read.
"""

import io
import json
import os
import pickle
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from omrgrade.errors import OmrgradeError

ROOT = Path(__file__).parents[1]
CANARY = "canary"  # a file of this name beside the corpus means that a file ran code
SHARES = {"scans": 0.66, "templates": 0.12, "tables": 0.1, "arrays": 0.07, "models": 0.03, "runs": 0.02}


def corpus(folder: Path, seed: int, count: int, *, heavy: bool = True) -> list[Path]:
    """About `count` files under `folder`: every crafted one, and mutated ones for the rest.

    heavy: also those that take long or much memory to make or to read, whose bytes are given as functions.
    """
    rng = np.random.default_rng(seed)
    made = []
    for kind, share in SHARES.items():
        place = folder / kind
        place.mkdir(parents=True, exist_ok=True)
        crafted = dict(CRAFTED[kind](folder / CANARY))
        good = GOOD[kind]()
        light = {name: data for name, data in crafted.items() if isinstance(data, bytes)}
        files = {f"crafted-{name}": data for name, data in light.items()}
        if heavy:
            files |= {f"crafted-{name}": make() for name, make in crafted.items() if name not in light}
        for n in range(max(0, round(count * share) - len(files))):
            name = sorted(good)[n % len(good)]
            others = list(good.values())
            files[f"mutated-{n}-{name}"] = mutated(good[name], others[rng.integers(len(others))], rng)
        for name, data in files.items():
            (place / name).write_bytes(data)
            made.append(place / name)
    return made


def mutated(data: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """One of the usual accidents and attacks, at a random place; early bytes, where headers are, more often."""
    size = len(data)

    def place() -> int:
        return int(rng.integers(min(size, 400)) if rng.random() < 0.5 else rng.integers(size))

    work, at = bytearray(data), place()
    match int(rng.integers(8)):
        case 0:
            for _ in range(int(rng.integers(1, 50))):
                work[place()] ^= 1 << int(rng.integers(8))
        case 1:
            del work[at:]
        case 2:
            work[at : at + int(rng.integers(1, 200))] = bytes(int(rng.integers(1, 200)))
        case 3:
            work[at : at + 4] = rng.choice(
                [b"\xff" * 4, b"\x7f\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f"]
            )
        case 4:
            end = place()
            work[at:at] = work[min(at, end) : max(at, end)]
        case 5:
            del work[at : at + int(rng.integers(1, 300))]
        case 6:
            work[at:] = other[len(other) * at // size :]
        case _:
            work[at : at + 64] = rng.bytes(64)
    return bytes(work)


# ---------------------------------------------------------------- scans


def _saved(image: Image.Image, kind: str, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def good_scans() -> dict[str, bytes]:
    grey = (np.indices((240, 170)).sum(0) * 3 % 256).astype(np.uint8)
    image, colour = Image.fromarray(grey), Image.fromarray(np.dstack([grey, grey[::-1], 255 - grey]))
    other = Image.fromarray(255 - grey)
    return {
        "grey.jpg": _saved(image, "JPEG", dpi=(200, 200)),
        "progressive.jpg": _saved(colour, "JPEG", progressive=True, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0"),
        "cmyk.jpg": _saved(colour.convert("CMYK"), "JPEG"),
        "grey.png": _saved(image, "PNG"),
        "alpha.png": _saved(colour.convert("RGBA"), "PNG"),
        "palette.png": _saved(colour.quantize(16), "PNG"),
        "deep.png": _saved(Image.fromarray(grey.astype(np.uint16) * 257), "PNG"),
        "bits.png": _saved(image.convert("1"), "PNG"),
        "pages.tif": _saved(image, "TIFF", save_all=True, append_images=[other, image]),
        "lzw.tif": _saved(colour, "TIFF", compression="tiff_lzw"),
        "fax.tif": _saved(image.convert("1"), "TIFF", compression="group4"),
        "jpeg.tif": _saved(colour, "TIFF", compression="jpeg"),
        "deflate.tif": _saved(image, "TIFF", compression="tiff_adobe_deflate"),
        "a.bmp": _saved(colour, "BMP"),
        "a.webp": _saved(colour, "WEBP"),
        "scanned.pdf": pdf_with_image(_saved(image, "JPEG"), 170, 240, "/DCTDecode"),
        "flate.pdf": pdf_with_image(zlib.compress(grey.tobytes()), 170, 240, "/FlateDecode"),
        "drawn.pdf": drawn_pdf(),
    }


def pdf(*objects: bytes, trailer: bytes = b"/Root 1 0 R") -> bytes:
    """A PDF of these objects, numbered from 1."""
    out, offsets = b"%PDF-1.7\n", []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    head = b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    return out + head + table + b"trailer <</Size %d %s>>\nstartxref\n%d\n%%%%EOF" % (
        len(objects) + 1, trailer, len(out),
    )  # fmt: skip


def pdf_of_tables(unpacked: int, tables: int) -> bytes:
    """A PDF of one page and so many tables of contents, each of so many bytes once a reader unpacks it."""
    data = zlib.compress(_zeros(unpacked), 9)
    whole = pdf(
        b"<</Type /Catalog /Pages 2 0 R>>",
        b"<</Type /Pages /Kids [3 0 R] /Count 1>>",
        b"<</Type /Page /Parent 2 0 R /MediaBox [0 0 99 99]>>",
    )
    out, previous = whole[: whole.index(b"xref")], b""
    for number in range(4, 4 + tables):
        at = len(out)
        entries = b"/Type /XRef /Size 999 /W [1 4 2] /Root 1 0 R /Filter [/FlateDecode /FlateDecode] "
        out += b"%d 0 obj\n%s\nendobj\n" % (number, stream(data, entries + previous))
        previous = b"/Prev %d" % at
    return out + b"startxref\n%d\n%%%%EOF" % at


def stream(data: bytes, entries: bytes = b"") -> bytes:
    return b"<</Length %d %s>>\nstream\n%s\nendstream" % (len(data), entries, data)


def one_page(content: bytes, *more: bytes, resources: bytes = b"", box: bytes = b"[0 0 595 842]", extra=b""):
    """A one-page PDF; objects: catalog, pages, page, content, then `more` from 5 on."""
    return pdf(
        b"<</Type /Catalog /Pages 2 0 R %s>>" % extra,
        b"<</Type /Pages /Kids [3 0 R] /Count 1>>",
        b"<</Type /Page /Parent 2 0 R /MediaBox %s /Contents 4 0 R /Resources <<%s>>>>" % (box, resources),
        content,
        *more,
    )


def pdf_with_image(data: bytes, width: int, height: int, filters: str) -> bytes:
    image = (
        f"/Type /XObject /Subtype /Image /Width {width} /Height {height} /ColorSpace /DeviceGray "
        f"/BitsPerComponent 8 /Filter {filters}"
    )
    return one_page(
        stream(b"q 595 0 0 842 0 0 cm /I Do Q"),
        stream(data, image.encode()),
        resources=b"/XObject <</I 5 0 R>>",
    )


def drawn_pdf() -> bytes:
    from reportlab.pdfgen.canvas import Canvas

    out = io.BytesIO()
    canvas = Canvas(out, invariant=1)
    for page in range(3):
        canvas.drawString(100, 700, f"page {page}")
        canvas.rect(50, 50, 400, 600)
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def png(width: int, height: int, rows: bytes, *, depth=8, colour=0, chunks=()) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    more = b"".join(chunk(*extra) for extra in chunks)
    return b"\x89PNG\r\n\x1a\n" + head + more + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def _zeros(size: int) -> bytes:
    packer = zlib.compressobj(9)
    block = bytes(1 << 20)
    return b"".join(packer.compress(block) for _ in range(size >> 20)) + packer.flush()


def tiff(*entries: tuple[int, int, int, int], following: int = 0, data: bytes = b"") -> bytes:
    """A little-endian TIFF of one directory: (tag, type, count, value) each."""
    rows = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + rows + struct.pack("<I", following) + data


def _tiff_of(width: int, height: int, compression: int, data: bytes, following: int = 0) -> bytes:
    return tiff(
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, compression), (262, 3, 1, 1),
        (273, 4, 1, 8 + 2 + 9 * 12 + 4), (277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, len(data)),
        following=following, data=data,
    )  # fmt: skip


def many_scans(side: int, scans: int) -> bytes:
    """A progressive JPEG of few bytes and much work: every scan goes over the whole picture."""
    data = _saved(Image.new("L", (side, side), 128), "JPEG", progressive=True)
    start = data.rindex(b"\xff\xda")
    return data[:start] + data[start:-2] * scans + b"\xff\xd9"


def crafted_scans(canary: Path):
    run = f"system('touch {canary}')".encode()
    yield "huge.png", png(60_000, 60_000, zlib.compress(b"\0" * 100))
    yield "largest.png", png(2**31 - 1, 2**31 - 1, b"")
    yield "none.png", png(0, 5, b"")
    yield "bomb-grey.png", lambda: png(13_000, 13_000, _zeros(13_001 * 13_000))
    yield "bomb-alpha.png", lambda: png(13_000, 13_000, _zeros(13_000 * 4 * 13_000 + 13_000), colour=6)
    yield (
        "bomb-deep.png",
        lambda: png(13_000, 13_000, _zeros(13_000 * 8 * 13_000 + 13_000), colour=6, depth=16),
    )
    yield "text.png", lambda: png(9, 9, _zeros(1 << 20), chunks=[(b"zTXt", b"a\0\0" + _zeros(1 << 28))] * 3)
    yield "profile.png", lambda: png(9, 9, _zeros(1 << 20), chunks=[(b"iCCP", b"a\0\0" + _zeros(1 << 28))])
    yield "endless-idat.png", lambda: png(100, 100, _zeros(1 << 29))
    yield "loop.tif", _tiff_of(100, 100, 1, bytes(10_000), following=8)
    yield "huge.tif", _tiff_of(60_000, 60_000, 1, b"")
    yield "bomb.tif", lambda: _tiff_of(13_000, 13_000, 8, _zeros(13_000 * 13_000))
    yield "far.tif", _tiff_of(100, 100, 1, b"", following=0xFFFFFFF0)
    yield "counts.tif", tiff(*[(256 + n, 4, 0xFFFFFFFF, 0xFFFFFFF0) for n in range(200)])
    yield (
        "strips.tif",
        lambda: tiff((256, 4, 1, 1000), (257, 4, 1, 1000), (273, 4, 0x0FFFFFFF, 8), (279, 4, 0x0FFFFFFF, 8)),
    )
    yield (
        "directories.tif",
        lambda: (
            b"II*\0\x08\0\0\0"
            + b"".join(struct.pack("<HHHIII", 1, 256, 4, 1, 9, 8 + 18 * (n + 1)) for n in range(600_000))
        ),
    )
    yield (
        "huge.bmp",
        b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 60_000, 60_000, 1, 24, 0, 0, 0, 0, 0, 0),
    )
    yield "huge-gif.png", b"GIF89a" + struct.pack("<HHBBB", 65_535, 65_535, 0, 0, 0) + b";"
    yield (
        "huge.jpg",
        b"\xff\xd8\xff\xc0\0\x0b\x08\xff\xdc\xff\xdc\x01\x01\x11\0\xff\xda\0\x08\x01\x01\0\0?\0"
        + bytes(99)
        + b"\xff\xd9",
    )
    yield "scans.jpg", lambda: many_scans(4_000, 300)
    yield "large.jpg", lambda: _saved(Image.new("L", (13_000, 13_000)), "JPEG")
    yield "program.png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(%pipe%" + run + b") (w) file\n"
    yield "program.eps.jpg", b"\xc5\xd0\xd3\xc6" + struct.pack("<IIIIIIH", 32, 99, 0, 0, 0, 0, 0) + run
    yield (
        "a.svg.png",
        b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><svg>&a;</svg>',
    )
    yield "zip.jpg", _zip({"../../evil": b"x"})
    yield "zeros.png", bytes(3_000_000)
    yield (
        "script.pdf",
        one_page(
            stream(b""),
            extra=b"/OpenAction <</S /Launch /F (/bin/sh) /P (-c touch %s)>> /AA <</O <</S /JavaScript /JS (app.launchURL\\('x'\\))>>>>"
            % str(canary).encode(),
        ),
    )
    yield "huge-page.pdf", one_page(stream(b"0 0 m 9 9 l S"), box=b"[0 0 1e7 1e7]")
    yield "no-page.pdf", one_page(stream(b""), box=b"[0 0 0 0]")
    yield "wrong-box.pdf", one_page(stream(b""), box=b"[(a) /b null << >>]")
    yield "huge-image.pdf", pdf_with_image(b"", 100_000, 100_000, "/FlateDecode")
    yield (
        "lying-image.pdf",
        lambda: pdf_with_image(_saved(Image.new("L", (20_000, 20_000)), "JPEG"), 100, 100, "/DCTDecode"),
    )
    yield "bomb-image.pdf", lambda: pdf_with_image(_zeros(1 << 29), 100, 100, "/FlateDecode")
    yield "large-image.pdf", lambda: pdf_with_image(_zeros(13_000 * 13_000), 13_000, 13_000, "/FlateDecode")
    yield "filters.pdf", pdf_with_image(_zeros(1 << 20), 100, 100, "[" + "/FlateDecode " * 2000 + "]")
    yield "jpx.pdf", pdf_with_image(b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(99), 100, 100, "/JPXDecode")
    yield "jbig2.pdf", pdf_with_image(bytes(range(256)) * 9, 60_000, 2_000, "/JBIG2Decode")
    yield "bomb-content.pdf", lambda: one_page(stream(_zeros(1 << 29), b"/Filter /FlateDecode"))
    yield "saves.pdf", lambda: one_page(stream(zlib.compress(b"q " * 3_000_000), b"/Filter /FlateDecode"))
    yield (
        "work.pdf",
        lambda: one_page(stream(zlib.compress(b"0 0 595 842 re f " * 2_000_000), b"/Filter /FlateDecode")),
    )
    yield (
        "curves.pdf",
        lambda: one_page(
            stream(
                zlib.compress(b"0 0 m " + b"9 800 500 9 595 842 c 0 842 595 0 90 3 c " * 400_000 + b"B*"),
                b"/Filter /FlateDecode",
            )
        ),
    )
    yield (
        "form-loop.pdf",
        lambda: one_page(
            stream(b"/F Do"),
            stream(
                b"/F Do /F Do",
                b"/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources <</XObject <</F 5 0 R>>>>",
            ),
            resources=b"/XObject <</F 5 0 R>>",
        ),
    )
    doubling = [
        stream(
            b"/F Do /F Do",
            b"/Subtype /Form /BBox [0 0 595 842] /Resources <</XObject <</F %d 0 R>>>>" % (6 + n),
        )
        for n in range(28)
    ]
    yield "form-doubling.pdf", lambda: one_page(
        stream(b"/F Do"), *doubling, stream(b"0 0 9 9 re f", b"/Subtype /Form /BBox [0 0 9 9]"),
        resources=b"/XObject <</F 5 0 R>>",
    )  # fmt: skip
    yield (
        "kids-loop.pdf",
        pdf(b"<</Type /Catalog /Pages 2 0 R>>", b"<</Type /Pages /Kids [2 0 R 2 0 R] /Count 9>>"),
    )
    yield "count.pdf", pdf(b"<</Type /Catalog /Pages 2 0 R>>", b"<</Type /Pages /Kids [] /Count 2000000000>>")
    yield (
        "pages.pdf",
        lambda: pdf(
            b"<</Type /Catalog /Pages 2 0 R>>",
            b"<</Type /Pages /Kids [%s] /Count 7000>>" % (b"3 0 R " * 7000),
            b"<</Type /Page /Parent 2 0 R /MediaBox [0 0 9 9]>>",
        ),
    )
    yield "table.pdf", lambda: pdf_of_tables(1 << 30, 1)
    yield "tables.pdf", lambda: pdf_of_tables(100 << 20, 1_000)
    yield "nested.pdf", lambda: one_page(b"[" * 200_000)
    yield "nested-root.pdf", pdf(b"<</A " * 100_000)
    yield (
        "xref.pdf",
        b"%PDF-1.4\nxref\n0 4000000000\ntrailer <</Size 4000000000 /Root 1 0 R /Prev 9>>\nstartxref\n9\n%%EOF",
    )
    yield (
        "pattern.pdf",
        lambda: one_page(
            stream(b"/Pattern cs /P scn 0 0 595 842 re f"),
            stream(
                b"0 0 1 1 re f",
                b"/Type /Pattern /PatternType 1 /PaintType 1 /TilingType 1 /BBox [0 0 .01 .01] /XStep .001 /YStep .001",
            ),
            resources=b"/Pattern <</P 5 0 R>>",
        ),
    )
    yield (
        "shading.pdf",
        lambda: one_page(
            stream(b"/S sh"),
            stream(b"{" + b"dup mul " * 20_000 + b"}", b"/FunctionType 4 /Domain [0 1 0 1] /Range [0 1]"),
            resources=b"/Shading <</S <</ShadingType 1 /ColorSpace /DeviceGray /Domain [0 1 0 1] /Matrix [595 0 0 842 0 0] /Function 5 0 R>>>>",
        ),
    )


# ---------------------------------------------------------------- what teachers write


def good_templates() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((ROOT / "templates").glob("*.yaml"))}


def crafted_templates(canary: Path):
    good = (ROOT / "templates/numeric-a4.yaml").read_text()
    head = "omrgrade: 1\nname: x\ntitle: x\npage: A4\n"
    yield "tag.yaml", f"!!python/object/apply:os.system ['touch {canary}']".encode()
    yield (
        "tag-inside.yaml",
        f"{head}instructions: !!python/object/apply:os.system ['touch {canary}']\n".encode(),
    )
    laughs = "a0: &a0 [x]\n" + "".join(
        f"a{n + 1}: &a{n + 1} [{','.join([f'*a{n}'] * 9)}]\n" for n in range(9)
    )
    yield "laughs.yaml", laughs.encode()
    for name, text in {
        "nested": "[" * 60_000, "nested-map": "{a: " * 10_000, "nested-lines": "".join(" " * n + "a:\n" for n in range(300)),
        "keys": "? " * 20_000, "anchors": "&a " * 20_000, "scalar": "a" * 60_000, "quotes": '"' + "\\x41" * 15_000 + '"',
        "document": "---\n" * 10_000, "directive": "%YAML 9.9\n---\na: b\n", "merge": "<<: {omrgrade: 1}\n", "nothing": "",
        "binary": "omrgrade: !!binary " + "A" * 999, "bom": "\ufeff\ufeffomrgrade: 1", "nul": "omrgrade: 1\0\n",
        "comment": "#" * 65_000, "tabs": "\t" * 9_000 + "a: b",
    }.items():  # fmt: skip
        yield f"{name}.yaml", text.encode()
    yield "large.yaml", b"#" * 10_000_000
    for name, old, new in (
        ("range", "q1..q20", "q1..q999999999"), ("backwards", "q1..q20", "q20..q1"), ("long-range", "q1..q20", "q1..q" + "9" * 5000),
        ("infinite", "[30, 70]", "[.inf, .nan]"), ("far", "at: [", "at: [1e308, "), ("boxes", "boxes: 3", "boxes: 999999999"),
        ("step", "step: [0", "step: [1e-300"), ("name", "name: numeric-a4", "name: ../../evil"), ("html", "title: ", "title: <script>x</script>"),
    ):  # fmt: skip
        yield f"{name}.yaml", good.replace(old, new).encode()
    for name, target in (
        ("password", "/etc/passwd"),
        ("zero", "/dev/zero"),
        ("up", "../../../../etc/shadow"),
        ("folder", "."),
    ):
        part = f"registration: {{method: reference, blank: {target}}}\nfields:\n  - {{id: a, kind: choice, role: item, options: AB, at: [30, 30], size: [5, 5]}}\n"
        yield f"blank-{name}.yaml", (head + part).encode()


FORMULAS = (
    "=1+2",
    "=cmd|' /C calc'!A0",
    "+1",
    "-1+cmd",
    "@SUM(A1)",
    "\t=1",
    "＝1",
    '=HYPERLINK("http://x","y")',
)
MARKUP = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'-alert(1)-'",
    "&lt;b&gt;",
    "{{7*7}}",
    "</script>",
)


def good_tables() -> dict[str, bytes]:
    import openpyxl

    book = openpyxl.Workbook()
    for row in (("item", "answer", "points"), ("q1", 12, 1), ("q2", "007", 2.5)):
        book.active.append(row)
    out = io.BytesIO()
    book.save(out)
    roster = "student_id;name\r\n0017;Ada\r\n18;Ben\r\n"
    return {
        "key.csv": b"item,answer,points,penalty\nq1,12,1,0.5\nq2,7|8,2,\n",
        "roster.csv": roster.encode(),
        "roster16.csv": roster.encode("utf-16"),
        "key.xlsx": out.getvalue(),
    }


def _zip(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def _workbook(**parts: bytes) -> bytes:
    """The good workbook with some of its files replaced."""
    files = {}
    with zipfile.ZipFile(io.BytesIO(good_tables()["key.xlsx"])) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    names = {"strings": "xl/sharedStrings.xml", "sheet": "xl/worksheets/sheet1.xml"}
    return _zip(files | {names[part]: data for part, data in parts.items()})


def crafted_tables(canary: Path):
    entities = b"<!ENTITY a0 'ha'>" + b"".join(
        b"<!ENTITY a%d '%s'>" % (n + 1, b"&a%d;" % n * 10) for n in range(12)
    )
    xml = b"<?xml version='1.0'?><!DOCTYPE x [%s]><sst>&a12;</sst>"
    yield "laughs.xlsx", _workbook(strings=xml % entities)
    outside = b"<!ENTITY a12 SYSTEM 'file:///etc/passwd'>"
    yield "outside.xlsx", _workbook(strings=xml % outside)
    yield "bomb.xlsx", lambda: _workbook(strings=b"<sst>" + bytes(1 << 29))
    yield "bomb-sheet.xlsx", lambda: _workbook(sheet=b"<worksheet><sheetData>" + b" " * (1 << 29))
    yield "nested.xlsx", lambda: _workbook(sheet=b"<a>" * 500_000)
    yield (
        "far-row.xlsx",
        _workbook(
            sheet=b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData><row r="1048576"><c r="XFD1048576" t="n"><v>1</v></c></row></sheetData></worksheet>'
        ),
    )
    yield "names.xlsx", _zip({"../../evil": b"x", "[Content_Types].xml": b"<x/>"})
    yield "old.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(5000)
    yield (
        "formulas.csv",
        (
            "student_id,name\n" + "".join(f'{n},"{f}"\n' for n, f in enumerate(FORMULAS) if '"' not in f)
        ).encode(),
    )
    yield (
        "formula-ids.csv",
        (
            "student_id,name\n" + "".join(f"{f},x\n" for f in FORMULAS if '"' not in f and "," not in f)
        ).encode(),
    )
    yield (
        "markup.csv",
        (
            "student_id,name\n"
            + "".join(f'{n},"{m.replace(chr(34), chr(34) * 2)}"\n' for n, m in enumerate(MARKUP))
        ).encode(),
    )
    for name, data in {
        "quote": b'item,answer\n"q1,1\n' * 9000, "field": b"item,answer\nq1," + b"1" * 5_000_000, "columns": b"item,answer" + b",x" * 400_000,
        "rows": b"item,answer\n" + b"q1,1\n" * 400_000, "nul": b"item,answer\nq1,\0\n", "points": b"item,answer,points\nq1,1,1e999\n",
        "nan": b"item,answer,points\nq1,1,nan\n", "number": b"item,answer\nq1," + b"9" * 100_000, "empty": b"", "newlines": b"\n" * 3_000_000,
        "large": b"x" * 30_000_000, "separator": b"sep=\x00\nitem,answer\n", "bidi": "item,answer\nq1,\u202e12\n".encode(),
        "surrogates": b"item,answer\nq1,\xed\xa0\x80\n", "answers": b"item,answer\nq1," + b"|".join(b"%d" % n for n in range(200_000)),
        "tolerance": b"item,answer,tolerance\nq1,1,-1\n", "expression": b"item,answer\nq1,__import__('os').system('x')\n",
    }.items():  # fmt: skip
        yield f"{name}.csv", data


# ---------------------------------------------------------------- arrays, models, runs


class _Attack:
    def __init__(self, canary: Path) -> None:
        self._command = f"touch {canary}"

    def __reduce__(self):
        return os.system, (self._command,)


def good_arrays() -> dict[str, bytes]:
    out = io.BytesIO()
    np.savez_compressed(
        out, x=np.zeros((20, 30, 30), np.uint8), y=np.zeros(20, np.int64), group=np.array(["a"] * 20),
        x_train=np.zeros((9, 28, 28), np.uint8), y_train=np.zeros(9, np.uint8),
        x_test=np.zeros((9, 28, 28), np.uint8), y_test=np.zeros(9, np.uint8),
    )  # fmt: skip
    return {"boxes.npz": out.getvalue()}


def _npy(header: bytes, data: bytes = b"") -> bytes:
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header + data


def crafted_arrays(canary: Path):
    attack = np.empty(1, object)
    attack[0] = _Attack(canary)
    out = io.BytesIO()
    np.savez(out, x=attack, y=attack, group=attack)
    yield "pickle.npz", out.getvalue()
    yield "bare-pickle.npz", pickle.dumps(_Attack(canary))
    out = io.BytesIO()
    np.save(out, attack)
    yield "pickle-npy.npz", out.getvalue()
    huge = b"{'descr': '|u1', 'fortran_order': False, 'shape': (%s), }"
    for name, shape in {
        "huge": b"1000000, 1000, 1000",
        "negative": b"-1, -5",
        "overflow": b"9" * 30 + b",",
        "none": b"",
    }.items():
        yield f"{name}.npz", _zip(dict.fromkeys(("x.npy", "y.npy", "group.npy"), _npy(huge % shape)))
    yield "header.npz", _zip({"x.npy": _npy(b"__import__('os').system('touch %s')" % str(canary).encode())})
    yield "deep-header.npz", _zip({"x.npy": _npy(b"(" * 9_000)})
    yield (
        "dtype.npz",
        _zip({"x.npy": _npy(b"{'descr': [('a', '|O')], 'fortran_order': False, 'shape': (1,), }")}),
    )
    yield "bomb.npz", lambda: _zip({"x.npy": _npy(huge % b"700, 1000, 1000", bytes(700_000_000))})
    yield "names.npz", _zip({"../x.npy": b"", "/etc/y.npy": b""})
    yield "empty.npz", b""
    yield "zip64.npz", b"PK\x05\x06" + b"\xff" * 18


def good_models() -> dict[str, bytes]:
    return {name: (ROOT / "models" / name).read_bytes() for name in ("digits.json", "digits.onnx")}


def crafted_models(canary: Path):
    card = json.loads((ROOT / "models/digits.json").read_text())
    yield "nested.json", b"[" * 100_000
    yield "nested-map.json", b'{"a":' * 100_000
    yield "number.json", b"9" * 100_000
    yield "nan.json", json.dumps({**card, "temperature": float("nan")}).encode()
    yield "hash.json", json.dumps({**card, "sha256": "0" * 64}).encode()
    yield "thresholds.json", json.dumps({**card, "thresholds": {"__class__": 1}}).encode()
    yield "list.json", b"[]"
    yield "pickle.onnx", pickle.dumps(_Attack(canary))
    yield "empty.onnx", b""


def good_runs() -> dict[str, bytes]:
    import tempfile

    from omrgrade.records import FieldReading, PageReading
    from omrgrade.store import Store

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "run.sqlite")
        reading = FieldReading(field="q1", kind="digits", value="1", confidence=0.9, status="read")
        with Store.create(path) as store:
            store.add_pages(
                [PageReading(source=f"{n}.png", page=1, fields=(reading,) * 9) for n in range(40)]
            )
        return {"run.sqlite": path.read_bytes()}


def crafted_runs(canary: Path):
    yield "text.sqlite", b"no database"
    yield "header.sqlite", b"SQLite format 3\0" + bytes(99)


GOOD = {
    "scans": good_scans, "templates": good_templates, "tables": good_tables, "arrays": good_arrays,
    "models": good_models, "runs": good_runs,
}  # fmt: skip
CRAFTED = {
    "scans": crafted_scans, "templates": crafted_templates, "tables": crafted_tables, "arrays": crafted_arrays,
    "models": crafted_models, "runs": crafted_runs,
}  # fmt: skip


# ---------------------------------------------------------------- reading them


def attempt(path: Path) -> str:
    """The reason that a file was refused with, "" when it was read; anything else is raised."""
    try:
        READ[path.parent.name](path)
    except OmrgradeError as error:
        assert str(error).strip() and "\n" not in str(error)[:200]
        return str(error)
    return ""


def read_scans(path: Path) -> None:
    from omrgrade.images import find_pages, read_scan
    from omrgrade.registration import register
    from omrgrade.template import load_template

    template = load_template("numeric-a4")
    problem: OmrgradeError | None = None
    for ref in find_pages([path])[:3]:
        try:
            register(read_scan(ref), template, max_residual=1.0)
        except OmrgradeError as error:
            problem = error
    if problem:
        raise problem


def read_templates(path: Path) -> None:
    from omrgrade.template import load_template

    load_template(path)


def read_tables(path: Path) -> None:
    from omrgrade.key import load_key
    from omrgrade.roster import load_roster
    from omrgrade.template import load_template

    try:
        load_key(path, load_template("numeric-a4"))
    except OmrgradeError:
        load_roster(path)


def read_arrays(path: Path) -> None:
    from omrgrade.training.boxes import load_boxes
    from omrgrade.training.data import load_mnist

    try:
        load_boxes(path)
    except OmrgradeError:
        load_mnist(path)


def read_models(path: Path) -> None:
    from omrgrade.classify import card_from_json, load_classifier

    if path.suffix == ".json":
        card_from_json(path.read_text("utf-8", "replace"))
    else:
        path.with_suffix(".json").write_bytes((ROOT / "models/digits.json").read_bytes())
        load_classifier(path)


def read_runs(path: Path) -> None:
    from omrgrade.store import Store

    with Store.open(path) as store:
        list(store.pages(previews=True))
        store.arrange([])


READ = {
    "scans": read_scans, "templates": read_templates, "tables": read_tables, "arrays": read_arrays,
    "models": read_models, "runs": read_runs,
}  # fmt: skip
