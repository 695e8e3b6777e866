"""Crops of boxes -> readings: normalised together, classified in one call, decided one by one."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import fields, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from omrgrade.boxes import among_others, both_views, either_view, fuller_view, read_box, vouched_for
from omrgrade.classify import Classifier, load_classifier
from omrgrade.errors import ModelError
from omrgrade.metrics import promised_threshold
from omrgrade.normalize import normalize_all
from omrgrade.normalize.strings import segment
from omrgrade.numbers import read_number
from omrgrade.numbers.hand import of_one_hand
from omrgrade.records import BoxReading, Crop, Ink, ModelCard, Policy

Grey = NDArray[np.uint8]


def policy_for(classifier: Classifier, *, max_error: float | None = None) -> Policy:
    """`policy_of` a classifier's card."""
    return policy_of(classifier.card, max_error=max_error)


def policy_of(card: ModelCard, *, max_error: float | None = None) -> Policy:
    """The default policy with the thresholds that a model's card brings.

    max_error: share (0-1) of the accepted digits that may be wrong. The threshold that keeps to it, with 95 %
    confidence on paper like the card's calibration set, replaces the card's own; `ModelError` without one.
    """
    if unknown := sorted(card.thresholds.keys() - {f.name for f in fields(Policy)}):
        raise ModelError(
            "the model card has thresholds that this version does not know",
            fix="use the model that came with this version, or train again",
            received=unknown,
        )
    policy = replace(Policy(), **cast("dict[str, Any]", card.thresholds))
    if max_error is None:
        return policy
    threshold = promised_threshold(card.calibration, max_error) if card.calibration else None
    if threshold is None:
        raise ModelError(
            "the model's calibration set cannot promise so few errors",
            fix="allow more, or calibrate on more labelled boxes with: omrgrade calibrate",
            received=max_error,
        )
    number = max(threshold, policy.accept_number)
    return replace(policy, accept=threshold, accept_number=number, beside=False)  # promised box by box


def read_boxes(
    images: Sequence[Grey] | Grey,
    *,
    classifier: Classifier | None = None,
    policy: Policy | None = None,
    papers: Sequence[Hashable] = (),
) -> list[BoxReading]:
    """Read box crops, each (h, w) uint8 grey, dark ink on light paper, printed outline included if any.

    One reading an image, in order. Without a classifier the bundled one is loaded. papers: which paper each
    is from, if known: see `read_crops`.
    """
    for image in images:
        if image.ndim != 2 or image.dtype != np.uint8 or not image.size:
            raise ValueError(f"a box must be uint8 (h, w) grey (received {image.dtype} {image.shape})")
    classifier = classifier or load_classifier()
    crops = [Crop(pixels=image, margin=0) for image in images]
    return read_crops(crops, classifier, policy or policy_for(classifier), papers)


def read_crops(
    crops: Sequence[Crop], classifier: Classifier, policy: Policy, papers: Sequence[Hashable] = ()
) -> list[BoxReading]:
    """Normalise, classify in one call, decide: one reading a crop, in order.

    papers: which paper each is from, where `policy.beside` lets its other boxes tell how its boxes are used.
    """
    inks = normalize_all(crops)
    found = classify_views(inks, classifier)
    contrast = np.array([0.0 if ink.empty else ink.contrast for ink in inks])
    for paper in dict.fromkeys(papers if policy.beside else ()):
        own = [n for n, other in enumerate(papers) if other == paper]
        found[own] = among_others(found[own], vouched_for(contrast[own]))
    return [read_box(ink, probabilities, policy) for ink, probabilities in zip(inks, found, strict=True)]


def read_numbers(
    crops: Sequence[Crop], classifier: Classifier, policy: Policy, papers: Sequence[Hashable] = ()
) -> list[BoxReading]:
    """The whole number in each wide box (kind "number"), in order; all pieces classified in one call.

    papers: which paper each is from. Those of one paper, of one hand, are read beside one another.
    """
    inks = [segment(crop) for crop in crops]
    pieces = [span.image for ink in inks for span in ink.spans]
    classes = len(classifier.card.classes)
    rows = classifier.probabilities(np.stack(pieces)) if pieces else np.zeros((0, classes), np.float32)
    found = np.split(rows, np.cumsum([len(ink.spans) for ink in inks])[:-1]) if inks else []
    for paper in dict.fromkeys(papers):
        own = [n for n, other in enumerate(papers) if other == paper]
        beside = of_one_hand([inks[n] for n in own], [found[n] for n in own])
        for n, rows in zip(own, beside, strict=True):
            found[n] = rows
    return [read_number(ink, rows, policy) for ink, rows in zip(inks, found, strict=True)]


def classify_views(inks: Sequence[Ink], classifier: Classifier) -> NDArray[np.float32]:
    """Class probabilities (N, C) of all views of all boxes in one call; empty boxes get zeros."""
    written = [(n, ink.image) for n, ink in enumerate(inks) if not ink.empty]
    uncut = [(n, ink.uncut) for n, ink in enumerate(inks) if ink.uncut is not None]
    restored = [(n, view) for n, _ in written if (view := inks[n].restored) is not None]
    result = np.zeros((len(inks), len(classifier.card.classes)), np.float32)
    fuller = [(n, view) for n, _ in written for view in (inks[n].faint, inks[n].along) if view is not None]
    views = [*written, *uncut, *restored, *fuller]
    if not views:
        return result
    found = iter(classifier.probabilities(np.stack([image for _, image in views])))
    for n, _ in written:
        result[n] = next(found)
    cut = result.copy()
    for n, _ in uncut:
        result[n] = either_view(result[n], next(found), inks[n].lines)
    for n, _ in restored:
        result[n] = both_views(result[n], next(found))
    for n, _ in fuller:
        result[n] = fuller_view(result[n], next(found), cut[n])
    return result
