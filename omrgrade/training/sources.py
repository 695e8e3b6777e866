"""Where training images come from: a recipe of sources, each giving a share of every epoch.

A source is a plain function, so that a recipe can travel to the process that prepares the next epoch while
the network trains on this one.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np

from omrgrade.training.data import Labelled

Draw = Callable[[Labelled, int, np.random.Generator], Labelled]
"""(digits to start from, how many images, generator) -> that many images with labels."""

SMALL = 5000  # images: a pool below this is made at once; starting a process would take longer


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """One source's part of an epoch."""

    name: str
    draw: Draw
    weight: float  # images per training digit, e.g. 0.5 = half as many as there are digits


Recipe = tuple[Share, ...]


def plain(digits: Labelled, count: int, rng: np.random.Generator) -> Labelled:
    """The digits as they are, each as often as any other (+-1)."""
    rounds = [rng.permutation(len(digits)) for _ in range(-(-count // len(digits)))]
    return digits.take(np.concatenate(rounds)[:count])


def pool(recipe: Recipe, digits: Labelled, seed: tuple[int, ...]) -> Labelled:
    """One epoch of images, shuffled; the same seed gives the same images whatever ran before."""
    parts = []
    for place, share in enumerate(recipe):
        rng = np.random.default_rng((*seed, place))
        parts.append(share.draw(digits, round(share.weight * len(digits)), rng))
    order = np.random.default_rng((*seed, len(recipe))).permutation(sum(map(len, parts)))
    return Labelled(
        images=np.concatenate([part.images for part in parts])[order],
        labels=np.concatenate([part.labels for part in parts])[order],
    )


def epochs(recipe: Recipe, digits: Labelled, seed: int) -> Generator[Labelled, None, None]:
    """Pool after pool without end; large ones are prepared one ahead in another process."""
    if sum(share.weight for share in recipe) * len(digits) < SMALL or {s.draw for s in recipe} == {plain}:
        number = 0
        while True:
            yield pool(recipe, digits, (seed, number))
            number += 1
    with ProcessPoolExecutor(1, get_context("spawn"), _start, (recipe, digits)) as worker:
        following = worker.submit(_pool, (seed, 0))
        number = 1
        while True:
            current = following.result()
            following = worker.submit(_pool, (seed, number))
            number += 1
            yield current


_state: tuple[Recipe, Labelled] | None = None  # of the preparing process


def _start(recipe: Recipe, digits: Labelled) -> None:
    import cv2

    global _state
    _state = recipe, digits
    cv2.setNumThreads(1)  # images this small gain nothing from threads, and the network needs the cores


def _pool(seed: tuple[int, ...]) -> Labelled:
    assert _state is not None
    return pool(*_state, seed)
