"""Dense layers that the chip refuses, as convolutions over single points."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from atoll.legalize.draft import Change
from atoll.legalize.options import VALID, option
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
    if weights.data is None or weights.data.ndim != 2 or option(op, "weightsFormat"):
        return None
    bias = op.inputs[2] if len(op.inputs) > 2 else -1
    activation = option(op, "fusedActivationFunction")
    return _pointwise(draft, number, weights, weights.data, bias, activation)


def product_as_convolution(draft: Draft, number: int) -> Change | None:
    """A BATCH_MATMUL with constant weights becomes a 1x1 CONV_2D."""
    op = draft.operators[number]
    weights = draft.tensor(op.inputs[1])
    data = weights.data
    if data is None or data.ndim < 2 or math.prod(data.shape[:-2]) != 1:
        return None
    if option(op, "adjX") or not draft.is_quantized(op.inputs[1]):
        return None
    matrix = data.reshape(data.shape[-2:])
    if not option(op, "adjY"):
        matrix = matrix.T
    return _pointwise(draft, number, weights, matrix, -1, 0)


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
    """An image with a row of the product in each point: the shape it has, where it is one."""
    if len(shape) == 4 and shape[0] == 1 and shape[3] == terms:
        return (1, *shape[1:3], terms)
    return (1, rows, 1, terms)


def _no_bias(draft: Draft, name: str, weights: Quantization, scale: float, channels: int) -> int:
    scales = (weights.scale * np.float32(scale)).astype(np.float32)
    held = Quantization(scales, np.zeros(scales.size, np.int64))
    return draft.add_constant(f"{name}/bias", np.zeros(channels, np.int32), held)


ROWS = (
    Rewrite("dense", ("FULLY_CONNECTED",), dense_as_convolution, "identical", inputs=2),
    Rewrite("product", ("BATCH_MATMUL",), product_as_convolution, "one step", inputs=2),
)
