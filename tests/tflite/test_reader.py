"""A file that someone was sent must be read whole, or refused in one line: never worse."""

import random
import struct
import time
import tracemalloc

import ai_edge_litert.schema_py_generated as schema
import flatbuffers
import numpy as np
import pytest
from litert_files import opened, source_files

from atoll.errors import ModelError
from atoll.tflite.graph import Model, Operator, Subgraph, Tensor
from atoll.tflite.reader import parse_model, read_model
from atoll.tflite.types import BY_CODE, BY_NAME, TYPES
from atoll.tflite.writer import write_model


def one_tensor(**changes) -> Model:
    tensor = Tensor("w", "INT32", (2, 3), data=np.arange(6, dtype=np.int32).reshape(2, 3))
    for name, value in changes.items():
        setattr(tensor, name, value)
    return Model([Subgraph("main", [tensor], [], [], [0])])


def test_tensors_agree_with_the_interpreter(shared):
    """Names, shapes, types, scales and constants must be those that LiteRT sees."""
    checked = 0
    for path in source_files(shared):
        # Making it ready would fold constants and spread single scales.
        interpreter = opened(path)
        tensors = read_model(path).main.tensors
        details = {d["index"]: d for d in interpreter.get_tensor_details()}
        assert details.keys() == set(range(len(tensors)))
        for index, tensor in enumerate(tensors):
            detail = details[index]
            assert detail["name"] == tensor.name
            assert tuple(detail["shape"]) == tensor.shape
            assert np.dtype(detail["dtype"]) == BY_NAME[tensor.type].dtype
            parameters = detail["quantization_parameters"]
            if tensor.quantization is not None:
                assert np.array_equal(parameters["scales"], tensor.quantization.scale)
                assert np.array_equal(parameters["zero_points"], tensor.quantization.zero_point)
                if tensor.quantization.per_channel:
                    assert parameters["quantized_dimension"] == tensor.quantization.axis
            else:
                assert not parameters["scales"].size
            if tensor.data is not None:
                assert np.array_equal(interpreter.get_tensor(index), tensor.data)
                checked += 1
    assert checked > 500


def test_constants_are_views_and_cannot_be_changed_by_mistake(shared):
    """A copy of every weight would double the memory of a large model."""
    data = (shared / "models/v10/mobilenet_v1_0.25_128_quant.tflite").read_bytes()
    model = parse_model(data, "m")
    whole = np.frombuffer(data, np.uint8)
    constants = [t.data for t in model.main.tensors if t.data is not None]
    assert constants
    assert all(np.shares_memory(array, whole) for array in constants)
    assert not any(array.flags.writeable for array in constants)


def test_the_table_of_types_is_the_schemas():
    """A new or wrong code would turn weights into other numbers."""
    known = {k: v for k, v in vars(schema.TensorType).items() if isinstance(v, int)}
    assert {row.name: row.code for row in TYPES} == known
    for row in TYPES:
        if row.dtype is not None:
            assert row.dtype.itemsize * 8 == row.bits
    assert BY_CODE[17].storage_bytes((3, 3)) == 5


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"", "not a TFLite model"),
        (b"\x00", "not a TFLite model"),
        (b"\x89PNG\r\n\x1a\n" * 9, "not a TFLite model"),
        (b"\x1c\x00\x00\x00TFL3", "damaged"),
        (b"\xff\xff\xff\xffTFL3" + bytes(40), "damaged"),
    ],
)
def test_other_files_are_refused_in_one_line(tmp_path, content, rule):
    """A photo given for a model must not end in a traceback."""
    path = tmp_path / "x.tflite"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=rule) as caught:
        read_model(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_missing_files_and_folders_are_named(tmp_path):
    """The path must be in the message: it is what the user mistyped."""
    for path in (tmp_path / "none.tflite", tmp_path):
        with pytest.raises(ModelError, match="cannot be read") as caught:
            read_model(path)
        assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"shape": (2, 4)}, r"INT32 \[2, 4\] must have 32 bytes"),
        ({"shape": (1 << 30, 1 << 30)}, "must have"),
        ({"shape": (-2, -3)}, "0 or more"),
        ({"type": "FLOAT64"}, "must have 48 bytes"),
    ],
)
def test_constants_that_do_not_fit_their_shape_are_damage(change, rule):
    """Read on trust, they would be read beyond their end."""
    with pytest.raises(ModelError, match=rule):
        read_model(write_model(one_tensor(**change)))


