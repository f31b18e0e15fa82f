"""The graph builder: what it writes must be what LiteRT reads and runs."""

import numpy as np
import pytest
from litert_files import random_inputs, run, runnable

from atoll.tflite.build import GraphBuilder
from atoll.tflite.build_core import option
from atoll.tflite.build_window import extent
from atoll.tflite.reader import parse_model
from atoll.tflite.writer import write_model

STYLES = ("uint8", "int8")
# One operator each, on an image of 12x10x8 and (where two are wanted) another like it.
LAYERS = {
    "conv": lambda b, x, y: b.conv2d(x, 5, (3, 5), (2, 1), "VALID", activation="RELU6"),
    "conv, dilated": lambda b, x, y: b.conv2d(x, 5, 3, dilation=2),
    "conv, no bias to speak of": lambda b, x, y: b.conv2d(x, 5, 1, zero_bias=True),
    "conv, one scale": lambda b, x, y: b.conv2d(x, 5, 1, per_channel=False),
    "depthwise": lambda b, x, y: b.depthwise(x, 3, 2, activation="RELU"),
    "depthwise, multiplied": lambda b, x, y: b.depthwise(x, 5, 1, "VALID", multiplier=3),
    "transposed": lambda b, x, y: b.transpose_conv(x, 5, 3),
    "transposed, not padded": lambda b, x, y: b.transpose_conv(x, 5, 4, 3, "VALID"),
    "transposed, no bias": lambda b, x, y: b.transpose_conv(x, 5, 2, bias=False),
    "dense": lambda b, x, y: b.dense(x, 20, activation="RELU"),
    "dense, no bias": lambda b, x, y: b.dense(x, 7, bias=False),
    "add": lambda b, x, y: b.add(x, y, "RELU"),
    "add a constant": lambda b, x, y: b.add(x, b.random_constant((8,))),
    "sub": lambda b, x, y: b.sub(x, y),
    "mul": lambda b, x, y: b.mul(x, y, "RELU6"),
    "concat": lambda b, x, y: b.concat([x, y, x]),
    "concat, rows": lambda b, x, y: b.concat([x, y], axis=1),
    "max pool": lambda b, x, y: b.max_pool(x, 3, 2, "SAME"),
    "average pool": lambda b, x, y: b.average_pool(x, (2, 3)),
    "mean": lambda b, x, y: b.mean(x),
    "mean, dims kept": lambda b, x, y: b.mean(x, keepdims=True),
    "pad": lambda b, x, y: b.pad(x, [(0, 0), (1, 2), (0, 3), (0, 0)]),
    "reshape": lambda b, x, y: b.reshape(x, (1, 24, 40)),
    "softmax": lambda b, x, y: b.softmax(x),
    "logistic": lambda b, x, y: b.logistic(x),
    "tanh": lambda b, x, y: b.tanh(x),
    "relu": lambda b, x, y: b.relu(x),
    "relu6": lambda b, x, y: b.relu(x, "RELU6"),
    "bilinear": lambda b, x, y: b.resize(x, (5, 21)),
    "bilinear, corners": lambda b, x, y: b.resize(x, 24, align_corners=True),
    "nearest, half pixels": lambda b, x, y: b.resize(x, 24, "nearest", half_pixel_centers=True),
    "quantize": lambda b, x, y: b.quantize(x, -2.0, 3.0),
    "dequantize": lambda b, x, y: b.dequantize(x),
    "any other": lambda b, x, y: b.op(
        "SPACE_TO_DEPTH", [x], [(1, 6, 5, 32)], option("SpaceToDepth", blockSize=2)
    )[0],
}


def built(style, layer, seed=0):
    b = GraphBuilder(style, seed)
    x, y = (b.input((1, 12, 10, 8), name=name) for name in "xy")
    b.add(x, y)  # both are read, whatever the layer does
    return b, b.model([layer(b, x, y)])


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("name", LAYERS)
def test_litert_runs_every_operator_and_finds_the_shape_that_was_written(style, name):
    _, model = built(style, LAYERS[name])
    content = write_model(model)
    interpreter = runnable_or_fail(content)
    (output,) = run(interpreter, random_inputs(interpreter))
    declared = model.main.tensors[model.main.outputs[0]]
    assert output.shape == declared.shape
    assert np.unique(output).size > 3, "the output says nothing"


