"""Functions as sums of ramps, for tables of every sort."""

import numpy as np
import pytest
from eight_bit import PLANE, XNNPACK, activation, called, every_value, grid, one_operator

from atoll.legalize.draft import Draft
from atoll.legalize.rewrites.curve import draw_curve, plan_curve
from atoll.legalize.rewrites.quant import Grid
from atoll.legalize.rewrites.ramps import fit_lines
from atoll.legalize.rewrites.sketch import Sketch
from atoll.tflite.edit import with_main

RNG = np.random.default_rng(7)


def walk(turns, low, high):
    """A function that turns at random places."""
    places = np.sort(RNG.choice(np.arange(1, 255), turns, replace=False))
    heights = RNG.integers(low, high + 1, turns + 2)
    return np.rint(np.interp(np.arange(256), [0, *places, 255], heights)).astype(np.int64)


TABLES = {
    **{f"walk-{n}": walk(n % 6 + 1, -128, 127) for n in range(24)},
    **{f"above-{n}": walk(n % 4 + 1, 20, 127) for n in range(8)},
    **{f"below-{n}": walk(n % 4 + 1, -128, -20) for n in range(8)},
    "step": np.where(np.arange(256) > 99, 127, -128),
    "step-down": np.where(np.arange(256) > 99, -128, 127),
    "peak": np.where(np.arange(256) == 99, 127, -128),
    "identity": np.arange(-128, 128),
    "negated": np.arange(127, -129, -1),
    "clipped": np.clip(np.arange(-128, 128), -30, 50),
    "clipped-down": -np.clip(np.arange(-128, 128), -30, 50),
}


@pytest.mark.parametrize("name", TABLES)
def test_lines_leave_no_value_by_more_than_a_step(name):
    table = TABLES[name]
    for lines in fit_lines(table, -128, 127, 0):
        assert abs(np.rint(lines.values()) - table).max() <= 1
        assert [knot.x for knot in lines.knots] == sorted({knot.x for knot in lines.knots})
        assert (lines.knots[0].x, lines.knots[-1].x) == (0, 255)


def test_no_more_lines_than_there_are():
    """Four corners are five lines at most: more would cost operators for nothing."""
    table = np.rint(np.interp(np.arange(256), [0, 30, 90, 160, 230, 255], [0, 90, -90, 50, -7, 3]))
    best = min(fit_lines(table.astype(np.int64), -128, 127, 0), key=lambda lines: len(lines.knots))
    assert len(best.knots) == 6


@pytest.mark.parametrize("zero_point", [-128, -20, 0, 77, 127])
@pytest.mark.parametrize("name", TABLES)
def test_operators_give_what_the_lines_say(name, zero_point):
    """Whatever the output's zero point: the constant that a start may need, and all signs."""
    table = TABLES[name]
    out = Grid("INT8", 0.03, zero_point)
    for lines in fit_lines(table, -128, 127, zero_point):
        plan = plan_curve(lines, out)
        model = one_operator(
            "EXP",
            [activation("x", PLANE, grid(0.05, 11))],
            activation("y", PLANE, out.quantization()),
        )
        draft = Draft(model.main, 14)
        sketch = Sketch(draft, "y")
        draw_curve(sketch, 0, 1, plan)
        draft.graph.operators = sketch.operators
        assert len(sketch.operators) == plan.operators
        drawn = with_main(model, draft.graph)
        for values in (called(drawn, every_value()), called(drawn, every_value(), kernels=XNNPACK)):
            assert abs(values.reshape(-1) - table).max() <= 1
