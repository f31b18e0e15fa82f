"""A compiled file runs in software only with the very model that it was made of."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from compiled_files import Wrapping, compiled, compiled_pair, write_pair

from atoll import Interpreter
from atoll.edgetpu.partition import partition
from atoll.edgetpu.segment_costs import range_costs
from atoll.edgetpu.segment_models import segment_models
from atoll.edgetpu.segments import split
from atoll.edgetpu.simfile import EDGETPU_OP
from atoll.edgetpu.twins import find_twin
from atoll.errors import AtollError, ModelError
from atoll.runtime.twin import open_twin, proven
from atoll.tflite.build import GraphBuilder
from atoll.tflite.reader import read_model
from atoll.tflite.writer import write_model


def network(seed=1, style="int8", filters=8):
    """Two convolutions one behind the other, of the same shape, and two outputs."""
    b = GraphBuilder(style, seed=seed)
    x = b.input((1, 16, 16, 8))
    x = b.conv2d(x, filters, 3, activation="RELU6")
    x = b.conv2d(x, filters, 3, activation="RELU6")
    return b.model([b.conv2d(x, 4, 1), b.softmax(b.dense(b.mean(x), 10))])


def answers(interpreter, seed=0):
    rng = np.random.default_rng(seed)
    arrays = [
        rng.integers(0, 256, info.shape).astype(np.uint8).view(info.dtype)
        for info in interpreter.inputs
    ]
    return interpreter.invoke(*arrays)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("style", ["int8", "uint8"])
def test_a_compiled_file_gives_what_its_twin_gives(tmp_path, style, streamed):
    """Whoever has no stick would get other numbers than whoever has."""
    path, twin = compiled_pair(tmp_path, network(style=style), Wrapping(cached=not streamed))
    with Interpreter(path, "sim") as sim, Interpreter(twin, "cpu") as cpu:
        for seed in range(3):
            for one, two in zip(answers(sim, seed), answers(cpu, seed), strict=True):
                assert np.array_equal(one, two)


def test_every_published_compiled_file_with_a_source_runs_or_says_why_not(shared):
    """Of 22 files with a source beside them, these two alone cannot be shown to be made of it."""
    refused, ran = {}, 0
    for path in sorted((shared / "models").glob("*/*_edgetpu.tflite")):
        source = find_twin(path)
        if source is None:
            continue
        try:
            sim = Interpreter(path, "sim")
        except AtollError as error:
            refused[path.name] = str(error)
            continue
        with sim, Interpreter(source, "cpu") as cpu:
            for one, two in zip(answers(sim), answers(cpu), strict=True):
                assert np.array_equal(one, two), path.name
        ran += 1
    assert ran >= 18
    assert set(refused) == {
        "posenet_mobilenet_v1_075_353_481_quant_decoder_edgetpu.tflite",
        "keras_lstm_mnist_ptq_edgetpu.tflite",
    }
    assert "no tensor 'quant_heatmaps'" in str(refused)
    assert "weights whose layout is not known" in str(refused)


def test_published_twins_are_proven_byte_for_byte(shared):
    """'Proven' would mean nothing if a share of the parameters were enough."""
    path = shared / "models/v10/mobilenet_v2_1.0_224_quant_edgetpu.tflite"
    said = proven(open_twin(read_model(path), path))
    assert said.startswith("3900864 of 3900864 bytes")


@pytest.mark.parametrize("operator", [0, 1, 2])
@pytest.mark.parametrize("place", ["weights", "bias"])
def test_one_changed_parameter_is_noticed(tmp_path, operator, place):
    """The answers of another training run would be taken for the chip's."""
    model = network()
    path = write_pair(tmp_path, model)
    op = model.main.operators[operator]
    tensor = model.main.tensors[op.inputs[1 if place == "weights" else 2]]
    tensor.data.flat[-1] += 1
    (tmp_path / "net.tflite").write_bytes(write_model(model))
    with pytest.raises(ModelError, match="other parameters of") as error:
        Interpreter(path, "sim")
    assert repr(model.main.tensors[op.outputs[0]].name) in str(error.value)


