"""Files -> scans: JPEG, PNG, multi-page TIFF and PDF (WebP and BMP come for free with Pillow)."""

from __future__ import annotations

import hashlib
import os
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from omrgrade.errors import OmrgradeError, UnreadableImageError
from omrgrade.records import PageRef, Scan

Grey = NDArray[np.uint8]

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".pdf", ".webp", ".bmp"})
MAX_PIXELS = 170_000_000
"""Pages of more are refused unread. A4 at 1200 dpi has 139 million; Pillow itself refuses beyond 179."""
TOO_LARGE = f"the picture is too large, at most {MAX_PIXELS // 1_000_000} million pixels"
SMALLER = "scan at 200 to 600 dpi"
JPEG_GREY = cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION
PDF_RENDER_DPI = 300.0
"""For PDF pages that are drawn, not scanned."""


# ---------------------------------------------------------------- finding pages


def find_pages(paths: Sequence[str | Path], *, exclude: Sequence[str | Path] = ()) -> list[PageRef]:
    """Every page in these files and folders, in the given order, folders in natural order (2 before 10).

    Folders are searched recursively for known suffixes, skipping hidden entries and what lies in `exclude`
    (an output folder inside the scans folder); files named explicitly are taken whatever they are called.
    A file that cannot be opened still counts as one page, so that it is named later with its reason.
    """
    skipped = {_absolute(path) for path in exclude}
    seen: set[str] = set()
    pages = []
    for path in paths:
        for file in _files(Path(path), skipped):
            absolute = _absolute(file)
            if absolute not in seen:
                seen.add(absolute)
                pages += [PageRef(path=str(file), page=n) for n in range(1, _count_pages(file) + 1)]
    if not pages:
        raise OmrgradeError(
            "no scans found",
            fix="name files, or folders that hold " + ", ".join(sorted(s[1:] for s in SUFFIXES)) + " files",
            received=[str(p) for p in paths],
        )
    return pages


def _absolute(path: str | Path) -> str:
    return os.path.abspath(path)  # noqa: PTH100 - resolve() would follow links, which are pages of their own


def _files(path: Path, skipped: set[str]) -> Iterator[Path]:
    if path.is_file():
        yield path
    elif not path.is_dir():
        raise OmrgradeError("no such file or folder", fix="check the spelling", received=str(path))
    else:
        found = []
        for folder, folders, names in os.walk(path):
            inside = [d for d in folders if not d.startswith(".")]
            folders[:] = [d for d in inside if _absolute(Path(folder, d)) not in skipped]
            found += [Path(folder, n) for n in names if Path(n).suffix.lower() in SUFFIXES and n[0] != "."]
        yield from sorted((f for f in found if f.is_file()), key=_natural)


def _natural(path: Path) -> list[tuple[list[tuple[int, str]], str]]:
    """A sorting key by which "page 2" comes before "page 10", folder by folder."""
    return [
        ([(int(digits or 0), text) for text, digits in re.findall(r"(\D*)(\d*)", part.casefold())], part)
        for part in path.parts
    ]


def _count_pages(path: Path) -> int:
    """Pages in a file, without decoding any; 1 if that cannot be told."""
    try:
        with path.open("rb") as file:
            head = file.read(1024)
        if b"%PDF-" in head:
            with _open_pdf(path) as document:
                return max(1, len(document))
        if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
            with _open_image(path) as image:
                return int(getattr(image, "n_frames", 1))
    except (OSError, UnreadableImageError, ValueError, SyntaxError, EOFError):
        pass
    return 1


# ---------------------------------------------------------------- reading pages


def read_scan(ref: PageRef) -> Scan:
    """Decode one page as grey pixels, upright as its file says (EXIF), transparency over white.

    Raises `UnreadableImageError` with a reason; a damaged picture is refused, never half read.
    """
    path = Path(ref.path)
    try:
        with path.open("rb") as file:
            head = file.read(1024)
        if not head:
            raise UnreadableImageError("the file is empty", fix="scan or copy it again", where=ref.path)
        if b"%PDF-" in head:
            pixels, dpi = _read_pdf(path, ref.page)
        elif head.startswith(b"\xff\xd8"):
            pixels, dpi = _read_jpeg(path)
        else:
            pixels, dpi = _read_other(path, ref.page, head)
    except MemoryError:
        raise UnreadableImageError("the page needs more memory than there is", where=ref.path) from None
    except OSError as error:
        raise UnreadableImageError(_reason(error), where=ref.path) from error
    return Scan(source=ref.path, page=ref.page, pixels=np.ascontiguousarray(pixels), dpi=dpi)


def page_digest(scan: Scan) -> str:
    """Sha256 (hex) of a scan's size and pixels: equal for the same picture in another file."""
    digest = hashlib.sha256(repr(scan.pixels.shape).encode())
    digest.update(np.ascontiguousarray(scan.pixels).data)
    return digest.hexdigest()


