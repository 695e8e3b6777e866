"""Pages for the benchmarks: A4, 64 digit boxes and 40 bubbles, every box written in, as scanners file them.

    python tests/benchmarks/pages.py FOLDER --pages 300

A few sheets are filled by the simulator; each page is one of them laid on the glass anew, so that no two
files are alike and thousands are made in minutes. Beside the scans: `sheet.yaml`, `key.csv`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from omrgrade.records import Template
from omrgrade.simulate import simulate_page
from omrgrade.template import load_template

SHEET = """\
omrgrade: 1
name: benchmark-a4
title: Benchmark
page: A4
registration: {method: aruco, dictionary: 4x4_50, ids: [0, 1, 2, 3], size: 9, margin: 9}
fields:
  - {id: student_id, kind: digits, role: identifier, label: Number,
     boxes: 4, at: [67, 30], size: [10, 12], gap: 3.2}
  - {id: q1..q20, kind: digits, role: item, boxes: 3, at: [30, 50], size: [10, 12], gap: 3.2,
     step: [0, 16.5], wrap: {after: 10, step: [91, 0]}}
  - {id: c1..c10, kind: choice, role: item, options: [A, B, C, D], at: [40, 222], size: [5, 5], gap: 4,
     step: [0, 9], wrap: {after: 5, step: [91, 0]}}
"""
SHEETS = 8  # filled ones, of which all pages are made
FORMATS = ("jpg", "png", "pdf")
PDF_PAGES = 10  # a file


def make_pages(
    folder: Path, count: int, *, seed: int = 1, dpi: int = 300, colour: bool = False
) -> tuple[Path, list[Path]]:
    """Write `count` pages, a third of each format; returns the template's path and the files' in order."""
    scans = folder / "scans"
    scans.mkdir(parents=True, exist_ok=True)
    path = folder / "sheet.yaml"
    path.write_text(SHEET, encoding="utf-8")
    template = load_template(path)
    items = [(field.id, "123" if field.kind == "digits" else "A") for field in template.items]
    (folder / "key.csv").write_text(
        "item,answer,points\n" + "".join(f"{item},{answer},1\n" for item, answer in items), encoding="utf-8"
    )
    rng = np.random.default_rng(seed)
    sheets = [_filled(template, rng, n) for n in range(min(SHEETS, count))]
    files: list[Path] = []
    pdf: list[Image.Image] = []
    for n in range(count):
        kind = FORMATS[n % len(FORMATS)]
        page = Image.fromarray(_laid_anew(sheets[n % len(sheets)], rng, dpi, colour=colour))
        stem = scans / f"{n:06d}"
        if kind == "jpg":
            files.append(stem.with_suffix(".jpg"))
            page.save(files[-1], quality=85, dpi=(dpi, dpi))
        elif kind == "png":
            files.append(stem.with_suffix(".png"))
            bits = page.convert("L").point(lambda grey: 255 * (grey > 170))
            bits.convert("1", dither=Image.Dither.NONE).save(files[-1], dpi=(dpi, dpi))
        else:
            pdf.append(page)
        if pdf and (len(pdf) == PDF_PAGES or n + len(FORMATS) >= count):
            files.append(stem.with_suffix(".pdf"))
            pdf[0].save(files[-1], save_all=True, append_images=pdf[1:], resolution=dpi, quality=85)
            pdf = []
    return path, files


def _filled(template: Template, rng: np.random.Generator, seed: int) -> np.ndarray:
    """One sheet with something in every box, (h, w) grey, 300 dpi, straight."""
    values = {
        field.id: "".join(map(str, rng.integers(0, 10, len(field.boxes))))
        if field.kind == "digits"
        else str(rng.choice(field.options))
        for field in template.fields
    }
    return simulate_page(template, seed=seed, profile="clean", values=values).image


def _laid_anew(sheet: np.ndarray, rng: np.random.Generator, dpi: int, *, colour: bool) -> np.ndarray:
    """A sheet as a scanner sees it: a little askew, blurred, on greyish paper, with noise."""
    scale = dpi / 300
    size = round(sheet.shape[1] * scale), round(sheet.shape[0] * scale)
    turn = cv2.getRotationMatrix2D((sheet.shape[1] / 2, sheet.shape[0] / 2), rng.normal(0, 0.4), 1)
    turn[:, 2] += rng.uniform(-8, 8, 2)
    soft = cv2.GaussianBlur(cv2.warpAffine(sheet, turn * scale, size, borderValue=255), (0, 0), 0.7 * scale)
    page = cv2.convertScaleAbs(soft, alpha=(245 - 30) / 255, beta=30)
    tile = rng.normal(0, 2.5, (512, 512)).astype(np.int8)
    noise = np.tile(tile, (size[1] // 512 + 1, size[0] // 512 + 1))[: size[1], : size[0]]
    noisy = np.clip(page.astype(np.int16) + noise, 0, 255).astype(np.uint8)
    return cv2.merge([noisy, noisy, cv2.convertScaleAbs(noisy, alpha=0.96)]) if colour else noisy


def main() -> None:
    """Write the pages."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pages", type=int, default=300)
    parser.add_argument("--dpi", type=int, default=300)
    parser.add_argument("--colour", action="store_true")
    options = parser.parse_args()
    template, files = make_pages(options.folder, options.pages, dpi=options.dpi, colour=options.colour)
    print(f"{len(files)} files in {options.folder}, template {template}")


if __name__ == "__main__":
    main()
