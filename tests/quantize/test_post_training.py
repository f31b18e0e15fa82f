"""Full-integer models, as the Edge TPU takes them: one operator left in float keeps it off."""

import numpy as np
import pytest
from keras_networks import Listener, colored_photos, nearest_mean_classifier, small_network
from litert_files import run, runnable

from atoll.data.preprocessing import Preprocessing
from atoll.edgetpu.partition import partition
from atoll.errors import ModelError
from atoll.framework import keras
from atoll.progress import Silent
from atoll.quantize.post_training import quantize
from atoll.tflite.writer import write_model

SIZE = 24
CLASSES = 4
SIGNED = Preprocessing(SIZE, SIZE, (128.0,) * 3, (128.0,) * 3)
CAFFE = Preprocessing(SIZE, SIZE, (103.939, 116.779, 123.68), (1.0,) * 3, "bgr")
EIGHT_BIT = {"INT8", "UINT8"}


def classifier(prepare, seed=0):
    pixels, labels = colored_photos(40, SIZE, CLASSES, seed)
    return nearest_mean_classifier(
        small_network(SIZE, seed=seed), prepare.normalize(pixels), labels
    )


def calibration(count=40):
    return colored_photos(count, SIZE, CLASSES, seed=1)[0]


@pytest.fixture(scope="module", params=[SIGNED, CAFFE], ids=["signed", "caffe"])
def quantised(request):
    """A small classifier, its preprocessing, and its full-integer form."""
    model = classifier(request.param)
    return model, request.param, quantize(model, calibration(), request.param, Silent())


def test_every_operator_is_8_bit(quantised):
    """Input and output too: a program hands over its photo's bytes."""
    graph = quantised[2].main
    for op in graph.operators:
        assert op.type not in ("SHAPE", "STRIDED_SLICE", "PACK", "DEQUANTIZE")
        for index in op.outputs:
            assert graph.tensors[index].type in EIGHT_BIT
    for index in (*graph.inputs, *graph.outputs):
        assert graph.tensors[index].type == "UINT8"
        assert graph.tensors[index].shape[0] == 1
        assert graph.tensors[index].quantization is not None
    (image,), (scores,) = graph.inputs, graph.outputs
    assert graph.tensors[image].shape == (1, SIZE, SIZE, 3)
    assert graph.tensors[scores].shape == (1, CLASSES)


def test_the_batch_is_fixed(quantised):
    """The Edge TPU takes no tensor of unknown size."""
    for tensor in quantised[2].main.tensors:
        assert -1 not in (tensor.shape_signature or ())


def test_the_edge_tpu_takes_all_of_it(quantised):
    """What stays on the CPU costs more time than all the rest."""
    verdicts = partition(quantised[2].main)
    assert len(verdicts) == len(quantised[2].main.operators)
    assert {verdict.target for verdict in verdicts} == {"tpu"}


def test_dense_weights_have_one_scale_and_filters_one_each(quantised):
    """Per-channel dense weights need an operator version that the compiler refuses."""
    graph = quantised[2].main
    kinds = {}
    for op in graph.operators:
        if op.type in ("CONV_2D", "FULLY_CONNECTED"):
            kernel = graph.tensors[op.inputs[1]]
            kinds.setdefault(op.type, set()).add(kernel.quantization.scale.size)
            assert kernel.type == "INT8"
            assert not kernel.quantization.zero_point.any()
    assert kinds["FULLY_CONNECTED"] == {1}
    assert min(kinds["CONV_2D"]) > 1
    versions = [op.version for op in graph.operators if op.type == "FULLY_CONNECTED"]
    assert max(versions) <= 4


def test_the_8_bit_answers_are_the_float_ones(quantised):
    """On photos that it was not calibrated with."""
    model, prepare, small = quantised
    pixels, labels = colored_photos(40, SIZE, CLASSES, seed=2)
    floats = np.asarray(model(prepare.normalize(pixels), training=False))
    assert np.mean(floats.argmax(axis=1) == labels) > 0.9
    interpreter = runnable(write_model(small))
    scale, zero_point = interpreter.get_input_details()[0]["quantization"]
    stored = prepare.quantize(pixels, scale, zero_point, np.uint8)
    raw = np.concatenate([run(interpreter, [photo[None]])[0] for photo in stored])
    scale, zero_point = interpreter.get_output_details()[0]["quantization"]
    scores = scale * (raw.astype(np.float64) - zero_point)
    assert np.mean(scores.argmax(axis=1) == floats.argmax(axis=1)) >= 0.95
    assert np.abs(scores - floats).mean() < 0.05
    assert (scale, zero_point) == (1 / 256, 0)


@pytest.fixture(scope="module")
def signed():
    model = classifier(SIGNED)
    return model, quantize(model, calibration(), SIGNED, Silent())


def test_a_pixel_is_its_own_input_value(signed):
    """Scale 1/128 and zero point 128, as in Coral's models: a photo needs no arithmetic."""
    graph = signed[1].main
    quantization = graph.tensors[graph.inputs[0]].quantization
    assert quantization.scale.tolist() == [1 / 128]
    assert quantization.zero_point.tolist() == [128]
    pixels = calibration(3)
    assert np.array_equal(SIGNED.quantize(pixels, 1 / 128, 128, np.uint8), pixels)


def test_a_pixel_is_its_own_input_value_whatever_the_photos(signed):
    """Dark photos must not make a model for the dark."""
    dark = calibration(4) // 8
    graph = quantize(signed[0], dark, SIGNED, Silent()).main
    quantization = graph.tensors[graph.inputs[0]].quantization
    assert (quantization.scale.tolist(), quantization.zero_point.tolist()) == ([1 / 128], [128])


def test_the_same_network_and_photos_give_the_same_bytes(signed):
    model, first = signed
    again = quantize(model, calibration(), SIGNED, Silent())
    assert write_model(again) == write_model(first)


def test_progress_counts_the_photos(signed, capfd):
    listener = Listener()
    quantize(signed[0], calibration(3), SIGNED, listener)
    assert listener.updates == [(1, 3), (2, 3), (3, 3)]
    assert capfd.readouterr() == ("", "")


def test_one_photo_is_enough_to_run(signed):
    small = quantize(signed[0], calibration(1), SIGNED, Silent())
    assert len(small.main.outputs) == 1


@pytest.mark.parametrize("kind", ["FLOOR_MOD", "CUMSUM"])
def test_a_network_that_has_no_8_bit_form_is_refused(kind):
    """Found at once, not when the compiler leaves it on the CPU."""
    layers, ops = keras().layers, keras().ops
    image = keras().Input((SIZE, SIZE, 3), name="image")
    x = layers.Conv2D(4, 3, name="before")(image)
    x = ops.cumsum(x, axis=1) if kind == "CUMSUM" else ops.mod(x, 0.37)
    x = layers.GlobalAveragePooling2D()(x)
    model = keras().Model(image, layers.Dense(3)(x), name="odd")
    with pytest.raises(ModelError) as caught:
        quantize(model, calibration(2), SIGNED, Silent())
    message = str(caught.value)
    assert message.startswith("odd: every operator must")
    assert "8-bit" in message
    assert "\n" not in message
