"""Functions that are their argument times something that the chip has."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from atoll.legalize.draft import Change
from atoll.legalize.rewrite import Rewrite
from atoll.legalize.rewrites.functions import functions_of
from atoll.legalize.rewrites.quant import LOWEST, Grid, grid_over
from atoll.legalize.rewrites.sketch import Sketch, plane

if TYPE_CHECKING:
    from atoll.legalize.draft import Draft
    from atoll.legalize.rewrites.functions import Function

# What a square may be written with, and what is the argument times something.
_POWERS = ("MUL", "POW", "SQUARE")
_PRODUCTS = ("GELU", "MUL")
# A product must not be so many steps of the output that a kernel's multiplier overflows.
_COARSEST = 100.0
# Where LOGISTIC is 0 or 1 in 8 bits.
_SATURATED = 6.5
# How much steeper than the argument its gate may be: 1 is SiLU, 1.702 is near GELU.
_STEEPNESS = np.arange(0.5, 3.0, 0.025)


def as_square(draft: Draft, number: int) -> Change | None:
    """The square of a tensor becomes the MUL of it with itself."""
    for function in functions_of(draft, number, having=_POWERS):
        coarsest = math.sqrt(_COARSEST * function.out.scale)
        if function.into.scale < coarsest and function.is_near(function.into.real() ** 2):
            x, y = function.region.source, function.region.result
            sketch = Sketch(draft, draft.tensor(y).name)
            sketch.pairwise("MUL", x, x, y)
            return Change(sketch.operators, function.region.removable)
    return None


def as_hard_gate(draft: Draft, number: int) -> Change | None:
    """HARD_SWISH becomes x * (x / 6 + 1 / 2).

    The second factor is a 1 x 1 DEPTHWISE_CONV_2D, whose 8 bits end at 0 and at 1.
    """
    for function in functions_of(draft, number, having=("HARD_SWISH",)):
        x, y = function.region.source, function.region.result
        gate = _hard_gate(function)
        if gate is None:
            continue
        sketch = Sketch(draft, draft.tensor(y).name)
        if plane(draft.tensor(x)) == draft.tensor(x).shape:
            factor = sketch.weighted(x, 1 / 6, 0.5, gate)
            sketch.pairwise("MUL", x, factor, y)
        else:
            _six_times(sketch, function, gate)
        return Change(sketch.operators, function.region.removable)
    return None


def as_sigmoid_gate(draft: Draft, number: int) -> Change | None:
    """GELU, and what else is near to x * LOGISTIC(k * x) for some k, becomes that."""
    for function in functions_of(draft, number, having=_PRODUCTS):
        gate = _sigmoid_gate(function)
        if gate is None:
            continue
        x, y = function.region.source, function.region.result
        sketch = Sketch(draft, draft.tensor(y).name)
        argument = sketch.scaled(x, gate.steepness, gate.argument)
        factor = sketch.put("LOGISTIC", [argument], gate.factor)
        sketch.pairwise("MUL", x, factor, y)
        return Change(sketch.operators, function.region.removable)
    return None


@dataclass(frozen=True)
class _SigmoidGate:
    """x * LOGISTIC(steepness * x), and the grids of what lies between."""

    steepness: float
    argument: Grid
    factor: Grid


def _hard_gate(function: Function) -> Grid | None:
    """The grid of the gate of HARD_SWISH, where that is near enough to a function."""
    x = function.into.real()
    if function.into.scale > _COARSEST * function.out.scale:
        return None
    gate = np.clip(x / 6 + 0.5, 0, 1)
    grid = grid_over(function.out.type, 0, float(gate.max()))
    return grid if function.is_near(x * _rounded(grid, gate)) else None


def _six_times(sketch: Sketch, function: Function, gate: Grid) -> None:
    """The same for a tensor that is no image: x * (x + 3), then a sixth of it."""
    x, y, out = function.region.source, function.region.result, function.out
    grid = Grid(gate.type, float(np.float32(gate.scale * 6)), gate.zero_point)
    three = sketch.number(grid.type, 3.0)
    raised = sketch.pairwise("ADD", x, three, grid)
    # The last step only says that the same integers mean a sixth.
    sixfold = Grid(out.type, float(np.float32(out.scale * 6)), out.zero_point)
    product = sketch.pairwise("MUL", x, raised, sixfold)
    sketch.scaled(product, 1 / 6, y)


def _sigmoid_gate(function: Function) -> _SigmoidGate | None:
    """The gate that is nearest to a function; None where none is within one step of it."""
    x, out = function.into.real(), function.out
    if function.into.scale > _COARSEST * out.scale:
        return None
    factor = Grid(out.type, 1 / 256, LOWEST[out.type])
    # All gates at once, one a row; the exact grid is made for the best of them alone.
    arguments = _STEEPNESS[:, None] * x
    low, high = (np.clip(arguments[:, [end]], -_SATURATED, _SATURATED) for end in (0, -1))
    step = np.maximum(np.maximum(high, 0) - np.minimum(low, 0), 1e-9) / 255
    gates = 1 / (1 + np.exp(-np.clip(np.rint(arguments / step) * step, low, high)))
    apart = np.abs(out.steps(x * _rounded(factor, gates)) - function.table)
    best = int(np.lexsort((apart.mean(axis=1), apart.max(axis=1)))[0])
    if apart[best].max() > 1:
        return None
    argument = grid_over(out.type, float(low[best, 0]), float(high[best, 0]))
    return _SigmoidGate(float(_STEEPNESS[best]), argument, factor)


def _rounded(grid: Grid, values: np.ndarray) -> np.ndarray:
    """Real numbers as a tensor with this grid holds them."""
    return np.asarray(grid.scale * (grid.steps(values) - grid.zero_point))


ROWS = (
    Rewrite("square", ("DEQUANTIZE", "POW", "SQUARE"), as_square, "one step"),
    Rewrite("hard-gate", ("HARD_SWISH", "DEQUANTIZE"), as_hard_gate, "one step"),
    Rewrite(
        "sigmoid-gate",
        ("DEQUANTIZE", "DIV", "EXP", "GELU", "LOG", "POW"),
        as_sigmoid_gate,
        "one step",
    ),
)
