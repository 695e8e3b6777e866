"""The paper of many boxes at once: its shadows taken away, its grain measured."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]

_STROKE = np.ones((17, 17), np.uint8)  # px at WORK_SIDE: wider than a stroke
_BLOT = np.ones((33, 33), np.uint8)  # wider than the filled loop of an 8
MAX_GRAIN = 15.0  # grey levels, of a coarse copy
MIN_CONTRAST = 8.0  # grey levels: fainter than this is paper


def flatten(grey: Grey) -> Grey:
    """Darkness over the paper, (N, h, w) uint8: shadows and slow changes of light removed.

    The boxes go through OpenCV as the channels of one image, at most 128 of them: each is filtered by itself,
    and what a call costs is paid once.
    """
    shape = grey.shape[1], grey.shape[2], len(grey)
    smooth = cv2.GaussianBlur(np.ascontiguousarray(grey.transpose(1, 2, 0)), (3, 3), 0)
    paper = cv2.morphologyEx(smooth, cv2.MORPH_CLOSE, _STROKE).reshape(shape)
    wide = cv2.morphologyEx(smooth, cv2.MORPH_CLOSE, _BLOT).reshape(shape)
    patch = wide - paper > int(MIN_CONTRAST)  # a closing with more is never darker
    some = np.flatnonzero(patch.any(axis=(0, 1)))
    if len(some):
        parts = (np.ascontiguousarray(part[..., some].transpose(2, 0, 1)) for part in (patch, paper, wide))
        own = [np.where(_thick_ink(*box), box[2], box[1]) for box in zip(*parts, strict=True)]
        paper[..., some] = np.stack(own, axis=-1)
    dark = paper - smooth.reshape(shape)  # nor is a closing darker than what it closed
    return np.ascontiguousarray(dark.transpose(2, 0, 1))


def _thick_ink(patch: NDArray[np.bool_], paper: Grey, wide: Grey) -> NDArray[np.bool_]:
    """Which dark patches wider than a stroke are ink: a shadow comes in from the edge and is not so dark.

    What lies within a stroke's width of solid ink, in the same patch, is the blur between it and the paper.
    """
    solid = cv2.dilate((paper < np.rint(0.6 * wide)).view(np.uint8), _STROKE) & patch.view(np.uint8)
    count, labels = cv2.connectedComponents(patch.view(np.uint8))
    ink = np.ones(count, bool)
    for rim in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        ink[rim] = False
    ink[0] = False
    return np.asarray(solid.view(np.bool_) | ink[labels])


def noise(dark: Grey) -> NDArray[np.float64]:
    """(N,) standard deviation of the paper's grain, grey levels, from the quieter half of the pixels.

    Where ink covers more than half of the box that half is ink as well, which must not pass for grain.
    """
    return np.minimum(quantiles(np.ascontiguousarray(dark[:, ::2, ::2]), 0.4) / 1.5 + 0.5, MAX_GRAIN)


def quantiles(images: Grey, share: float) -> NDArray[np.float64]:
    """(N,): the value that `share` (0-1) of each image's (h, w) pixels lie below, to a grey level."""
    place = int(share * (images[0].size - 1)) + 0.5
    counts = [cv2.calcHist([image], [0], None, [256], [0, 256]) for image in images]  # faster than any sort
    below = np.cumsum(np.stack(counts), axis=1) < place
    return below.sum(axis=1).astype(np.float64)
