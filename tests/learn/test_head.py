"""New last layers: what they compute, that they stay in 8 bits, and what of the model is kept."""

import copy

import ai_edge_litert.schema_py_generated as schema
import numpy as np
import pytest
from small_bases import BASES, SIDE, plane_model

from atoll import Interpreter
from atoll.edgetpu.partition import partition
from atoll.learn.base import run_head
from atoll.learn.head import averaged, extractor, softmax_layers, with_head
from atoll.learn.layers import Dense, Layers, quantization, store, weight_quantization
from atoll.learn.place import find_embedding
from atoll.tflite.reader import read_model
from atoll.tflite.writer import write_model

CLASSES = 3


def cut(name):
    model = BASES[name]()
    wanted = model.main.tensors[model.main.outputs[0]].name if name == "plane" else None
    return averaged(model, find_embedding(model, name, wanted))


def photos(count, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, 1, SIDE, SIDE, 3)).astype(np.uint8)


def stored(interpreter, photo):
    """A photo as a model takes it: here, a pixel of 0 is the least number of the type."""
    info = interpreter.inputs[0]
    if info.dtype == np.float32:
        return photo.astype(np.float32) / 255
    return photo.astype(np.int16).__add__(np.iinfo(info.dtype).min).astype(info.dtype)


def run(model, inputs):
    with Interpreter(write_model(model)) as interpreter:
        info = interpreter.outputs[0]
        made = [interpreter.invoke(stored(interpreter, photo))[0] for photo in inputs]
        return np.concatenate(made), np.concatenate([info.dequantize(each) for each in made])


@pytest.mark.parametrize("name", BASES)
def test_a_dense_layer_and_a_softmax_compute_what_numpy_does(name):
    """The layer that was trained in float must be the one that runs, in every kind of model."""
    model, place = cut(name)
    inputs = photos(8)
    raw, real = run(extractor(model, place), inputs)
    real = real.reshape(8, -1)
    rng = np.random.default_rng(1)
    weights = rng.normal(size=(CLASSES, place.size)) / np.linalg.norm(real, axis=1).mean() * 4
    biases = rng.normal(size=CLASSES)
    scores = real @ weights.T + biases
    headed = with_head(model, place, softmax_layers(weights, biases, scores.min(), scores.max()))
    stored_chances, chances = run(headed.model, inputs)
    wanted = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    assert chances.shape == (8, CLASSES)
    # 8-bit weights, scores and probabilities.
    assert np.abs(chances - wanted).max() < (1e-5 if name == "float" else 0.04)
    # The last layers alone give the same bytes: photos need not be embedded again.
    assert np.array_equal(run_head(headed.head, raw), stored_chances)


@pytest.mark.parametrize("name", [name for name in BASES if name != "float"])
def test_all_of_an_8_bit_model_still_maps(name):
    """One float operator, and the chip waits for the processor."""
    model, place = cut(name)
    layers = softmax_layers(np.eye(CLASSES, place.size), np.zeros(CLASSES), -1, 1)
    made = with_head(model, place, layers).model.main
    assert {verdict.target for verdict in partition(made)} == {"tpu"}
    types = {made.tensors[t].type for op in made.operators for t in op.outputs}
    assert types <= {"INT8", "UINT8"}


def test_the_output_keeps_its_type():
    """Programs that read uint8 scores go on to do so, though the model computes in int8."""
    model, place = cut("keras")
    layers = softmax_layers(np.eye(CLASSES, place.size), np.zeros(CLASSES), -1, 1)
    headed = with_head(model, place, layers)
    with Interpreter(write_model(headed.model)) as interpreter:
        (info,) = interpreter.outputs
    assert (info.shape, info.dtype, info.scale, info.zero_point) == ((1, 3), np.uint8, 1 / 256, 0)


def test_a_plane_is_averaged():
    """What has no pooling gets one: the embedding is a vector."""
    model, place = cut("plane")
    inputs = photos(4)
    _, planes = run(plane_model(), inputs)
    raw, means = run(extractor(model, place), inputs)
    assert raw.shape == (4, 1, 1, 32)
    # LiteRT's mean is rounded to a step.
    step = model.main.tensors[place.tensor].quantization.scale[0]
    assert np.abs(means.reshape(4, 32) - planes.mean((1, 2))).max() <= step * 0.51


def test_a_base_stays_as_it_is():
    """Learning must not change the model that it started from."""
    model, place = cut("mobilenet, uint8")
    before = write_model(model)
    with_head(model, place, softmax_layers(np.eye(3, 32), np.zeros(3), -1, 1))
    assert write_model(model) == before


def test_signatures_name_the_new_output():
    """LiteRT refuses a file whose signature points at a tensor of another shape, or at none."""
    model, place = cut("mobilenet, uint8")
    graph = model.main
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = b"serving_default", 0
    for side, tensors in (("inputs", graph.inputs), ("outputs", graph.outputs)):
        entry = schema.TensorMapT()
        entry.name, entry.tensorIndex = side.encode(), tensors[0]
        setattr(signature, side, [entry])
    model.signatures = [signature]
    headed = with_head(model, place, softmax_layers(np.eye(3, 32), np.zeros(3), -1, 1))
    again = read_model(write_model(headed.model))
    assert [e.tensorIndex for e in again.signatures[0].outputs] == again.main.outputs
    assert [e.tensorIndex for e in again.signatures[0].inputs] == again.main.inputs
    # Nothing of the old head is left.
    assert len(again.main.tensors) == len({t.name for t in again.main.tensors})
    assert (1, 5) not in {t.shape for t in again.main.tensors}


@pytest.mark.parametrize("kind", ["INT8", "UINT8"])
@pytest.mark.parametrize("low", [-3.0, 0.0, 2.0])
def test_weights_are_stored_to_half_a_step(kind, low):
    """Rounding is all that 8 bits may cost."""
    weights = np.random.default_rng(2).uniform(low, 5.0, (4, 100))
    held = weight_quantization(weights, kind)
    step, zero_point = float(held.scale[0]), int(held.zero_point[0])
    back = (store(weights, held, kind).astype(float) - zero_point) * step
    assert np.abs(back - weights).max() <= step * 0.5001
    assert kind == "UINT8" or zero_point == 0


def test_weights_of_nothing_but_zeros_have_a_scale():
    """A class without a single number must not make a file with a scale of 0."""
    for kind in ("INT8", "UINT8"):
        assert weight_quantization(np.zeros((2, 3)), kind).scale[0] > 0


def test_multiplying_changes_the_scale_alone():
    """The factor of imprinted layers costs no accuracy: not a stored number moves."""
    model, place = cut("mobilenet, int8")
    weights = np.random.default_rng(3).normal(size=(CLASSES, place.size))
    dense = Dense(weights, np.zeros(CLASSES), -20.0, 20.0, made=quantization(0.15, 7))

    def layers(times):
        def add(made: Layers):
            made.point_convolution(dense)
            if times:
                made.multiply(12.5)
            made.reshape(1, CLASSES)

        return add

    inputs = photos(6)
    plain, real = run(with_head(copy.deepcopy(model), place, layers(False)).model, inputs)
    times, larger = run(with_head(model, place, layers(True)).model, inputs)
    assert np.array_equal(plain, times)
    assert np.allclose(larger, real * 12.5, rtol=1e-5)
