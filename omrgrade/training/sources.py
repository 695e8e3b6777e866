"""Where training images come from: a recipe of sources, each giving a share of every epoch.

A source is a plain function, so that a recipe can travel to the process that prepares the next epoch while
the network trains on this one.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Generator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import count
from multiprocessing import get_context, parent_process
from pathlib import Path

import numpy as np

from omrgrade.training.data import Labelled
from omrgrade.training.teachers import Teachers, load_teachers

Draw = Callable[[Labelled, int, np.random.Generator], Labelled]
"""(digits to start from, how many images, generator) -> that many images with labels."""

SMALL = 5000  # images: a pool below this is made at once; starting a process would take longer


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """One source's part of an epoch."""

    name: str
    draw: Draw
    weight: float  # images per training digit, e.g. 0.5 = half as many as there are digits
    refresh: int = 1  # epochs after which its images are drawn anew; more for sources slow to draw
    doubtful: bool = False  # whether its labels may be wrong, so that teachers are asked


Recipe = tuple[Share, ...]
Kept = dict[int, tuple[int, Labelled]]
"""Place in the recipe -> (which drawing it is, the images)."""


def plain(digits: Labelled, number: int, rng: np.random.Generator) -> Labelled:
    """The digits as they are, each as often as any other (+-1)."""
    rounds = [rng.permutation(len(digits)) for _ in range(-(-number // len(digits)))]
    return digits.take(np.concatenate(rounds)[:number])


def pool(
    recipe: Recipe, digits: Labelled, seed: int, epoch: int = 0, kept: Kept | None = None,
    teachers: Teachers | None = None,
) -> Labelled:  # fmt: skip
    """One epoch of images, shuffled; seed and epoch alone decide them, whatever ran before.

    kept: parts drawn for earlier epochs, used again while they are fresh, and updated. teachers: give
    every image what to learn from it.
    """
    kept = {} if kept is None else kept
    parts = []
    for place, share in enumerate(recipe):
        drawn = epoch // share.refresh
        if place not in kept or kept[place][0] != drawn:
            rng = np.random.default_rng((seed, drawn, place))
            part = share.draw(digits, round(share.weight * len(digits)), rng)
            kept[place] = drawn, teachers.taught(part, share.doubtful) if teachers else part
        parts.append(kept[place][1])
    order = np.random.default_rng((seed, epoch, len(recipe))).permutation(sum(map(len, parts)))
    return Labelled(
        images=np.concatenate([part.images for part in parts])[order],
        labels=np.concatenate([part.labels for part in parts])[order],
        targets=np.concatenate([part.targets for part in parts])[order] if teachers else None,
    )


def epochs(
    recipe: Recipe, digits: Labelled, seed: int, teachers: tuple[Path, ...] = ()
) -> Generator[Labelled, None, None]:
    """Pool after pool without end; large ones are prepared one ahead in another process."""
    if sum(share.weight for share in recipe) * len(digits) < SMALL or {s.draw for s in recipe} == {plain}:
        kept: Kept = {}
        loaded = load_teachers(teachers)
        for epoch in count():
            yield pool(recipe, digits, seed, epoch, kept, loaded)
    with ProcessPoolExecutor(1, get_context("spawn"), _start, (recipe, digits, teachers)) as worker:
        following = worker.submit(_pool, seed, 0)
        for epoch in count(1):
            current = following.result()
            following = worker.submit(_pool, seed, epoch)
            yield current


_state: tuple[Recipe, Labelled, Kept, Teachers | None] | None = None  # of the preparing process


def _start(recipe: Recipe, digits: Labelled, teachers: tuple[Path, ...] = ()) -> None:
    import cv2

    global _state
    _state = recipe, digits, {}, load_teachers(teachers)
    cv2.setNumThreads(1)  # images this small gain nothing from threads, and the network needs the cores
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for orders, and hold its memory, for ever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _pool(seed: int, epoch: int) -> Labelled:
    assert _state is not None
    recipe, digits, kept, teachers = _state
    return pool(recipe, digits, seed, epoch, kept, teachers)
