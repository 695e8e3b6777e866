"""Learning from networks that were trained before: what they see in an image, beside its label.

Several networks together err less than each of them, and one network can learn nearly all that they know
from their probabilities (Hinton, Vinyals and Dean 2015). They also know better than a label what is left of a
digit that was deformed or scanned badly: a 9 whose loop has closed up is a doubt, and is learnt as one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from omrgrade.classify import Classifier, load_classifier
from omrgrade.errors import ModelError
from omrgrade.training.data import Labelled, one_hot

BELIEF = 0.5
"""The label's share of what is learnt; the rest is the teachers'."""

DENIED = 0.05
"""Probability that teachers give a label, below which it is not believed at all."""


class Teachers:
    """Networks whose common opinion is learnt."""

    def __init__(self, networks: Sequence[Classifier]) -> None:
        if len({network.card.classes for network in networks}) != 1:
            raise ModelError("teachers must know the same classes", fix="give networks of one kind")
        self._networks = networks

    def opinion(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Geometric mean of their probabilities: uint8 (N, 28, 28) -> float32 (N, C), rows sum to 1."""
        logs = [np.log(np.clip(network.probabilities(images), 1e-7, 1)) for network in self._networks]
        common = np.exp(np.mean(logs, axis=0))
        shared: NDArray[np.float32] = (common / common.sum(axis=1, keepdims=True)).astype(np.float32)
        return shared

    def taught(self, part: Labelled, doubtful: bool) -> Labelled:
        """The same images with targets: the label alone, or where it is doubtful label and opinion mixed."""
        classes = len(self._networks[0].card.classes)
        labels = one_hot(part.labels, classes)
        if not doubtful or not len(part):
            return replace(part, targets=labels)
        opinion = self.opinion(part.images)
        believed = np.take_along_axis(opinion, part.labels[:, np.newaxis], axis=1) >= DENIED
        share = np.where(believed, BELIEF, 0)
        mixed = (share * labels + (1 - share) * opinion).astype(np.float32)
        return replace(part, targets=mixed)


def load_teachers(paths: Sequence[Path]) -> Teachers | None:
    """Exported networks with their cards beside them; None if there are none."""
    return Teachers([load_classifier(path) for path in paths]) if paths else None
