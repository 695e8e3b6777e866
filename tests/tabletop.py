"""Photos as teachers take them: a sheet on a table, at a slant, with all that lies about, its truth known.

Paper is a surface in space (curled, folded), seen by a phone's lens from as near as it must be to fill the
picture; so perspective is stronger, and print is displaced more unevenly, than `warped_pages` makes it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from omrgrade.placing import place
from omrgrade.records import Registration, Scan, Template
from omrgrade.simulate import simulate_page

LONG_SIDE = 2400  # px of a photo
LENS = 0.78  # focal length of a phone's main camera, in parts of the picture's long side

TABLES = ("dark wood", "light wood", "cloth", "grey", "white")


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a photo is of."""

    tilt: float = 15.0  # degrees that the phone is held off the vertical
    table: str = "dark wood"
    turn: float = 0.0  # degrees, beside a few at random
    fills: float = 0.85  # of the picture's height, about
    curl: float = 4.0  # mm by which the paper rises
    folds: int = 0
    shadow: bool = False
    finger: bool = False  # a thumb lies over an edge
    beside: str = ""  # "same", "other": part of a further sheet is in the picture
    hidden: bool = False  # a pencil lies across the sheet


SETTINGS: dict[str, Setting] = {
    "from above": Setting(tilt=4),
    "light wood": Setting(table="light wood"),
    "white table": Setting(table="white", shadow=True),
    "grey table": Setting(table="grey"),
    "cloth": Setting(table="cloth", curl=6),
    "30 degrees off": Setting(tilt=30, fills=0.75),
    "upside down": Setting(turn=180, tilt=20),
    "lying across": Setting(turn=90, fills=0.62),
    "shadow": Setting(shadow=True),
    "thumb": Setting(finger=True, table="light wood"),
    "folded twice": Setting(folds=2, curl=3),
    "sheet beside it": Setting(beside="same", fills=0.7),
    "paper beside it": Setting(beside="other", fills=0.7, table="light wood"),
    "pencil on it": Setting(hidden=True),
    "everything": Setting(
        tilt=22, table="light wood", folds=1, shadow=True, finger=True, beside="same", fills=0.7
    ),
}


@dataclass(frozen=True, kw_only=True)
class Photo:
    """A photo and its truth."""

    template: Template
    pixels: np.ndarray  # (h, w) uint8
    shown: Surface

    @property
    def scan(self) -> Scan:
        """As the reader gets it."""
        return Scan(source="photo.jpg", page=1, pixels=self.pixels, dpi=0)

    def worst_box(self, found: Registration) -> float:
        """mm by which the worst corner of any box is displaced; the place of a barcode is none."""
        boxes = [box for made in self.template.fields if made.kind != "barcode" for box in made.boxes]
        corners = np.array([(x, y) for b in boxes for x in (b.x, b.right) for y in (b.y, b.bottom)])
        truth, step = self.shown(corners), 0.5
        # px -> mm by how far apart the picture shows points that are `step` mm from each corner
        across, down = ((self.shown(corners + move) - truth) / step for move in ((step, 0), (0, step)))
        off = place(found, corners) - truth
        area = across[:, 0] * down[:, 1] - across[:, 1] * down[:, 0]
        x = (off[:, 0] * down[:, 1] - off[:, 1] * down[:, 0]) / area
        y = (across[:, 0] * off[:, 1] - across[:, 1] * off[:, 0]) / area
        return float(np.hypot(x, y).max())