def damaged(tensors, op, how):
    """Damages a convolution in one of the ways that a flipped bit does."""
    x, weights, bias = op.inputs
    if how == "weights without a scale":
        tensors[weights].quantization = None
    elif how == "too few scales":
        held = tensors[weights].quantization
        tensors[weights].quantization = replace(held, scale=held.scale[:3])
    elif how == "weights of another rank":
        tensors[weights].shape = (tensors[weights].data.size,)
        tensors[weights].data = tensors[weights].data.reshape(-1)
    elif how == "a short bias":
        tensors[bias].data, tensors[bias].shape = tensors[bias].data[:2], (2,)
    elif how == "no weights":
        op.inputs[:] = [x]
    elif how == "weights that are computed":
        op.inputs[1] = x
    elif how == "real numbers":
        tensors[op.outputs[0]].type = "FLOAT32"


@pytest.mark.parametrize(
    "how",
    [
        "weights without a scale",
        "too few scales",
        "weights of another rank",
        "a short bias",
        "no weights",
        "weights that are computed",
        "real numbers",
    ],
)
def test_a_damaged_twin_is_refused_in_one_line(tmp_path, how):
    """Files come from anywhere; a traceback says nothing to whoever runs them."""
    path = write_pair(tmp_path, network())
    model = network()
    damaged(model.main.tensors, model.main.operators[1], how)
    (tmp_path / "net.tflite").write_bytes(write_model(model))
    with pytest.raises(ModelError) as error:
        Interpreter(path, "sim")
    assert "\n" not in str(error.value)


def test_a_compiled_part_without_one_of_its_tensors_is_refused(tmp_path):
    """-1 stands for an input that is left out; a compiled part has none of these."""
    path = write_pair(tmp_path, network())
    model = read_model(path)
    model.main.operators[0].inputs[0] = -1
    path.write_bytes(write_model(model))
    with pytest.raises(ModelError, match="must have all of its tensors"):
        Interpreter(path, "sim")


def test_layers_that_changed_places_are_noticed(tmp_path):
    """All their bytes are in the file; the network is another all the same."""
    model = network()
    path = write_pair(tmp_path, model)
    first, second = model.main.operators[:2]
    one, two = (model.main.tensors[op.inputs[1]] for op in (first, second))
    assert one.shape == two.shape
    one.data, two.data = two.data, one.data
    (tmp_path / "net.tflite").write_bytes(write_model(model))
    with pytest.raises(ModelError, match="other parameters of"):
        Interpreter(path, "sim")


def test_another_scale_of_an_input_is_noticed(tmp_path):
    """The same weights on pixels that mean something else."""
    model = network()
    path = write_pair(tmp_path, model)
    face = model.main.tensors[model.main.inputs[0]]
    face.quantization = replace(face.quantization, scale=face.quantization.scale * 2)
    (tmp_path / "net.tflite").write_bytes(write_model(model))
    with pytest.raises(ModelError, match="with the scale"):
        Interpreter(path, "sim")


def test_a_twin_may_lie_anywhere_if_it_is_named(tmp_path):
    """People keep what they compile and what they compiled it from apart."""
    model = network()
    path = write_pair(tmp_path, model)
    away = tmp_path / "away"
    away.mkdir()
    named = Path(shutil.move(tmp_path / "net.tflite", away / "original.tflite"))
    with pytest.raises(ModelError, match=r"no net\.tflite beside it"):
        Interpreter(path, "sim")
    with Interpreter(path, "sim", twin=named) as sim:
        assert len(answers(sim)) == 2
    with Interpreter(path.read_bytes(), "sim", twin=named.read_bytes()) as sim:
        assert len(answers(sim)) == 2
        assert sim.latency_ms > 0


def test_a_compiled_file_is_no_twin(tmp_path):
    """The two files' names are easily taken for each other."""
    path = write_pair(tmp_path, network())
    with pytest.raises(ModelError, match="compiled itself"):
        Interpreter(path, "sim", twin=path)


