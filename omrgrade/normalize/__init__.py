"""Crop of a box -> what MNIST would have made of its ink, and what that ink looks like.

The order: flatten the paper, find the printed outline where it is expected and remove it with everything
beyond, threshold what is left, drop specks, and rebuild the 28x28 image as MNIST was made (tight box,
area-resampled to 20x20, darkest ink 255, centre of mass on pixel 14; see the QMNIST reconstruction,
Yadav & Bottou 2019).

Boxes of one size go through all but the last step together: at 64 px a side, what NumPy and OpenCV do costs
less than asking them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from omrgrade.normalize.ink import Darkness, centred, ink_image, shrunk, to_mnist
from omrgrade.normalize.lines import Bools, Grey, Ints, Reals
from omrgrade.normalize.outline import Outlines, find_outlines
from omrgrade.normalize.paper import MIN_CONTRAST, flatten, noise, quantiles
from omrgrade.records import Crop, Ink

__all__ = ["VERSION", "WORK_SIDE", "normalize", "normalize_all", "to_mnist"]

VERSION = 1
"""Raised when the same crop gives another image, so that a model made for the old one is refused."""

WORK_SIDE = 64  # px: strokes of a hand-written digit are then 3-8 px wide
TOGETHER = 128  # boxes at once: as many channels as OpenCV allows an image to have
NOISE_FACTOR = 4.0  # ink stands out from the paper's noise by this factor
INK = 0.28  # of the darkest ink: a stroke's edge, and what is lighter is paper
FAINT = 0.14  # of the darkest ink: what a pen that hardly pressed leaves
FURTHER = 3  # px by which faint ink reaches further than the rest, to be looked at
CLINGING = 30.0  # grey levels over the paper's grain: what is so dark inside an outline is no remains of it


def normalize(crop: Crop) -> Ink:
    """Turn one box crop, printed outline included, into an `Ink`; many at once cost far less a box.

    With `crop.margin` the outline is expected that many pixels inside the crop; with 0 it is looked for in
    the outer quarter, and may be absent.
    """
    return normalize_all([crop])[0]


def normalize_all(crops: Sequence[Crop]) -> list[Ink]:
    """What `normalize` makes of each crop, in order. Crops of one size and margin are worked on together."""
    alike: dict[tuple[tuple[int, ...], int], list[tuple[int, Grey]]] = {}
    for n, crop in enumerate(crops):
        grey, scale = working_copy(crop.pixels)
        margin = min(round(crop.margin * scale), WORK_SIDE // 4)
        alike.setdefault((grey.shape, margin), []).append((n, grey))
    inks: dict[int, Ink] = {}
    for (_, margin), members in alike.items():
        for start in range(0, len(members), TOGETHER):
            part = members[start : start + TOGETHER]
            found = _normalize(np.stack([grey for _, grey in part]), margin)
            inks.update(zip((n for n, _ in part), found, strict=True))
    return [inks[n] for n in range(len(crops))]


def _normalize(grey: Grey, margin: int) -> Iterator[Ink]:
    """Working copies (N, h, w) -> an `Ink` each."""
    dark = flatten(grey)
    grain = noise(dark)
    outlines = find_outlines(dark, np.maximum(5.0, 3 * grain), margin)
    floor = np.maximum(MIN_CONTRAST, NOISE_FACTOR * grain)
    known = margin > 0
    views = _ink_images(dark, outlines.inside, floor, known)
    written: Bools = np.asarray(views.images.any(axis=(1, 2)))
    uncut = _other_views(dark, outlines.uncut, floor, known)
    if not known:
        uncut |= _rings(dark, views, outlines, floor)
    restored = _other_views(dark, outlines.restored, floor, known)
    along = _other_views(dark, {n: m for n, m in outlines.along.items() if written[n]}, floor, known)
    faint = _faint_views(dark, outlines.inside, floor, views, known)
    for n, image in enumerate(views.images):
        yield Ink(
            image=image,
            uncut=uncut.get(n) if written[n] or not outlines.meeting[n] else None,
            restored=restored.get(n),
            faint=faint.get(n),
            along=along.get(n),
            contrast=float(views.contrast[n]),
            noise=float(grain[n]),
            lines=int(outlines.lines[n]),
            through=bool(views.through[n]) and known,
            clings=known and not written[n] and bool(views.contrast[n] - 2 * grain[n] > CLINGING),
        )


def working_copy(pixels: Grey) -> tuple[Grey, float]:
    """The crop with its smaller side at WORK_SIDE px (less if it is a mere strip), and the scale used."""
    scale = min(WORK_SIDE / min(pixels.shape), 8 * WORK_SIDE / max(pixels.shape))
    if scale == 1:
        return pixels, scale
    size = (
        max(1, round(pixels.shape[1] * scale)),
        max(1, round(pixels.shape[0] * scale)),
    )
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return cv2.resize(pixels, size, interpolation=way), scale


def _other_views(dark: Grey, masks: Mapping[int, Grey], floor: Reals, known: bool) -> dict[int, Grey]:
    """The images of some boxes, by number, had their outline been another one: by number, (28, 28)."""
    if not masks:
        return {}
    some = list(masks)
    views = _ink_images(dark[some], np.stack(list(masks.values())), floor[some], known)
    return dict(zip(some, views.images, strict=True))


def _faint_views(dark: Grey, inside: Grey, floor: Reals, views: _Views, known: bool) -> dict[int, Grey]:
    """What some boxes' ink looks like with strokes that hardly pressed: a 7 without its bar is a 1.

    Only where such ink leads beyond the rest, or joins pieces of it. By number, (28, 28).
    """
    clear = (INK * views.contrast > floor) & views.images.any(axis=(1, 2))
    weak = _darker(views.dark, np.maximum(floor, FAINT * views.contrast))
    some = [
        n
        for n in np.flatnonzero(clear).tolist()
        if _leads_further(views.masks[n], weak[n], int(views.pieces[n]))
    ]
    if not some:
        return {}
    found = _ink_images(dark[some], inside[some], floor[some], known, share=FAINT)
    return dict(zip(some, found.images, strict=True))


def _leads_further(strong: Grey, weak: Grey, pieces: int) -> bool:
    """Whether weak ink reaches out of the box round the strong ink, or joins some of its so many pieces."""
    left, top, width, height = cv2.boundingRect(strong)
    x, y, w, h = cv2.boundingRect(weak)
    grown = max(left - x, top - y, x + w - left - width, y + h - top - height)
    return grown >= FURTHER or (pieces > 1 and cv2.connectedComponents(weak)[0] <= pieces)


def _rings(dark: Grey, views: _Views, outlines: Outlines, floor: Reals) -> dict[int, Grey]:
    """Ink along the crop's edges that was taken for an outline, where no line was found: it may be a 0."""
    empty = ~views.images.any(axis=(1, 2))
    lost = np.flatnonzero(empty & (outlines.lines == 0) & (views.contrast >= 4 * floor)).tolist()
    return _other_views(dark, {n: outlines.inside[n] for n in lost}, floor, True)


