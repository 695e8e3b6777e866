"""Ink and class probabilities -> a box's reading: a digit, nothing, or a doubt with its reason."""

from __future__ import annotations

from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from omrgrade.records import BoxReading, Ink, Policy

DIGITS = "0123456789"
GHOST = 18.0, 0.7
"""Ink of fewer grey levels over the paper may be dirt, an erased digit or print from the back. It is, and the
box is blank, if it is a digit with less than this confidence.

Not `Policy.accept`: whoever raises that wants to see more, and must not get blanks for doubts instead.
"""

UNCUT_TRUST = 10.0, 40.0
"""How much more a digit seen with the lines left in counts: where there are two lines, as in a grid's corner,
and elsewhere, where they are more often a digit's own.

Print across a digit seldom makes it another one; a digit that lost a stroke often is."""

LIGHTER = 0.4
"""Of the usual ink of a paper's boxes, by contrast: lighter ink may be a scanner's or a copier's."""

OTHER_INK = 1, 9
"""The network's own expectation, as boxes seen with other ink and with digits: one in ten of
its training images is no digit."""


def either_view(cut: NDArray[np.float32], uncut: NDArray[np.float32], lines: int = 1) -> NDArray[np.float32]:
    """Class probabilities of a box whose lines may be print or may be part of the digit.

    cut, uncut: (C,) probabilities with the lines removed and with them left in. Each view counts as far as it
    is a digit at all; two views that are clearly different digits weaken each other. lines: how many were
    found. Returns (C,).
    """
    views = np.stack([cut, uncut])
    trust = views[:, : len(DIGITS)].sum(axis=1) + 1e-6
    trust[1] = UNCUT_TRUST[lines != 2] * trust[1] ** 16  # next to nothing unless it is clearly a digit
    merged: NDArray[np.float32] = (trust @ views / trust.sum()).astype(np.float32)
    return merged


def both_views(cut: NDArray[np.float32], restored: NDArray[np.float32]) -> NDArray[np.float32]:
    """Class probabilities of a box in which ink seems to hide under the outline.

    cut, restored: (C,) probabilities without that ink and with it. Something is there, so a digit is only as
    likely as the view that likes it less. Returns (C,); what the digits lack to 1 is doubt.
    """
    return np.minimum(cut, restored)


def fuller_view(
    plain: NDArray[np.float32], fuller: NDArray[np.float32], cut: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Class probabilities of a box in which there may be more to a digit than what is clearly ink.

    plain: (C,) probabilities so far. fuller, cut: (C,) with strokes that hardly pressed, or that lie on the
    outline, and without them, the lines removed in both. Where such strokes make another digit, it is either,
    and neither is likelier than not; else the plain view is the clearer one. So it is where the lines were
    left in to read it (`either_view`): strokes beside a line say nothing of that. Returns (C,); what the
    digits lack to 1 is doubt.
    """
    another, likeliest = int(fuller.argmax()), int(plain.argmax())
    seen = another < len(DIGITS) and fuller[another] >= 0.5 and another != likeliest
    if not seen or likeliest != int(cut.argmax()):
        return plain
    either = (plain + fuller) / 2
    return np.asarray(either * min(1.0, 0.49 / float(either.max())), np.float32)


def vouched_for(contrast: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which boxes (N,) of a paper its other boxes tell something of, by their ink's contrast, 0 for none.

    Ink so faint that it may be dirt, or far lighter than most of the paper's, may not be the pupil's: a
    copier's streak down an empty box is no likelier a 1 for the digits beside it.
    """
    seen = contrast >= GHOST[0]
    if not seen.any():
        return seen
    return np.asarray(seen & (contrast >= LIGHTER * np.median(contrast[seen])))


def among_others(probabilities: NDArray[np.float32], written: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Class probabilities (N, C) of a paper's digit boxes, once the others have told how its boxes are used.

    The network expects one piece of ink in ten to be no digit. Whoever filled thirty boxes with digits hardly
    ticked the next; who struck out three may have struck out a fourth. So each box is given the share of
    other ink that is to be expected of this paper, from its other boxes (a beta prior), in place of the
    network's (Saerens et al., "Adjusting the outputs of a classifier to new a priori probabilities", 2002).
    written: (N,) boxes with the pupil's ink (`vouched_for`). The others stay as they are, and so do boxes of
    which two views contradict one another: their doubt is another.
    """
    plain = written & (probabilities.sum(axis=1) > 0.999)
    if probabilities.shape[1] == len(DIGITS) or not plain.any():
        return probabilities
    other, digit = OTHER_INK
    seen = probabilities[plain].astype(np.float64)
    chance = seen[:, len(DIGITS) :].sum(axis=1)
    unlike = other + chance.sum() - chance  # of the others; a box is no witness of its own
    like = digit + (1 - chance).sum() - (1 - chance)
    seen[:, len(DIGITS) :] *= (unlike / like / (other / digit))[:, None]
    result = probabilities.copy()
    result[plain] = seen / seen.sum(axis=1, keepdims=True)
    return result


def read_box(ink: Ink, probabilities: NDArray[np.float32], policy: Policy) -> BoxReading:
    """Decide what one box says.

    probabilities: (C,) calibrated, the ten digits first, then whatever else the model knows ("not_digit").
    """
    empty = ink.empty
    if ink.clings:  # a 1 that leans on the outline, if it is not a thick line
        return BoxReading(value="", confidence=0.5, status="review", reason="empty, or ink on the outline")
    if empty and ink.uncut is None:
        return BoxReading(value="", confidence=_blank_confidence(ink), status="blank")
    digits = probabilities[: len(DIGITS)]
    likely = digits.tolist()  # at ten numbers NumPy costs more than it saves
    second, best = sorted(range(len(likely)), key=likely.__getitem__)[-2:]
    confidence = min(max(likely[best], 0.0), 1.0)
    not_digit = float(max(0.0, 1 - digits.sum()))
    contrast, alike = GHOST
    if (empty or ink.contrast < contrast) and confidence < alike:
        return BoxReading(value="", confidence=_blank_confidence(ink), status="blank")
    reason = ""
    if empty:
        reason = f"the box's outline, or {DIGITS[best]}"
    elif ink.contrast < policy.faint:
        reason = "very faint"
    elif ink.through:
        reason = "a line runs through the box"
    elif confidence < policy.accept:
        reason = "not one digit" if not_digit > confidence else f"{DIGITS[best]} or {DIGITS[second]}"
        if not_digit <= confidence and likely[second] < not_digit:
            reason = f"unclear {DIGITS[best]}"
    return BoxReading(
        value=DIGITS[best],
        confidence=confidence,
        status="review" if reason else "read",
        reason=reason,
        runner_up=DIGITS[second],
        probabilities=tuple(map(round, likely, repeat(5))),
    )


def _blank_confidence(ink: Ink) -> float:
    """Nearly 1 for clean paper, falling as something stands out from its grain."""
    return min(max(1 - 0.0005 * max(0.0, ink.contrast - 2 * ink.noise) ** 1.5, 0.5), 0.9999)
