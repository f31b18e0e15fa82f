"""Dense layers that the chip refuses, as convolutions over single points."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from atoll.legalize.draft import Change
from atoll.legalize.options import VALID
from atoll.legalize.rewrite import Rewrite
from atoll.legalize.rewrites.layout import Chain, is_fixed, source_of
from atoll.tflite.graph import Quantization

if TYPE_CHECKING:
    from atoll.legalize.draft import Draft
    from atoll.tflite.graph import Tensor


def dense_as_convolution(draft: Draft, number: int) -> Change | None:
    """A dense layer over several rows, or with weights the chip refuses, becomes a 1x1 CONV_2D."""
    op = draft.operators[number]
    weights = draft.tensor(op.inputs[1])
    if weights.data is None or weights.data.ndim != 2 or getattr(op.options, "weightsFormat", 0):
        return None
    bias = op.inputs[2] if len(op.inputs) > 2 else -1
    activation = getattr(op.options, "fusedActivationFunction", 0)
    return _pointwise(draft, number, weights, weights.data, bias, activation)


def product_as_convolution(draft: Draft, number: int) -> Change | None:
    """A BATCH_MATMUL with constant weights becomes a 1x1 CONV_2D."""
    op = draft.operators[number]
    weights = draft.tensor(op.inputs[1])
    data = weights.data
    if data is None or data.ndim < 2 or math.prod(data.shape[:-2]) != 1:
        return None
    if getattr(op.options, "adjX", False) or not draft.is_quantized(op.inputs[1]):
        return None
    matrix = data.reshape(data.shape[-2:])
    if not getattr(op.options, "adjY", False):
        matrix = matrix.T
    return _pointwise(draft, number, weights, matrix, -1, 0)


def one_scale_for_all(draft: Draft, number: int) -> Change | None:
    """Dense weights with a scale a channel are rounded anew to one scale for all."""
    op = draft.operators[number]
    weights = draft.tensor(op.inputs[1])
    held, data = weights.quantization, weights.data
    if held is None or data is None or data.ndim != 2 or data.dtype != np.int8:
        return None
    if not held.per_channel or held.axis != 0 or held.scale.size != len(data):
        return None
    if not draft.is_quantized(op.inputs[0]) or not (held.scale > 0).all():
        return None
    scale, zero = held.scale.max(), np.zeros(1, np.int64)
    ratio = (held.scale / scale).astype(np.float64)
    rounded = np.clip(np.rint(data * ratio[:, None]), -127, 127).astype(np.int8)
    one_scale = Quantization(np.array([scale], np.float32), zero)
    inputs = [op.inputs[0], draft.add_constant(f"{weights.name}/one_scale", rounded, one_scale)]
    bias = op.inputs[2] if len(op.inputs) > 2 else -1
    if bias >= 0:
        terms = draft.tensor(bias).data
        if terms is None or terms.dtype != np.int32 or terms.size != len(data):
            return None
        step = np.array([scale * draft.scale(op.inputs[0])], np.float32)
        moved = np.rint(terms.ravel() * ratio).astype(np.int32)
        name = f"{draft.tensor(bias).name}/one_scale"
        inputs.append(draft.add_constant(name, moved, Quantization(step, zero)))
    return Change([replace(op, inputs=inputs)], (number,))


def _pointwise(
    draft: Draft, number: int, weights: Tensor, matrix: np.ndarray, bias: int, activation: int
) -> Change | None:
    """A product with a matrix [outputs, inputs], row by row, as a convolution."""
    op = draft.operators[number]
    output = op.outputs[0]
    source = source_of(draft, op.inputs[0])
    channels, terms = matrix.shape
    if source < 0 or not matrix.size or not is_fixed(draft, source, output):
        return None
    rows, left = divmod(math.prod(draft.tensor(source).shape), terms)
    if left or math.prod(draft.tensor(output).shape) != rows * channels:
        return None
    if not draft.is_quantized(source) or not draft.is_quantized(output):
        return None
    chain = Chain(draft, draft.tensor(output).name)
    kernel = np.ascontiguousarray(matrix).reshape(channels, 1, 1, terms)
    held = weights.quantization
    if held is None or held.scale.size not in (1, channels):
        return None
    inputs = [
        chain.reshape(source, _points(draft.tensor(source).shape, rows, terms)),
        draft.add_constant(f"{weights.name}/1x1", kernel, replace(held, axis=0)),
        bias if bias >= 0 else _no_bias(draft, chain.name, held, draft.scale(source), channels),
    ]
    shape = (*draft.tensor(inputs[0]).shape[:3], channels)
    into = output if shape == draft.tensor(output).shape else None
    quantization = draft.tensor(output).quantization
    made = chain.op(
        "CONV_2D",
        inputs,
        shape,
        into=into,
        quantization=quantization,
        padding=VALID,
        fusedActivationFunction=activation,
    )
    if into is None:
        chain.reshape(made, draft.tensor(output).shape, into=output)
    return Change(chain.operators, (number,))


def _points(shape: tuple[int, ...], rows: int, terms: int) -> tuple[int, int, int, int]:
    """An image with a row of the product in each point: the shape that is there, where it is one."""
    if len(shape) == 4 and shape[0] == 1 and shape[3] == terms:
        return (1, *shape[1:3], terms)
    return (1, rows, 1, terms)


def _no_bias(
    draft: Draft, name: str, weights: Quantization, scale: float, channels: int
) -> int:
    scales = (weights.scale * np.float32(scale)).astype(np.float32)
    held = Quantization(scales, np.zeros(scales.size, np.int64))
    return draft.add_constant(f"{name}/bias", np.zeros(channels, np.int32), held)


ROWS = (
    Rewrite("dense", ("FULLY_CONNECTED",), dense_as_convolution, "identical", inputs=2),
    Rewrite("dense-one-scale", ("FULLY_CONNECTED",), one_scale_for_all, "measured", inputs=2),
    Rewrite("product", ("BATCH_MATMUL",), product_as_convolution, "one step", inputs=2),
)
