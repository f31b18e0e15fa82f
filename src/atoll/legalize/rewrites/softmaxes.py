"""Softmaxes that the chip refuses: over several vectors, or too many elements."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from atoll.legalize.draft import Change
from atoll.legalize.options import VALID
from atoll.legalize.rewrite import Rewrite
from atoll.legalize.rewrites.layout import MOST_PIECES, is_fixed
from atoll.legalize.rewrites.quant import LOWEST, Grid, computed_grids, grid_of, grid_over
from atoll.legalize.rewrites.sketch import Sketch, plane
from atoll.tflite.graph import Quantization

if TYPE_CHECKING:
    from atoll.legalize.draft import Draft

# Where LOGISTIC is 0 or 1 in 8 bits.
_SATURATED = 6.5
_STEEPEST = 1e6


def by_vector(draft: Draft, number: int) -> Change | None:
    """A SOFTMAX over a few vectors is done for each of them, and the results joined."""
    op = draft.operators[number]
    source, output = op.inputs[0], op.outputs[0]
    shape = draft.tensor(source).shape
    vectors = math.prod(shape[:-1])
    if not 1 < vectors <= MOST_PIECES or not is_fixed(draft, source, output):
        return None
    grids = computed_grids(draft, source, output)
    if grids is None:
        return None
    sketch = Sketch(draft, draft.tensor(output).name)
    rows = sketch.reshape(source, (1, 1, vectors, shape[-1]))
    beta = float(getattr(op.options, "beta", 1.0))
    done = [
        sketch.put("SOFTMAX", [sketch.slice(rows, 2, row, 1)], grids[1], beta=beta)
        for row in range(vectors)
    ]
    if len(shape) == 4 and shape[:2] == (1, 1):
        sketch.concatenate(done, 2, into=output)
    else:
        sketch.reshape(sketch.concatenate(done, 2), shape, into=output)
    return Change(sketch.operators, (number,))


def two_classes(draft: Draft, number: int) -> Change | None:
    """A SOFTMAX over two classes becomes LOGISTIC of their difference, a 1 x 1 CONV_2D."""
    op = draft.operators[number]
    source, output = op.inputs[0], op.outputs[0]
    grids = computed_grids(draft, source, output)
    shape, beta = plane(draft.tensor(source)), float(getattr(op.options, "beta", 1.0))
    if grids is None or shape is None or shape[3] != 2:
        return None
    if draft.tensor(source).shape != draft.tensor(output).shape:
        return None
    into, out = grids
    if not 0 < beta <= _STEEPEST or out != Grid(out.type, 1 / 256, LOWEST[out.type]):
        return None
    widest = min(beta * (into.high - into.low), _SATURATED)
    sketch = Sketch(draft, draft.tensor(output).name)
    image = sketch.reshape(source, shape)
    apart = _difference(sketch, image, beta, grid_over(into.type, -widest, widest))
    if shape == draft.tensor(output).shape:
        sketch.put("LOGISTIC", [apart], output)
    else:
        likely = sketch.put("LOGISTIC", [apart], out)
        sketch.reshape(likely, draft.tensor(output).shape, into=output)
    return Change(sketch.operators, (number,))


def _difference(sketch: Sketch, image: int, beta: float, out: Grid) -> int:
    """How much more likely each of two channels is: beta * (own - other)."""
    draft = sketch.draft
    into = grid_of(draft, image)
    assert into is not None, "a softmax of 8-bit numbers has them"
    zero = 0 if into.type == "INT8" else 128
    scale = float(np.float32(beta / 127))
    weights = (zero + 127 * np.array([[1, -1], [-1, 1]])).astype(into.type.lower())
    grid = Grid(into.type, scale, zero)
    bias = Quantization(
        np.array([np.float32(into.scale) * np.float32(scale)], np.float32), np.zeros(1, np.int64)
    )
    inputs = [
        image,
        sketch.constant(weights.reshape(2, 1, 1, 2), grid),
        draft.add_constant(f"{sketch.name}/bias", np.zeros(2, np.int32), bias),
    ]
    return sketch.put("CONV_2D", inputs, out, padding=VALID)


ROWS = (
    Rewrite("softmax-vectors", ("SOFTMAX",), by_vector, "identical"),
    Rewrite("softmax-two", ("SOFTMAX",), two_classes, "measured"),
)
