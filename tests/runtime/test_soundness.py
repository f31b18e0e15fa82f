"""Files that would end the whole process must be refused before LiteRT sees them."""

from dataclasses import replace

import numpy as np
import pytest
from litert_files import model_files

from atoll import Interpreter
from atoll.errors import ModelError
from atoll.runtime.soundness import check_sound
from atoll.tflite.build import GraphBuilder
from atoll.tflite.build_core import option
from atoll.tflite.graph import Model, Quantization
from atoll.tflite.reader import read_model
from atoll.tflite.writer import write_model


@pytest.fixture
def lstm(shared) -> Model:
    return read_model(shared / "models/v13/keras_lstm_mnist_ptq.tflite")


def changed(model: Model, index: int, **changes) -> Model:
    model.main.tensors[index] = replace(model.main.tensors[index], **changes)
    return model


def test_published_models_are_sound(shared):
    """A rule that is too strict would refuse a good model."""
    for path in model_files(shared):
        check_sound(read_model(path), path)


@pytest.mark.parametrize("device", ["cpu", "sim"])
@pytest.mark.parametrize(
    ("scale", "zero_point", "rule"),
    [
        (float("nan"), 0, "above 0"),
        (float("inf"), 0, "above 0"),
        (-1.0, 0, "above 0"),
        (0.0, 0, "above 0"),
        (1e-20, 0, "from 1e-15 to 1e\\+15"),
        (1e20, 0, "from 1e-15 to 1e\\+15"),
        (1.0, 2**31 - 1, "zero point"),
        (1.0, -(2**31), "zero point"),
    ],
)
def test_impossible_scales_are_refused(lstm, device, scale, zero_point, rule):
    """Each of these crashes LiteRT in its preparation."""
    quantization = Quantization(np.float32([scale]), np.int64([zero_point]))
    data = write_model(changed(lstm, lstm.main.inputs[0], quantization=quantization))
    with pytest.raises(ModelError, match=rule):
        Interpreter(data, device)


def test_a_channel_of_zeros_may_have_no_scale(lstm):
    """Converters write 0 for it, and LiteRT runs it."""
    weights = next(i for i, t in enumerate(lstm.main.tensors) if t.name.endswith("output/MatMul"))
    scale = np.full(10, 0.01, np.float32)
    scale[3] = 0
    quantization = Quantization(scale, np.zeros(10, np.int64), axis=0)
    check_sound(changed(lstm, weights, quantization=quantization), "m")


@pytest.mark.parametrize("device", ["cpu", "sim"])
def test_weights_that_are_nowhere_are_refused(lstm, device):
    """An operator that reads what nobody wrote reads at address 0."""
    index = lstm.main.operators[1].inputs[12]
    with pytest.raises(ModelError, match="computed before it"):
        Interpreter(write_model(changed(lstm, index, data=None)), device)


def test_operators_out_of_order_are_refused(lstm):
    """They would read memory of another time."""
    lstm.main.operators.reverse()
    with pytest.raises(ModelError, match="computed before it"):
        check_sound(lstm, "m")


@pytest.mark.parametrize("count", [0, 1, 5])
def test_a_split_must_have_as_many_outputs_as_it_says(count):
    """LiteRT writes to outputs that are not there."""
    b = GraphBuilder("uint8")
    image = b.input((1, 4, 4, 4))
    options = option("Split", numSplits=count)
    halves = b.op("SPLIT", [b.constant(np.int32(3)), image], [(1, 4, 4, 2)] * 2, options)
    with pytest.raises(ModelError, match=f"as many outputs as it says. Received: 2 of {count}"):
        Interpreter(write_model(b.model(halves)), "cpu")


def _grown(b, image, kind):
    """An operator whose constant says another size than its output."""
    many = 1 << 24
    if kind == "PAD":
        out = b.pad(image, [(0, 0), (1, 1), (1, 1), (0, 0)])
        wrong = [[many, 0], [1, 1], [1, 1], [0, 0]]
    elif kind == "TILE":
        out = b.op("TILE", [image, b.constant(np.int32([1, 1, 1, 1]))], [(1, 4, 4, 4)])[0]
        wrong = [many, 1, 1, 1]
    elif kind == "RESIZE_BILINEAR":
        out = b.resize(image, (8, 8))
        wrong = [many, 8]
    else:
        places = [b.constant(np.int32([2, 2])), b.constant(np.int32([[0, 0], [0, 0]]))]
        out = b.op("SPACE_TO_BATCH_ND", [image, *places], [(4, 2, 2, 4)])[0]
        wrong = [[0, many], [0, 0]]
    b.tensors[b.operators[-1].inputs[-1]].data = np.int32(wrong)
    return out


