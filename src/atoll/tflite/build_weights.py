"""Operators with weights: random ones, at scales that keep a deep network's values alive."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

from atoll.errors import UsageError
from atoll.tflite.build_window import activation_code
from atoll.tflite.graph import Quantization

if TYPE_CHECKING:
    from atoll.tflite.build_core import GraphState

# The real numbers that an output usually spans. Weights are scaled so that what enters the
# activation then has a root mean square of about 1.
RANGES = {None: (-4.0, 4.0), "RELU": (0.0, 4.0), "RELU6": (0.0, 6.0), "RELU_N1_TO_1": (-1.0, 1.0)}
# The root mean square of a unit normal variable after it.
SHARES = {None: 1.0, "RELU": 0.707, "RELU6": 0.707, "RELU_N1_TO_1": 0.72}
# How far weights reach to either side of their zero point: 8 bits hold no more of unsigned ones,
# whose zero point lies off the middle.
_REACH = {"uint8": 117, "int8": 127}


class Weighted(TypedDict, total=False):
    """What every operator with weights may be told.

    Attributes:
        activation: None, "RELU", "RELU6" or "RELU_N1_TO_1", fused into the operator.
        per_channel: A scale a channel; by default in the int8 style, dense layers excepted.
        bias: Whether it has one; True by default. LiteRT runs no 8-bit convolution without.
        zero_bias: Whether its bias is 0 everywhere.
        output_range: The real numbers that the output spans, (low, high); weights are scaled
            with it.
    """

    activation: str | None
    per_channel: bool
    bias: bool
    zero_bias: bool
    output_range: tuple[float, float]


def weighted(
    b: GraphState,
    type: str,
    x: int,
    *,
    weights: tuple[int, ...],
    channel_axis: int,
    terms: int,
    shape: tuple[int, ...],
    options: Any,
    how: Weighted,
    version: int | None = None,
) -> int:
    """Adds an operator with weights and bias.

    Args:
        b: The graph.
        type: TFLite's own name.
        x: What it reads.
        weights: The shape of its weights.
        channel_axis: The dimension of that which is the output's channels.
        terms: How many products make up one output.
        shape: Its output's.
        options: The schema's options object; its activation is set.
        how: What the caller was told.
        version: As of `GraphState.op`.

    Returns:
        The output's index.

    Raises:
        UsageError: What it reads is not quantised.
    """
    activation = how.get("activation")
    options.fusedActivationFunction = activation_code(activation)
    per_channel = how.get("per_channel", b.style == "int8")
    source = b.tensors[x].quantization
    if source is None:
        raise UsageError(
            type,
            "weights of 8 bits need an input of 8 bits",
            received=b.tensors[x].type,
            fix="Pass it through quantize() first",
        )
    usual = RANGES[activation]
    low, high = how.get("output_range") or usual
    size = (high - low) / (usual[1] - usual[0])
    spread = _REACH[b.style] / math.sqrt(3)  # of evenly spread numbers
    scale = size / (spread * math.sqrt(terms) * max(b.magnitude(x), 1e-3))
    channels = weights[channel_axis]
    if per_channel:
        scales = (scale * b.rng.uniform(0.5, 1.43, channels)).astype(np.float32)
    else:
        scales = np.array([scale], np.float32)
    name = f"{type.lower()}_{len(b.operators)}"
    kernel = b.constant(
        *_weights(b, weights, scales, channel_axis if per_channel else 0), f"{name}/weights"
    )
    inputs = [x, kernel]
    if type == "TRANSPOSE_CONV":
        inputs = [b.constant(list(shape)), kernel, x]
    if how.get("bias", True):
        inputs.append(_bias(b, channels, source.scale * scales, how, f"{name}/bias"))
    return b.op(
        type,
        inputs,
        [shape],
        options,
        quantization=b.quantization(low, high),
        magnitude=size * SHARES[activation],
        version=version,
    )[0]


def _weights(
    b: GraphState, shape: tuple[int, ...], scales: np.ndarray, axis: int
) -> tuple[np.ndarray, Quantization]:
    # As many below the zero point as above it: a mean would add up through deep networks.
    zero = int(b.rng.integers(118, 138)) if b.style == "uint8" else 0
    reach = _REACH[b.style]
    dtype = np.uint8 if b.style == "uint8" else np.int8
    data = b.rng.integers(zero - reach, zero + reach, shape, dtype, endpoint=True)
    return data, Quantization(scales, np.full(scales.size, zero, np.int64), axis)


def _bias(b: GraphState, channels: int, scales: np.ndarray, how: Weighted, name: str) -> int:
    real = np.zeros(channels) if how.get("zero_bias") else b.rng.normal(0, 0.1, channels)
    data = np.rint(real / scales).astype(np.int32)
    return b.constant(data, Quantization(scales, np.zeros(scales.size, np.int64)), name)
