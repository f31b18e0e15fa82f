"""Activations that the chip lacks, for every value of 8 bits and scales of all sorts."""

import math

import numpy as np
import pytest
from eight_bit import (
    LITERT,
    PLANE,
    XNNPACK,
    activation,
    apart,
    called,
    constant,
    every_value,
    grid,
    one_operator,
    reals,
    rewritten,
    shuffled,
    spanning,
    unmapped,
)

from atoll.tflite.build_core import option
from atoll.tflite.graph import Operator

FUNCTIONS = {
    "ABS": np.abs,
    "ELU": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "EXP": lambda x: np.exp(np.minimum(x, 20)),
    "GELU": lambda x: x / 2 * (1 + np.vectorize(math.erf)(x / math.sqrt(2))),
    "HARD_SWISH": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "LEAKY_RELU": lambda x: np.where(x > 0, x, x * 0.2),
    "LOG": lambda x: np.log(np.maximum(x, 1e-3)),
    "RELU_0_TO_1": lambda x: np.clip(x, 0, 1),
    "RSQRT": lambda x: 1 / np.sqrt(np.maximum(x, 1e-2)),
    "SQRT": lambda x: np.sqrt(np.maximum(x, 0)),
}
POSITIVE = ("LOG", "RSQRT", "SQRT")
FLOAT = ("ELU",)
UNSIGNED = ("HARD_SWISH", "LEAKY_RELU")


def options(kind, alpha=0.2):
    if kind == "LEAKY_RELU":
        return option("LeakyRelu", alpha=alpha)
    return option("Gelu", approximate=False) if kind == "GELU" else None


def model_of(kind, into, out, type="INT8", shape=PLANE, alpha=0.2):
    """x -> kind -> y; in float between DEQUANTIZE and QUANTIZE where LiteRT has no 8-bit kernel."""
    x, y = activation("x", shape, into, type), activation("y", shape, out, type)
    if kind not in FLOAT:
        return one_operator(kind, [x], y, options(kind, alpha))
    model = one_operator("QUANTIZE", [x], y)
    floats = [activation(name, shape, None, "FLOAT32") for name in "ab"]
    model.main.tensors += floats
    op = model.main.operators[0]
    model.main.operators = [
        unary("DEQUANTIZE", 0, 2),
        unary(kind, 2, 3),
        unary("QUANTIZE", 3, op.outputs[0]),
    ]
    return model


def unary(kind, source, result):
    return Operator(kind, [source], [result])


def grids(kind, seed, type="INT8"):
    """Scales as they are found: some of the output's range is lost, or never used."""
    rng = np.random.default_rng(seed)
    span = 10 ** rng.uniform(-1, 1.6)
    low = 0.0 if kind in POSITIVE else -span * rng.choice([0, 0.1, 0.5, 0.9])
    into = spanning(low, low + span, type)
    values = FUNCTIONS[kind](reals(into, type))
    # LiteRT's HARD_SWISH takes no output that is finer than its input asks for.
    least = 1 if kind == "HARD_SWISH" else 0.3
    low, high = values.min() * rng.choice([1, least, 2]), values.max() * rng.choice([1, least, 3])
    return into, spanning(low, high, type)


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_an_activation_maps_and_stays_within_one_step_for_every_value(kind):
    """Without the check that the engine makes: the rows themselves know what they can do."""
    worst = 0
    for seed in range(24):
        type = "UINT8" if kind in UNSIGNED and seed % 3 == 0 else "INT8"
        runtime = (14, 13, 12)[seed % 3] if type == "INT8" else (10, 14)[seed % 2]
        model = model_of(kind, *grids(kind, seed, type), type)
        if not unmapped(model, runtime):
            continue
        changed, names = rewritten(model, runtime)
        before = called(model, every_value(type))
        if len(np.unique(before)) == 1:
            continue
        assert names
        assert unmapped(changed, runtime) == []
        for kernels in (LITERT, XNNPACK):
            worst = max(worst, apart(model, changed, every_value(type), kernels=kernels).max())
    assert worst == 1 or kind == "LEAKY_RELU"
    assert worst <= 1


@pytest.mark.parametrize(
    ("kind", "most"),
    [
        ("GELU", 3),
        ("HARD_SWISH", 2),
        ("LEAKY_RELU", 1),
        ("ABS", 3),
        ("ELU", 11),
        ("RELU_0_TO_1", 1),
    ],
)
def test_a_usual_activation_costs_few_operators(kind, most):
    """A person would not use it if GELU cost twenty operators a layer."""
    into = spanning(-6, 6)
    changed, _ = rewritten(model_of(kind, into, spanning(*_ends(kind, into))))
    assert len(changed.main.operators) <= most


def _ends(kind, into):
    values = FUNCTIONS[kind](reals(into))
    return min(0, values.min()), values.max()


@pytest.mark.parametrize("alpha", [0.0, 0.01, 0.3, 1.0, 1.5, -0.25])
@pytest.mark.parametrize(("type", "runtime"), [("INT8", 14), ("INT8", 12), ("UINT8", 10)])
def test_leaky_relu_of_any_slope_maps_on_any_runtime(alpha, type, runtime):
    into = spanning(-3, 5, type)
    ends = np.where(reals(into, type) > 0, reals(into, type), alpha * reals(into, type))
    model = model_of("LEAKY_RELU", into, spanning(ends.min(), ends.max(), type), type, alpha=alpha)
    changed, _ = rewritten(model, runtime)
    assert unmapped(changed, runtime) == []
    assert apart(model, changed, every_value(type)).max() <= 1


