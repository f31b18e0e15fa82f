"""What would become of a model if: if an operator mapped, if the model were quantised.

Nothing here can be run; it is only looked at, to say what a change would gain.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from atoll.edgetpu.partition import stages
from atoll.edgetpu.verdict import MAPPED, SECOND_SUBGRAPH
from atoll.tflite.graph import Quantization
from atoll.tflite.weighted import WEIGHTED

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from atoll.edgetpu.verdict import Verdict
    from atoll.tflite.graph import Subgraph, Tensor

_REAL = ("FLOAT64", "FLOAT32", "FLOAT16", "BFLOAT16")
_EIGHT_BIT = ("INT8", "UINT8")
# Weights that have one scale: of a dense layer, until TensorFlow 2.16. All others have one a
# channel.
_ONE_SCALE = ("FULLY_CONNECTED",)
_EDGES = ("QUANTIZE", "DEQUANTIZE")
# Scale and zero point that TFLite's quantisation asks of an output; all others are free.
_OUTPUTS = {"LOGISTIC": (1 / 256, -128), "SOFTMAX": (1 / 256, -128), "TANH": (1 / 128, 0)}
_FREE = (1 / 128, 0)


def computes_in_float(graph: Subgraph) -> bool:
    """Whether more of a graph's operators compute in float than in 8 bits.

    An 8-bit model may have a float tail, and float edges; custom operators may give out anything.
    """
    kinds = [
        {graph.tensors[t].type for t in op.outputs}
        for op in graph.operators
        if op.type not in _EDGES and not op.custom_name
    ]
    in_float = sum(not found.isdisjoint(_REAL) for found in kinds)
    in_eight_bits = sum(not found.isdisjoint(_EIGHT_BIT) for found in kinds)
    return in_float > in_eight_bits


def widened(graph: Subgraph) -> dict[int, Tensor]:
    """Constants that a file holds in 16 bits to be small, and widens when it is run.

    Args:
        graph: A graph.

    Returns:
        For each operator that only widens one, by its place, the constant as it is then.
    """
    found = {}
    for index, op in enumerate(graph.operators):
        source = graph.input_of(op, 0) if op.type == "DEQUANTIZE" else None
        if source is None or source.data is None or source.type != "FLOAT16":
            continue
        target = graph.output_of(op)
        if target is not None and source.data.shape == target.shape:
            found[index] = replace(target, data=source.data)
    return found


def as_quantized(graph: Subgraph) -> Subgraph:
    """A float graph as full-integer quantisation would leave it, but for the values.

    Args:
        graph: A graph that computes in float; it stays as it is.

    Returns:
        A graph whose float tensors are INT8, float biases INT32: of the same operators, without
        those of `widened`.
    """
    constants = widened(graph)
    held = {graph.operators[index].outputs[0]: tensor for index, tensor in constants.items()}
    graph = replace(
        graph,
        tensors=[held.get(i, tensor) for i, tensor in enumerate(graph.tensors)],
        operators=[op for i, op in enumerate(graph.operators) if i not in constants],
    )
    biases: set[int] = set()
    weights: dict[int, int] = {}
    fixed: dict[int, tuple[float, int]] = {}
    for op in graph.operators:
        if op.type in _OUTPUTS:
            fixed |= dict.fromkeys(op.outputs, _OUTPUTS[op.type])
        row = WEIGHTED.get(op.type)
        if row is None:
            continue
        biases.update(op.inputs[row.bias : row.bias + 1])
        if op.type not in _ONE_SCALE:
            kernels = op.inputs[row.weights : row.weights + 1]
            weights |= dict.fromkeys(kernels, row.channel_axis)
    tensors = [
        _quantized(tensor, i in biases, weights.get(i), fixed.get(i, _FREE))
        if tensor.type in _REAL and not tensor.is_variable and _is_dense(tensor)
        else tensor
        for i, tensor in enumerate(graph.tensors)
    ]
    return replace(graph, tensors=tensors)


def as_mapped(
    graph: Subgraph, verdicts: Sequence[Verdict], helped: Collection[int]
) -> list[Verdict]:
    """Verdicts as they would be if some operators were supported, and no other changed.

    Args:
        graph: The graph.
        verdicts: What `partition` says of it.
        helped: The operators that are supposed to be supported.

    Returns:
        The verdicts; those behind an operator that is helped may map too.
    """
    supported = [
        verdict.target == "tpu" or verdict.status == SECOND_SUBGRAPH or verdict.index in helped
        for verdict in verdicts
    ]
    several = any(verdict.part > 0 for verdict in verdicts)
    levels = stages(graph, supported)
    return [
        replace(verdict, target="tpu", status=MAPPED, reason="", fix="", part=level)
        if possible and (several or level == 0)
        else replace(verdict, target="cpu", part=-1)
        for verdict, possible, level in zip(verdicts, supported, levels, strict=True)
    ]


def _is_dense(tensor: Tensor) -> bool:
    """Whether it is computed, or a constant that is held as an array of its shape."""
    return tensor.data is None or tensor.data.shape == tensor.shape


def _quantized(tensor: Tensor, is_bias: bool, axis: int | None, fixed: tuple[float, int]) -> Tensor:
    kind, dtype = ("INT32", np.int32) if is_bias else ("INT8", np.int8)
    channels, data = 1, None
    if tensor.data is not None:
        # The same zeros and others as before: what is all zeros takes less room on the chip.
        data = np.broadcast_to(dtype(1 if tensor.data.any() else 0), tensor.shape)
        if axis is not None and axis < len(tensor.shape):
            channels = max(1, tensor.shape[axis])
    scale, zero_point = fixed
    return replace(
        tensor,
        type=kind,
        data=data,
        quantization=Quantization(
            # Real channels differ, and scales that do take room on the chip.
            (scale * np.linspace(1, 2, channels)).astype(np.float32),
            np.full(channels, zero_point),
            axis or 0,
        ),
        extra={},
    )
