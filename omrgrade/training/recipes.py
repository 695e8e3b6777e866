"""What each network is trained and validated on."""

from __future__ import annotations

from omrgrade.training.augment import augmented
from omrgrade.training.not_digits import boxed_not_digits, not_digits
from omrgrade.training.paper import on_paper
from omrgrade.training.sources import Recipe, Share, plain
from omrgrade.training.styles import styles

RECIPES: dict[str, Recipe] = {
    "seed": (Share(name="plain", draw=plain, weight=1.0),),
    "paper": (
        Share(name="plain", draw=plain, weight=0.7),
        Share(name="augmented", draw=augmented, weight=0.5),
        Share(name="on_paper", draw=on_paper, weight=0.5, refresh=2),
        Share(name="styles", draw=styles, weight=0.1),
        Share(name="not_digits", draw=not_digits, weight=0.2),
        Share(name="boxed_not_digits", draw=boxed_not_digits, weight=0.1, refresh=3),
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
