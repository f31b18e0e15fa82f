"""Any function of one 8-bit number that the chip lacks, as a sum of ramps."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from atoll.legalize.draft import Change
from atoll.legalize.rewrite import Rewrite
from atoll.legalize.rewrites.curve import Plan, draw_curve, plan_curve, plan_line
from atoll.legalize.rewrites.functions import FOREIGN, Function, functions_of
from atoll.legalize.rewrites.ramps import WITHIN_ONE_STEP, fit_lines
from atoll.legalize.rewrites.sketch import Sketch, plane

if TYPE_CHECKING:
    from atoll.legalize.draft import Draft
    from atoll.legalize.rewrites.quant import Grid

# More operators than these are not worth it: a function with so many turns is no activation.
_MOST_OPERATORS = 32
# How far off, in steps, where not all of it can stay within one.
_NEAR = (WITHIN_ONE_STEP, 2.45, 3.45, 4.45)


def as_ramps(draft: Draft, number: int) -> Change | None:
    """A function of one 8-bit number, whatever operators compute it, becomes a sum of ramps.

    Each is a 1 x 1 DEPTHWISE_CONV_2D with RELU: a straight line between two of the 256 points.
    """
    # Of a smaller part of it, the rest would stay on the CPU: those a few steps off come first.
    function = next(functions_of(draft, number), None)
    return None if function is None else _change(draft, function)


def as_near_ramps(draft: Draft, number: int) -> Change | None:
    """A function whose operators round so coarsely that it is a staircase becomes ramps through it.

    No sum of ramps is within one step of it; these are a few steps off at most.
    """
    for function in functions_of(draft, number):
        for tolerance in _NEAR:
            change = _change(draft, function, tolerance)
            if change is not None:
                return change
    return None


def plan_of(table: np.ndarray, out: Grid, tolerance: float = WITHIN_ONE_STEP) -> Plan | None:
    """The sum of fewest ramps for a function.

    Args:
        table: Its values, in the integers of `out`: int64 [256].
        out: The grid of its value.
        tolerance: How far a value may lie from its ramp, in steps.

    Returns:
        The plan; None where the function is level, or needs too many ramps.
    """
    plan = _best_plan(table.astype(np.int64).tobytes(), out, tolerance)
    return None if plan is None or plan.operators > _MOST_OPERATORS else plan


def _change(draft: Draft, function: Function, tolerance: float = WITHIN_ONE_STEP) -> Change | None:
    region = function.region
    x, y = draft.tensor(region.source), draft.tensor(region.result)
    shape = plane(x)
    plan = None if shape is None else plan_of(function.table, function.out, tolerance)
    if plan is None or shape is None:
        return None
    sketch = Sketch(draft, y.name)
    if shape == x.shape:
        draw_curve(sketch, region.source, region.result, plan)
    else:
        flat = sketch.reshape(region.source, shape)
        drawn = draft.add_tensor(f"{y.name}/plane", y, shape)
        draw_curve(sketch, flat, drawn, plan)
        sketch.reshape(drawn, y.shape, into=region.result)
    return Change(sketch.operators, region.removable)


@lru_cache(maxsize=512)
def _best_plan(table: bytes, out: Grid, tolerance: float) -> Plan | None:
    values = np.frombuffer(table, np.int64)
    line = plan_line(values, out)
    if line is not None:
        return line
    drawn = fit_lines(values, out.lowest, out.highest, out.zero_point, tolerance)
    plans = [plan for lines in drawn if (plan := plan_curve(lines, out)) is not None]
    return min(plans, key=lambda plan: plan.operators, default=None)


ROWS = (
    Rewrite("ramps", FOREIGN, as_ramps, "one step"),
    Rewrite("ramps-near", FOREIGN, as_near_ramps, "measured"),
)