@pytest.mark.parametrize("kind", ["PAD", "TILE", "RESIZE_BILINEAR", "SPACE_TO_BATCH_ND"])
def test_a_damaged_size_does_not_fill_the_memory(kind):
    """One flipped bit, and LiteRT takes all memory that there is."""
    b = GraphBuilder("uint8")
    model = b.model(_grown(b, b.input((1, 4, 4, 4)), kind))
    with pytest.raises(ModelError, match=f"a {kind} must make what its output says"):
        Interpreter(write_model(model), "cpu")


def _sum(b):
    """An addition, and the two tensors that it takes."""
    taken = [b.conv2d(b.input((1, 4, 4, 3)), 4, 1), b.random_constant((1, 4, 4, 4))]
    return b.add(*taken), taken


@pytest.mark.parametrize("style", ["uint8", "int8"])
@pytest.mark.parametrize("which", ["taken", "constant", "made"])
def test_numbers_that_are_added_must_have_scales(style, which):
    """LiteRT divides by a scale that is not there."""
    b = GraphBuilder(style)
    made, taken = _sum(b)
    b.tensors[{"taken": taken[0], "constant": taken[1], "made": made}[which]].quantization = None
    with pytest.raises(ModelError, match="a ADD of 8 bits must have scales"):
        Interpreter(write_model(b.model(made)), "cpu")


def test_numbers_that_are_added_must_be_of_one_type():
    """Real numbers cannot be added to whole ones."""
    b = GraphBuilder("uint8")
    made, _ = _sum(b)
    b.tensors[made].type, b.tensors[made].quantization = "FLOAT32", None
    with pytest.raises(ModelError, match=r"tensors of one type\. Received: FLOAT32, UINT8"):
        Interpreter(write_model(b.model(made)), "cpu")


@pytest.mark.parametrize("kind", ["ADD", "RESIZE_BILINEAR", "SPLIT", "TILE"])
def test_an_operator_of_nothing_is_refused(kind):
    """Or one whose inputs are those of another."""
    b = GraphBuilder("uint8")
    image = b.input((1, 4, 4, 3))
    made = b.conv2d(image, 4, 1)
    b.operators[-1].type = kind
    with pytest.raises(ModelError):
        Interpreter(write_model(b.model(made)), "cpu")
    b.operators[-1].inputs[:] = []
    with pytest.raises(ModelError):
        Interpreter(write_model(b.model(made)), "cpu")


def test_numbers_that_are_added_must_be_of_one_order():
    """LiteRT ends the process where a sum does not fit into its 32 bits."""
    b = GraphBuilder("int8")
    made, taken = _sum(b)
    scale = np.float32([2.0**20]) * b.tensors[made].quantization.scale
    b.tensors[taken[1]].quantization = Quantization(scale, np.int64([0]))
    with pytest.raises(ModelError, match="must not take scales of 524288 times its output's"):
        Interpreter(write_model(b.model(made)), "cpu")


@pytest.mark.parametrize("place", [0, 1])
def test_inputs_that_must_be_there_are_missed(place):
    """-1 stands for an input that is left out: only a bias may be."""
    b = GraphBuilder("uint8")
    made, _ = _sum(b)
    b.operators[-1].inputs[place] = -1
    with pytest.raises(ModelError, match=rf"all of its inputs\. Received: none at place {place}"):
        Interpreter(write_model(b.model(made)), "cpu")


def test_a_step_of_nothing_is_refused():
    """LiteRT divides by it."""
    b = GraphBuilder("uint8")
    made = b.transpose_conv(b.conv2d(b.input((1, 4, 4, 3)), 4, 1), 4, 3)
    b.operators[-1].options.strideW = 0
    with pytest.raises(ModelError, match=r"steps of at least 1\. Received: strideW 0"):
        Interpreter(write_model(b.model(made)), "cpu")