def runnable_or_fail(content):
    """Ready to run: a file that LiteRT cannot run is a fault here, no reason to skip."""
    try:
        return runnable(content)
    except pytest.skip.Exception as skipped:
        pytest.fail(str(skipped))


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_window_sizes_are_those_of_litert(padding):
    b = GraphBuilder("int8")
    x = b.input((1, 13, 17, 1))
    windows = [(k, s, d) for k in (1, 2, 3, 5) for s in (1, 2, 3) for d in (1, 2)]
    outputs = [b.conv2d(x, 1, k, s, padding, d) for k, s, d in windows]
    interpreter = runnable_or_fail(write_model(b.model(outputs)))
    found = [tuple(d["shape"][1:3]) for d in interpreter.get_output_details()]
    assert found == [
        (extent(13, k, s, padding, d), extent(17, k, s, padding, d)) for k, s, d in windows
    ]


@pytest.mark.parametrize("style", STYLES)
def test_the_same_seed_gives_the_same_file_and_another_seed_another(style):
    files = [write_model(built(style, LAYERS["conv"], seed)[1]) for seed in (1, 1, 2)]
    assert files[0] == files[1] != files[2]


@pytest.mark.parametrize("style", STYLES)
def test_values_neither_die_out_nor_overflow_in_a_deep_network(style):
    b = GraphBuilder(style)
    x = b.conv2d(b.input((1, 32, 32, 3)), 16, 3, activation="RELU6")
    for _ in range(25):
        y = b.depthwise(b.conv2d(x, 64, 1, activation="RELU6"), 3, activation="RELU6")
        x = b.add(x, b.conv2d(y, 16, 1))
    last = b.conv2d(x, 64, 1)
    interpreter = runnable_or_fail(write_model(b.model(last)))
    (output,) = run(interpreter, random_inputs(interpreter))
    ends = np.iinfo(output.dtype)
    assert output.std() > 10
    assert np.isin(output, (ends.min, ends.max)).mean() < 0.02


def test_uint8_has_one_scale_a_tensor_and_int8_one_a_channel_but_in_dense_layers():
    for style, scales in (("uint8", [1, 1, 1, 1]), ("int8", [6, 3, 6, 1])):
        b = GraphBuilder(style)
        x = b.input((1, 4, 4, 3))
        for layer in (b.conv2d(x, 6, 3), b.depthwise(x, 3), b.transpose_conv(x, 6, 3)):
            b.dense(layer, 2)
        kinds = {op.type: b.tensors[op.inputs[1]] for op in b.operators}
        order = ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED")
        weights = [kinds[kind] for kind in order]
        assert [tensor.quantization.scale.size for tensor in weights] == scales
        assert {tensor.type for tensor in weights} == {style.upper()}


def test_biases_are_zero_only_where_asked():
    b = GraphBuilder("int8")
    x = b.input((1, 4, 4, 3))
    outputs = [b.conv2d(x, 32, 3), b.conv2d(x, 32, 3, zero_bias=True)]
    biases = [b.tensors[op.inputs[2]].data for op in b.operators]
    assert len(outputs) == 2
    assert np.count_nonzero(biases[0]) > 24
    assert not np.any(biases[1])


def test_signed_concatenation_of_different_scales_passes_a_quantize_as_litert_wants():
    b = GraphBuilder("int8")
    x = b.input((1, 4, 4, 3))
    model = b.model(b.concat([b.conv2d(x, 2, 1), b.conv2d(x, 2, 1, activation="RELU6")]))
    assert [op.type for op in model.main.operators].count("QUANTIZE") == 1
    runnable_or_fail(write_model(model))


def test_faces_may_be_float_or_the_other_byte():
    b = GraphBuilder("int8")
    real = b.input((1, 4, 4, 3), "FLOAT32", name="real")
    unsigned = b.input((1, 4, 4, 3), "UINT8", name="unsigned")
    total = b.add(b.quantize(real), b.quantize(unsigned))
    interpreter = runnable_or_fail(write_model(b.model(b.dequantize(total))))
    values = np.linspace(-1, 1, 48, dtype=np.float32).reshape(1, 4, 4, 3)
    bytes_ = np.rint((values + 1) * 127.5).astype(np.uint8)
    (output,) = run(interpreter, [values, bytes_])
    np.testing.assert_allclose(output, 2 * values, atol=0.05)


def test_what_is_written_is_read_back_the_same():
    _, model = built("int8", LAYERS["conv"])
    again = parse_model(write_model(model), "model")
    assert [op.type for op in again.main.operators] == [op.type for op in model.main.operators]
    for old, new in zip(model.main.tensors, again.main.tensors, strict=True):
        assert (old.name, old.type, old.shape) == (new.name, new.type, new.shape)
