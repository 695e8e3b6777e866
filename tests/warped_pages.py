"""Filled pages under the faults of scanners and phones, with the place of every box known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np

from omrgrade.placing import bend_shifts, place, project
from omrgrade.records import Bend, Fiducials, Rect, Registration, Scan, Template
from omrgrade.render import render_page
from omrgrade.simulate import simulate_page
from omrgrade.template import load_template

METHODS = ("aruco", "square", "circle", "cross", "picture", "timing", "reference", "page")
"""Ways in which bundled templates are printed here; four of them are kinds of the method `corners`."""


def with_method(name: str, method: str) -> Template:
    """A bundled template as it would be printed for another method, marks where its ArUco markers are."""
    template = load_template(name)
    boxes = template.fiducials.boxes
    if method == "aruco":
        return template
    if method == "page":
        return replace(template, fiducials=Fiducials(method="page"))
    if method == "reference":
        plain = replace(template, fiducials=Fiducials(method="page"))
        blank = bytes(cv2.imencode(".png", render_page(plain, 200))[1])
        return replace(template, fiducials=Fiducials(method="reference", picture=blank))
    if method == "timing":
        count = int((template.page_height - 40) // 8)
        marks = [
            Rect(x=x, y=20.0 + 8 * n, width=4.0, height=2.0)
            for x in (6.0, template.page_width - 10)
            for n in range(count)
        ]
        fiducials = Fiducials(method="timing", boxes=tuple(marks), tracks=(count, count))
        return replace(template, fiducials=fiducials)
    marks = [Rect(x=b.centre[0] - 3, y=b.centre[1] - 3, width=6, height=6) for b in boxes]
    picture = target() if method == "picture" else b""
    return replace(
        template, fiducials=Fiducials(method="corners", marker=method, boxes=tuple(marks), picture=picture)
    )


def target() -> bytes:
    """A marker's picture: a ring round a triangle, so that it looks different at every turn."""
    picture = np.full((120, 120), 255, np.uint8)
    cv2.circle(picture, (60, 60), 54, 0, 12, cv2.LINE_AA)
    cv2.fillPoly(picture, [np.array([(60, 24), (88, 78), (32, 78)])], 0, cv2.LINE_AA)
    return bytes(cv2.imencode(".png", picture)[1])


@dataclass(frozen=True, kw_only=True)
class Condition:
    """What happens to a page."""

    photo: bool = False  # whether it counts with the photos
    angle: float = 0.0  # degrees
    spread: float = 2.0  # degrees by which the angle varies
    tilt: float = 0.0  # degrees that a phone is held off the vertical
    dpi: float = 200.0
    rim: float = 0.0  # mm of ground round the page
    ground: int = 245  # grey of the ground
    shift: float = 0.0  # mm that the page is fed off, its edge cut
    bent: float = 0.0  # mm
    bilevel: bool = False
    jpeg: int = 75
    shadow: bool = False
    marred: str = ""  # covered, torn, scribbled: one marker, or where one would be


CONDITIONS: dict[str, Condition] = {
    "as it is": Condition(),
    "quarter turn": Condition(angle=90),
    "upside down": Condition(angle=180),
    "skewed right": Condition(angle=15, rim=40),
    "skewed left": Condition(angle=-15, rim=40),
    "100 dpi": Condition(dpi=100),
    "600 dpi": Condition(dpi=600),
    "1-bit": Condition(bilevel=True, jpeg=0),
    "JPEG 30": Condition(jpeg=30),
    "fed 10 mm off": Condition(shift=10.0),
    "marker covered": Condition(marred="covered"),
    "marker torn off": Condition(marred="torn"),
    "marker scribbled on": Condition(marred="scribbled"),
    "stretched 2 mm": Condition(bent=2.0),
    "30 degrees off": Condition(photo=True, tilt=30, rim=60, spread=8, ground=70),
    "shadow": Condition(photo=True, tilt=10, rim=40, spread=8, ground=110, shadow=True),
    "curled 4 mm": Condition(photo=True, tilt=12, rim=40, spread=8, ground=70, bent=4.0),
}


