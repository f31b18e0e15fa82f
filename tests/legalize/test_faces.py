"""The types of inputs and outputs: what a program hands over, and what it gets."""

import numpy as np
import pytest
from litert_files import opened, run, runnable

from atoll.errors import UsageError
from atoll.legalize.job import legalize
from atoll.tflite.build import GraphBuilder
from atoll.tflite.schema import schema
from atoll.tflite.writer import write_model


def network(face, style="int8"):
    """A small network with inputs and outputs of a type, and a signature."""
    b = GraphBuilder(style, seed=2)
    x = b.input((1, 8, 8, 3), type=face)
    y = x if face == style.upper() else b.quantize(x)
    y = b.softmax(b.dense(b.mean(b.conv2d(y, 8, 3, activation="RELU")), 6))
    if face == "FLOAT32":
        y = b.dequantize(y)
    elif face != style.upper():
        (y,) = b.op("QUANTIZE", [y], [(1, 6)], output_type=face, version=2)
        inner = b.tensors[b.operators[-1].inputs[0]].quantization
        b.tensors[y].quantization = type(inner)(inner.scale, inner.zero_point + 128)
    b.tensors[y].name = "scores"
    model = b.model(y)
    tensor_map = schema().TensorMapT
    signature = schema().SignatureDefT()
    signature.signatureKey = b"serving_default"
    signature.subgraphIndex = 0
    signature.inputs = [tensor_map(name=b"image", tensorIndex=x)]
    signature.outputs = [tensor_map(name=b"probabilities", tensorIndex=y)]
    model.signatures = [signature]
    return model


def real(array, detail):
    scale, zero = detail["quantization"]
    return array if array.dtype.kind == "f" else (array.astype(np.float64) - zero) * scale


@pytest.mark.parametrize("old", ["FLOAT32", "INT8", "UINT8"])
@pytest.mark.parametrize("new", ["float32", "int8", "uint8"])
def test_any_face_can_become_any_other(old, new):
    """A camera's bytes, or a program's floats, would have to be converted by hand."""
    model = network(old)
    done = legalize(model, input_type=new, output_type=new)
    before, after = runnable(write_model(model)), runnable(write_model(done.model))
    (takes,), (gives,) = after.get_input_details(), after.get_output_details()
    assert takes["dtype"] == gives["dtype"] == np.dtype(new)
    assert takes["name"] == "input"
    assert gives["name"] == "scores"
    assert done.refused == []
    wanted = np.random.default_rng(0).uniform(-1, 1, (1, 8, 8, 3))
    answers = []
    for interpreter in (before, after):
        (detail,) = interpreter.get_input_details()
        scale, zero = detail["quantization"]
        given = wanted if not scale else np.clip(np.rint(wanted / scale) + zero, *limits(detail))
        (answer,) = run(interpreter, [given.astype(detail["dtype"])])
        answers.append(real(answer, interpreter.get_output_details()[0]))
    assert np.allclose(answers[0], answers[1], atol=1e-6)
    kinds = [op.type for op in done.model.main.operators]
    assert kinds.count("QUANTIZE") + kinds.count("DEQUANTIZE") == (0 if new == "int8" else 2)


def limits(detail):
    info = np.iinfo(detail["dtype"])
    return info.min, info.max


def test_a_signature_names_the_new_faces():
    """A program that calls the model by its signature would hand bytes to the wrong tensor."""
    done = legalize(network("FLOAT32"), input_type="uint8", output_type="uint8")
    runner = opened(write_model(done.model)).get_signature_runner("serving_default")
    answer = runner(image=np.zeros((1, 8, 8, 3), np.uint8))["probabilities"]
    assert answer.dtype == np.uint8


def test_a_face_that_cannot_be_had_is_reported():
    """A program would be told that its input is 8-bit, and it is not."""
    b = GraphBuilder("int8")
    x = b.input((1, 4), type="FLOAT32")
    (y,) = b.op("EXP", [x], [(1, 4)])
    done = legalize(b.model(y), input_type="uint8")
    assert [refused.name for refused in done.refused] == ["input-type"]
    assert done.model.main.tensors[done.model.main.inputs[0]].type == "FLOAT32"


def test_a_type_that_there_is_not_is_refused():
    """A typing mistake would be taken for a wish to keep the type."""
    with pytest.raises(UsageError, match="input_type: it must be float32, int8, uint8"):
        legalize(network("INT8"), input_type="int4")
