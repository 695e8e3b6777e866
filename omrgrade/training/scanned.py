"""Boxes cut out of simulated scans: what grading meets, with digits that trained nothing.

`paper.write_box` is made to be hard, so that the network learns; a confidence fitted to it would be too low
on paper. These boxes are as pupils fill them in and scanners show them (`omrgrade.simulate`).
"""

from __future__ import annotations

from itertools import count, cycle, product

import cv2
import numpy as np
from numpy.typing import NDArray

from omrgrade.pipeline import crop_field
from omrgrade.records import Crop, Registration, Scan, Template
from omrgrade.simulate import Digits, SimulatedPage, simulate_page
from omrgrade.template import load_template
from omrgrade.training.boxes import BLANK
from omrgrade.training.data import Labelled

SHEETS = ("numeric-a4", "mixed-letter")
WORLDS = ("scanner", "photo", "copier")
EMPTY = 0.1  # share of the fields
ASIDE = 0.05  # mm: how far off, one standard deviation, registration puts a page


def scanned_boxes(digits: Labelled, number: int, *, seed: int) -> tuple[list[Crop], NDArray[np.int64]]:
    """`number` digit boxes with ink, and the empty ones between them; their truth (N,) 0-9 or BLANK."""
    hand = Digits(digits.images, digits.labels)
    crops: list[Crop] = []
    truth: list[int] = []
    for page, (world, sheet) in zip(count(), cycle(product(WORLDS, SHEETS)), strict=False):
        if sum(label != BLANK for label in truth) >= number:
            return crops, np.array(truth, np.int64)
        template = load_template(sheet)
        rng = np.random.default_rng((seed, page, 1))
        values = _values(template, np.unique(digits.labels), rng)
        made = simulate_page(template, seed=(seed, page), profile=world, values=values, digits=hand)
        for crop, label in _boxes(made, template, rng):
            crops.append(crop)
            truth.append(label)
    raise AssertionError  # pages never end


def _values(template: Template, known: NDArray[np.int64], rng: np.random.Generator) -> dict[str, str]:
    """One of the known digits for every digit box; one field in ten is left empty."""
    return {
        field.id: "".join(map(str, rng.choice(known, size=len(field.boxes))))
        for field in template.fields
        if field.kind == "digits" and rng.random() > EMPTY
    }


def _boxes(made: SimulatedPage, template: Template, rng: np.random.Generator) -> list[tuple[Crop, int]]:
    """Digit boxes of one page with what was written into them."""
    grey = made.image if made.image.ndim == 2 else cv2.cvtColor(made.image, cv2.COLOR_BGR2GRAY)
    scan = Scan(source="", page=1, pixels=grey, dpi=0)
    shifted = np.array(made.page_to_scan) @ np.array(
        [[1, 0, rng.normal(0, ASIDE)], [0, 1, rng.normal(0, ASIDE)], [0, 0, 1]]
    )
    rows = [(float(a), float(b), float(c)) for a, b, c in shifted]
    place = Registration(
        page_to_scan=(rows[0], rows[1], rows[2]), residual=0, rotation=0, method="known", landmarks=0
    )
    boxes: list[tuple[Crop, int]] = []
    for field in template.fields:
        if field.kind != "digits":
            continue
        value = made.truth[field.id]
        labels = [int(digit) for digit in value] or [BLANK] * len(field.boxes)
        boxes += zip(crop_field(scan, place, field), labels, strict=True)
    return boxes
