"""File names for what is written a page: safe on any system, unique, the same in every run."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from pathlib import PurePath

from omrgrade.records import SheetMarks

_LONGEST = 120  # bytes; systems allow 255
_ENDINGS = re.compile(r"\.(jpe?g|png|tiff?|pdf|heic|bmp|webp)$", re.IGNORECASE)


def file_names(pages: Iterable[SheetMarks]) -> list[str]:
    """A JPEG's name a page, from the page's source and number; pages: their rows of marks."""
    names: list[str] = []
    used: set[str] = set()
    for page in pages:
        stem = f"{_safe(page.source)}-p{page.page}"
        name, n = stem, 2
        while name.casefold() in used:
            name, n = f"{stem}-{n}", n + 1
        used.add(name.casefold())
        names.append(f"{name}.jpg")
    return names


def _safe(source: str) -> str:
    path = PurePath(source)
    parts = [path.name] if path.is_absolute() else path.parts
    text = unicodedata.normalize("NFC", "_".join(part for part in parts if part not in ("..", ".")))
    text = re.sub(r"[^\w.-]+", "_", _ENDINGS.sub("", text))
    end = text.encode()[-_LONGEST:].decode(errors="ignore")  # the end of a path tells pages apart
    return end.strip("._-") or "page"
