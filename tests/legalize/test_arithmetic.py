"""Arithmetic of two tensors, sums, softmaxes, and chains of small operators."""

import numpy as np
import pytest
from eight_bit import (
    PLANE,
    XNNPACK,
    activation,
    apart,
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

from atoll.legalize.job import legalize
from atoll.legalize.verify import Verifier
from atoll.tflite.build import GraphBuilder
from atoll.tflite.build_core import option
from atoll.tflite.graph import Model, Operator, Subgraph


class Chain:
    """A model of elementwise operators behind one input."""

    def __init__(self, held, shape=PLANE, type="INT8"):
        self.shape, self.type = shape, type
        self.tensors = [activation("x", shape, held, type)]
        self.operators = []

    def tensor(self, held, type=None):
        type = type or ("FLOAT32" if held is None else self.type)
        self.tensors.append(activation(f"t{len(self.tensors)}", self.shape, held, type))
        return len(self.tensors) - 1

    def constant(self, value, held=None):
        self.tensors.append(constant(value, held))
        return len(self.tensors) - 1

    def op(self, kind, *inputs, held=None, type=None, options=None):
        output = self.tensor(held, type)
        self.operators.append(Operator(kind, list(inputs), [output], options=options))
        return output

    def model(self, *outputs):
        return Model([Subgraph("main", self.tensors, self.operators, [0], list(outputs))])


def float_island(kind, into, function, *constants, options=None):
    """x -> DEQUANTIZE -> kind -> QUANTIZE -> y: what TensorFlow makes of operators that TFLite
    has in float alone."""
    chain = Chain(into)
    real = chain.op("DEQUANTIZE", 0)
    real = chain.op(
        kind, real, *(chain.constant(np.float32(c)) for c in constants), options=options
    )
    values = function(reals(into))
    return chain.model(chain.op("QUANTIZE", real, held=spanning(values.min(), values.max())))


ISLANDS = {
    "SQUARE": (spanning(-4, 3), np.square, (), 1),
    "POW": (spanning(0, 5), lambda x: x**1.7, (1.7,), 10),
    "NEG": (spanning(-4, 3), np.negative, (), 1),
    "COS": (spanning(-2, 2), np.cos, (), 20),
    "SIGN": (spanning(-2, 2), np.sign, (), 4),
    "DIV": (spanning(-4, 3), lambda x: x / 3.7, (3.7,), 1),
    "ELU": (spanning(-4, 3), lambda x: np.where(x > 0, x, np.expm1(x)), (), 10),
    "ROUND": (spanning(-4, 3), np.rint, (), 20),
}


@pytest.mark.parametrize("kind", ISLANDS)
def test_float_between_eight_bit_operators_is_computed_in_eight_bits(kind):
    """A single float operator in the middle would leave half of the network on the CPU."""
    into, function, constants, most = ISLANDS[kind]
    model = float_island(kind, into, function, *constants)
    changed, names = rewritten(model)
    assert names and unmapped(changed) == []
    assert len(changed.main.operators) <= most
    assert apart(model, changed, every_value()).max() <= 1


def mish():
    """As TensorFlow 2.21 converts it, with its coarse exponential."""
    chain = Chain(spanning(-5, 4.6))
    raised = spanning(0, 100)
    power = chain.op("EXP", 0, held=raised)
    one = chain.constant(np.int8(127), grid(1 / 255, -128))
    above = chain.op("ADD", power, one, held=raised, options=option("Add"))
    soft = chain.op("LOG", above, held=spanning(0, 4.62))
    gate = chain.op("TANH", soft, held=grid(1 / 128, 0))
    return chain.model(chain.op("MUL", 0, gate, held=spanning(-0.35, 4.6), options=option("Mul")))


def selu():
    """As TensorFlow 2.21 converts it: both branches, and a choice."""
    chain = Chain(spanning(-4, 6))
    scale = chain.constant(np.int8(127), grid(1.0507 / 255, -128))
    zero, one = (chain.constant(np.int8(v), grid(1 / 255, -128)) for v in (-128, 127))
    alpha = chain.constant(np.int8(127), grid(1.758 / 255, -128))
    out = spanning(-1.76, 6.3)
    positive = chain.op("GREATER", 0, zero, type="BOOL", options=option("Greater"))
    right = chain.op("MUL", 0, scale, held=out, options=option("Mul"))
    low = spanning(0, 6)
    power = chain.op("EXP", 0, held=low)
    left = chain.op("SUB", power, one, held=spanning(-1, 5), options=option("Sub"))
    left = chain.op("MUL", left, alpha, held=out, options=option("Mul"))
    return chain.model(chain.op("SELECT_V2", positive, right, left, held=out))


def two_readers():
    """An exponential that something outside of the function needs too."""
    chain = Chain(spanning(-3, 3))
    power = chain.op("EXP", 0, held=spanning(0, 20))
    log = chain.op("LOG", power, held=spanning(-3, 3))
    return chain.model(power, log)


@pytest.mark.parametrize("make", [mish, selu])
def test_a_chain_of_operators_is_one_function(make):
    """Done one by one, each operator would add its own rounding."""
    model = make()
    changed, names = rewritten(model)
    assert len(names) == 1 and unmapped(changed) == []
    assert apart(model, changed, every_value()).max() <= 1


def test_what_others_need_of_a_chain_is_still_computed():
    model = two_readers()
    changed, names = rewritten(model)
    assert names and unmapped(changed) == []
    assert len(changed.main.outputs) == 2
    assert apart(model, changed, every_value()).max() <= 1


def test_two_functions_of_which_neither_is_the_others_are_both_mapped():
    chain = Chain(spanning(-3, 3))
    one = chain.op("GELU", 0, held=spanning(-0.2, 3), options=option("Gelu"))
    other = chain.op("EXP", 0, held=spanning(0, 20))
    both = chain.op("ADD", one, other, held=spanning(0, 23), options=option("Add"))
    model = chain.model(both)
    changed, names = rewritten(model)
    assert len(names) <= 2 and unmapped(changed) == []
    assert apart(model, changed, every_value()).max() <= 2


def test_a_function_of_two_tensors_is_left_alone():
    """POW of two tensors is no table of 256 values."""
    x, z = (activation(n, PLANE, spanning(0, 3)) for n in "xz")
    model = one_operator("POW", [x, z], activation("y", PLANE, spanning(0, 27)))
    changed, names = rewritten(model)
    assert names == [] and changed.main.operators == model.main.operators


@pytest.mark.parametrize("shape", [PLANE, (1, 1, 1, 8)])
def test_squared_difference_maps_on_old_runtimes(shape):
    one, other = activation("a", PLANE, spanning(-3, 4)), activation("b", shape, spanning(-2, 2))
    model = one_operator(
        "SQUARED_DIFFERENCE", [one, other], activation("y", PLANE, spanning(0, 20))
    )
    changed, names = rewritten(model, 13, Verifier())
    assert names == ["squared-difference"] and unmapped(changed, 13) == []
    for values in shuffled(4):
        given = shuffled(1)[0].reshape(-1)[: np.prod(shape)].reshape(shape)
        assert apart(model, changed, values, given).max() <= 2


@pytest.mark.parametrize("type", ["INT8", "UINT8"])
@pytest.mark.parametrize("keep", [True, False])
def test_a_sum_over_a_plane_maps_on_old_runtimes(keep, type):
    shape = (1, 1, 1, 8) if keep else (1, 8)
    axes = constant(np.array([1, 2], np.int32))
    model = one_operator(
        "SUM",
        [activation("x", PLANE, spanning(-3, 4, type), type), axes],
        activation("y", shape, spanning(-20, 30, type), type),
        option("Reducer", keepDims=keep),
    )
    changed, names = rewritten(model, 12)
    assert names == ["sum-mean"] and unmapped(changed, 12) == []
    assert max(apart(model, changed, values).max() for values in shuffled(8, type)) <= 1


def quotient(out):
    """x / (x ** 2 + 1): its divisor is never 0, which its grid cannot say."""
    chain = Chain(spanning(-2, 2))
    square = chain.op("MUL", 0, 0, held=spanning(0, 4), options=option("Mul"))
    one = chain.constant(np.int8(127), grid(1 / 127, 0))
    above = chain.op("ADD", square, one, held=spanning(0, 5), options=option("Add"))
    return chain.model(chain.op("DIV", 0, above, held=out, options=option("Div")))


def test_a_quotient_of_tensors_maps_where_the_divisor_is_never_zero():
    model = quotient(spanning(-0.5, 0.5))
    assert unmapped(model) == ["DIV"]
    changed, names = rewritten(model, 14, Verifier())
    assert names and unmapped(changed) == []
    assert apart(model, changed, every_value()).max() <= 4


@pytest.mark.parametrize(
    "shape", [(1, 4, 8, 8), (1, 16, 16), (1, 1, 2, 128), (4, 64)], ids=lambda s: str(s)
)
def test_a_softmax_over_a_few_vectors_is_the_same_softmax(shape):
    """A licence plate's reader has a softmax a letter."""
    model = one_operator(
        "SOFTMAX",
        [activation("x", shape, spanning(-6, 6))],
        activation("y", shape, grid(1 / 256, -128)),
        option("Softmax", beta=1.0),
    )
    changed, names = rewritten(model, 13)
    if np.prod(shape[:-1]) > 16:
        assert names == []
        return
    assert names == ["softmax-vectors"] and unmapped(changed, 13) == []
    assert max(apart(model, changed, values).max() for values in shuffled(4, shape=shape)) == 0


@pytest.mark.parametrize("beta", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("reach", [0.5, 4.0, 30.0])
@pytest.mark.parametrize("type", ["INT8", "UINT8"])
def test_a_softmax_over_two_classes_a_pixel_maps(beta, reach, type):
    """A segmentation of foreground and background ends in it."""
    shape = (1, 16, 16, 2)
    lowest = -128 if type == "INT8" else 0
    model = one_operator(
        "SOFTMAX",
        [activation("x", shape, spanning(-reach, reach, type), type)],
        activation("y", shape, grid(1 / 256, lowest), type),
        option("Softmax", beta=beta),
    )
    changed, names = rewritten(model, 13)
    assert names == ["softmax-two"] and unmapped(changed, 13) == []
    assert max(apart(model, changed, v).max() for v in shuffled(6, type, shape)) <= 3


def gelu_network(style="int8"):
    """Blocks as ConvNeXt and vision transformers have them: widen, GELU, narrow, add."""
    b = GraphBuilder(style, seed=3)
    x = b.input((1, 32, 32, 3))
    x = b.conv2d(x, 24, 4, stride=4, output_range=(-3, 3))
    for _ in range(4):
        y = b.depthwise(x, 7, output_range=(-3, 3))
        y = b.conv2d(y, 96, 1, output_range=(-4, 4))
        y = b.op("GELU", [y], [b.shape(y)], option("Gelu"), quantization=b.quantization(-0.17, 4))
        y = b.conv2d(y[0], 24, 1, output_range=(-2, 2))
        x = b.add(x, y)
    return b.model(b.softmax(b.dense(b.mean(x), 10)))


def test_a_network_of_gelus_maps_whole_and_still_says_the_same():
    """Errors of a step each must not add up to another answer."""
    result = legalize(gelu_network())
    assert all(verdict.target == "tpu" for verdict in result.after)
    assert {change.name for change in result.changes} & {"sigmoid-gate", "ramps"}
    assert result.refused == []
    assert result.comparison is not None
    assert result.comparison.mean <= 3


def test_xnnpack_agrees_about_a_whole_network():
    """The rewrites are checked on LiteRT's own kernels; people run the model on XNNPACK."""
    model = gelu_network()
    changed = legalize(model).model
    rng = np.random.default_rng(0)
    values = rng.integers(-128, 128, (1, 32, 32, 3)).astype(np.int8)
    assert apart(model, changed, values, kernels=XNNPACK).mean() <= 3


def test_requantising_maps_on_runtimes_without_quantize():
    """Models of TensorFlow 1 join branches of different scales."""
    x = activation("x", PLANE, spanning(-3, 3, "UINT8"), "UINT8")
    model = one_operator("QUANTIZE", [x], activation("y", PLANE, spanning(-2, 6, "UINT8"), "UINT8"))
    assert unmapped(model, 11) == ["QUANTIZE"]
    changed, names = rewritten(model, 11)
    assert names == ["ramps"] and unmapped(changed, 11) == []
    assert apart(model, changed, every_value("UINT8")).max() <= 1


def test_operators_of_types_that_crash_litert_are_not_run():
    """An ADD of two 8-bit tensors to a boolean one ended the process, with no error to catch."""
    chain = Chain(spanning(-3, 3))
    one = chain.constant(np.int8(127), grid(1 / 127, 0))
    odd = chain.op("ADD", 0, one, type="BOOL", options=option("Add"))
    model = chain.model(chain.op("DIV", 0, odd, held=spanning(-1, 1), options=option("Div")))
    changed, names = rewritten(model)
    assert names == [] and changed.main.operators == model.main.operators
