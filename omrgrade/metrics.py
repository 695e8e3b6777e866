"""Figures about classifiers and readings: accuracy, calibration, risk and coverage. NumPy only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Reals = NDArray[np.float64]


def confusion_matrix(truth: Ints, predicted: Ints, classes: int) -> Ints:
    """Counts (classes, classes): row = true class, column = predicted class."""
    matrix = np.zeros((classes, classes), np.int64)
    np.add.at(matrix, (truth, predicted), 1)
    return matrix


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassScore:
    """How well one class was found."""

    precision: float  # of those predicted as it, the share that was right; 0 when none was predicted
    recall: float  # of those that are it, the share that was found; 0 when there is none
    f1: float  # harmonic mean of the two
    support: int  # how many there are


def class_scores(matrix: Ints) -> tuple[ClassScore, ...]:
    """Precision, recall and F1 of every class of a confusion matrix."""
    scores = []
    for place in range(len(matrix)):
        right, predicted, actual = (
            int(n) for n in (matrix[place, place], matrix[:, place].sum(), matrix[place].sum())
        )
        scores.append(
            ClassScore(
                precision=right / predicted if predicted else 0.0,
                recall=right / actual if actual else 0.0,
                f1=2 * right / (predicted + actual) if predicted + actual else 0.0,
                support=actual,
            )
        )
    return tuple(scores)


def report_text(matrix: Ints, names: Sequence[str]) -> str:
    """The classification report as scikit-learn lays it out, four decimals."""
    scores = class_scores(matrix)
    support = np.array([s.support for s in scores])
    table = np.array([(s.precision, s.recall, s.f1) for s in scores])
    total = int(support.sum())
    accuracy = matrix.trace() / total if total else 0.0
    weighted = support @ table / total if total else table.mean(axis=0)
    width = max(len("weighted avg"), *map(len, names))
    lines = [
        " " * (width + 1) + "".join(f" {h:>9}" for h in ("precision", "recall", "f1-score", "support")),
        "",
    ]

    def row(name: str, values: NDArray[np.float64], count: int) -> str:
        return f"{name:>{width}} " + "".join(f" {v:9.4f}" for v in values) + f" {count:9d}"

    lines += [row(name, values, int(n)) for name, values, n in zip(names, table, support, strict=True)]
    lines += ["", f"{'accuracy':>{width}}" + " " * 21 + f" {accuracy:9.4f} {total:9d}"]
    lines += [row("macro avg", table.mean(axis=0), total), row("weighted avg", weighted, total)]
    return "\n".join(lines) + "\n"


def matrix_text(matrix: Ints, names: Sequence[str]) -> str:
    """The confusion matrix as a table: a row per true class, a column per predicted one."""
    width = max(5, *(len(n) + 1 for n in names), len(str(matrix.max())) + 1)
    lines = ["true\\pred".ljust(10) + "".join(f"{n:>{width}}" for n in names)]
    lines += [
        f"{n:<10}" + "".join(f"{v:>{width}}" for v in row) for n, row in zip(names, matrix, strict=True)
    ]
    return "\n".join(lines) + "\n"


def log_loss(probabilities: NDArray[np.floating], truth: Ints) -> float:
    """Mean cross-entropy, nats, of (N, C) probabilities against (N,) classes."""
    chosen = probabilities[np.arange(len(truth)), truth].astype(np.float64)
    return float(-np.log(np.clip(chosen, 1e-12, 1.0)).mean())


def fit_temperature(logits: NDArray[np.floating], truth: Ints) -> float:
    """The temperature (0.2-5) that minimises log loss on held-out data (Guo et al. 2017).

    The loss is convex in 1/T, so a ternary search finds its one minimum.
    """
    scores = logits.astype(np.float64)
    scores = scores - scores.max(axis=1, keepdims=True)
    own = scores[np.arange(len(truth)), truth]

    def loss(beta: float) -> float:
        return float((np.log(np.exp(beta * scores).sum(axis=1)) - beta * own).mean())

    low, high = 0.2, 5.0
    for _ in range(60):
        one, two = low + (high - low) / 3, high - (high - low) / 3
        low, high = (low, two) if loss(one) < loss(two) else (one, high)
    return 2 / (low + high)


def wilson(successes: int, total: int) -> tuple[float, float]:
    """95 % interval of a proportion (Wilson 1927); (0, 1) when nothing was counted."""
    if total == 0:
        return 0.0, 1.0
    z = 1.959964
    share = successes / total
    centre = share + z * z / (2 * total)
    spread = z * sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    scale = 1 + z * z / total
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Reliability:
    """Confidence against truth, in bins of equal width."""

    confidence: Reals  # (bins,) mean stated confidence; NaN in an empty bin
    accuracy: Reals  # (bins,) share that was right; NaN in an empty bin
    count: Ints  # (bins,)
    error: float  # expected calibration error: mean |confidence - accuracy| weighted by count


def reliability(
    confidence: NDArray[np.floating], correct: NDArray[np.bool_], *, bins: int = 15
) -> Reliability:
    """Reliability diagram and expected calibration error (Naeini et al. 2015) of (N,) predictions."""
    place = np.clip((confidence * bins).astype(np.int64), 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        stated = np.bincount(place, confidence.astype(np.float64), bins) / count
        actual = np.bincount(place, correct.astype(np.float64), bins) / count
    gap = np.nan_to_num(np.abs(stated - actual))
    return Reliability(
        confidence=stated, accuracy=actual, count=count, error=float(gap @ count / max(1, len(confidence)))
    )


def risk_coverage(confidence: NDArray[np.floating], correct: NDArray[np.bool_]) -> tuple[Reals, Reals]:
    """(coverage, risk), each (N,): accepting the k surest covers k/N and is wrong in this share of them.

    Source: El-Yaniv & Wiener 2010. Ties keep their input order.
    """
    order = np.argsort(-confidence, kind="stable")
    accepted = np.arange(1, len(order) + 1)
    return accepted / max(1, len(order)), np.cumsum(~correct[order]) / accepted


def auroc(positive: NDArray[np.floating], negative: NDArray[np.floating]) -> float:
    """Probability that a positive's score is above a negative's; ties count half (Mann-Whitney)."""
    ordered = np.sort(negative)
    below = np.searchsorted(ordered, positive, "left") + np.searchsorted(ordered, positive, "right")
    return float(below.mean() / 2 / len(negative))


GRID = tuple(round(1 - 10 ** -(0.3 + 0.1 * step), 6) for step in range(48))
"""Acceptance thresholds, laxest first, fixed before any data: 0.5 to 0.99999."""


def risk_table(confidence: NDArray[np.floating], correct: NDArray[np.bool_]) -> dict[str, list[float]]:
    """How many predictions each threshold of GRID accepts, and how many of these are wrong.

    confidence, correct: (N,). Keys `thresholds`, `accepted`, `wrong`, of equal length.
    """
    taken = [confidence >= threshold for threshold in GRID]
    return {
        "thresholds": list(GRID),
        "accepted": [int(part.sum()) for part in taken],
        "wrong": [int((part & ~correct).sum()) for part in taken],
    }


def risk_bound(wrong: int, accepted: int, delta: float = 0.05) -> float:
    """Upper bound of an error rate that holds with probability 1 - delta (Clopper & Pearson 1934)."""
    from scipy.stats import beta

    return float(beta.ppf(1 - delta, wrong + 1, accepted - wrong)) if accepted > wrong else 1.0


STARTS = 4
"""Places from which thresholds are tested: one unlucky error at the strictest must not end the search."""


def promised_threshold(table: dict[str, list[float]], max_error: float, delta: float = 0.05) -> float | None:
    """The laxest threshold whose error among the accepted is at most max_error, with probability 1 - delta.

    Selection with guaranteed risk (Geifman & El-Yaniv 2017): each threshold is tested with an exact binomial
    bound. Tests run in a fixed order, strict to lax, until the first failure, from STARTS places that share
    delta (fixed sequence testing, Angelopoulos et al. 2021). None: too few boxes, or too many errors.
    """
    share = delta / STARTS
    rows = sorted(zip(table["thresholds"], table["accepted"], table["wrong"], strict=True), reverse=True)
    # where too few are accepted nothing can be shown, whatever their labels
    rows = [row for row in rows if risk_bound(0, int(row[1]), share) <= max_error]
    found = []
    for start in range(0, len(rows), max(1, -(-len(rows) // STARTS))):
        for threshold, accepted, wrong in rows[start:]:
            if risk_bound(int(wrong), int(accepted), share) > max_error:
                break
            found.append(threshold)
    return min(found, default=None)
