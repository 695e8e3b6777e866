"""What happens to a filled sheet on its way to a file. One function a profile; the camera is apart."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from omrgrade.simulate.handwriting import Grey, Pen

Homography = NDArray[np.float64]  # 3x3
_TILE = 1024  # px; noise repeats after this, which nobody sees


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Sheet:
    """A filled page before it meets the world."""

    printed: Grey  # the print, fills the page, see render.render_page
    ink: Grey  # same shape, 255 = covered with ink
    pen: Pen
    width: float  # of the page, mm
    height: float

    @property
    def to_pixels(self) -> Homography:
        """Maps page mm -> px of `printed` (centres at whole numbers)."""
        rows, columns = self.printed.shape
        return np.array([[columns / self.width, 0, -0.5], [0, rows / self.height, -0.5], [0, 0, 1.0]])


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Capture:
    """The sheet as a file shows it."""

    image: Grey  # (height, width) grey or (height, width, 3) BGR
    page_to_scan: Homography  # page mm -> px of `image` (centres at whole numbers)
    dpi: float  # as the file says; 0 = it does not
    suffix: str  # how it is filed: .jpg, .png, .tif
    quality: int = 0  # of the JPEG
    bilevel: bool = False


def clean(sheet: Sheet, rng: np.random.Generator, turn: int) -> Capture:
    """The sheet itself: straight, whole, without noise, 300 dpi PNG."""
    place, size = _on_glass(sheet, sheet.printed.shape[1] / sheet.width * 25.4, turn)
    return Capture(
        image=warp(_grey(sheet, rng), sheet, place, size, 255), page_to_scan=place, dpi=300, suffix=".png"
    )


def scanner(sheet: Sheet, rng: np.random.Generator, turn: int) -> Capture:
    """An office scanner: 200 or 300 dpi grey JPEG, a little skew, dust and streaks."""
    dpi = float(rng.choice([200, 300]))
    place, size = _on_glass(sheet, dpi, turn, rng, skew=2.0, shift=1.5)
    lid = float(rng.choice([250, 235, 60], p=[0.6, 0.3, 0.1]))
    image = warp(soft(_grey(sheet, rng), dpi, rng.uniform(0.03, 0.07)), sheet, place, size, lid)
    image = tones(image, black=rng.uniform(15, 55), white=rng.uniform(236, 254), gamma=rng.uniform(0.85, 1.2))
    image = _specks(image, rng, dpi, int(rng.poisson(6)), 150)
    if rng.random() < 0.08:
        image = _streak(image, rng, dpi)
    image = noisy(image, rng, rng.uniform(1.0, 4.0), soft=0.5)
    return Capture(image=image, page_to_scan=place, dpi=dpi, suffix=".jpg", quality=int(rng.integers(60, 93)))


def copier(sheet: Sheet, rng: np.random.Generator, turn: int) -> Capture:
    """A copier's 1-bit scan: threshold, ragged edges, pepper, scale a little off."""
    dpi = float(rng.choice([200, 300]))
    place, size = _on_glass(sheet, dpi, turn, rng, skew=1.5, shift=1.2, stretch=0.006)
    image = warp(soft(_grey(sheet, rng), dpi, rng.uniform(0.03, 0.08)), sheet, place, size, 255)
    image = _streak(image, rng, dpi) if rng.random() < 0.06 else image
    image = noisy(image, rng, rng.uniform(6, 16), soft=0.8)
    # Above 170 the finest pencil lines stay; above 200 the paper's noise turns to pepper.
    image = np.where(image > rng.uniform(165, 195), 255, 0).astype(np.uint8)
    image = _specks(image, rng, dpi, int(rng.poisson(25)), 0)
    suffix = ".png" if rng.random() < 0.5 else ".tif"
    return Capture(image=image, page_to_scan=place, dpi=dpi, suffix=suffix, bilevel=True)


# ---------------------------------------------------------------- geometry


def corners(sheet: Sheet) -> Homography:
    """The page's corners, mm, homogeneous, as columns."""
    w, h = sheet.width, sheet.height
    return np.array([[0, w, w, 0], [0, 0, h, h], [1, 1, 1, 1.0]])


def moved(x: float, y: float) -> Homography:
    """By x and y."""
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]])


def _on_glass(
    sheet: Sheet, dpi: float, turn: int, rng: np.random.Generator | None = None, *,
    skew: float = 0.0, shift: float = 0.0, stretch: float = 0.003,
) -> tuple[Homography, tuple[int, int]]:  # fmt: skip
    """Where a flat page lies on the glass: page mm -> px, and the image's (width, height)."""
    scale = np.diag([dpi / 25.4, dpi / 25.4, 1.0])
    move = np.eye(3)
    if rng is not None:
        scale = scale @ np.diag([*(1 + rng.normal(0, stretch, 2).clip(-2 * stretch, 2 * stretch)), 1])
        move = moved(*rng.uniform(-shift, shift, 2)) @ rotated(rng.uniform(-skew, skew))
    w, h = (sheet.height, sheet.width) if turn % 180 else (sheet.width, sheet.height)
    place = moved(w / 2, h / 2) @ move @ rotated(turn) @ moved(-sheet.width / 2, -sheet.height / 2)
    size = (round(w * dpi / 25.4), round(h * dpi / 25.4))
    return moved(-0.5, -0.5) @ scale @ place, size


