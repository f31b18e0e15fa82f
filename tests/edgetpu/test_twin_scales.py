"""Scales and zero points that are no parameters: a twin with others computes something else."""

import copy

import numpy as np
import pytest
from compiled_files import Wrapping, compiled_pair

from atoll.edgetpu.program_layers import Computed, bits_of, computed
from atoll.edgetpu.twin_scales import rescaled_operator
from atoll.edgetpu.twins import find_twin
from atoll.errors import ModelError
from atoll.runtime.parts import compiled_parts
from atoll.runtime.twin import open_twin
from atoll.tflite.build import GraphBuilder
from atoll.tflite.reader import parse_model, read_model
from atoll.tflite.writer import write_model

READABLE = Wrapping(readable=True)


def network(style="uint8"):
    """A network with a branch, in either style."""
    b = GraphBuilder(style, seed=4)
    x = b.conv2d(b.input((1, 12, 12, 3)), 8, 3, stride=2, activation="RELU6")
    x = b.add(x, b.depthwise(x, 3))
    return b.model(b.softmax(b.dense(b.mean(b.conv2d(x, 16, 1)), 10)))


def refused(tmp_path, model, changed):
    """What is said where a file was made of one model, and another lies beside it."""
    path, twin = compiled_pair(tmp_path, model, READABLE)
    open_twin(read_model(path), path)
    twin.write_bytes(write_model(changed))
    with pytest.raises(ModelError) as error:
        open_twin(read_model(path), path)
    return str(error.value)


@pytest.mark.parametrize("style", ["uint8", "int8"])
@pytest.mark.parametrize("operator", [0, 2, 3, 5])
def test_one_changed_output_is_noticed(tmp_path, style, operator):
    """Layers of another training run, whose weights happen to be the same numbers."""
    model, changed = network(style), network(style)
    op = changed.main.operators[operator]
    tensor = changed.main.tensors[op.outputs[0]]
    tensor.quantization = copy.deepcopy(tensor.quantization)
    tensor.quantization.scale *= np.float32(1.01)
    said = refused(tmp_path, model, changed)
    assert "other scales or zero points of" in said or "other parameters of" in said


@pytest.mark.parametrize("style", ["uint8", "int8"])
@pytest.mark.parametrize("operator", [0, 1, 3])
def test_one_changed_zero_point_is_noticed(tmp_path, style, operator):
    """It shifts all that a layer gives."""
    model, changed = network(style), network(style)
    tensor = changed.main.tensors[changed.main.operators[operator].outputs[0]]
    tensor.quantization = copy.deepcopy(tensor.quantization)
    tensor.quantization.zero_point += 1 if tensor.quantization.zero_point[0] < 100 else -1
    assert "other scales or zero points of" in refused(tmp_path, model, changed)


def test_one_changed_scale_of_weights_is_noticed(tmp_path):
    """Unsigned weights have one scale, which stands in the program alone."""
    model, changed = network(), network()
    op = changed.main.operators[0]
    changed.main.tensors[op.inputs[1]].quantization.scale *= np.float32(1.01)
    changed.main.tensors[op.inputs[2]].quantization.scale *= np.float32(1.01)
    said = refused(tmp_path, model, changed)
    assert f"other scales or zero points of {changed.main.tensors[op.outputs[0]].name!r}" in said


@pytest.mark.parametrize("place", [1, 2])
def test_zero_points_that_nothing_shows_must_be_none(tmp_path, place):
    """A channel's own zero point, or a bias's, is nowhere in a compiled file."""
    model, changed = network("int8"), network("int8")
    tensor = changed.main.tensors[changed.main.operators[0].inputs[place]]
    tensor.quantization.zero_point = tensor.quantization.zero_point.copy()
    tensor.quantization.zero_point[-1] += 1
    assert "other scales or zero points of" in refused(tmp_path, model, changed)


def test_a_layer_may_give_what_is_joined_in_the_scale_of_the_whole(tmp_path):
    """Where a compiler changes the scale of a branch, within it or behind it, is not known."""
    b = GraphBuilder("uint8", seed=1)
    x = b.input((1, 8, 8, 4))
    branches = [b.conv2d(x, 4, 1), b.conv2d(x, 4, 1, output_range=(-2.0, 2.0))]
    model = b.model(b.concat(branches))
    whole = copy.deepcopy(model)
    tensors = whole.main.tensors
    tensors[branches[1]].quantization = tensors[whole.main.outputs[0]].quantization
    path, _ = compiled_pair(tmp_path, whole, READABLE)
    (part,) = compiled_parts(read_model(path), path)
    assert rescaled_operator(model.main, part.package) is None


def test_instructions_that_cannot_be_told_apart_say_nothing():
    """A compiler to come may have others: parameters count alone there."""
    start, end, unknown = (opcode << 6 for opcode in (0x3E, 0x3F, 0x04))

    def chunk(*heads, size=16):
        return b"".join(head.to_bytes(size, "little") for head in heads)

    assert computed([chunk(start, end)]) == frozenset()
    for broken in ([], [b""], [chunk(end)], [chunk(start, unknown)], [chunk(start) + b"\1"]):
        assert computed(broken) is None
    # A convolution that is cut off.
    assert computed([chunk(start, 1 << 6)]) is None
    layer = (1 << 6 | 7 << 1854 | 9 << 1870 | bits_of(0.5) << 1949 | 3 << 2077).to_bytes(
        272, "little"
    )
    assert computed([chunk(start) + layer]) == {Computed(7, 9, 0x3F000000, 3)}
    assert computed([chunk(start), layer]) == {Computed(7, 9, 0x3F000000, 3)}


def test_every_layer_of_the_published_files_is_in_their_programs(shared):
    """The fields were read off these files: each of their 579 layers must be found."""
    layers = 0
    for path in sorted((shared / "models").glob("*/*_edgetpu.tflite")):
        if find_twin(path) is None:
            continue
        try:
            twin = open_twin(read_model(path), path)
        except ModelError:
            continue
        for part in twin.parts:
            programs = [
                computed(chunk.bitstream for chunk in each.chunks)
                for each in part.part.package.executables
            ]
            assert None not in programs, path.name
            assert rescaled_operator(part.graph, part.part.package) is None, path.name
            layers += sum(op.type.endswith(("CONV_2D", "CONNECTED")) for op in part.graph.operators)
    assert layers > 550


def test_the_scales_of_a_published_file_are_its_own(shared):
    """Its program has the multipliers of its layers, and no others."""
    path = shared / "models/v10/mobilenet_v2_1.0_224_quant_edgetpu.tflite"
    content = find_twin(path).read_bytes()
    for operator in (0, 20, 40):
        changed = parse_model(content, "twin")
        op = changed.main.operators[operator]
        held = changed.main.tensors[op.outputs[0]].quantization
        held.scale = held.scale * np.float32(1.0001)
        with pytest.raises(ModelError, match="other scales or zero points of"):
            open_twin(read_model(path), path, write_model(changed))
