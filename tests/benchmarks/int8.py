"""The digit network quantised to 8 bits, beside itself: speed, and what the box reader makes of crops.

    python tests/benchmarks/int8.py --boxes ../shared/real/*/cells.npz

Static quantisation (onnxruntime.quantization), calibrated on boxes written by the training's simulator with
digits of MNIST's training set. Needs the packages of `omrgrade[train]`. Writes nothing but a temporary file.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import onnxruntime.quantization as quantization

from omrgrade.classify import OnnxClassifier, load_classifier
from omrgrade.normalize import normalize_all
from omrgrade.pipeline import policy_for
from omrgrade.resources import bundled
from omrgrade.training.boxes import load_boxes, read_all, score_boxes
from omrgrade.training.paper import write_box

BARS = ("accepted_correct_rate", "substitution_rate", "blank_correct_rate", "not_digit_accepted_rate")


class Simulated(quantization.CalibrationDataReader):
    """Normalised simulated boxes, in batches."""

    def __init__(self, name: str, count: int) -> None:
        rng = np.random.default_rng(3)
        with np.load(bundled("models", "mnist.npz")) as data:
            digits = data["x_train"]
        boxes = [write_box(digits[rng.integers(len(digits))], rng).crop for _ in range(count)]
        images = np.stack([ink.image for ink in normalize_all(boxes) if not ink.empty])
        scaled = images[..., None].astype(np.float32) / np.float32(255)
        self._batches = iter([{name: part} for part in np.array_split(scaled, 8)])

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next batch."""
        return next(self._batches, None)


def quantised(model: Path, folder: Path, count: int, *, method: str, keep: int) -> bytes:
    """The model with 8-bit weights and activations; its first and last `keep` layers as they are."""
    import onnx
    import onnxruntime

    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    prepared, result = folder / "prepared.onnx", folder / "int8.onnx"
    quantization.quant_pre_process(str(model), str(prepared), skip_symbolic_shape=True)
    layers = [
        node.name for node in onnx.load(prepared).graph.node if node.op_type in ("Conv", "Gemm", "MatMul")
    ]
    quantization.quantize_static(
        str(prepared),
        str(result),
        Simulated(name, count),
        quant_format=quantization.QuantFormat.QDQ,
        per_channel=True,
        reduce_range=True,  # 7-bit weights: processors without VNNI would saturate
        nodes_to_exclude=layers[:keep] + layers[len(layers) - keep :],
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8,
        calibrate_method=quantization.CalibrationMethod[method],
    )
    return result.read_bytes()


def main() -> None:
    """Quantise, time, score."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=bundled("models", "digits.onnx"))
    parser.add_argument("--boxes", type=Path, nargs="*", default=[])
    parser.add_argument("--calibration", type=int, default=1000)
    parser.add_argument("--method", choices=["MinMax", "Entropy", "Percentile"], default="MinMax")
    parser.add_argument("--keep", type=int, default=0, help="layers at either end that stay float32")
    options = parser.parse_args()
    float32 = load_classifier(options.model)
    with tempfile.TemporaryDirectory() as folder:
        content = quantised(
            options.model, Path(folder), options.calibration, method=options.method, keep=options.keep
        )
    int8 = OnnxClassifier(content, float32.card)
    classifiers = {"float32": float32, "int8": int8}
    print(f"size: {options.model.stat().st_size / 1e3:.0f} kB, {len(content) / 1e3:.0f} kB")
    with np.load(bundled("models", "mnist.npz")) as data:
        images, labels = data["x_test"], data["y_test"]
    best = dict.fromkeys(classifiers, 1e9)
    for _ in range(5):
        for name, classifier in classifiers.items():
            start = time.process_time()
            classifier.logits(images[:2048])
            best[name] = min(best[name], time.process_time() - start)
    for name, classifier in classifiers.items():
        right = classifier.logits(images)[:, :10].argmax(axis=1) == labels
        print(f"{name:8} {1000 * best[name] / 2048:.3f} ms a box   MNIST test {100 * right.mean():.2f} %")
    for path in options.boxes:
        boxes = load_boxes(path)
        for name, classifier in classifiers.items():
            scores = score_boxes(boxes, read_all(boxes, classifier, replace(policy_for(classifier))))
            shown = "  ".join(f"{key} {100 * scores[key]:.3f}" for key in BARS if scores[key] is not None)
            print(f"{path.parent.name:14} {name:8} {shown}", flush=True)


if __name__ == "__main__":
    main()
