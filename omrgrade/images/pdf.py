"""PDF pages -> grey pixels: the scanner's own picture where a page is just that, else drawn."""

from __future__ import annotations

import io
from pathlib import Path
from typing import IO, Any

import cv2
import numpy as np

from omrgrade.errors import UnreadableImageError
from omrgrade.images.pictures import Grey, check_size, decode_jpeg, is_whole_jpeg, open_image
from omrgrade.records import Limits

PDF_RENDER_DPI = 300.0
"""For PDF pages that are drawn, not scanned."""


def _open_pdf(path: Path, file: IO[bytes]) -> Any:
    """The document in an open file of that name; PDFium would leave one open that it cannot make sense of."""
    import pypdfium2

    try:
        return pypdfium2.PdfDocument(file)
    except pypdfium2.PdfiumError as error:
        if error.err_code == pypdfium2.raw.FPDF_ERR_PASSWORD:
            raise UnreadableImageError(
                "the PDF is encrypted", where=str(path), fix="save it without a password"
            ) from None
        raise UnreadableImageError(
            "the PDF is damaged", where=str(path), fix="scan or copy it again"
        ) from error


def count_pdf_pages(path: Path, file: IO[bytes]) -> int:
    """Pages of a PDF, open already; `UnreadableImageError` if damaged or encrypted."""
    with _open_pdf(path, file) as document:
        return len(document)


def read_pdf(path: Path, number: int, limits: Limits) -> tuple[Grey, float]:
    """One page: the scanner's own picture where the page is just that, else drawn at `PDF_RENDER_DPI`."""
    import pypdfium2

    with path.open("rb") as file, _open_pdf(path, file) as document:
        if not 1 <= number <= len(document):
            raise UnreadableImageError("the PDF has no such page", where=str(path), received=number)
        try:
            page = document[number - 1]
            return _page_picture(page, path, limits) or _drawn_page(page, path, limits)
        except pypdfium2.PdfiumError as error:
            raise UnreadableImageError(
                "the PDF is damaged", where=str(path), fix="scan or copy it again"
            ) from error


def _drawn_page(page: Any, path: Path, limits: Limits) -> tuple[Grey, float]:
    """The page drawn at `PDF_RENDER_DPI`, or finer (to 600) if it holds a finer picture."""
    inches = [points / 72 for points in page.get_size()]
    images = _images(page)
    for image in images:
        columns, rows = image.get_px_size()
        check_size(columns, rows, path, limits)
        _check_jpeg(image, path, limits)
    check_size(round(inches[0] * PDF_RENDER_DPI), round(inches[1] * PDF_RENDER_DPI), path, limits)
    finest = max((image.get_metadata().horizontal_dpi for image in images), default=0.0)
    affordable = (limits.megapixels * 1e6 / 4 / (inches[0] * inches[1])) ** 0.5
    dpi = max(PDF_RENDER_DPI, min(finest, 600.0, affordable))
    bitmap = page.render(scale=dpi / 72, grayscale=True)
    pixels: Grey = bitmap.to_numpy().reshape(bitmap.height, bitmap.width).copy()
    return pixels, dpi


def _images(page: Any) -> list[Any]:
    import pypdfium2.raw as pdfium

    return list(page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_IMAGE], max_depth=2))


def _page_picture(page: Any, path: Path, limits: Limits) -> tuple[Grey, float] | None:
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
    check_size(width, height, path, limits)
    _check_jpeg(image, path, limits)
    pixels, smaller = _image_pixels(image, 72 * height / d)
    # A /Decode array or a stencil mask may turn black and white; then the drawn page tells the truth.
    expected = -(-height // smaller), -(-width // smaller)
    if pixels is None or pixels.shape != expected or np.median(pixels[::16, ::16]) < 96:
        return None
    turned: Grey = np.rot90(pixels, -(page.get_rotation() // 90))
    return turned, 72 * height / d / smaller


def _check_jpeg(image: Any, path: Path, limits: Limits) -> None:
    """A JPEG in a PDF has a size of its own, which the PDF may not tell the truth about."""
    if "DCTDecode" in image.get_filters():
        with open_image(io.BytesIO(bytes(image.get_data(decode_simple=True))), path, limits):
            pass


def _is_invisible(thing: Any) -> bool:
    """Whether this is text that a scanner's text recognition laid under the picture."""
    import pypdfium2.raw as pdfium

    return bool(
        thing.type == pdfium.FPDF_PAGEOBJ_TEXT
        and pdfium.FPDFTextObj_GetTextRenderMode(thing) == pdfium.FPDF_TEXTRENDERMODE_INVISIBLE
    )


def _image_pixels(image: Any, dpi: float) -> tuple[Grey | None, int]:
    """The picture as stored, before the page scales or masks it, and how many times smaller (`decode_jpeg`).

    None if it cannot be taken out.
    """
    if image.get_filters() == ["DCTDecode"]:
        data = bytes(image.get_data())
        if not is_whole_jpeg(data):
            raise OSError("truncated")
        return decode_jpeg(data, image.get_px_size(), dpi)
    bitmap: Any = image.get_bitmap().to_numpy()
    if bitmap.ndim == 3 and bitmap.shape[2] >= 3:
        return np.asarray(cv2.cvtColor(bitmap[:, :, :3], cv2.COLOR_BGR2GRAY), np.uint8), 1
    return np.array(bitmap.reshape(bitmap.shape[:2]), np.uint8), 1
