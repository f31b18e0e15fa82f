"""Means and maxima over whole planes, or over channels, in other words."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from atoll.legalize.draft import Change
from atoll.legalize.options import VALID
from atoll.legalize.rewrite import Rewrite
from atoll.legalize.rewrites.layout import MOST_CHANNELS, Chain, is_fixed, is_flat
from atoll.tflite.graph import Quantization

if TYPE_CHECKING:
    from atoll.legalize.draft import Draft

_POOLS = {"MEAN": "AVERAGE_POOL_2D", "REDUCE_MAX": "MAX_POOL_2D"}
# All weights of a mean are this, with a scale that makes it 1 divided by their number.
_ONE = 127
# The largest side of a window that a plane is averaged in first.
_WINDOW = 16


def reduction_as_pool(draft: Draft, number: int) -> Change | None:
    """A MEAN or REDUCE_MAX over a whole plane that is refused becomes a pool of that window."""
    op = draft.operators[number]
    source, output = op.inputs[0], op.outputs[0]
    plane = _plane(draft, number)
    if plane is None:
        return None
    chain = Chain(draft, draft.tensor(output).name)
    outer, rows, columns, channels = plane
    if outer != 1:
        return None
    image = chain.reshape(source, (1, rows, columns, channels))
    pooled = chain.op(
        _POOLS[op.type],
        [image],
        (1, 1, 1, channels),
        padding=VALID,
        filterHeight=rows,
        filterWidth=columns,
        strideH=1,
        strideW=1,
    )
    _finish(chain, pooled, output)
    return Change(chain.operators, (number,))


def mean_in_steps(draft: Draft, number: int) -> Change | None:
    """A MEAN over a plane that is too large becomes one of windows, and one of what they give."""
    op = draft.operators[number]
    source, output = op.inputs[0], op.outputs[0]
    shape, plane = draft.tensor(source).shape, _plane(draft, number)
    if plane is None or len(shape) != 4 or plane[0] != 1 or plane[1:] != shape[1:]:
        return None
    windows = [max(n for n in range(1, _WINDOW + 1) if size % n == 0) for size in plane[1:3]]
    if windows == [1, 1]:
        return None
    chain = Chain(draft, draft.tensor(output).name)
    rows, columns = windows
    pooled = chain.op(
        "AVERAGE_POOL_2D",
        [source],
        (1, shape[1] // rows, shape[2] // columns, shape[3]),
        padding=VALID,
        filterHeight=rows,
        filterWidth=columns,
        strideH=rows,
        strideW=columns,
    )
    changed = replace(op, inputs=[pooled, *op.inputs[1:]])
    return Change([*chain.operators, changed], (number,))


def channels_as_convolution(draft: Draft, number: int) -> Change | None:
    """A MEAN or SUM over channels that is refused becomes a CONV_2D with equal weights."""
    op = draft.operators[number]
    source, output = op.inputs[0], op.outputs[0]
    axes, shape = draft.integers(op, 1), draft.tensor(source).shape
    if axes is None or not is_fixed(draft, source, output) or not shape:
        return None
    if {a % len(shape) for a in axes if -len(shape) <= a < len(shape)} != {len(shape) - 1}:
        return None
    if not draft.is_quantized(source) or not draft.is_quantized(output):
        return None
    terms, points = shape[-1], math.prod(shape[:-1])
    if terms > MOST_CHANNELS:
        return None
    chain = Chain(draft, draft.tensor(output).name)
    wide = is_flat(shape) and len(shape) >= 3
    image = chain.reshape(source, (1, *shape[-3:-1], terms) if wide else (1, points, 1, terms))
    scale = np.array([1 / (_ONE * (terms if op.type == "MEAN" else 1))], np.float32)
    ones, zeros = _equal_weights(draft, source, terms)
    bias = Quantization(scale * np.float32(draft.scale(source)), np.zeros(1, np.int64))
    constants = (
        draft.add_constant(f"{chain.name}/ones", ones, Quantization(scale, zeros)),
        draft.add_constant(f"{chain.name}/bias", np.zeros(1, np.int32), bias),
    )
    made = chain.op(
        "CONV_2D",
        [image, *constants],
        (*chain.shape(image)[:3], 1),
        quantization=draft.tensor(output).quantization,
        padding=VALID,
    )
    chain.reshape(made, draft.tensor(output).shape, into=output)
    return Change(chain.operators, (number,))


def _equal_weights(draft: Draft, source: int, terms: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights that all stand for `_ONE`, of the type that goes with a tensor; their zero point."""
    signed = draft.tensor(source).type == "INT8"
    zero = 0 if signed else 255 - _ONE
    shape = (1, 1, 1, terms)
    return np.full(shape, zero + _ONE, np.int8 if signed else np.uint8), np.array([zero])


def _plane(draft: Draft, number: int) -> tuple[int, int, int, int] | None:
    """What a reduction goes over, as [kept, reduced, reduced, kept] sizes; None for others."""
    op = draft.operators[number]
    source, output = op.inputs[0], op.outputs[0]
    axes = draft.integers(op, 1)
    shape = draft.tensor(source).shape
    if axes is None or not is_fixed(draft, source, output) or not axes:
        return None
    if not draft.is_quantized(source) or not draft.is_quantized(output):
        return None
    if draft.tensor(source).type != draft.tensor(output).type:
        return None
    if any(not -len(shape) <= axis < len(shape) for axis in axes):
        return None
    reduced = sorted({axis % len(shape) for axis in axes})
    if reduced != list(range(reduced[0], reduced[-1] + 1)) or len(reduced) > 2:
        return None
    first, last = reduced[0], reduced[-1]
    rows = shape[first] if len(reduced) == 2 else 1
    return math.prod(shape[:first]), rows, shape[last], math.prod(shape[last + 1 :])


def _finish(chain: Chain, made: int, output: int) -> None:
    """The last steps to an output: another quantisation, another shape."""
    draft = chain.draft
    if not draft.same_quantization(made, output):
        made = chain.op(
            "QUANTIZE", [made], chain.shape(made), quantization=draft.tensor(output).quantization
        )
    chain.reshape(made, draft.tensor(output).shape, into=output)


ROWS = (
    Rewrite("mean-steps", ("MEAN",), mean_in_steps, "one step", inputs=2),
    Rewrite("reduction-pool", ("MEAN", "REDUCE_MAX"), reduction_as_pool, "one step", inputs=2),
    Rewrite("mean-channels", ("MEAN", "SUM"), channels_as_convolution, "one step", inputs=2),
)
