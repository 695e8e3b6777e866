"""PNG figures about training and measuring; matplotlib is loaded when one is drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omrgrade.errors import MissingExtraError, OutputError
from omrgrade.metrics import reliability, risk_coverage


def draw_learning_curves(history: Mapping[str, Sequence[float]], path: Path) -> None:
    """Accuracy and loss per epoch, training against validation."""
    figure, axes = _figure(2)
    for axis, key in zip(axes, ("accuracy", "loss"), strict=True):
        epochs = range(1, len(history[key]) + 1)
        axis.plot(epochs, history[key], marker="o", label="training")
        axis.plot(epochs, history[f"val_{key}"], marker="o", label="validation")
        axis.set(xlabel="epoch", ylabel=key)
        axis.legend()
    _save(figure, path)


def draw_confusion_matrix(matrix: NDArray[np.int64], names: Sequence[str], path: Path) -> None:
    """Counts, a row per true class; shaded by the share of the row, darkest for mistakes of 1 % or more."""
    figure, (axis,) = _figure(1)
    mistakes = matrix / np.maximum(1, matrix.sum(axis=1, keepdims=True))
    np.fill_diagonal(mistakes, 0)
    axis.imshow(mistakes, cmap="Reds", vmin=0, vmax=max(0.01, float(mistakes.max())))
    for (row, column), count in np.ndenumerate(matrix):
        if count:
            weight = "bold" if row == column else "normal"
            axis.text(column, row, str(count), ha="center", va="center", fontsize=8, weight=weight)
    ticks = range(len(names))
    axis.set(xlabel="predicted", ylabel="true")
    axis.set_xticks(ticks, names)
    axis.set_yticks(ticks, names)
    _save(figure, path)


def draw_reliability(confidence: NDArray[np.floating], correct: NDArray[np.bool_], path: Path) -> None:
    """Stated confidence against the share that was right; the diagonal is perfect."""
    found = reliability(confidence, correct)
    figure, (axis,) = _figure(1)
    axis.plot((0, 1), (0, 1), color="grey", linewidth=1)
    filled = found.count > 0
    sizes = 20 + 180 * np.sqrt(found.count[filled] / found.count.max())
    axis.scatter(found.confidence[filled], found.accuracy[filled], s=sizes)
    axis.set(xlabel="confidence", ylabel="share that is right", xlim=(0, 1.02), ylim=(0, 1.02))
    axis.set_title(f"expected calibration error {found.error:.4f}, {len(correct)} boxes")
    _save(figure, path)


def draw_risk_coverage(confidence: NDArray[np.floating], correct: NDArray[np.bool_], path: Path) -> None:
    """Share of wrong ones among the accepted, against the share accepted."""
    coverage, risk = risk_coverage(confidence, correct)
    figure, (axis,) = _figure(1)
    axis.step(100 * coverage, 100 * risk, where="post")
    axis.set(xlabel="accepted, %", ylabel="wrong among the accepted, %", xlim=(0, 101), ylim=(0, None))
    axis.grid(alpha=0.3)
    _save(figure, path)


def _figure(panels: int) -> tuple[Any, Any]:
    try:
        from matplotlib.figure import Figure  # not pyplot: no window system, no global state
    except ImportError as error:
        raise MissingExtraError("drawing figures", "train") from error
    figure = Figure(figsize=(5.5 * panels, 4.5 if panels > 1 else 5), layout="constrained")
    axes = figure.subplots(1, panels, squeeze=False)[0]
    return figure, axes


def _save(figure: Any, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=110, metadata={"Software": None})  # the same figure, the same bytes
    except OSError as error:
        raise OutputError("the figure cannot be written", where=str(path), received=str(error)) from error