def rotated(degrees: float) -> Homography:
    """About the origin, clockwise as seen (y points down)."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])


def warp(image: Grey, sheet: Sheet, place: Homography, size: tuple[int, int], outside: float) -> Grey:
    """The page's image (as `sheet.printed`) put where `place` (page mm -> px) says; `outside` grey around."""
    matrix = place @ np.linalg.inv(sheet.to_pixels)
    return np.asarray(
        cv2.warpPerspective(image, matrix, size, flags=cv2.INTER_LINEAR, borderValue=(outside,) * 3), np.uint8
    )


# ---------------------------------------------------------------- ink, optics, dirt


def covered(sheet: Sheet, rng: np.random.Generator) -> Grey:
    """Ink with the pencil's grain, 255 = the pen's full colour."""
    if not sheet.pen.grain:
        return sheet.ink
    grain = cv2.GaussianBlur(rng.random((_TILE, _TILE), np.float32), (0, 0), 1.2)
    grain = (grain - grain.mean()) / grain.std()
    share = np.clip(1 - sheet.pen.grain * (0.35 + 0.5 * grain), 0, 1) * 255
    return np.asarray(cv2.multiply(sheet.ink, _tiled(share.astype(np.uint8), sheet.ink.shape), scale=1 / 255))


def inked(printed: Grey, covered: Grey, reflected: float) -> Grey:
    """Print under ink that lets `reflected` (0-1) of the light through."""
    passed = cv2.convertScaleAbs(covered, alpha=-(1 - reflected), beta=255)  # |255 - ...|, never negative
    return np.asarray(cv2.multiply(printed, passed, scale=1 / 255), np.uint8)


def _grey(sheet: Sheet, rng: np.random.Generator) -> Grey:
    blue, green, red = sheet.pen.colour
    own = 0.11 * blue + 0.59 * green + 0.30 * red
    return inked(sheet.printed, covered(sheet, rng), 1 - sheet.pen.darkness * (1 - own))


def soft(image: Grey, dpi: float, blur: float) -> Grey:
    """Optical blur of `blur` mm, and what sampling at `dpi` needs so as not to alias (image is 300 dpi)."""
    sigma = np.hypot(blur / 25.4 * 300, 0.45 * max(300 / dpi - 1, 0))
    return np.asarray(cv2.GaussianBlur(image, (0, 0), float(sigma)), np.uint8)


def tones(image: Grey, *, black: float, white: float, gamma: float) -> Grey:
    """Grey levels 0-255 stretched over `black` to `white`; a gamma over 1 darkens what is between."""
    ramp = black + (white - black) * (np.arange(256) / 255) ** gamma
    return np.asarray(cv2.LUT(image, np.clip(ramp, 0, 255).astype(np.uint8)), np.uint8)


def noisy(image: Grey, rng: np.random.Generator, sigma: float, *, soft: float) -> Grey:
    """Sensor noise of `sigma` grey levels, `soft` px wide."""
    tile = rng.standard_normal((_TILE, _TILE), np.float32)
    tile = cv2.GaussianBlur(tile, (0, 0), soft, borderType=cv2.BORDER_REFLECT)
    noise = np.round(tile * (sigma / tile.std())).astype(np.int16)
    if image.ndim == 3:
        noise = np.stack([noise, np.roll(noise, 331, 0), np.roll(noise, 577, 1)], axis=2)
    noise = _tiled(noise, image.shape)
    return np.asarray(cv2.add(image, noise, dtype=cv2.CV_8U), np.uint8)


def _tiled(tile: NDArray[np.generic], shape: tuple[int, ...]) -> NDArray[np.generic]:
    repeats = [-(-shape[0] // tile.shape[0]), -(-shape[1] // tile.shape[1])] + [1] * (tile.ndim - 2)
    return np.ascontiguousarray(np.tile(tile, repeats)[: shape[0], : shape[1]])


def _specks(image: Grey, rng: np.random.Generator, dpi: float, count: int, lightest: int) -> Grey:
    """Dust: dots of 0.1 to 0.4 mm, black to `lightest` (grey level)."""
    for x, y in rng.random((count, 2)) * image.shape[1::-1]:
        radius = rng.uniform(0.05, 0.2) * dpi / 25.4
        shade = int(rng.integers(0, lightest + 1))
        cv2.circle(
            image, (round(x * 16), round(y * 16)), max(round(radius * 16), 8), shade, -1, cv2.LINE_8, 4
        )
    return image


def _streak(image: Grey, rng: np.random.Generator, dpi: float) -> Grey:
    """Dirt on a feeder's glass: a faint line along the paper's way."""
    x = int(rng.integers(image.shape[1]))
    width = max(1, round(rng.uniform(0.08, 0.2) * dpi / 25.4))
    band = image[:, x : x + width]
    image[:, x : x + width] = (band * rng.uniform(0.72, 0.93)).astype(np.uint8)
    return image
