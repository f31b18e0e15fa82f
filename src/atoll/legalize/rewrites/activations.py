"""Activations with one slope below 0 and another above: LEAKY_RELU and PRELU."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from atoll.legalize.draft import Change
from atoll.legalize.rewrite import Rewrite
from atoll.legalize.rewrites.quant import Grid, computed_grids, exact_constant, grid_of
from atoll.legalize.rewrites.sketch import Sketch, plane

if TYPE_CHECKING:
    from atoll.legalize.draft import Draft
    from atoll.tflite.graph import Operator

# A slope that is steeper is a damaged file's.
_STEEPEST = 1e6
# Alphas of more elements than these are not looked at.
_MOST_ALPHAS = 1 << 24


def leaky_to_prelu(draft: Draft, number: int) -> Change | None:
    """LEAKY_RELU, which the chip lacks, becomes PRELU with the same slope for every channel."""
    op = draft.operators[number]
    alpha = _slope(op)
    x, y = op.inputs[0], op.outputs[0]
    shape = plane(draft.tensor(x))
    if alpha is None or shape is None or not draft.tensor(x).shape:
        return None
    if computed_grids(draft, x, y) is None:
        return None
    value, grid = exact_constant(draft.tensor(x).type, alpha)
    sketch = Sketch(draft, draft.tensor(y).name)
    leading = (1,) * max(len(draft.tensor(x).shape) - 2, 0)
    slopes = sketch.constant(np.full((*leading, shape[3]), value), grid)
    sketch.put("PRELU", [x, slopes], y)
    return Change(sketch.operators, (number,))


def leaky_to_maximum(draft: Draft, number: int) -> Change | None:
    """LEAKY_RELU with a slope of at most 1 becomes the MAXIMUM of x and slope * x."""
    op = draft.operators[number]
    alpha = _slope(op)
    if alpha is None or not 0 <= alpha <= 1 or not draft.is_quantized(op.inputs[0]):
        return None
    sketch = Sketch(draft, draft.tensor(op.outputs[0]).name)
    slope = sketch.number(draft.tensor(op.inputs[0]).type, alpha)
    return _maximum(sketch, number, slope)


def prelu_by_channel(draft: Draft, number: int) -> Change | None:
    """PRELU with a slope a pixel gets one a channel, where those of a channel are all the same."""
    op = draft.operators[number]
    alpha = _alpha(draft, op)
    if alpha is None or math.prod(alpha.shape[:-1]) == 1 or draft.constant(op, 0) is not None:
        return None
    by_channel = alpha.reshape(-1, alpha.shape[-1])
    if not (by_channel == by_channel[0]).all():
        return None
    held = draft.tensor(op.inputs[1])
    sketch = Sketch(draft, draft.tensor(op.outputs[0]).name)
    first = by_channel[0].reshape((1,) * (alpha.ndim - 1) + (-1,))
    slopes = draft.add_constant(f"{held.name}/channels", first, held.quantization)
    sketch.put("PRELU", [op.inputs[0], slopes], op.outputs[0])
    return Change(sketch.operators, (number,))


def prelu_to_maximum(draft: Draft, number: int) -> Change | None:
    """PRELU with slopes from 0 to 1 becomes the MAXIMUM of x and slope * x."""
    op = draft.operators[number]
    slopes = _real_alpha(draft, op)
    if slopes is None or not ((slopes >= 0) & (slopes <= 1)).all():
        return None
    return _maximum(Sketch(draft, draft.tensor(op.outputs[0]).name), number, op.inputs[1])


def prelu_to_difference(draft: Draft, number: int) -> Change | None:
    """PRELU with other slopes becomes RELU(x) - slope * RELU(-x)."""
    op = draft.operators[number]
    x, y = op.inputs[0], op.outputs[0]
    grids = computed_grids(draft, x, y)
    if _real_alpha(draft, op) is None or grids is None:
        return None
    if len(draft.tensor(x).shape) != 4 or plane(draft.tensor(x)) is None:
        return None
    into, out = grids
    sketch = Sketch(draft, draft.tensor(y).name)
    # All in steps of the input or of the output: each side is rounded once.
    above = sketch.put("RELU", [x], Grid(out.type, out.scale, out.lowest))
    below = sketch.weighted(x, -1.0, 0.0, Grid(into.type, into.scale, into.lowest), rectified=True)
    mirrored = Grid(out.type, out.scale, out.lowest + out.highest - out.zero_point)
    weighed = sketch.pairwise("MUL", below, op.inputs[1], mirrored)
    sketch.pairwise("SUB", above, weighed, y)
    return Change(sketch.operators, (number,))


def _maximum(sketch: Sketch, number: int, slope: int) -> Change | None:
    draft = sketch.draft
    op = draft.operators[number]
    x, y = op.inputs[0], op.outputs[0]
    grids = computed_grids(draft, x, y)
    if grids is None:
        return None
    out = grids[1]
    # MAXIMUM compares integers: both sides must mean the same by them.
    one = x if draft.same_quantization(x, y) else sketch.scaled(x, 1.0, out)
    other = sketch.pairwise("MUL", x, slope, out)
    sketch.put("MAXIMUM", [one, other], y)
    return Change(sketch.operators, (number,))


def _slope(op: Operator) -> float | None:
    alpha = float(getattr(op.options, "alpha", 0.0))
    return alpha if abs(alpha) <= _STEEPEST else None


def _alpha(draft: Draft, op: Operator) -> np.ndarray | None:
    """The slopes of a PRELU as its file holds them; None where that is nothing to work with."""
    alpha, shape = draft.constant(op, 1), draft.tensor(op.inputs[0]).shape
    if alpha is None or not 0 < alpha.size <= _MOST_ALPHAS or not 0 < alpha.ndim <= len(shape):
        return None
    sizes = zip(alpha.shape[::-1], shape[::-1], strict=False)
    fits = all(size in (1, whole) for size, whole in sizes)
    return alpha if fits and draft.is_quantized(op.inputs[1]) else None


def _real_alpha(draft: Draft, op: Operator) -> np.ndarray | None:
    alpha, grid = _alpha(draft, op), grid_of(draft, op.inputs[1])
    if alpha is None or grid is None or alpha.dtype != np.dtype(grid.type.lower()):
        return None
    return np.asarray(grid.scale * (alpha.astype(np.float64) - grid.zero_point))


ROWS = (
    Rewrite("leaky-relu-prelu", ("LEAKY_RELU",), leaky_to_prelu, "one step"),
    Rewrite("leaky-relu-maximum", ("LEAKY_RELU",), leaky_to_maximum, "one step"),
    Rewrite("prelu-channels", ("PRELU",), prelu_by_channel, "identical", inputs=2),
    Rewrite("prelu-maximum", ("PRELU",), prelu_to_maximum, "one step", inputs=2),
    Rewrite("prelu-difference", ("PRELU",), prelu_to_difference, "one step", inputs=2),
)