def _reason(error: OSError) -> str:
    if error.strerror:
        return f"cannot be opened: {error.strerror.lower()}"
    if "truncated" in str(error) or "not processed" in str(error):
        return "the picture is cut off: part of the file is missing; scan or copy it again"
    return f"the picture is damaged: {error}"


def _check_size(width: int, height: int, path: Path) -> None:
    where = str(path)
    if width < 1 or height < 1:
        raise UnreadableImageError("the picture has no pixels", where=where, received=(width, height))
    if width * height > MAX_PIXELS:
        raise UnreadableImageError(TOO_LARGE, where=where, fix=SMALLER, received=f"{width} x {height}")


@contextmanager
def _open_image(path: Path) -> Iterator[Image.Image]:
    """A picture whose header Pillow has read and whose size is within bounds; damage becomes a reason.

    Pillow gets an open file, not the path: it maps a named file into memory, and in version 13 forgets there
    to turn a TIFF on its side.
    """
    with path.open("rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a damaged tag or a large page is judged here, not on stderr
        try:
            image = Image.open(file)
            _check_size(*image.size, path)
            yield image
        except Image.DecompressionBombError:
            raise UnreadableImageError(TOO_LARGE, where=str(path), fix=SMALLER) from None
        except (ValueError, SyntaxError, EOFError, TypeError, KeyError, IndexError) as error:
            raise UnreadableImageError(f"the picture is damaged: {error}", where=str(path)) from error


def _dpi(image: Image.Image) -> float:
    """Dots per inch as the file says, 0 when it does not or when it talks nonsense."""
    try:
        dpi = float(image.info["dpi"][1])
    except (KeyError, TypeError, ValueError, IndexError, ZeroDivisionError):
        return 0.0
    return dpi if 1 <= dpi <= 10_000 else 0.0


def _read_jpeg(path: Path) -> tuple[Grey, float]:
    """Decode straight to grey with OpenCV: the luminance plane alone, three times as fast as by colour."""
    data = path.read_bytes()
    with _open_image(path) as image:
        if not _is_whole_jpeg(data):
            raise OSError("truncated")
        if image.mode == "CMYK":
            return _grey(ImageOps.exif_transpose(image)), _dpi(image)
        dpi, turn = _dpi(image), image.getexif().get(0x0112, 1)
    pixels: Any = cv2.imdecode(np.frombuffer(data, np.uint8), JPEG_GREY)
    if pixels is None:
        raise OSError("its JPEG data cannot be decoded")
    return _turn(pixels, turn), dpi


def _is_whole_jpeg(data: bytes) -> bool:
    """Whether the end marker is there; what follows it (phones append videos) does not matter.

    Walks the segments as ITU T.81 annex B lays them out, since a thumbnail carries end markers of its own.
    """
    marker = re.compile(rb"\xff+([\x01-\xcf\xd8-\xfe])")  # skips stuffed zeros and restart markers
    at = 2
    while found := marker.search(data, at):
        code, at = found[1][0], found.end()
        if code == 0xD9:
            return True
        if code not in (0x01, 0xD8):
            at += int.from_bytes(data[at : at + 2], "big")
    return False


def _turn(pixels: Grey, orientation: int) -> Grey:
    """Apply EXIF orientation 1-8: flip, then turn counter-clockwise."""
    if orientation in (2, 4, 5, 7):
        pixels = pixels[:, ::-1]
    return np.rot90(pixels, {3: 2, 4: 2, 5: 1, 6: 3, 7: 3, 8: 1}.get(orientation, 0))


def _read_other(path: Path, page: int, head: bytes) -> tuple[Grey, float]:
    try:
        with _open_image(path) as image:
            if page > 1:
                image.seek(page - 1)
                _check_size(*image.size, path)
            dpi = _dpi(image)
            image.load()  # a TIFF turns itself here
            return _grey(ImageOps.exif_transpose(image)), dpi
    except UnidentifiedImageError:
        raise UnreadableImageError(_foreign(head), where=str(path)) from None


def _foreign(head: bytes) -> str:
    """What a file is that is no picture, as far as its first bytes tell."""
    if head[4:8] == b"ftyp":
        return "a HEIC or AVIF picture, or a video; save it as JPEG"
    if head.startswith(b"PK"):
        return "an Office document or ZIP archive, not a picture; save its pages as PDF"
    if head.startswith((b"II*\0", b"MM\0*", b"\x89PNG")):
        return "the picture is damaged or cut off; scan or copy it again"
    try:
        head[:1000].decode()
    except UnicodeDecodeError as error:
        if error.start < 990:
            return "not a picture of a known kind; save it as JPEG, PNG, TIFF or PDF"
    return "a text file, not a picture" if b"\0" not in head else "not a picture of a known kind"


def _grey(image: Image.Image) -> Grey:
    """Any Pillow picture as grey 0-255: 16 bits scaled down, transparency over white, colour by luminance."""
    if image.mode.startswith("I;16"):
        return (np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8)
    if image.mode in ("I", "F"):
        raise OSError(f"pixels of kind {image.mode} are not supported; save it as 8-bit grey")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    if image.mode not in ("1", "L", "RGB"):
        image = image.convert("RGB")  # CMYK, palettes and Lab have no direct way to grey
    return np.asarray(image.convert("L"))


# ---------------------------------------------------------------- PDF


def _open_pdf(path: Path) -> Any:
    import pypdfium2

    try:
        return pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as error:
        if error.err_code == pypdfium2.raw.FPDF_ERR_PASSWORD:
            raise UnreadableImageError(
                "the PDF is encrypted", where=str(path), fix="save it without a password"
            ) from None
        raise UnreadableImageError("the PDF is damaged", where=str(path), received=str(error)) from None


def _read_pdf(path: Path, number: int) -> tuple[Grey, float]:
    """One page: the scanner's own picture where the page is just that, else drawn at `PDF_RENDER_DPI`."""
    import pypdfium2

    with _open_pdf(path) as document:
        if not 1 <= number <= len(document):
            raise UnreadableImageError("the PDF has no such page", where=str(path), received=number)
        try:
            page = document[number - 1]
            return _page_picture(page, path) or _drawn_page(page, path)
        except pypdfium2.PdfiumError as error:
            raise UnreadableImageError("the PDF is damaged", where=str(path), received=str(error)) from None


def _drawn_page(page: Any, path: Path) -> tuple[Grey, float]:
    """The page drawn at `PDF_RENDER_DPI`, or finer (to 600) if it holds a finer picture."""
    inches = [points / 72 for points in page.get_size()]
    images = _images(page)
    for image in images:
        columns, rows = image.get_px_size()
        _check_size(columns, rows, path)
    _check_size(round(inches[0] * PDF_RENDER_DPI), round(inches[1] * PDF_RENDER_DPI), path)
    finest = max((image.get_metadata().horizontal_dpi for image in images), default=0.0)
    affordable = (MAX_PIXELS / 4 / (inches[0] * inches[1])) ** 0.5
    dpi = max(PDF_RENDER_DPI, min(finest, 600.0, affordable))
    bitmap = page.render(scale=dpi / 72, grayscale=True)
    pixels: Grey = bitmap.to_numpy().reshape(bitmap.height, bitmap.width).copy()
    return pixels, dpi


def _images(page: Any) -> list[Any]:
    import pypdfium2.raw as pdfium

    return list(page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_IMAGE], max_depth=2))


