"""An operator's parameters as the chip wants them: the bytes of its block in the blob.

`atoll.edgetpu.parameters` has the sizes, docs/format.md the layout and its evidence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from atoll.edgetpu.parameters import (
    GROUP,
    LANES,
    ROW,
    Heads,
    heads_of,
    kernel_taps,
    parameter_bytes,
    takes_one_channel,
)
from atoll.edgetpu.tiling import padded, plane_of
from atoll.tflite.weighted import WEIGHTED

if TYPE_CHECKING:
    from collections.abc import Callable

    from atoll.tflite.graph import Operator, Quantization, Subgraph, Tensor

_EIGHT_BIT = ("INT8", "UINT8")
_INT8_OFFSET = 128
_F32 = np.float32
# Where each tile has so few output pixels, the taps are the inner loop (seen at 7 x 7, not at
# 14 x 14).
_FEW_PIXELS = 49


@dataclass(frozen=True)
class _Layer:
    """A layer's values, as the chip counts them.

    Attributes:
        weights: uint8 [outputs, taps, inputs]; of a depthwise layer [channels, taps].
        zero_point: The weights' zero point.
        bias: int32, one an output.
        scale: float32, one an output: what the sum is multiplied by.
        heads: Which of these stand before the weights.
    """

    weights: np.ndarray
    zero_point: int
    bias: np.ndarray
    scale: np.ndarray
    heads: Heads


def encode(graph: Subgraph, op: Operator) -> bytes | None:
    """The block of an operator in the blob of parameters.

    Args:
        graph: The operator's graph.
        op: The operator.

    Returns:
        Its bytes; None where their content is not known, the operator has none, or it is none of
        those that map.
    """
    encoder = _ENCODERS.get(op.type)
    if encoder is None or not parameter_bytes(graph, op) or not is_laid_out(graph, op):
        return None
    return encoder(graph, op)


def is_laid_out(graph: Subgraph, op: Operator) -> bool:
    """Whether an operator has what its layout is made of: constants and scales of 8 bits.

    Args:
        graph: The operator's graph, a damaged one too.
        op: The operator.
    """
    computed = [t for t in (*op.inputs[:1], *op.outputs[:1]) if t >= 0]
    if len(computed) < 2 or not all(_is_scaled(graph.tensors[t]) for t in computed):
        return False
    row = WEIGHTED.get(op.type)
    if row is None:
        constants = [graph.tensors[t] for t in op.inputs if t >= 0 and graph.tensors[t].is_constant]
        return all(t.data is not None and t.type in _EIGHT_BIT for t in constants)
    weights, bias = graph.input_of(op, row.weights), graph.input_of(op, row.bias)
    if weights is None or weights.data is None or not _is_scaled(weights):
        return False
    if len(weights.shape) != row.rank or 0 in weights.shape or weights.data.shape != weights.shape:
        return False
    channels = weights.shape[row.channel_axis]
    scales = _quantized(weights).scale.size
    whole = bias is None or (
        bias.data is not None and bias.type == "INT32" and bias.data.shape == (channels,)
    )
    return whole and scales in (1, channels) and _quantized(weights).zero_point.size in (1, scales)


def _is_scaled(tensor: Tensor) -> bool:
    held = tensor.quantization
    return (
        tensor.type in _EIGHT_BIT
        and held is not None
        and held.scale.size > 0
        and held.zero_point.size > 0
    )


def unsigned(tensor: Tensor) -> np.ndarray:
    """A constant of 8 bits as the chip stores it: int8 values are moved up by 128."""
    assert tensor.data is not None
    if tensor.type == "INT8":
        return (tensor.data.astype(np.int16) + _INT8_OFFSET).astype(np.uint8)
    return tensor.data


def multiplier(scale_in: float, weights: np.ndarray, scale_out: float) -> np.ndarray:
    """What the sums of a layer are multiplied by, in float32 as Google's compiler rounds it."""
    return (_F32(scale_in) * weights.astype(_F32)) * _F32(_F32(1) / _F32(scale_out))


def _layer(graph: Subgraph, op: Operator, axis: int) -> _Layer:
    image, weights = (graph.tensors[t] for t in op.inputs[:2])
    bias = graph.tensors[op.inputs[2]] if len(op.inputs) > 2 and op.inputs[2] >= 0 else None
    quantization, outputs = _quantized(weights), weights.shape[axis]
    scale = np.broadcast_to(
        multiplier(_scale(image), quantization.scale, _scale(graph.tensors[op.outputs[0]])), outputs
    )
    kept = unsigned(weights)
    if len(weights.shape) == 4:
        rows, columns = kernel_taps(op, image, weights)
        kept = kept[:, rows.start : rows.stop, columns.start : columns.stop]
    return _Layer(
        weights=np.moveaxis(kept, axis, 0),
        zero_point=int(quantization.zero_point[0]) + _INT8_OFFSET * (weights.type == "INT8"),
        bias=np.zeros(outputs, np.int32) if bias is None or bias.data is None else bias.data,
        scale=scale,
        heads=heads_of(weights, bias),
    )


def _quantized(tensor: Tensor) -> Quantization:
    assert tensor.quantization is not None
    return tensor.quantization


def _scale(tensor: Tensor) -> float:
    return float(_quantized(tensor).scale[0])


def _padded(block: bytes) -> bytes:
    return block + bytes(-len(block) % ROW)


