"""`pycoral.learn.imprinting.engine`: programs that learn on the device."""

import re

import numpy as np
import pytest
from learning_models import OLD, SIZE, extractor, imprintable, photos

from atoll.compat.pycoral.adapters import classify, common
from atoll.compat.pycoral.learn.imprinting.engine import ImprintingEngine
from atoll.compat.pycoral.utils.edgetpu import make_interpreter
from atoll.tflite.graph import Operator
from atoll.tflite.reader import read_model
from atoll.tflite.writer import write_model


def opened(content):
    interpreter = make_interpreter(content, device=":0")
    interpreter.allocate_tensors()
    return interpreter


def scores(interpreter, photo):
    common.set_input(interpreter, photo)
    interpreter.invoke()
    return classify.get_scores(interpreter)


def teach(engine, colours, first=0):
    """What every program does: the extractor from memory, its scores into the engine."""
    interpreter = opened(engine.serialize_extractor_model())
    for colour in colours:
        for photo in photos(colour, 2):
            embedding = scores(interpreter, photo)
            assert len(embedding) == engine.embedding_dim == SIZE
            engine.train(embedding, first + colour)
    return engine


def share_right(content, colours, first=0):
    interpreter = opened(content)
    found = [
        classify.get_classes(interpreter, top_k=1)[0].id == first + colour
        for colour in colours
        for photo in photos(colour, 10, seed=1)
        if scores(interpreter, photo) is not None
    ]
    return np.mean(found)


def test_new_classes_alone(model_path):
    """The example that comes with pycoral: a few photos each, a model in memory."""
    engine = teach(ImprintingEngine(model_path), range(3))
    assert engine.num_classes == 3
    content = engine.serialize_model()
    assert classify.num_classes(opened(content)) == 3
    assert share_right(content, range(3)) > 0.95


def test_new_classes_beside_old_ones(model_path):
    """keep_classes: the old weights stay, the numbers go on behind them."""
    engine = ImprintingEngine(model_path, keep_classes=True)
    assert engine.num_classes == OLD
    content = teach(engine, range(3), OLD).serialize_model()
    assert share_right(content, range(3), OLD) > 0.95


def test_a_saved_model_learns_more(model_path, tmp_path):
    """From a file far from the twin: what is compiled in it is recognised all the same."""
    first = teach(ImprintingEngine(model_path), [0, 1])
    saved = tmp_path / "saved.tflite"
    saved.write_bytes(first.serialize_model())
    again = ImprintingEngine(str(saved), keep_classes=True)
    assert again.num_classes == 2
    teach(again, [0])
    content = teach(again, [2]).serialize_model()
    assert share_right(content, range(3)) > 0.95
    assert ImprintingEngine(str(saved)).num_classes == 0


def test_numbers_are_stored_as_the_original_stores_them(model_path):
    """Scales, zero points and the note of the sums: an old pycoral must go on with the file."""
    engine = ImprintingEngine(model_path)
    rng = np.random.default_rng(0)
    sums = rng.normal(size=(2, SIZE)).astype(np.float32)
    for number, row in enumerate(sums):
        engine.train(row / 2, number)
        engine.train(row / 2, number)
    model = read_model(engine.serialize_model())
    graph = model.main
    conv, mul, reshape, softmax = graph.operators[-4:]
    old = read_model(model_path).main
    kernel, held = graph.tensors[conv.inputs[1]], old.operators[-4].inputs[1]
    assert kernel.quantization.scale == old.tensors[held].quantization.scale
    wanted = sums / np.linalg.norm(sums, axis=1, keepdims=True)
    step = kernel.quantization.scale[0]
    back = (kernel.data.astype(float) - kernel.quantization.zero_point) * step
    inside = np.abs(wanted) < 100 * step
    assert np.abs(back.reshape(2, SIZE) - wanted)[inside].max() <= step * 0.51
    for op, scale in ((conv, 1 / 128), (mul, 30 / 128), (reshape, 30 / 128), (softmax, 1 / 256)):
        made = graph.tensors[op.outputs[0]]
        assert made.quantization.scale[0] == pytest.approx(scale, rel=1e-6)
        assert made.quantization.zero_point[0] == (0 if op is softmax else 128)
        assert made.shape[-1] == 2
    assert not graph.tensors[conv.inputs[2]].data.any()
    lengths = [f"{number} {np.linalg.norm(row):f}\n" for number, row in enumerate(sums)]
    assert model.description == "".join(lengths)


def test_signed_models_learn_too(tmp_path):
    """The original stores int8 weights as if they were unsigned."""
    path = tmp_path / "signed.tflite"
    path.write_bytes(write_model(imprintable(extractor("int8"))))
    content = teach(ImprintingEngine(str(path)), range(3)).serialize_model()
    assert share_right(content, range(3)) > 0.95


def test_what_the_original_refuses(model_path, tmp_path):
    """Programs catch these errors, and tests look for their words."""
    engine = ImprintingEngine(model_path, keep_classes=True)
    row = np.ones(SIZE, np.float32)
    for embedding, number, message in (
        (row[:-1], OLD, "Invalid weights array shape."),
        (row[None], OLD, "Invalid weights array shape."),
        (row, OLD + 1, "The class index of a new category is too large!"),
        (row, 2, "Cannot change the base model classes not trained with imprinting method!"),
    ):
        with pytest.raises(RuntimeError, match=f"^{re.escape(message)}$"):
            engine.train(embedding, number)
    with pytest.raises(TypeError):
        engine.train("nonsense", OLD)
    with pytest.raises(RuntimeError, match=r"^Model is not trained\.$"):
        ImprintingEngine(model_path).serialize_model()
    with pytest.raises(ValueError, match=r"^Failed to open file: invalid_model_path\.tflite$"):
        ImprintingEngine("invalid_model_path.tflite")


def changed(how):
    model = imprintable(extractor())
    how(model.main)
    return model


def renamed(graph):
    graph.operators[-1].type = "LOGISTIC"


def other_output(graph):
    graph.outputs = graph.operators[-2].outputs


def one_more_between(graph):
    conv = graph.operators[-4]
    graph.tensors.append(graph.tensors[conv.inputs[0]])
    graph.operators.insert(-4, Operator("RELU", [conv.inputs[0]], [len(graph.tensors) - 1]))
    conv.inputs[0] = len(graph.tensors) - 1


def wide(graph):
    made = graph.tensors[graph.operators[-5].outputs[0]]
    made.shape = (1, 1, 2, SIZE // 2)


def not_a_row(graph):
    graph.tensors[graph.outputs[0]].shape = (1, 1, 1, OLD)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (extractor(), "Unsupported model architecture. Input model must have an L2Norm layer."),
        (changed(renamed), "The last 4 operators must be Conv2d, Mul, Reshape, Softmax"),
        (
            changed(one_more_between),
            "Unsupported model architecture. L2Norm operator must be followed with the last "
            "Conv2d operator.",
        ),
        (changed(wide), "Embedding extractor's output tensor should be [1, 1, 1, x]"),
        (changed(not_a_row), "Logit output tensor should be [1, x]"),
        (changed(other_output), "Graph must have output from Softmax"),
    ],
)
def test_models_that_cannot_learn_are_refused_in_the_originals_words(model, message, tmp_path):
    path = tmp_path / "m.tflite"
    path.write_bytes(write_model(model))
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        ImprintingEngine(str(path))
