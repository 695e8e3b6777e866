"""A phone's photo of a filled sheet."""

from __future__ import annotations

import cv2
import numpy as np

from omrgrade.simulate.handwriting import Floats, Grey
from omrgrade.simulate.world import (
    Capture,
    Homography,
    Sheet,
    corners,
    covered,
    inked,
    moved,
    noisy,
    rotated,
    soft,
    tones,
    warp,
)  # fmt: skip


def photo(sheet: Sheet, rng: np.random.Generator, turn: int) -> Capture:
    """A phone held over a desk: perspective, shadow, colour cast, blur, JPEG; nothing says the dpi."""
    place, size = _before_camera(sheet, rng, turn)
    colour = warp(soft(_coloured(sheet, rng), 220, 0.05), sheet, place, size, 0)
    outline = place @ corners(sheet)
    outline = (outline[:2] / outline[2]).T
    mask = np.zeros(size[::-1], np.uint8)
    cv2.fillConvexPoly(mask, np.round(outline * 16).astype(np.int32), 255, cv2.LINE_AA, 4)
    image = _compose(_desk(size, mask, rng), colour, mask)
    image = _light(image, size, rng)
    image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, 1.3))
    if rng.random() < 0.3:
        image = cv2.filter2D(image, -1, _shake(rng))
    image = noisy(image, rng, rng.uniform(2, 6), soft=0.7)
    return Capture(image=image, page_to_scan=place, dpi=0, suffix=".jpg", quality=int(rng.integers(70, 93)))


def _before_camera(sheet: Sheet, rng: np.random.Generator, turn: int) -> tuple[Homography, tuple[int, int]]:
    """A pinhole camera above the page, tilted up to about 22 degrees, the whole page in view."""
    long = int(rng.integers(2400, 3001))
    short = round(long * 0.75)
    size = (short, long) if turn % 180 == 0 else (long, short)
    tilt, roll = np.radians(np.clip(rng.normal(0, 9, 2), -22, 22))
    about_x = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    about_y = np.array([[np.cos(roll), 0, np.sin(roll)], [0, 1, 0], [-np.sin(roll), 0, np.cos(roll)]])
    flat = rotated(rng.normal(0, 3.5)) @ rotated(turn)
    pose = (about_x @ about_y)[:, :2] @ (flat[:2, :2])
    distance = 1.15 * sheet.height  # mm: a phone's wide lens fills its frame from about this far
    project = np.column_stack([pose, [0, 0, distance]]) @ moved(-sheet.width / 2, -sheet.height / 2)
    seen = project @ corners(sheet)
    seen = seen[:2] / seen[2]
    low, high = seen.min(1), seen.max(1)
    fit = rng.uniform(0.86, 0.97) * min(size[0] / (high - low)[0], size[1] / (high - low)[1])
    free = (np.array(size) - fit * (high - low)) / 2
    target = np.array(size) / 2 + free * rng.uniform(-0.6, 0.6, 2)
    scale = np.diag([fit, fit, 1.0])
    return moved(*(target - 0.5)) @ scale @ moved(*(-(low + high) / 2)) @ project, size


def _coloured(sheet: Sheet, rng: np.random.Generator) -> Grey:
    cover = covered(sheet, rng)
    planes = [inked(sheet.printed, cover, 1 - sheet.pen.darkness * (1 - own)) for own in sheet.pen.colour]
    return np.asarray(cv2.merge(planes), np.uint8)


def _cloud(size: tuple[int, int], rng: np.random.Generator, sigma: float) -> Floats:
    """Smooth noise over (width, height), mean 0, deviation 1; `sigma` as a share of the width."""
    small = (96, max(2, round(96 * size[1] / size[0])))
    noise = cv2.GaussianBlur(rng.standard_normal(small[::-1]).astype(np.float32), (0, 0), sigma * 96)
    noise = (noise - noise.mean()) / noise.std()
    return np.asarray(cv2.resize(noise, size, interpolation=cv2.INTER_CUBIC), np.float32)


def _desk(size: tuple[int, int], mask: Grey, rng: np.random.Generator) -> Grey:
    """A table: wood, grey or dark, with the sheet's soft shadow."""
    base = np.array([(60, 95, 140), (150, 155, 160), (55, 50, 48), (95, 130, 165)][int(rng.integers(4))])
    grain = cv2.resize(
        rng.standard_normal((size[1] // 3, 24)).astype(np.float32), size, interpolation=cv2.INTER_CUBIC
    )
    texture = 6 * grain + 8 * _cloud(size, rng, 0.12)
    near = cv2.resize(mask, (size[0] // 8, size[1] // 8), interpolation=cv2.INTER_AREA)
    near = np.roll(
        cv2.GaussianBlur(near, (0, 0), 4), (int(rng.integers(-3, 4)), int(rng.integers(-3, 4))), (0, 1)
    )
    dim = 1 - 0.35 * cv2.resize(near, size).astype(np.float32) / 255
    return np.asarray(np.clip((base + texture[..., None]) * dim[..., None], 0, 255), np.uint8)


def _compose(back: Grey, front: Grey, mask: Grey) -> Grey:
    share = cv2.merge([mask] * 3)
    return np.asarray(
        cv2.add(cv2.multiply(front, share, scale=1 / 255), cv2.multiply(back, 255 - share, scale=1 / 255))
    )


def _light(image: Grey, size: tuple[int, int], rng: np.random.Generator) -> Grey:
    """Uneven light, often the shadow of a hand or phone, and the lamp's colour."""
    width, height = size
    x, y = np.meshgrid(
        np.linspace(-1, 1, width, dtype=np.float32), np.linspace(-1, 1, height, dtype=np.float32)
    )
    angle = rng.uniform(0, 2 * np.pi)
    light = 1 + rng.uniform(0.03, 0.2) * (np.cos(angle) * x + np.sin(angle) * y) - 0.08 * (x * x + y * y)
    light += 0.03 * _cloud(size, rng, 0.2)
    if rng.random() < 0.5:
        angle, edge = rng.uniform(0, 2 * np.pi), rng.uniform(-0.2, 0.7)
        along = np.cos(angle) * x + np.sin(angle) * y + 0.08 * _cloud(size, rng, 0.15)
        light *= 1 - rng.uniform(0.15, 0.45) / (1 + np.exp((edge - along) / rng.uniform(0.02, 0.12)))
    level = rng.uniform(0.72, 0.97) / max(float(np.quantile(light[::16, ::16], 0.9)), 0.1)
    cast = 1 + rng.normal(0, 0.02, 3)
    planes = [
        cv2.multiply(plane, light * float(level * tint), dtype=cv2.CV_8U)
        for plane, tint in zip(cv2.split(image), cast, strict=True)
    ]
    # A lens and its sensor never give pure black.
    return tones(np.asarray(cv2.merge(planes), np.uint8), black=rng.uniform(8, 30), white=255, gamma=1.0)


def _shake(rng: np.random.Generator) -> Floats:
    """The hand's movement while the shutter is open: a short line as a kernel."""
    kernel = np.zeros((7, 7), np.float32)
    angle, reach = rng.uniform(0, np.pi), rng.uniform(0.5, 1.8)
    dx, dy = np.cos(angle) * reach, np.sin(angle) * reach
    ends = [(round((3 + s * dx) * 16), round((3 + s * dy) * 16)) for s in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 1.0, 1, cv2.LINE_8, 4)
    return np.asarray(kernel / kernel.sum(), np.float32)