class Surface:
    """Paper in space as a camera sees it: page mm -> px of the photo."""

    def __init__(
        self, size: tuple[float, float], setting: Setting, matrix: np.ndarray, rng: np.random.Generator
    ):
        self.size, self.matrix = np.array(size), matrix
        way = rng.uniform(0, np.pi)
        self.way = np.array([np.cos(way), np.sin(way)])
        self.curl, self.phase = setting.curl * rng.uniform(0.5, 1), rng.uniform(0, 2 * np.pi)
        down = rng.random() < 0.7  # letters are folded in three, rarely along
        self.along = 1 if down else 0
        self.folds = np.sort(rng.uniform(0.25, 0.75, setting.folds)) * self.size[self.along]
        self.steep = rng.uniform(0.03, 0.06, setting.folds) * rng.choice([-1, 1], setting.folds)

    def height(self, points: np.ndarray) -> np.ndarray:
        """mm over the table, of page points (..., 2) mm."""
        wave = (points - self.size / 2) @ self.way / float(self.size.max())
        rise = self.curl * np.sin(3.5 * wave + self.phase)
        for at, steep in zip(self.folds, self.steep, strict=True):
            rise = rise + steep * np.abs(points[..., self.along] - at)
        return np.asarray(rise)

    def shade(self, points: np.ndarray) -> np.ndarray:
        """How bright paper is, 1 where it lies flat."""
        light = np.ones(points.shape[:-1])
        for at, steep in zip(self.folds, self.steep, strict=True):
            off = points[..., self.along] - at
            light += 1.5 * steep * np.sign(off) - 0.25 * np.exp(-((off / 0.5) ** 2))
        wave = (points - self.size / 2) @ self.way / float(self.size.max())
        return light + 0.01 * self.curl * np.cos(3.5 * wave + self.phase)

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Page points (..., 2) mm -> photo px."""
        flat = points - self.size / 2
        space = np.stack([flat[..., 0], flat[..., 1], self.height(points), np.ones(flat.shape[:-1])], axis=-1)
        seen = space @ self.matrix.T
        return np.asarray(seen[..., :2] / seen[..., 2:])


def take_photo(template: Template, setting: Setting, seed: int) -> Photo:
    """A photo of a filled page; the same arguments give the same photo."""
    rng = np.random.default_rng((seed, 11))
    made = simulate_page(template, seed=seed, profile="clean", turn=0)
    size = (template.page_width, template.page_height)
    shape = (LONG_SIDE, round(LONG_SIDE * 0.75))
    if rng.random() < 0.1 or round(setting.turn / 90) % 2:
        shape = shape[::-1]
    camera = _camera(size, setting, shape, rng)
    photo = _table(setting.table, shape, rng)
    if setting.beside:
        photo = _beside(photo, made.image, template, setting, camera, rng)
    surface = Surface(size, setting, camera, rng)
    photo = _laid(photo, _grey(made.image), np.array(made.page_to_scan), surface)
    if setting.hidden:
        photo = _pencil(photo, surface, rng)
    if setting.finger:
        photo = _thumb(photo, surface, rng)
    photo = _lit(photo, setting, rng)
    blur = rng.uniform(0.5, 1.1)
    photo = cv2.GaussianBlur(photo, (0, 0), blur) + rng.normal(0, rng.uniform(2, 6), shape)
    grey = np.clip(photo, 0, 255).astype(np.uint8)
    code = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(60, 92))])[1]
    pixels = np.ascontiguousarray(cv2.imdecode(code, cv2.IMREAD_GRAYSCALE))
    return Photo(template=template, pixels=pixels, shown=surface)


# ---------------------------------------------------------------- the scene


def _camera(
    size: tuple[float, float], setting: Setting, shape: tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    """(3, 4): mm of the table, from the sheet's middle, x y and up -> photo px, homogeneous."""
    focal = LENS * max(shape)
    high = size[round(setting.turn / 90) % 2 == 0]
    distance = focal * high / (setting.fills * shape[0])
    turn = np.radians(setting.turn + rng.uniform(-6, 6))
    c, s = np.cos(turn), np.sin(turn)
    flat = np.array([[c, -s, 0, 0], [s, c, 0, 0], [0, 0, -1, 0]])  # up is towards the lens
    tilt, towards = (
        np.radians(setting.tilt * rng.uniform(0.9, 1.1)),
        rng.choice([-np.pi / 2, np.pi / 2, 0, np.pi]),
    )
    axis = np.array([np.cos(towards + rng.uniform(-0.5, 0.5)), np.sin(towards), 0])
    lean = cv2.Rodrigues(axis / np.hypot(*axis[:2]) * tilt)[0]
    space = lean @ flat
    space[2, 3] += distance
    aside = rng.uniform(-0.02, 0.02, 2) * shape[::-1]
    lens = np.array([[focal, 0, shape[1] / 2 + aside[0]], [0, focal, shape[0] / 2 + aside[1]], [0, 0, 1]])
    return np.asarray(lens @ space)


def _grey(image: np.ndarray) -> np.ndarray:
    return image if image.ndim == 2 else np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))


