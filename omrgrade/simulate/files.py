"""A simulated class on disk: images, key, roster, truth."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
from PIL import Image

from omrgrade.records import Pupil
from omrgrade.simulate.pupils import Answers
from omrgrade.simulate.world import Capture


def save_capture(capture: Capture, stem: Path) -> Path:
    """Write the image in its profile's format; returns its path."""
    pixels = capture.image if capture.image.ndim == 2 else cv2.cvtColor(capture.image, cv2.COLOR_BGR2RGB)
    image = Image.fromarray(pixels)
    if capture.bilevel:
        image = image.convert("1", dither=Image.Dither.NONE)
    options: dict[str, Any] = {"dpi": (capture.dpi, capture.dpi)} if capture.dpi else {}
    if capture.suffix == ".jpg":
        options["quality"] = capture.quality
    elif capture.suffix == ".tif":
        options["compression"] = "group4"
    path = stem.with_suffix(capture.suffix)
    image.save(path, **options)
    return path


def write_key(path: Path, key: Answers) -> None:
    """``item,answer,points``; marks that belong together are joined by "+"."""
    _write_csv(path, ("item", "answer", "points"), ((item, "+".join(a), "1") for item, a in key.items()))


def write_roster(path: Path, roster: list[Pupil]) -> None:
    """``student_id,name``, sorted by name as teachers' lists are."""
    rows = sorted((pupil.name, pupil.student_id) for pupil in roster)
    _write_csv(path, ("student_id", "name"), ((number, name) for name, number in rows))


def write_truth(path: Path, truths: Iterable[tuple[str, int, dict[str, str]]]) -> None:
    """``source,page,field,value``: what stands in every field of every page."""
    rows = (
        (source, str(page), name, value) for source, page, truth in truths for name, value in truth.items()
    )
    _write_csv(path, ("source", "page", "field", "value"), rows)


def _write_csv(path: Path, header: tuple[str, ...], rows: Iterable[Sequence[str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