@dataclass(frozen=True, kw_only=True)
class WarpedPage:
    """A page and its truth."""

    template: Template
    pixels: np.ndarray  # (h, w) uint8
    page_to_scan: np.ndarray  # (3, 3) page mm -> px
    bend: Bend | None

    @property
    def scan(self) -> Scan:
        return Scan(source="scan.jpg", page=1, pixels=np.ascontiguousarray(self.pixels), dpi=0)

    def worst_box(self, found: Registration) -> float:
        """mm by which the worst corner of any box is displaced; the place of a barcode is none."""
        boxes = [box for made in self.template.fields if made.kind != "barcode" for box in made.boxes]
        xy = [(x, y) for b in boxes for x in (b.x, b.right) for y in (b.y, b.bottom)]
        corners = np.array(xy)
        seen = project(np.linalg.inv(self.page_to_scan), place(found, corners))
        return float(np.hypot(*(seen - corners - bend_shifts(self.bend, corners)).T).max())


def warped_page(template: Template, condition: Condition, seed: int) -> WarpedPage:
    """One filled page under a condition; the same arguments give the same page."""
    rng = np.random.default_rng((seed, 7))
    made = simulate_page(template, seed=seed, profile="clean", turn=0, bent=condition.bent)
    page, from_page = made.image, np.array(made.page_to_scan)
    page = _marred(page, template, from_page, condition.marred, rng)
    matrix, size = _pose(template, condition, rng)
    if condition.dpi < 300:
        page = cv2.GaussianBlur(page, (0, 0), 0.45 * 300 / condition.dpi)
    ground = condition.ground
    image = cv2.warpPerspective(page, matrix @ np.linalg.inv(from_page), size, borderValue=ground)
    image = cv2.GaussianBlur(image, (0, 0), 0.7).astype(np.float32) * 0.85 + 18
    if condition.shadow:
        image *= _shadow(size, rng)[..., None] if image.ndim == 3 else _shadow(size, rng)
    image = np.clip(image + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8)
    if condition.bilevel:
        image = np.where(image > 150, 255, 0).astype(np.uint8)
    if condition.jpeg:
        code = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, condition.jpeg])[1]
        image = cv2.imdecode(code, cv2.IMREAD_GRAYSCALE)
    return WarpedPage(template=template, pixels=image, page_to_scan=matrix, bend=made.bend)


def other_papers(count: int, seed: int) -> Iterator[np.ndarray]:
    """Pages (h, w) uint8 that are no sheet: text, tables, ruled and blank paper, blurs as photos have."""
    for n in range(count):
        rng = np.random.default_rng((seed, n))
        page = np.full((1754, 1240), int(rng.integers(200, 250)), np.uint8)
        kind = ("text", "table", "ruled", "blank", "blur")[n % 5]
        if kind == "text":
            for y in range(120, 1640, int(rng.integers(26, 44))):
                words = "".join(chr(int(c)) for c in rng.integers(97, 123, int(rng.integers(20, 60))))
                cv2.putText(page, words, (110, y), cv2.FONT_HERSHEY_SIMPLEX, 0.8, 30, 2)
        elif kind == "table":
            across, down = int(rng.integers(40, 160)), int(rng.integers(30, 90))
            for y in range(150, 1500, down):
                for x in range(100, 1100, across):
                    cv2.rectangle(page, (x, y), (x + across - 8, y + down - 8), 60, 2)
        elif kind == "ruled":
            step = int(rng.integers(30, 60))
            page[::step], page[:, ::step] = 120, 120
        elif kind == "blur":
            small = rng.integers(0, 255, (60, 40), dtype=np.uint8)
            page = cv2.resize(small, (1240, 1754), interpolation=cv2.INTER_CUBIC)
        yield np.clip(page + rng.normal(0, 3, page.shape), 0, 255).astype(np.uint8)


