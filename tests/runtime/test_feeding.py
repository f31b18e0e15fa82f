"""Named, real and batched arrays become the calls that they mean, and nothing else."""

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest

from atoll import Interpreter
from atoll.errors import UsageError
from atoll.runtime.tensor_info import TensorInfo
from atoll.tflite.build import GraphBuilder
from atoll.tflite.graph import Model, Operator, Subgraph, Tensor
from atoll.tflite.writer import write_model


def opened(inputs=1, style="int8"):
    b = GraphBuilder(style, seed=1)
    x = b.input((1, 4, 4, 3))
    for number in range(inputs - 1):
        x = b.concat([x, b.input((1, 4, 4, 3), name=f"more {number}")])
    return Interpreter(write_model(b.model([b.conv2d(x, 5, 3), b.mean(x)])), "cpu")


def test_a_batch_is_as_many_calls():
    """A batch that is looped wrongly mixes photos up."""
    interpreter = opened()
    (info,) = interpreter.inputs
    rng = np.random.default_rng(0)
    batch = rng.integers(-128, 128, (5, 4, 4, 3)).astype(np.int8)
    results = interpreter.run(batch, quantized=True)
    assert set(results) == {each.name for each in interpreter.outputs}
    for i in range(5):
        for out, array in zip(
            interpreter.outputs, interpreter.invoke(batch[i : i + 1]), strict=True
        ):
            assert np.array_equal(results[out.name][i : i + 1], array)
    alone = interpreter.run({info.name: batch[2]}, quantized=True)
    for name, array in alone.items():
        assert np.array_equal(array, results[name][2:3])


def test_floats_are_quantised_and_outputs_are_real_numbers():
    """Whoever thinks in real numbers would have to know scales and zero points."""
    interpreter = opened()
    (info,) = interpreter.inputs
    real = np.random.default_rng(1).uniform(-1, 1, info.shape).astype(np.float32)
    stored = np.clip(np.round(real / info.scale) + info.zero_point, -128, 127).astype(np.int8)
    want = interpreter.invoke(stored)
    got = interpreter.run(real)
    for out, array in zip(interpreter.outputs, want, strict=True):
        assert got[out.name].dtype == np.float32
        expected = (array.astype(np.float64) - out.zero_point) * out.scale
        assert np.allclose(got[out.name], expected, rtol=1e-6)


def test_what_lies_outside_the_range_is_cut_not_wrapped():
    """A bright pixel would come out black."""
    (info,) = opened().inputs
    assert info.quantize(np.float32([1e9, -1e9])).tolist() == [127, -128]


def test_inputs_of_a_batch_may_be_one_for_all():
    """A second input, such as a threshold, is often the same for a whole batch."""
    interpreter = opened(inputs=2)
    first, second = interpreter.inputs
    rng = np.random.default_rng(0)
    batch = rng.integers(-128, 128, (3, 4, 4, 3)).astype(np.int8)
    one = rng.integers(-128, 128, (1, 4, 4, 3)).astype(np.int8)
    results = interpreter.run({first.name: batch, second.name: one}, quantized=True)
    want = interpreter.invoke(batch[2:], one)
    assert np.array_equal(results[interpreter.outputs[0].name][2:], want[0])


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (np.zeros((1, 5, 4, 3), np.int8), r"shape \[1, 4, 4, 3\]. Received: an array of shape"),
        (np.zeros((0, 4, 4, 3), np.int8), "Received: an array of shape"),
        (np.zeros((1, 4, 4, 3), np.uint8), "takes int8, or floats, which are quantised"),
        ({"pixels": np.zeros((1, 4, 4, 3), np.int8)}, "inputs are .*. Received: pixels"),
        ({}, "Received: none"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(inputs, message):
    """numpy would broadcast it, and the answer would mean nothing."""
    with pytest.raises(UsageError, match=message):
        opened().run(inputs)


def test_several_inputs_need_names_and_one_length():
    """One array for two inputs is a mistake that must not go to the first."""
    interpreter = opened(inputs=2)
    first, second = (info.name for info in interpreter.inputs)
    with pytest.raises(UsageError, match="takes 2 inputs, by their names"):
        interpreter.run(np.zeros((1, 4, 4, 3), np.int8))
    arrays = {first: np.zeros((2, 4, 4, 3), np.int8), second: np.zeros((3, 4, 4, 3), np.int8)}
    with pytest.raises(UsageError, match="the same length, or 1"):
        interpreter.run(arrays)


def test_what_is_no_array_of_numbers_is_told():
    """A path is soon given in the place of what is in the file."""
    interpreter = opened()
    for wrong in ("photo.jpg", Path("photo.jpg"), None):
        with pytest.raises(UsageError, match="Received: no numbers"):
            interpreter.run(wrong)


def test_what_is_no_number_is_not_quantised():
    """On one machine it would be 0, on the next 255."""
    with opened() as interpreter, pytest.raises(UsageError, match="nan, which is none"):
        interpreter.run(np.full((1, 4, 4, 3), np.nan))


def test_halves_are_quantised_as_exactly_as_floats():
    """Large factors do not fit into 16 bits."""
    info = TensorInfo("x", (3,), np.dtype(np.int16), 2.0**-15, 0)
    real = np.float16([0.1, 0.9, -0.7])
    assert np.array_equal(info.quantize(real), info.quantize(real.astype(np.float64)))


def test_texts_pass_as_they_are():
    """Models of text take bytes of any length."""
    tensors = [
        Tensor("words", "STRING", (1, 4)),
        Tensor("shape", "INT32", (2,), data=np.int32([2, 2])),
        Tensor("folded", "STRING", (2, 2)),
    ]
    model = Model([Subgraph("main", tensors, [Operator("RESHAPE", [0, 1], [2])], [0], [2])])
    words = np.array([[b"a", b"", b"long", b"z"]])
    with Interpreter(write_model(model), "cpu") as interpreter:
        for (folded,) in (interpreter.invoke(words), interpreter.run(words).values()):
            assert folded.tolist() == [[b"a", b""], [b"long", b"z"]]


@pytest.mark.parametrize("make", [copy.copy, copy.deepcopy, pickle.dumps])
def test_an_interpreter_is_not_copied(make):
    """A copy would share its memory, and closing the one would close the other."""
    with opened() as interpreter, pytest.raises(UsageError, match="stays in the process"):
        make(interpreter)


def test_an_interpreter_tells_what_it_is():
    """In a debugger and in a log, one of several must be told from the others."""
    assert repr(opened()) == "<Interpreter model on cpu>"
