"""Own paper: labelled boxes mixed into training, and whether the network has got better at them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from omrgrade.classify import Classifier
from omrgrade.errors import DatasetError, ModelError
from omrgrade.metrics import wilson
from omrgrade.normalize import normalize_all
from omrgrade.records import Crop, Policy
from omrgrade.training.augment import nudged
from omrgrade.training.boxes import BLANK, LabelledBoxes, read_all, score_boxes
from omrgrade.training.data import Labelled
from omrgrade.training.paper import NOT_DIGIT as NOT_DIGIT_CLASS
from omrgrade.training.sources import Share

HELD = 0.3  # of the boxes: measured on, before and after, and never trained on
WATCHED = 0.15  # of the boxes: part of what chooses the best weights
WEIGHT = 0.4  # images of own paper per MNIST digit and epoch, however few boxes there are
FEWEST = 50  # boxes with ink, below which nothing is learnt and nothing can be shown


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class OwnPaper:
    """Labelled boxes in three parts."""

    learn: Labelled  # as the classifier sees them
    watched: Labelled
    held: LabelledBoxes  # as scanned


def own_paper(boxes: LabelledBoxes, where: str) -> OwnPaper:
    """Split labelled boxes, the same way every time; empty ones are kept to be measured on only."""
    written = int((boxes.truth != BLANK).sum())
    if written < FEWEST:
        raise DatasetError(
            f"too few boxes with ink to learn from and to measure on (at least {FEWEST})",
            where=where,
            fix="correct more readings, then export them again",
            received=written,
        )
    order = np.random.default_rng(0).permutation(len(boxes.truth))
    held, watched, learn = np.split(order, np.round(np.cumsum([HELD, WATCHED]) * len(order)).astype(int))
    return OwnPaper(learn=_views(boxes, learn), watched=_views(boxes, watched), held=boxes.take(held))


def _views(boxes: LabelledBoxes, index: Any) -> Labelled:
    """What the classifier is shown of these boxes: every view of their ink."""
    inks = normalize_all([Crop(pixels=image, margin=0) for image in boxes.images[index]])
    images, labels = [], []
    for ink, truth in zip(inks, boxes.truth[index], strict=True):
        if truth != BLANK and not ink.empty:
            images.append(ink.image)
            labels.append(NOT_DIGIT_CLASS if truth < 0 else int(truth))
    stacked = np.stack(images) if images else np.empty((0, 28, 28), np.uint8)
    return Labelled(images=stacked, labels=np.array(labels, np.int64))


def share_of(own: OwnPaper) -> Share:
    """Own paper as a source to train on, a little changed each time."""
    return Share(name="own paper", draw=partial(_draw, own.learn), weight=WEIGHT)


def _draw(own: Labelled, _: Labelled, count: int, rng: np.random.Generator) -> Labelled:
    return nudged(own, count, rng)


def measured(own: OwnPaper, classifier: Classifier, policy: Policy) -> dict[str, Any]:
    """The held-out boxes through the whole reader, as `score_boxes` counts them."""
    return score_boxes(own.held, read_all(own.held, classifier, policy))


def check_better(before: dict[str, Any], after: dict[str, Any]) -> None:
    """ModelError when the held-out boxes are read worse: fewer right, or more wrong and accepted.

    A network that has learnt a hand accepts far more of it, and so a few more of its mistakes: more than the
    95 % interval of what was wrong before is worse.
    """
    wrong = round(before["substitution_rate"] * before["digits"])
    worst = max(before["substitution_rate"], wilson(wrong, before["digits"])[1])
    if after["accuracy"] < before["accuracy"] or after["substitution_rate"] > worst:
        raise ModelError(
            "the network reads the held-out boxes no better than before; nothing was installed",
            fix="give more labelled boxes, or look for wrong labels among them",
            received=f"right {after['accuracy']:.4f}, before {before['accuracy']:.4f}; accepted and wrong "
            f"{after['substitution_rate']:.4f}, before {before['substitution_rate']:.4f}",
        )


def comparison(before: dict[str, Any], after: dict[str, Any], mnist: tuple[float, float]) -> str:
    """Both models side by side, in percent."""
    rows = [
        ("MNIST test set, right", *mnist),
        ("own boxes, right", before["accuracy"], after["accuracy"]),
        ("own boxes, accepted and right", before["accepted_correct_rate"], after["accepted_correct_rate"]),
        ("own boxes, accepted and wrong", before["substitution_rate"], after["substitution_rate"]),
    ]
    lines = [f"{'%':<32}{'before':>8}{'after':>8}"]
    lines += [f"{name:<32}{100 * old:>8.2f}{100 * new:>8.2f}" for name, old, new in rows]
    held = f"{before['digits']} digits, {before['not_digits']} other ink, {before['blanks']} empty"
    return "\n".join([*lines, f"own boxes held out: {held}"]) + "\n"