def test_leaky_relu_with_the_same_grid_on_both_sides_needs_two_operators():
    held = spanning(-4, 4)
    changed, _ = rewritten(model_of("LEAKY_RELU", held, held), runtime=12)
    assert [op.type for op in changed.main.operators] == ["MUL", "MAXIMUM"]


def prelu(alpha_shape, low, high, type="INT8", same=False, seed=0):
    rng = np.random.default_rng(seed)
    held = spanning(low, high, type)
    stored = rng.integers(-128, 128, alpha_shape).astype(np.int8)
    if same:
        stored = np.broadcast_to(stored[:1, :1], alpha_shape).copy()
    if type == "UINT8":
        stored = (stored.astype(np.int64) + 128).astype(np.uint8)
    x = activation("x", PLANE, spanning(-4, 3, type), type)
    y = activation("y", PLANE, spanning(-4 * max(high, 0.2), 4, type), type)
    return one_operator("PRELU", [x, constant(stored, held)], y)


@pytest.mark.parametrize(
    ("shape", "low", "high", "same", "runtime", "expected"),
    [
        ((4, 8, 8), 0, 0.5, True, 14, "prelu-channels"),
        ((4, 8, 8), 0, 0.5, False, 14, "prelu-maximum"),
        ((4, 8, 8), -0.5, 0.5, False, 14, "prelu-difference"),
        ((1, 1, 8), 0, 0.5, False, 12, "prelu-maximum"),
        ((1, 1, 8), -0.3, 2.5, False, 12, "prelu-difference"),
    ],
)
@pytest.mark.parametrize("type", ["INT8", "UINT8"])
def test_prelu_of_any_shape_maps(shape, low, high, same, runtime, expected, type):
    """Keras' PReLU without shared axes has a slope a pixel, which the chip refuses."""
    model = prelu(shape, low, high, type, same)
    assert unmapped(model, runtime) == ["PRELU"]
    changed, names = rewritten(model, runtime)
    assert names == [expected]
    assert unmapped(changed, runtime) == []
    steps = max(apart(model, changed, values).max() for values in shuffled(8, type))
    assert steps <= (0 if expected == "prelu-channels" else 1)


@pytest.mark.parametrize("kind", ["GELU", "HARD_SWISH", "ABS", "LEAKY_RELU", "SQRT"])
@pytest.mark.parametrize("shape", [(256,), (1, 256), (1, 16, 16), (1, 1, 4, 8, 8)])
def test_activations_of_other_ranks_map_too(kind, shape):
    """A transformer's activations have three dimensions, a classifier's two."""
    low = 0 if kind in POSITIVE else -5
    into = spanning(low, 5)
    model = model_of(kind, into, spanning(*_ends(kind, into)), shape=shape)
    changed, _ = rewritten(model)
    assert unmapped(changed) == []
    assert apart(model, changed, every_value(shape=shape)).max() <= 1


HOSTILE = [
    (grid(1e-38, 0), grid(1e-38, 0)),
    (grid(1e30, 0), grid(1e-30, 0)),
    (grid(1e-30, 0), grid(1e30, 0)),
    (grid(float("nan"), 0), grid(0.1, 0)),
    (grid(float("inf"), 0), grid(0.1, 0)),
    (grid(0.0, 0), grid(0.1, 0)),
    (grid(-0.1, 0), grid(0.1, 0)),
    (grid(0.1, 1000), grid(0.1, 0)),
    (grid(0.1, -128), grid(0.1, 127)),
    (grid(0.1, 127), grid(1e-8, -128)),
    (None, grid(0.1, 0)),
    (grid(0.1, 0), None),
    (grid(0.1, 0), grid([0.1, 0.2], [0, 0])),
]


@pytest.mark.parametrize("kind", [*FUNCTIONS, "PRELU", "SIN", "DIV", "SUM", "SOFTMAX", "POW"])
def test_grids_that_make_no_sense_are_left_alone(kind):
    """A damaged file must not end in a traceback."""
    for into, out in HOSTILE:
        if into is not None and np.ndim(into.scale[0]):
            into = None
        held = None if out is None else type(out)(out.scale.reshape(-1), out.zero_point.reshape(-1))
        for shape in ((), (0,), (1, 4, 8, 8), (1, 0, 8, 8), (1 << 40,)):
            x, y = activation("x", shape, into), activation("y", shape, held)
            model = one_operator(kind, [x, x] if kind in ("DIV", "POW") else [x], y)
            changed, _ = rewritten(model)
            result = changed.main.tensors[changed.main.outputs[0]]
            assert (result.name, result.shape, result.type) == ("y", shape, y.type)


def test_what_is_level_stays_as_it_is():
    """A function that is the same everywhere has no ramp to be made of."""
    model = model_of("EXP", grid(1e-5, 0), grid(1, -128))
    changed, names = rewritten(model)
    assert names == []
    assert [op.type for op in changed.main.operators] == ["EXP"]
