"""Arithmetic on two tensors, and sums, in operators that the chip has."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from atoll.legalize.draft import Change
from atoll.legalize.rewrite import Rewrite
from atoll.legalize.rewrites.curve import draw_curve
from atoll.legalize.rewrites.curves import plan_of
from atoll.legalize.rewrites.layout import is_fixed
from atoll.legalize.rewrites.quant import Grid, computed_grids, grid_of, grid_over
from atoll.legalize.rewrites.regions import regions_into
from atoll.legalize.rewrites.sketch import Sketch, plane
from atoll.legalize.rewrites.tabulate import table_of

if TYPE_CHECKING:
    from atoll.legalize.draft import Draft
    from atoll.tflite.graph import Operator


def squared_difference(draft: Draft, number: int) -> Change | None:
    """SQUARED_DIFFERENCE becomes SUB, and the MUL of the difference with itself."""
    op = draft.operators[number]
    first, second, output = op.inputs[0], op.inputs[1], op.outputs[0]
    grids = computed_grids(draft, first, output)
    other = grid_of(draft, second)
    if grids is None or other is None or other.type != grids[0].type:
        return None
    one, out = grids
    # Beyond the root of the output's end, the output is at its end.
    reach = math.sqrt(max(out.high, 0.0))
    low, high = max(one.low - other.high, -reach), min(one.high - other.low, reach)
    sketch = Sketch(draft, draft.tensor(output).name)
    grid = grid_over(out.type, low, high)
    apart = sketch.put(
        "SUB", [first, second], grid, draft.tensor(output).shape, fusedActivationFunction=0
    )
    sketch.pairwise("MUL", apart, apart, output)
    return Change(sketch.operators, (number,))


def quotient(draft: Draft, number: int) -> Change | None:
    """DIV becomes MUL with the reciprocal, a sum of ramps of what the divisor is computed from."""
    op = draft.operators[number]
    dividend, divisor, output = op.inputs[0], op.inputs[1], op.outputs[0]
    if computed_grids(draft, dividend, divisor, output) is None or _is_fused(op):
        return None
    found, shape = _divisor(draft, divisor), plane(draft.tensor(divisor))
    if found is None or shape is None:
        return None
    source, values = found
    reciprocals = 1 / values
    ends = float(reciprocals.min()), float(reciprocals.max())
    grid = grid_over(draft.tensor(divisor).type, *ends)
    plan = plan_of(grid.steps(reciprocals), grid)
    if plan is None:
        return None
    sketch = Sketch(draft, draft.tensor(output).name)
    flat = sketch.reshape(source, shape)
    drawn = draft.add_tensor(
        f"{sketch.name}/reciprocal", draft.tensor(divisor), shape, grid.quantization()
    )
    draw_curve(sketch, flat, drawn, plan)
    factor = sketch.reshape(drawn, draft.tensor(divisor).shape)
    sketch.pairwise("MUL", dividend, factor, output)
    return Change(sketch.operators, (number,))


def sum_to_mean(draft: Draft, number: int) -> Change | None:
    """A SUM over x and y becomes MEAN, and the MUL with the number of elements.

    The mean's scale is so small that it holds the same integers as the sum.
    """
    op = draft.operators[number]
    source, output = op.inputs[0], op.outputs[0]
    shape, axes = draft.tensor(source).shape, draft.integers(op, 1)
    grids = computed_grids(draft, source, output)
    if axes is None or grids is None:
        return None
    if not is_fixed(draft, source, output) or not all(-len(shape) <= a < len(shape) for a in axes):
        return None
    count = math.prod(shape[axis] for axis in {axis % len(shape) for axis in axes})
    out = grids[1]
    part = Grid(out.type, float(np.float32(out.scale / count)), out.zero_point)
    sketch = Sketch(draft, draft.tensor(output).name)
    mean = sketch.put(
        "MEAN",
        op.inputs[:2],
        part,
        draft.tensor(output).shape,
        keepDims=bool(getattr(op.options, "keepDims", False)),
    )
    sketch.scaled(mean, count, output)
    return Change(sketch.operators, (number,))


def _divisor(draft: Draft, tensor: int) -> tuple[int, np.ndarray] | None:
    """A tensor that a divisor follows from, and the divisor for each of its values, never 0."""
    grid = grid_of(draft, tensor)
    if grid is None:
        return None
    for region in regions_into(draft, tensor):
        table = table_of(draft, region)
        if table is not None and not (table == grid.zero_point).any():
            return region.source, grid.scale * (table - grid.zero_point)
    return None


def _is_fused(op: Operator) -> bool:
    return bool(getattr(op.options, "fusedActivationFunction", 0))


ROWS = (
    Rewrite(
        "squared-difference", ("SQUARED_DIFFERENCE",), squared_difference, "measured", inputs=2
    ),
    Rewrite("quotient", ("DIV",), quotient, "measured", inputs=2),
    Rewrite("sum-mean", ("SUM",), sum_to_mean, "one step", inputs=2),
)