@dataclass(frozen=True, slots=True, eq=False)
class _Views:
    """What N boxes' ink looks like inside their outlines."""

    images: Grey  # (N, 28, 28)
    contrast: Reals  # (N,) grey levels
    through: Bools  # (N,) whether it runs through
    dark: Grey  # (N, h, w) grey levels over the paper, 0 outside
    masks: Grey  # (N, h, w) where it is ink, specks included, 1 or 0
    pieces: Ints  # (N,) of `masks`


def _ink_images(dark: Grey, inside: Grey, floor: Reals, known: bool, share: float = INK) -> _Views:
    """The ink of boxes inside their outlines.

    dark, inside: (N, h, w). known: the outlines' place was known, so no more than scraps of them can be left.
    share: of the darkest ink, from where it is ink.
    """
    dark = dark * inside
    peak = quantiles(dark, 0.995)
    low = np.maximum(floor, share * peak)
    masks = _darker(dark, low)
    rims = masks & ~shrunk(inside)
    levels = _levels(peak, low)
    smalls: dict[int, Grey] = {}
    through, pieces = np.zeros(len(dark), bool), np.zeros(len(dark), np.intp)
    for n in np.flatnonzero(masks.any(axis=(1, 2))).tolist():
        small, through[n], pieces[n] = ink_image(
            Darkness(
                dark=dark[n], mask=masks[n], rim=rims[n], inside=inside[n], levels=levels[n], known=known
            )
        )
        if small is not None:
            smalls[n] = small
    images = np.zeros((len(dark), 28, 28), np.uint8)
    if smalls:
        images[list(smalls)] = centred(np.stack(list(smalls.values())))
    return _Views(images, peak, through, dark, masks, pieces)


def _darker(dark: Grey, low: Reals) -> Grey:
    """(N, h, w) where boxes are darker than `low`, (N,) each, 1 or 0."""
    return (dark > np.minimum(low, 255).astype(np.uint8)[:, None, None]).view(np.uint8)


def _levels(peak: Reals, low: Reals) -> Grey:
    """(N, 256): for each darkness how dark the ink image is, 255 at `peak`, 0 well below `low`, (N,) each."""
    over = np.maximum(np.arange(256) - np.rint(0.3 * low)[:, None], 0).astype(np.float32)
    # a few dark px on clean paper do not reach the peak's share of it: it is then the smaller
    gain = (255 / np.maximum(abs(peak - 0.3 * low), 1e-3)).astype(np.float32)
    return np.minimum(np.rint(over * gain[:, None]), 255).astype(np.uint8)
