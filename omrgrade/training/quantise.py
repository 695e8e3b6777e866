"""The digit network at 8 bits: a third of the time, a quarter of the size.

Post-training static quantisation (Jacob et al. 2018) by ONNX Runtime. Weights take 7 of the 8 bits:
processors without VNNI add pairs of products in 16 bits, which 8-bit weights would overflow, and a box must
not read otherwise on an older computer. The first and the last layer stay as they are: they are 1 % of the
work, and what is rounded there is lost to all others.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from omrgrade.classify import Images

BATCHES = 8
LAYERS = ("Conv", "Gemm", "MatMul")


def to_int8(network: bytes, images: Images) -> bytes:
    """A network (ONNX: float32 (N, 28, 28, 1) in 0-1 -> logits) with 8-bit weights and activations.

    images: uint8 (N, 28, 28), ink 255 on 0, normalised boxes like those that will be read: what each layer
    makes of them gives the range of its activations.
    """
    import onnx
    from onnxruntime import quantization

    class Boxes(quantization.CalibrationDataReader):  # type: ignore[misc]  # the package has no types
        def __init__(self, name: str) -> None:
            self._batches = _batches(name, images)

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            return next(self._batches, None)

    with tempfile.TemporaryDirectory() as folder:
        source, fused, result = (Path(folder, f"{name}.onnx") for name in ("float32", "fused", "int8"))
        source.write_bytes(network)
        quantization.quant_pre_process(source, fused, skip_symbolic_shape=True)
        graph = onnx.load(fused).graph
        layers = [node.name for node in graph.node if node.op_type in LAYERS]
        quantization.quantize_static(
            fused,
            result,
            Boxes(graph.input[0].name),
            per_channel=True,
            reduce_range=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            nodes_to_exclude=[layers[0], layers[-1]],
        )
        return result.read_bytes()


def _batches(name: str, images: Images) -> Iterator[dict[str, NDArray[np.float32]]]:
    for part in np.array_split(images, BATCHES):
        if len(part):
            yield {name: part[..., np.newaxis].astype(np.float32) / np.float32(255)}
