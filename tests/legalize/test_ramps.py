"""Functions as sums of ramps, for tables of every sort."""

import numpy as np
import pytest
from eight_bit import PLANE, XNNPACK, activation, called, every_value, grid, one_operator

from atoll.edgetpu.partition import partition
from atoll.legalize.draft import Draft
from atoll.legalize.job import legalize
from atoll.legalize.rewrites.curve import draw_curve, plan_curve
from atoll.legalize.rewrites.quant import Grid
from atoll.legalize.rewrites.ramps import fit_lines
from atoll.legalize.rewrites.sketch import Sketch
from atoll.tflite.build import GraphBuilder
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


def test_a_staircase_is_met_to_a_few_steps():
    """TF's converter writes SELU as EXP, SUB, MUL, GREATER and SELECT_V2, with coarse steps."""
    b = GraphBuilder(seed=1)
    x = b.input(PLANE, type="INT8", low=-3.0, high=1.7)
    wide, out = b.quantization(0.0, 5.5), b.quantization(-1.7, 1.8)
    (e,) = b.op("EXP", [x], [PLANE], quantization=wide)
    (s,) = b.op("SUB", [e, number(b, 1.0)], [PLANE], quantization=b.quantization(-1.0, 4.5))
    (low,) = b.op("MUL", [s, number(b, 1.7581)], [PLANE], quantization=out)
    (high,) = b.op("MUL", [x, number(b, 1.0507)], [PLANE], quantization=out)
    (above,) = b.op("GREATER", [x, number(b, 0.0)], [PLANE], output_type="BOOL")
    (y,) = b.op("SELECT_V2", [above, high, low], [PLANE], quantization=out, output_type="INT8")
    model = b.model(y)
    assert any(v.target == "cpu" for v in partition(model.main))
    done = legalize(model)
    assert all(v.target == "tpu" for v in partition(done.model.main))
    (change,) = (change for change in done.changes if change.name.startswith("ramps"))
    assert change.error is not None
    assert change.error.max <= 4


def number(b, value):
    """A constant as the converter writes one: its own scale, and the integer 127."""
    scale = max(abs(value), 1e-3) / 127
    return b.constant(np.array(round(value / scale), np.int8), grid(scale, 0))
