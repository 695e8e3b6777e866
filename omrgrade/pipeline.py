"""The order of the stages: how a page becomes readings, and a folder of pages becomes marks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from omrgrade.boxes import merge_views, read_box
from omrgrade.classify import Classifier, load_classifier
from omrgrade.normalize import normalize
from omrgrade.records import BoxReading, Crop, Ink, Policy

Grey = NDArray[np.uint8]


def policy_for(classifier: Classifier) -> Policy:
    """The default policy with the thresholds that the model's card brings."""
    return replace(Policy(), **classifier.card.thresholds)


def read_boxes(
    images: Sequence[Grey] | Grey,
    *,
    classifier: Classifier | None = None,
    policy: Policy | None = None,
) -> list[BoxReading]:
    """Read box crops, each (h, w) uint8 grey, dark ink on light paper, printed outline included if any.

    One reading an image, in order. Without a classifier the bundled one is loaded.
    """
    classifier = classifier or load_classifier()
    crops = [Crop(pixels=np.asarray(image), margin=0) for image in images]
    return read_crops(crops, classifier, policy or policy_for(classifier))


def read_crops(crops: Sequence[Crop], classifier: Classifier, policy: Policy) -> list[BoxReading]:
    """Normalise, classify in one call, decide: one reading a crop, in order."""
    inks = [normalize(crop) for crop in crops]
    return [
        read_box(ink, probabilities, policy)
        for ink, probabilities in zip(inks, _classify(inks, classifier), strict=True)
    ]


def _classify(inks: Sequence[Ink], classifier: Classifier) -> NDArray[np.float32]:
    """Class probabilities (N, C), both views of a doubtful outline merged; empty boxes get zeros."""
    written = [n for n, ink in enumerate(inks) if not ink.empty]
    doubtful = [n for n, ink in enumerate(inks) if ink.uncut is not None]
    views = [inks[n].image for n in written] + [view for ink in inks if (view := ink.uncut) is not None]
    result = np.zeros((len(inks), len(classifier.card.classes)), np.float32)
    if views:
        found = classifier.probabilities(np.stack(views))
        result[written] = found[: len(written)]
        for n, uncut in zip(doubtful, found[len(written) :], strict=True):
            result[n] = merge_views(result[n], uncut)
    return result