def test_indices_that_point_nowhere_are_damage():
    """Every index in a file is used to look something up later."""
    for field, value in {"inputs": [5], "outputs": [-1]}.items():
        model = one_tensor()
        setattr(model.main, field, value)
        with pytest.raises(ModelError, match="tensor index"):
            read_model(write_model(model))
    for changes in ({"inputs": [1]}, {"outputs": [-1]}, {"intermediates": [9]}):
        model = one_tensor()
        model.main.operators = [Operator("ABS", **({"inputs": [0], "outputs": [0]} | changes))]
        with pytest.raises(ModelError, match="tensor index"):
            read_model(write_model(model))
    model = one_tensor()
    branch = schema.IfOptionsT(thenSubgraphIndex=1)
    model.main.operators = [Operator("IF", [0], [0], options=branch)]
    with pytest.raises(ModelError, match="subgraph index"):
        read_model(write_model(model))
    model = one_tensor()
    model.signatures = [schema.SignatureDefT([schema.TensorMapT("x", 3)], [], "f", 0)]
    with pytest.raises(ModelError, match="tensor index"):
        read_model(write_model(model))


def test_damaged_bytes_never_do_worse_than_a_model_error(shared):
    """A download that broke off, or a file made to do harm, must not crash, hang or raise else."""
    rng = random.Random(0)
    names = ("v16/looming_64x64_3x3", "v13/split_concat", "v13/keras_lstm_mnist_ptq")
    files = [(shared / "models" / f"{name}.tflite").read_bytes() for name in names]
    outcomes = {"read": 0, "refused": 0}
    for _ in range(600):
        data = bytearray(rng.choice(files))
        if rng.random() < 0.2:
            del data[rng.randrange(len(data)) :]
        for _ in range(rng.choice((1, 1, 2, 8)) if len(data) > 16 else 0):
            place = rng.randrange(8, len(data) - 4)
            word = rng.choice((0, 1, 0x7FFFFFFF, 0xFFFFFFFF, len(data), rng.randrange(len(data))))
            data[place : place + 4] = struct.pack("<I", word)
        try:
            model = parse_model(bytes(data), "f")
            again = write_model(model)
            assert write_model(parse_model(again, "g")) == again
            outcomes["read"] += 1
        except ModelError as error:
            assert "\n" not in str(error)
            outcomes["refused"] += 1
    assert min(outcomes.values()) > 50, outcomes


def _repeating(count: int, kind: str) -> bytes:
    """A file in which one table stands `count` times `count` times."""
    builder = flatbuffers.Builder(1024)
    name = builder.CreateString("n" * count)
    shape = builder.CreateNumpyVector(np.ones(count, np.int32))
    schema.TensorStart(builder)
    if kind == "names":
        schema.TensorAddName(builder, name)
    if kind == "shapes":
        schema.TensorAddShape(builder, shape)
    tensor = schema.TensorEnd(builder)
    schema.SubGraphStartTensorsVector(builder, count)
    for _ in range(count):
        builder.PrependUOffsetTRelative(tensor)
    tensors = builder.EndVector()
    schema.SubGraphStart(builder)
    schema.SubGraphAddTensors(builder, tensors)
    graph = schema.SubGraphEnd(builder)
    graphs_count = count if kind == "graphs" else 1
    schema.ModelStartSubgraphsVector(builder, graphs_count)
    for _ in range(graphs_count):
        builder.PrependUOffsetTRelative(graph)
    graphs = builder.EndVector()
    schema.ModelStart(builder)
    schema.ModelAddVersion(builder, 3)
    schema.ModelAddSubgraphs(builder, graphs)
    builder.Finish(schema.ModelEnd(builder), b"TFL3")
    return bytes(builder.Output())


@pytest.mark.parametrize("kind", ["names", "shapes", "graphs"])
def test_a_small_file_cannot_stand_for_a_huge_graph(kind):
    """Parts that repeat without end would take hours and all memory."""
    data = _repeating(8_000, kind)
    assert len(data) < 500_000
    read_model(_repeating(3, kind))
    tracemalloc.start()
    start = time.perf_counter()
    with pytest.raises(ModelError, match="repeat without end"):
        read_model(data)
    assert time.perf_counter() - start < 20
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200_000_000
