"""A page that could not be read, read again: with another template, or where a person shows its corners."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from omrgrade.classify import load_classifier
from omrgrade.corrections import Rereading
from omrgrade.errors import OmrgradeError, PageError
from omrgrade.images import page_digest, read_scan
from omrgrade.pipeline import policy_for, read_page
from omrgrade.records import PageReading, PageRef, Policy, Scan, Template
from omrgrade.registration.byhand import COUNT, reference_points
from omrgrade.review.desk import Desk
from omrgrade.review.pictures import Pictures
from omrgrade.template import bundled_templates, load_template

OWN = ""
"""The name under which the page knows the run's own template."""


def templates_offered(desk: Desk) -> list[dict[str, Any]]:
    """The run's template and those that come with omrgrade, each with where its corners lie on its page."""
    own = desk.run.template
    mine = [_offer(t.name, t) for t in own.pages] or [_offer(OWN, own)]
    known = {own.digest, *(page.digest for page in own.pages)}
    others = [load_template(name) for name in bundled_templates()]
    return [*mine, *(_offer(t.name, t) for t in others if t.digest not in known)]


def _offer(name: str, template: Template) -> dict[str, Any]:
    size = np.array([template.page_width, template.page_height])
    shares = (reference_points(template) / size).round(4).tolist()
    squares = len(template.fiducials.boxes) == COUNT
    return {"name": name, "title": template.title, "corners": shares, "squares": squares}


def read_by_hand(desk: Desk, pictures: Pictures, n: int, name: str, corners: Any) -> tuple[Rereading, str]:
    """Read page `n` again; what it says, and how that came about in words. `PageError` if that fails too.

    corners: as `reference_points`, shares (0-1) of the page's picture, or None to search for them.
    """
    template = desk.run.template if name == OWN else _named(desk, name)
    sheet, _ = desk.sheet(n)
    scan = _scan(sheet, pictures.page(n))
    shown = _checked(corners, scan) if corners is not None else ()
    classifier = load_classifier(desk.run.model or None)
    settings = desk.run.info.settings.get("policy")
    policy = Policy(**settings) if settings else policy_for(classifier)
    page = read_page(scan, template, classifier=classifier, policy=policy, corners=shown)
    if page.problem:
        raise PageError(page.problem)
    how = "corners shown by hand" if shown else "read again"
    return Rereading(page=page, template=template), how if name == OWN else f"{how}, template {name}"


def _named(desk: Desk, name: str) -> Template:
    """A page of the run's set, or a bundled template."""
    if own := [page for page in desk.run.template.pages if page.name == name]:
        return own[0]
    if name not in bundled_templates():
        raise OmrgradeError("there is no such template", received=name)
    return load_template(name)


def _scan(sheet: PageReading, picture: bytes) -> Scan:
    """The scan itself if it is still where it was, else its picture in the run's file."""
    if sheet.digest and Path(sheet.source).is_file():  # else it could not be opened, or crashed its worker
        try:
            scan = read_scan(PageRef(path=sheet.source, page=sheet.page))
            if page_digest(scan) == sheet.digest:
                return scan
        except PageError:
            pass
    pixels = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_GRAYSCALE) if picture else None
    if pixels is None:
        raise PageError("there is no picture of this page", where=sheet.source, fix="scan it again")
    return Scan(source=sheet.source, page=sheet.page, pixels=pixels, dpi=0)


def _checked(corners: Any, scan: Scan) -> list[tuple[float, float]]:
    """Shares of a picture, as they came from the browser, as px of the scan."""
    height, width = scan.pixels.shape
    try:
        points = [(float(x) * width - 0.5, float(y) * height - 0.5) for x, y in corners]
        sensible = len(points) == COUNT and all(abs(v) < 1e6 for point in points for v in point)
    except (TypeError, ValueError):
        sensible = False
    if not sensible:
        raise OmrgradeError("four corners are needed", received=corners)
    return points
