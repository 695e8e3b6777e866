"""What each network is trained and validated on."""

from __future__ import annotations

from omrgrade.training.sources import Recipe, Share, plain

RECIPES: dict[str, Recipe] = {
    "seed": (Share(name="plain", draw=plain, weight=1.0),),
    "paper": (Share(name="plain", draw=plain, weight=1.0),),
}
"""Training images per epoch, by network."""

VALIDATION: dict[str, Recipe] = {
    "seed": (Share(name="plain", draw=plain, weight=1.0),),
    "paper": (Share(name="plain", draw=plain, weight=1.0),),
}
"""Validation images, drawn once from held-out digits, by network: best weights and calibration."""