def _laid(photo: np.ndarray, page: np.ndarray, to_page_px: np.ndarray, surface: Surface) -> np.ndarray:
    """The photo with a page on it, and the page's own shadow on the table."""
    rows, columns = photo.shape
    step = 8
    x, y = np.meshgrid(np.arange(-step, columns + 2 * step, step), np.arange(-step, rows + 2 * step, step))
    seen = np.stack([x, y], axis=-1).astype(np.float64)
    plane = np.linalg.inv(surface.matrix[:, [0, 1, 3]])
    wanted = seen.copy()
    for _ in range(6):  # where on the page a ray ends: on the plane, then moved by how far paper is off it
        there = wanted @ plane[:, :2].T + plane[:, 2]
        points = there[..., :2] / there[..., 2:] + surface.size / 2
        wanted += np.clip(seen - surface(points), -60, 60)
    fine = cv2.warpAffine(
        points.astype(np.float32), np.array([[1 / step, 0, 1], [0, 1 / step, 1.0]]), (columns, rows),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
    )  # fmt: skip
    inside = ((fine >= 0) & (fine <= surface.size)).all(axis=-1).astype(np.float32)
    inside = cv2.GaussianBlur(inside, (0, 0), 0.7)
    dark = cv2.GaussianBlur(np.roll(inside, (10, 8), (0, 1)), (0, 0), 9)
    where = (fine @ to_page_px[:2, :2].T + to_page_px[:2, 2]).astype(np.float32)
    scale = page.shape[0] / surface.size[1]
    soft = cv2.GaussianBlur(page, (0, 0), max(0.3 * scale / _density(surface), 0.4))
    paper = cv2.remap(soft, where, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE).astype(np.float32)
    paper = (paper * 0.8 + 25) * surface.shade(fine)
    return np.asarray(photo * (1 - 0.45 * dark) * (1 - inside) + paper * inside, np.float32)


def _density(surface: Surface) -> float:
    """px of the photo per mm of the sheet, in its middle."""
    middle = surface.size / 2
    return float(np.hypot(*(surface(middle + np.array([1.0, 0])) - surface(middle))))


