"""Barcodes on a page: QR, Code 128 and EAN, printed beforehand or stuck on.

A prefilled sheet's QR code says ``OMR1:page:template:student number``; any other text is a student number as
it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from omrgrade.records import BoxReading, Crop, Field

FORMATS = {"qr": ("QRCode", "MicroQRCode"), "code128": ("Code128",), "ean": ("EAN13", "EAN8")}
"""What a template may ask for -> formats of zxing-cpp."""
MARGIN = 2.0  # mm round a barcode's box that are looked at: it may be stuck on crookedly
SCALE = 12.0  # px/mm of its crop: 300 dpi, at which a module of 0.4 mm has 5 px
SURE = 0.9999  # of a code that was decoded: its check digits and error correction have agreed
_SOMETHING = 0.02, 30
"""Less than this share (0-1) of a box so many grey levels below its paper is nothing: not looked at, fast."""
_PRINTED = 0.08, 70
"""From this share of the box on, so much darker, something is there that should have been read."""
_SIGN = "OMR1"


@dataclass(frozen=True, kw_only=True, slots=True)
class Prefilled:
    """What a prefilled sheet's code says."""

    template: str
    page: int  # 1-based page of the pupil's sheets
    student_id: str

    def text(self) -> str:
        """As it stands in the code."""
        return f"{_SIGN}:{self.page}:{self.template}:{self.student_id}"


def prefilled(text: str) -> Prefilled | None:
    """What the code of a prefilled sheet says; None for any other code."""
    sign, _, rest = text.partition(":")
    page, _, rest = rest.partition(":")
    template, separator, student_id = rest.partition(":")
    if sign != _SIGN or not separator or not page.isdecimal() or not student_id:
        return None
    return Prefilled(template=template, page=int(page), student_id=student_id)


def read_barcode(crop: Crop, field: Field, template: str) -> BoxReading:
    """The student number in a field's barcode; `template` is the name of the page's."""
    nothing = BoxReading(value="", confidence=0.99, status="blank")
    if not _has(crop, *_SOMETHING):
        return nothing
    texts = _decode(crop, field.formats)
    if not texts:
        return _doubt("", "a barcode that cannot be read") if _has(crop, *_PRINTED) else nothing
    if len(texts) > 1:
        return _doubt("", f"several barcodes: {', '.join(texts)}")
    found = prefilled(texts[0])
    if found is None:
        return BoxReading(value=texts[0], confidence=SURE, status="read")
    if found.template != template:
        return _doubt(found.student_id, f"printed for another sheet: {found.template}")
    return BoxReading(value=found.student_id, confidence=SURE, status="read")


def template_named(crop: Crop, field: Field) -> str:
    """The template that the code of a prefilled sheet was printed for; "" without such a code."""
    texts = _decode(crop, field.formats) if _has(crop, *_SOMETHING) else []
    found = prefilled(texts[0]) if len(texts) == 1 else None
    return found.template if found else ""


def _doubt(value: str, reason: str) -> BoxReading:
    return BoxReading(value=value, confidence=0.5, status="review", reason=reason)


def _decode(crop: Crop, formats: tuple[str, ...]) -> list[str]:
    """Different texts of the codes in a crop, sorted."""
    import zxingcpp

    names = (name for form in formats for name in FORMATS[form])
    wanted = zxingcpp.BarcodeFormats([getattr(zxingcpp.BarcodeFormat, name) for name in names])
    square = [getattr(zxingcpp.BarcodeFormat, name) for name in FORMATS["qr"]]
    pixels = np.ascontiguousarray(crop.pixels)
    for smaller in (False, True):
        found = zxingcpp.read_barcodes(pixels, formats=wanted, try_downscale=smaller)
        # Shrunk bars make codes that nobody printed: their one check digit fits now and then.
        kept = [code for code in found if not smaller or code.format in square]
        if texts := sorted({text for code in kept if (text := code.text.strip())}):
            return texts
    return []


def _has(crop: Crop, share: float, darker: int) -> bool:
    """Whether at least that share of the box is so many grey levels darker than its paper."""
    inside = crop.pixels[crop.margin : -crop.margin, crop.margin : -crop.margin]
    paper = float(np.percentile(inside, 90))
    return float((inside < paper - darker).mean()) >= share