def _page_picture(page: Any, path: Path) -> tuple[Grey, float] | None:
    """The one picture that fills a page, as scanners write them; None if there is more to see."""
    import pypdfium2.raw as pdfium

    objects = [thing for thing in page.get_objects(max_depth=1) if not _is_invisible(thing)]
    if (
        len(objects) != 1
        or objects[0].type != pdfium.FPDF_PAGEOBJ_IMAGE
        or pdfium.FPDFPage_GetAnnotCount(page)
    ):
        return None
    image = objects[0]
    a, b, c, d, e, f = image.get_matrix().get()
    left, bottom, right, top = page.get_bbox()
    whole = max(abs(e - left), abs(f - bottom), abs(e + a - right), abs(f + d - top)) < 0.02 * (right - left)
    if abs(b) > 1e-3 or abs(c) > 1e-3 or not whole or pdfium.FPDFPageObj_HasTransparency(image):
        return None
    width, height = image.get_px_size()
    _check_size(width, height, path)
    pixels = _image_pixels(image)
    # A /Decode array or a stencil mask may turn black and white; then the drawn page tells the truth.
    if pixels is None or pixels.shape != (height, width) or np.median(pixels[::16, ::16]) < 96:
        return None
    turned: Grey = np.rot90(pixels, -(page.get_rotation() // 90))
    return turned, 72 * height / d


def _is_invisible(thing: Any) -> bool:
    """Whether this is text that a scanner's text recognition laid under the picture."""
    import pypdfium2.raw as pdfium

    return bool(
        thing.type == pdfium.FPDF_PAGEOBJ_TEXT
        and pdfium.FPDFTextObj_GetTextRenderMode(thing) == pdfium.FPDF_TEXTRENDERMODE_INVISIBLE
    )


def _image_pixels(image: Any) -> Grey | None:
    """The picture as stored, before the page scales or masks it; None if it cannot be taken out."""
    if image.get_filters() == ["DCTDecode"]:
        data = bytes(image.get_data())
        if not _is_whole_jpeg(data):
            raise OSError("truncated")
        pixels: Any = cv2.imdecode(np.frombuffer(data, np.uint8), JPEG_GREY)
        return None if pixels is None else pixels
    bitmap = image.get_bitmap().to_numpy()
    if bitmap.ndim == 3 and bitmap.shape[2] >= 3:
        grey: Any = cv2.cvtColor(bitmap[:, :, :3], cv2.COLOR_BGR2GRAY)
        return grey  # type: ignore[no-any-return]
    return bitmap.reshape(bitmap.shape[:2]).copy()  # type: ignore[no-any-return]