def _beside(
    photo: np.ndarray, page: np.ndarray, template: Template, setting: Setting, camera: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:  # fmt: skip
    """The photo with a part of a further sheet, lying under or near this one."""
    size = np.array([template.page_width, template.page_height])
    way = rng.uniform(-0.12, 0.12)
    c, s = np.cos(way), np.sin(way)
    side = rng.choice([-1, 1])
    move = np.array([side * size[0] * rng.uniform(0.93, 1.1), rng.uniform(-60, 60)])
    there = np.array([[c, -s, 0, move[0]], [s, c, 0, move[1]], [0, 0, 1, 0], [0, 0, 0, 1]])
    other = Surface((size[0], size[1]), Setting(curl=setting.curl), camera @ there, rng)
    to_px = np.diag([page.shape[1] / size[0], page.shape[0] / size[1], 1.0])
    shown = _grey(page)
    if setting.beside == "other":
        shown = np.full_like(shown, 250)
        for y in range(200, shown.shape[0] - 200, 70):
            words = "".join(chr(int(v)) for v in rng.integers(97, 123, int(rng.integers(30, 70))))
            cv2.putText(shown, words, (180, y), cv2.FONT_HERSHEY_SIMPLEX, 1.6, 40, 3, cv2.LINE_AA)
    return _laid(photo, shown, to_px, other)


def _table(kind: str, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Grey (h, w) float32 of a table's top."""
    rows, columns = shape
    if kind in ("dark wood", "light wood"):
        return _wood(shape, 70.0 if kind == "dark wood" else 150.0, rng)
    if kind == "cloth":
        x, y = np.meshgrid(np.arange(columns), np.arange(rows))
        step = rng.uniform(60, 110)
        checks = 40.0 * ((np.sin(x * np.pi / step) > 0) ^ (np.sin(y * np.pi / step) > 0))
        return np.asarray(110 + checks + rng.normal(0, 10, shape), np.float32)
    level = {"grey": 120.0, "white": 205.0}[kind]
    uneven = _smooth_noise((columns, rows), 8, rng) * 5
    return np.asarray(level + uneven + rng.normal(0, 3, shape), np.float32)


def _smooth_noise(size: tuple[int, int], waves: int, rng: np.random.Generator) -> np.ndarray:
    coarse = rng.normal(0, 1, (waves, waves)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC), np.float32)


def _wood(shape: tuple[int, int], level: float, rng: np.random.Generator) -> np.ndarray:
    """Boards with grain: noise drawn out along them, waved, with knots and gaps between the boards."""
    side = int(np.hypot(*shape)) + 2
    x, y = np.meshgrid(np.arange(side, dtype=np.float32), np.arange(side, dtype=np.float32))
    wave = _smooth_noise((side, side), 6, rng)
    across = y + 60 * wave
    for _ in range(4):
        a, b = rng.uniform(0, side, 2)
        across += 60 * np.exp(-(((x - a) / 120) ** 2) - ((y - b) / 50) ** 2) * rng.choice([-1, 1])
    lines = cv2.GaussianBlur(rng.normal(0, 1, (1, 4 * side)).astype(np.float32), (0, 0), 3).ravel()
    lines /= lines.std()
    grain = lines[np.clip(across + side, 0, 4 * side - 1).astype(int)]
    fibres = cv2.resize(rng.normal(0, 1, (side, side // 40)).astype(np.float32), (side, side))
    board = rng.uniform(250, 700)
    number = np.floor(y / board).astype(int)
    tone = rng.normal(0, 0.08, number.max() + 1)[number]
    gap = 1 - 0.5 * ((y % board) < rng.uniform(2, 7))
    wood = level * gap * (1 + tone + 0.12 * grain + 0.05 * fibres)
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), rng.uniform(0, 180), 1.0)
    wood = cv2.warpAffine(wood.astype(np.float32), turn, (side, side), borderMode=cv2.BORDER_REFLECT)
    top, left = (side - shape[0]) // 2, (side - shape[1]) // 2
    return np.asarray(wood[top : top + shape[0], left : left + shape[1]], np.float32)


def _thumb(photo: np.ndarray, surface: Surface, rng: np.random.Generator) -> np.ndarray:
    """A thumb from outside over an edge, two to three centimetres in."""
    side = int(rng.integers(4))
    along = rng.uniform(0.15, 0.85) * surface.size
    edge = [(along[0], 0), (surface.size[0], along[1]), (along[0], surface.size[1]), (0, along[1])][side]
    inward = np.array([(0, 1), (-1, 0), (0, -1), (1, 0)][side], float)
    inward += rng.uniform(-0.5, 0.5, 2)
    inward /= np.hypot(*inward)
    tip, root = (np.array(edge) + inward * reach for reach in (rng.uniform(12, 22), -90))
    start, end = surface(tip), surface(root)
    thick = round(20 * _density(surface))
    mask = np.zeros(photo.shape, np.uint8)
    cv2.line(mask, *(tuple(int(v) for v in p) for p in (start, end)), 255, thick, cv2.LINE_AA)
    soft = cv2.GaussianBlur(mask, (0, 0), 2).astype(np.float32) / 255
    dark = cv2.GaussianBlur(np.roll(soft, (12, 9), (0, 1)), (0, 0), 8)
    skin = rng.uniform(90, 190) + 25 * cv2.GaussianBlur(soft, (0, 0), thick / 5)
    return np.asarray(photo * (1 - 0.4 * dark) * (1 - soft) + skin * soft, np.float32)


def _pencil(photo: np.ndarray, surface: Surface, rng: np.random.Generator) -> np.ndarray:
    """A pencil that lies across a corner of the sheet."""
    corner = surface.size * [(0, 0), (1, 0), (0, 1), (1, 1)][int(rng.integers(4))]
    inward = np.sign(surface.size / 2 - corner)
    a, b = corner + inward * (rng.uniform(10, 35), -25), corner + inward * (-25, rng.uniform(10, 35))
    layer = photo.copy()
    ends = [tuple(int(v) for v in surface(p)) for p in (a, b)]
    cv2.line(layer, *ends, float(rng.uniform(60, 160)), round(7 * _density(surface)), cv2.LINE_AA)
    return layer


def _lit(photo: np.ndarray, setting: Setting, rng: np.random.Generator) -> np.ndarray:
    """The photo under a lamp to one side; with the shadow of a hand and phone."""
    rows, columns = photo.shape
    x, y = np.meshgrid(
        np.linspace(-1, 1, columns, dtype=np.float32), np.linspace(-1, 1, rows, dtype=np.float32)
    )
    way = rng.uniform(0, 2 * np.pi)
    light = (
        1 + rng.uniform(0, 0.2) * (np.cos(way) * x + np.sin(way) * y) - rng.uniform(0, 0.12) * (x * x + y * y)
    )
    if setting.shadow:
        a, b = rng.uniform(-0.5, 0.5, 2)
        angle = rng.uniform(0, 2 * np.pi)
        u, v = (
            np.cos(angle) * (x - a) + np.sin(angle) * (y - b),
            -np.sin(angle) * (x - a) + np.cos(angle) * (y - b),
        )
        phone = np.maximum(np.abs(u) / 0.35, np.where(v > 0, v / 0.6, 0)) - 1  # goes on to the picture's rim
        light *= 1 - rng.uniform(0.25, 0.55) / (1 + np.exp(phone / rng.uniform(0.03, 0.15)))
    return np.asarray(photo * light, np.float32)
