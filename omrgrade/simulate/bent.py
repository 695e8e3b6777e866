"""Paper that does not lie flat: curled, and stretched unevenly by a feeder's rollers."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from omrgrade.placing import bend_shifts
from omrgrade.records import Bend
from omrgrade.simulate.handwriting import Grey
from omrgrade.simulate.world import Sheet

STEP = 20.0  # mm between the bend's coefficients: other than those that registration fits


def make_bend(width: float, height: float, amount: float, rng: np.random.Generator) -> Bend:
    """A bend of a page of that size, mm, that displaces its worst point by `amount` mm.

    One arch along or across the page, as of paper that was rolled or lies on a book, and a slow wave along
    the way it was fed.
    """
    columns, rows = (int(np.ceil(side / STEP)) + 3 for side in (width, height))
    x, y = np.meshgrid((np.arange(columns) - 1) * STEP, (np.arange(rows) - 1) * STEP)
    angle = rng.choice([0, np.pi / 2]) + rng.normal(0, 0.15)
    along = ((x - width / 2) * np.cos(angle) + (y - height / 2) * np.sin(angle)) / max(width, height)
    arch = np.cos(np.pi * along + rng.uniform(-0.8, 0.8))
    towards = angle + np.pi / 2 + rng.normal(0, 0.3)  # seen at a slant, an arch moves across its axis
    wave = 0.25 * np.sin(2 * np.pi * y / rng.uniform(90, 250) + rng.uniform(0, 2 * np.pi))
    shifts = np.stack([arch * np.cos(towards), arch * np.sin(towards) + wave], axis=-1).reshape(-1, 2)
    shifts -= shifts.mean(axis=0)  # what moves the whole page is no bend
    shifts *= amount / max(float(np.hypot(*shifts.T).max()), 1e-9)
    pairs = tuple((float(dx), float(dy)) for dx, dy in shifts)
    return Bend(step=STEP, columns=columns, rows=rows, shifts=pairs)


def bent_sheet(sheet: Sheet, bend: Bend) -> Sheet:
    """The sheet with its print and ink where the bend takes them; the paper's edges stay straight."""
    return replace(
        sheet, printed=_bent(sheet.printed, sheet, bend, 255), ink=_bent(sheet.ink, sheet, bend, 0)
    )


def _bent(image: Grey, sheet: Sheet, bend: Bend, outside: int) -> Grey:
    height, width = image.shape
    every = 16
    x, y = np.meshgrid(np.arange(width // every + 2.0), np.arange(height // every + 2.0))
    scale = np.array([width / sheet.width, height / sheet.height])  # px per mm
    bent = (np.stack([x, y], axis=-1) * every + 0.5) / scale
    flat = bent
    for _ in range(3):  # where on the flat page is what lies here on the bent one
        flat = bent - bend_shifts(bend, flat)
    coarse = (flat * scale - 0.5).astype(np.float32)
    finer = np.array([[1 / every, 0, 0], [0, 1 / every, 0]], np.float32)
    where = cv2.warpAffine(coarse, finer, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    return np.asarray(cv2.remap(image, where, None, cv2.INTER_LINEAR, borderValue=outside), np.uint8)