def _dense_blocks(layer: _Layer, taps_inside: bool) -> bytes:
    """The blocks of a layer in which every output has a weight for every input."""
    outputs, taps, inputs = layer.weights.shape
    full = outputs > LANES
    used = padded(min(outputs, LANES))
    lanes = LANES if full else used if used <= GROUP else -(-used * GROUP // ROW) * ROW // GROUP
    blocks = -(-outputs // LANES)
    # Lanes up to the next whole group are filled as if they were outputs; those beyond stay 0.
    filled = padded(outputs)
    weights = np.zeros((blocks * lanes, taps, padded(inputs)), np.uint8)
    weights[:filled] = layer.zero_point
    weights[:outputs, :, :inputs] = layer.weights
    rows = weights.reshape(blocks, lanes, taps, -1, GROUP).transpose(
        (0, 3, 2, 1, 4) if taps_inside else (0, 2, 3, 1, 4)
    )
    heads = _heads(layer, blocks * lanes, filled, fill=1.0 if full else 0.0)
    parts = [head.reshape(blocks, -1).view(np.uint8) for head in heads]
    return _padded(np.hstack([*parts, rows.reshape(blocks, -1)]).tobytes())


def _heads(layer: _Layer, lanes: int, filled: int, fill: float) -> list[np.ndarray]:
    """The values before the weights, in order, each as 4 bytes a lane."""
    outputs = len(layer.bias)
    heads: list[np.ndarray] = []
    if layer.heads.scales:
        scales = np.full(lanes, fill, "<f4")
        # Lanes up to the next whole group repeat the first scale.
        scales[:filled] = layer.scale[0]
        scales[:outputs] = layer.scale
        heads.append(scales)
    if layer.heads.biases:
        biases = np.zeros(lanes, "<i4")
        biases[:outputs] = layer.bias
        heads.append(biases)
    if layer.heads.zero_points:
        zero_points = np.zeros(lanes, "<i4")
        zero_points[:filled] = layer.zero_point
        heads.append(zero_points)
    return heads


def _convolution(graph: Subgraph, op: Operator) -> bytes:
    layer = _layer(graph, op, axis=0)
    outputs, height, width, inputs = layer.weights.shape
    flat = layer.weights.reshape(outputs, height * width, inputs)
    pixels = plane_of(graph.tensors[op.outputs[0]].shape).tile_pixels
    return _dense_blocks(_with_weights(layer, flat), pixels <= _FEW_PIXELS)


def _fully_connected(graph: Subgraph, op: Operator) -> bytes:
    layer = _layer(graph, op, axis=0)
    return _dense_blocks(_with_weights(layer, layer.weights[:, None, :]), taps_inside=False)


def _depthwise(graph: Subgraph, op: Operator) -> bytes:
    layer = _layer(graph, op, axis=3)
    weights = layer.weights.reshape(len(layer.bias), -1)
    if takes_one_channel(graph.tensors[op.inputs[0]], len(weights)):
        return _dense_blocks(_with_weights(layer, weights[:, :, None]), taps_inside=False)
    channels, taps = weights.shape
    filled = padded(channels)
    columns = np.full((filled, taps), layer.zero_point, np.uint8)
    columns[:channels] = weights
    matrices = np.full((filled // GROUP, taps, GROUP, GROUP), layer.zero_point, np.uint8)
    lane = np.arange(GROUP)
    matrices[:, :, lane, lane] = columns.reshape(-1, GROUP, taps).transpose(0, 2, 1)
    heads = _heads(layer, filled, filled, fill=0.0)
    parts = [head.reshape(-1, GROUP).view(np.uint8) for head in heads]
    return _padded(np.hstack([*parts, matrices.reshape(len(matrices), -1)]).tobytes())


def _with_weights(layer: _Layer, weights: np.ndarray) -> _Layer:
    return _Layer(weights, layer.zero_point, layer.bias, layer.scale, layer.heads)


def _softmax(graph: Subgraph, op: Operator) -> bytes:
    scores = graph.tensors[op.inputs[0]]
    classes, scale = scores.shape[-1], _F32(_scale(scores))
    beyond = np.arange(padded(classes)) >= classes
    table = np.zeros((3, len(beyond) // GROUP, ROW // 4), "<u4")
    # Lanes beyond the last class: -0.0, and the scale that makes all the rest of them vanish.
    table[:2, :, :GROUP] = np.where(beyond, 0x80000000, 0).reshape(-1, GROUP)
    scales = np.where(beyond, scale * np.finfo(_F32).max, scale).astype("<f4")
    table[2, :, :GROUP] = scales.view("<u4").reshape(-1, GROUP)
    sums = np.array([1.0], "<f4").tobytes() if classes > LANES else b""
    return table.tobytes() + _padded(sums)


def _constant_operand(graph: Subgraph, op: Operator) -> bytes:
    constants = [graph.tensors[t] for t in op.inputs if t >= 0 and graph.tensors[t].is_constant]
    return b"".join(_padded(unsigned(t).tobytes()) for t in constants if unsigned(t).size > 1)


_ENCODERS: dict[str, Callable[[Subgraph, Operator], bytes]] = {
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _depthwise,
    "FULLY_CONNECTED": _fully_connected,
    "MUL": _constant_operand,
    "SOFTMAX": _softmax,
}