def test_a_file_of_another_network_is_refused(tmp_path):
    """The wrong file in the right place."""
    path = write_pair(tmp_path, network(filters=8))
    (tmp_path / "net.tflite").write_bytes(write_model(network(filters=12)))
    with pytest.raises(ModelError, match="it must be the model that the compiled file was made of"):
        Interpreter(path, "sim")


@pytest.mark.parametrize("shared_name", ["x", ""])
@pytest.mark.parametrize("style", ["uint8", "int8"])
def test_tensors_may_share_a_name(tmp_path, style, shared_name):
    """Converters name tensors as they like: an output as the input, or all alike."""
    b = GraphBuilder(style, seed=2)
    first = b.conv2d(b.input((1, 8, 8, 3), name=shared_name), 8, 3)
    last = b.conv2d(first, 8, 3)
    for tensor in (first, last):
        b.tensors[tensor].name = shared_name
    path = write_pair(tmp_path, b.model(last))
    with Interpreter(path, "sim") as sim, Interpreter(tmp_path / "net.tflite", "cpu") as cpu:
        assert np.array_equal(answers(sim)[0], answers(cpu)[0])


def test_two_parts_in_one_file_each_compute_their_own(tmp_path):
    """A file with an operator between that the chip does not take has two compiled parts."""
    b = GraphBuilder("int8", seed=5)
    x = b.conv2d(b.input((1, 8, 8, 4)), 8, 3)
    graph = b.model(b.conv2d(b.quantize(b.dequantize(x)), 8, 3))
    model = compiled(graph)
    assert [op.custom_name for op in model.main.operators].count(EDGETPU_OP) == 2
    (tmp_path / "net.tflite").write_bytes(write_model(graph))
    (tmp_path / "net_edgetpu.tflite").write_bytes(write_model(model))
    with (
        Interpreter(tmp_path / "net_edgetpu.tflite", "sim") as sim,
        Interpreter(tmp_path / "net.tflite", "cpu") as cpu,
    ):
        assert np.array_equal(answers(sim)[0], answers(cpu)[0])


def test_segments_and_co_compiled_files_need_only_the_whole_model_beside_them(tmp_path):
    """Google's compiler writes several files of one model, and none of the pieces uncompiled."""
    graph = network()
    verdicts = partition(graph.main)
    costs = range_costs(graph.main, verdicts, min_runtime=14, link="usb3", clock="max")
    pieces = segment_models(graph, split(graph.main, verdicts, 2, costs))
    (tmp_path / "net.tflite").write_bytes(write_model(graph))
    paths = [tmp_path / f"net_segment_{i}_of_2_edgetpu.tflite" for i in range(2)]
    for path, piece in zip(paths, pieces, strict=True):
        path.write_bytes(write_model(compiled(piece, Wrapping(token=7))))
    together = tmp_path / "net_cocompiled_with_other_edgetpu.tflite"
    together.write_bytes(write_model(compiled(graph, Wrapping(token=7))))
    with (
        Interpreter(tmp_path / "net.tflite", "cpu") as cpu,
        Interpreter(paths[0], "sim") as first,
        Interpreter(paths[1], "sim") as second,
        Interpreter(together, "sim") as whole,
    ):
        (info,) = cpu.inputs
        array = np.random.default_rng(0).integers(-128, 128, info.shape).astype(info.dtype)
        wanted = {o.name: a for o, a in zip(cpu.outputs, cpu.invoke(array), strict=True)}
        between = dict(zip([o.name for o in first.outputs], first.invoke(array), strict=True))
        between[info.name] = array
        last = second.invoke(*(between[i.name] for i in second.inputs))
        made = between | {o.name: a for o, a in zip(second.outputs, last, strict=True)}
        for name, values in wanted.items():
            assert np.array_equal(made[name], values)
        for values, output in zip(whole.invoke(array), cpu.outputs, strict=True):
            assert np.array_equal(values, wanted[output.name])
