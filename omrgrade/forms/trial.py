"""Whether pages are found by what a template says: tried on the blank form, askew as a scanner has it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from omrgrade.errors import TemplateError
from omrgrade.forms.blank import PX_PER_MM, Blank
from omrgrade.records import Scan
from omrgrade.registration import survey
from omrgrade.template import load_template

SKEW = 2.0  # degrees
PX = 6.0  # px per mm, of 150 dpi
NEAR = 0.4  # mm: the residual, and how far any box may be off


def finds_its_page(blank: Blank, text: str, files: Mapping[str, bytes]) -> bool:
    """Whether the template (YAML, with the files it names) finds the blank form, laid askew, where it is."""
    scan, page_to_scan = _askew(blank)
    with TemporaryDirectory() as folder:
        for name, data in files.items():
            Path(folder, name).write_bytes(data)
        path = Path(folder, "trial.yaml")
        path.write_text(text, encoding="utf-8")
        try:
            template = load_template(path)
        except TemplateError:
            return False
    found = survey(scan, template, max_residual=NEAR)
    if found.refusal is not None:
        return False
    boxes = np.array([box.centre for field in template.fields for box in field.boxes])
    there = np.column_stack([boxes, np.ones(len(boxes))]) @ page_to_scan.T
    return bool(np.hypot(*(found.fits[0].pose(boxes) - there[:, :2]).T).max() < NEAR * PX)


def _askew(blank: Blank) -> tuple[Scan, np.ndarray]:
    """The form on a scanner's glass, and the matrix that maps its mm -> px."""
    turn = cv2.getRotationMatrix2D((blank.width / 2 * PX, blank.height / 2 * PX), SKEW, 1.0)
    to_px = np.vstack([turn, [0, 0, 1]]) @ np.diag([PX, PX, 1])
    to_px[:2, 2] -= 0.5  # px have their middles at whole numbers
    size = round(blank.width * PX), round(blank.height * PX)
    own = np.array([[1 / PX_PER_MM, 0, 0.5 / PX_PER_MM], [0, 1 / PX_PER_MM, 0.5 / PX_PER_MM], [0, 0, 1]])
    soft = cv2.GaussianBlur(blank.pixels, (0, 0), PX_PER_MM / PX / 2)
    pixels = cv2.warpPerspective(soft, to_px @ own, size, flags=cv2.INTER_LINEAR, borderValue=235)
    return Scan(source=blank.source, page=1, pixels=np.asarray(pixels, np.uint8), dpi=PX * 25.4), to_px