def _pose(
    template: Template, condition: Condition, rng: np.random.Generator
) -> tuple[np.ndarray, tuple[int, int]]:
    """Page mm -> px, and the picture's size."""
    width, height = template.page_width, template.page_height
    angle = np.radians(condition.angle + rng.uniform(-1, 1) * condition.spread)
    c, s = np.cos(angle), np.sin(angle)
    middle = np.array([[1, 0, -width / 2], [0, 1, -height / 2], [0, 0, 1]])
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    lean = np.eye(3)
    if condition.tilt:
        tilt, towards = np.radians(condition.tilt), rng.uniform(0, 2 * np.pi)
        distance = 1.5 * height  # mm from the lens
        axis = np.array([np.cos(towards), np.sin(towards)])
        flat = np.eye(2) - (1 - np.cos(tilt)) * np.outer(axis, axis)
        lean[:2, :2] = flat
        lean[2, :2] = np.sin(tilt) * axis / distance
    if round(condition.angle / 90) % 2:
        width, height = height, width
    rim, scale = condition.rim, condition.dpi / 25.4
    shift = condition.shift * np.array([(1, 0), (-1, 0), (0, 1), (0, -1)][int(rng.integers(4))])
    size = (round((width + 2 * rim) * scale), round((height + 2 * rim) * scale))
    put = np.array([
        [scale, 0, size[0] / 2 - 0.5 + shift[0] * scale],
        [0, scale, size[1] / 2 - 0.5 + shift[1] * scale],
        [0, 0, 1],
    ])  # fmt: skip
    matrix = put @ lean @ turn @ middle
    return matrix / matrix[2, 2], size


def _marred(
    page: np.ndarray, template: Template, to_px: np.ndarray, how: str, rng: np.random.Generator
) -> np.ndarray:
    """The page with one corner's marker covered, torn off or scribbled on."""
    if not how:
        return page
    page = page.copy()
    corner = int(rng.integers(4))
    box = with_method(template.name, "aruco").fiducials.boxes[corner]
    if how == "covered":
        quad = [(box.x - 2, box.y - 2), (box.right + 2, box.y - 2), (box.right + 2, box.bottom + 2)]
        quad.append((box.x - 2, box.bottom + 2))
        cv2.fillPoly(page, [np.round(project(to_px, np.array(quad))).astype(np.int32)], 120)
    elif how == "torn":
        x = 0 if box.x < template.page_width / 2 else template.page_width
        y = 0 if box.y < template.page_height / 2 else template.page_height
        far_x, far_y = box.centre[0] * 2 - x, box.centre[1] * 2 - y
        far = [(x, y), (x + 1.7 * (far_x - x), y), (x, y + 1.7 * (far_y - y))]
        cv2.fillPoly(page, [np.round(project(to_px, np.array(far))).astype(np.int32)], 245)
    else:
        turns = np.linspace(0, 9 * np.pi, 60)
        reach = 0.55 * box.width
        line = np.array(box.centre) + reach * np.stack(
            [np.cos(turns) * np.cos(turns / 7), np.sin(turns * 0.83)], axis=1
        )
        points = np.round(project(to_px, line) * 16).astype(np.int32)
        cv2.polylines(page, [points], False, 40, 6, cv2.LINE_AA, 4)
    return page


def _shadow(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A hand's shadow with a soft edge across the picture: what is left of the light."""
    x, y = np.meshgrid(np.linspace(-1, 1, size[0]), np.linspace(-1, 1, size[1]))
    angle = rng.uniform(0, 2 * np.pi)
    along = np.cos(angle) * x + np.sin(angle) * y
    return (1 - 0.5 / (1 + np.exp(-(along - rng.uniform(-0.3, 0.3)) / 0.04))).astype(np.float32)
