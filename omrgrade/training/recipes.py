"""What each network is trained and validated on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from omrgrade.errors import ModelError
from omrgrade.training.augment import augmented, nudged
from omrgrade.training.not_digits import boxed_not_digits, not_digits
from omrgrade.training.paper import on_paper
from omrgrade.training.sources import Recipe, Share, plain
from omrgrade.training.styles import styles

GENTLE = 0.6
"""Strength of slant, turn and bend: at 1.0 some digits become another's, which costs all confidence."""

RECIPES: dict[str, Recipe] = {
    "seed": (Share(name="plain", draw=plain, weight=1.0),),
    "paper": (
        Share(name="plain", draw=plain, weight=0.7, refresh=3, doubtful=True),
        Share(name="nudged", draw=nudged, weight=0.6, refresh=2, doubtful=True),
        Share(
            name="augmented", draw=partial(augmented, strength=GENTLE), weight=0.5, refresh=3, doubtful=True
        ),
        Share(name="on_paper", draw=partial(on_paper, strength=GENTLE), weight=0.4, refresh=4, doubtful=True),
        Share(name="styles", draw=styles, weight=0.16, refresh=2),
        Share(name="not_digits", draw=not_digits, weight=0.16, refresh=2),
        Share(name="boxed_not_digits", draw=boxed_not_digits, weight=0.08, refresh=5),
    ),
}
"""Training images per epoch, by network."""

VALIDATION: dict[str, Recipe] = {
    "seed": (Share(name="plain", draw=plain, weight=1.0),),
    "paper": (
        Share(name="plain", draw=plain, weight=0.5),
        Share(name="on_paper", draw=on_paper, weight=1.0),
        Share(name="not_digits", draw=not_digits, weight=0.15),
        Share(name="boxed_not_digits", draw=boxed_not_digits, weight=0.15),
    ),
}
"""Validation images, drawn once from held-out digits: they choose the best weights and calibrate."""


def kept(recipe: Recipe, without: Sequence[str]) -> Recipe:
    """The recipe without the named sources; `ModelError` for a name that it does not have.

    The other sources give as much more, so that a training is as long and only its images differ.
    """
    names = [share.name for share in recipe]
    if unknown := sorted(set(without) - set(names)):
        raise ModelError("the recipe has no such source", fix=f"choose from {names}", received=unknown)
    left = tuple(share for share in recipe if share.name not in without)
    if not left:
        raise ModelError("nothing is left to train on", fix="leave fewer sources out", received=list(without))
    more = sum(share.weight for share in recipe) / sum(share.weight for share in left)
    return tuple(replace(share, weight=share.weight * more) for share in left) if without else recipe
