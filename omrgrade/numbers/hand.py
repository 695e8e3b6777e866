"""The digits of one paper beside one another: one hand writes like digits alike.

A 9 with a hook may be as like to a 5 as to a 9 to a network that has seen ten thousand hands, and still be
like no 5 of this hand and all its other 9s. So what each piece of ink may be is averaged with what the pieces
likest to it may be, elsewhere on the paper: nearest neighbours by the directions of their strokes (after
Zhou et al., "Learning with local and global consistency", 2003). A paper of many hands loses little by that:
its nearest shapes are of the same digit too, only less alike.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from omrgrade.records import NumberInk, Span

Real = NDArray[np.float32]

NEIGHBOURS = 10
ALIKE = 0.03  # two pieces count e times less for each such step that the cosine between them lies below 1
SHARE = 0.6  # of a piece's probability (in logarithms) that the pieces like it have a say in
OWN = 0.05  # weight of a piece beside neighbours of which one that is wholly alike weighs 1
SURER = 1.5  # by so many times itself the logarithm grows where very many are alike and agree,
ENOUGH = 1.0  # and by half of that where so many are
LEAST = 1e-4  # probability that is left to what no neighbour is
ROUNDS = 2
WHOLE = 0.6  # of the tallest component's height: what is smaller is no digit to compare with
ALONE = 8  # pieces that stand alone in their boxes: fewer do not tell whether a paper has letters in them
LETTERS = 0.2  # share of letters among these that nothing is made of: a network's own share of other ink
DIRECTIONS, CELLS = 8, 7


def of_one_hand(inks: Sequence[NumberInk], probabilities: Sequence[Real]) -> list[Real]:
    """What the spans of a paper's numbers may be, once it is seen beside the others.

    probabilities: a number's spans each, (spans, C) calibrated, the ten digits first; the same comes back.
    """
    spans = [span for ink in inks for span in ink.spans]
    if not spans:
        return list(probabilities)
    own = np.repeat(np.arange(len(inks)), [len(ink.spans) for ink in inks])
    first = np.concatenate(probabilities).astype(np.float64)
    places, weights = _neighbours(spans, own, first.max(axis=1))
    now = first
    for _ in range(ROUNDS):
        others = np.einsum("nk,nkc->nc", weights, now[places]) + OWN * first
        others /= others.sum(axis=1, keepdims=True)
        now = first ** (1 - SHARE) * (others + LEAST) ** SHARE
        now /= now.sum(axis=1, keepdims=True)
    support, agreed = weights.sum(axis=1, keepdims=True), others.max(axis=1, keepdims=True)
    now **= 1 + SURER * support / (support + ENOUGH) * np.maximum(0, 2 * agreed - 1)
    now /= now.sum(axis=1, keepdims=True)
    now = _with_letters(now, _alone(spans, own))
    ends = np.cumsum([len(ink.spans) for ink in inks])[:-1]
    return np.split(now.astype(np.float32), ends)


def _neighbours(
    spans: Sequence[Span], own: NDArray[np.intp], sure: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """For each span the likest ones of other numbers: (n, k) places, and weights 0-1.

    own: which number a span is of. sure: how sure each span's class is; the surer, the more it counts.
    """
    shapes = np.stack([strokes(span.image) for span in spans])
    like = (shapes @ shapes.T).astype(np.float64)
    whole = np.array([not s.joints and s.height > WHOLE and not s.print_like for s in spans], bool)
    like[:, ~whole] = -1.0
    like[own[:, None] == own[None, :]] = -1.0
    places = np.argsort(-like, axis=1, kind="stable")[:, :NEIGHBOURS]
    near = np.take_along_axis(like, places, axis=1)
    weights = np.where(near >= 0, np.exp((near - 1) / ALIKE), 0.0) * sure[places]
    return places, weights


def strokes(image: NDArray[np.uint8]) -> Real:
    """The directions of ink's edges by place, a unit vector: (28, 28) uint8 -> (392,) float32.

    Histograms of oriented gradients (Dalal & Triggs 2005), blurred, so that small shifts hardly count.
    """
    soft = cv2.GaussianBlur(image.astype(np.float32) / 255, (0, 0), 0.8)
    across, down = cv2.Sobel(soft, cv2.CV_32F, 1, 0), cv2.Sobel(soft, cv2.CV_32F, 0, 1)
    steep = np.hypot(across, down)
    turn = np.arctan2(down, across) / (2 * np.pi) * DIRECTIONS % DIRECTIONS
    parts = []
    for direction in range(DIRECTIONS):
        off = np.abs(turn - direction)
        share = np.maximum(0, 1 - np.minimum(off, DIRECTIONS - off))
        spread = cv2.GaussianBlur((steep * share).astype(np.float32), (0, 0), 2.0)
        parts.append(cv2.resize(spread, (CELLS, CELLS), interpolation=cv2.INTER_AREA).ravel())
    shape = np.sqrt(np.concatenate(parts))
    unit: Real = (shape / max(1e-6, float(np.linalg.norm(shape)))).astype(np.float32)
    return unit


def _alone(spans: Sequence[Span], own: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Which spans are all that is large in their box, whatever small there is beside them."""
    large = np.array([span.stop - span.start == 1 and span.height > WHOLE for span in spans], bool)
    return large & (np.bincount(own[large], minlength=own.max() + 1)[own] == 1)


def _with_letters(now: NDArray[np.float64], alone: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Where what stands alone in a box is mostly no digit (grades are), what stands alone is less a digit.

    The share of letters is found as Saerens et al. 2002 find priors, by expectation and maximisation.
    """
    if alone.sum() < ALONE or now.shape[1] <= 10:
        return now
    seen, share = now[alone], LETTERS
    for _ in range(5):
        share = float(np.clip(_shifted(seen, share)[:, 10:].sum(axis=1).mean(), LETTERS, 0.97))
    result = now.copy()
    result[alone] = _shifted(seen, share)
    return result


def _shifted(seen: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """Probabilities for paper on which such a share is no digit."""
    odds = np.full(seen.shape[1], (1 - share) / (1 - LETTERS))
    odds[10:] = share / LETTERS
    moved = seen * odds
    result: NDArray[np.float64] = moved / moved.sum(axis=1, keepdims=True)
    return result
