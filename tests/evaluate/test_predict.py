"""Scores from a model: every figure in a report is counted from these numbers."""

import numpy as np
import pytest
from litert_files import run, runnable
from pixel_models import SCORES, SIDE, pixel_model

from atoll.data.arrays import read_pixels
from atoll.data.preprocessing import Preprocessing
from atoll.errors import ModelError
from atoll.evaluate.predict import predict
from atoll.runtime.interpreter import Interpreter
from atoll.runtime.model_input import input_spec
from atoll.tflite.writer import write_model

SIGNED = Preprocessing(SIDE, SIDE, (128.0,) * 3, (128.0,) * 3)


def photos(count=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, SIDE, SIDE, 3), np.uint8)


def opened(**kwargs):
    return Interpreter(write_model(pixel_model(**kwargs)), device="cpu")


@pytest.mark.parametrize(
    ("model", "size"),
    [
        ("v10/mobilenet_v1_0.25_128_quant", 128),
        ("v13/tf2_mobilenet_v2_1.0_224_ptq", 224),
        ("v10/mobilenet_edgetpu_0.75_224_post_training_quant", 224),
    ],
)
def test_scores_are_those_of_the_bare_interpreter(shared, model, size):
    """A slip in quantising the photo or dequantising the score changes every report."""
    path = shared / f"models/{model}.tflite"
    litert = runnable(path)
    (image,), (scores,) = litert.get_input_details(), litert.get_output_details()
    assert image["dtype"] == np.uint8
    photo = shared / "data/photos/cat.bmp"
    with Interpreter(path, device="cpu") as interpreter:
        preprocessing = input_spec(interpreter.model, path).preprocessing
        pixels = read_pixels(photo, preprocessing)[None]
        assert pixels.shape == (1, size, size, 3)
        ours = predict(interpreter, preprocessing, pixels)
    scale, zero_point = image["quantization"]
    real = (pixels.astype(np.float64) - preprocessing.mean) / preprocessing.std
    stored = np.clip(np.rint(real / scale + zero_point), 0, 255).astype(np.uint8)
    (raw,) = run(litert, [stored])
    scale, zero_point = scores["quantization"]
    expected = scale * (raw.reshape(1, -1).astype(np.float64) - zero_point)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    "kwargs",
    [
        {"kind": "UINT8", "scale": 1 / 128, "zero_point": 128},
        {"kind": "INT8", "scale": 1 / 128, "zero_point": 0},
        {"kind": "FLOAT32", "scale": 0},
    ],
)
def test_every_kind_of_number_comes_out_as_what_it_stands_for(kwargs):
    """A float model and its 8-bit form are compared score by score."""
    pixels = photos()
    scores = predict(opened(**kwargs), SIGNED, pixels)
    assert scores.shape == (3, SCORES)
    assert scores.dtype == np.float32
    assert np.array_equal(scores, ((pixels.reshape(3, -1) - 128.0) / 128.0).astype(np.float32))


def test_channels_come_in_the_model_s_own_order():
    """A Caffe-style network fed RGB still answers, only worse."""
    pixels = photos(1)
    other = Preprocessing(SIDE, SIDE, (103.939, 116.779, 123.68), (1.0,) * 3, "bgr")
    scores = predict(opened(kind="FLOAT32", scale=0), other, pixels)
    expected = pixels[..., ::-1] - np.array([103.939, 116.779, 123.68], np.float32)
    np.testing.assert_allclose(scores.reshape(pixels.shape), expected, rtol=1e-6)


def test_numbers_without_a_scale_are_taken_as_they_are():
    """TensorFlow Hub's models take raw uint8 pixels, and some give raw scores."""
    pixels = photos()
    raw = Preprocessing(SIDE, SIDE, (0.0,) * 3, (1.0,) * 3)
    scores = predict(opened(scale=0), raw, pixels)
    assert np.array_equal(scores, pixels.reshape(3, -1).astype(np.float32))


@pytest.mark.parametrize("shape", [(SCORES,), (1, SCORES), (1, 1, 1, SCORES)])
def test_scores_in_any_number_of_dimensions_are_a_list(shape):
    """MobileNet V1 gives (1, 1001), a convolution as a head (1, 1, 1, 1000)."""
    assert predict(opened(shapes=(shape,)), SIGNED, photos(2)).shape == (2, SCORES)


@pytest.mark.parametrize(
    ("shapes", "received"),
    [
        (((1, SCORES), (1, SCORES)), "[1, 48], [1, 48]"),
        (((1, SIDE, SIDE, 3),), "[1, 4, 4, 3]"),
        (((2, SCORES // 2),), "[2, 24]"),
    ],
)
def test_what_is_no_classifier_is_refused_by_its_shapes(shapes, received):
    """A detector's boxes or a segmentation's map must not be taken for scores."""
    with pytest.raises(ModelError) as caught:
        predict(opened(shapes=shapes), SIGNED, photos(1))
    assert received in str(caught.value)
    assert "a score a class" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_refusal_names_the_file(shared):
    path = shared / "models/v13/deeplabv3_mnv2_dm05_pascal_quant.tflite"
    with Interpreter(path, device="cpu") as interpreter:
        preprocessing = input_spec(interpreter.model, path).preprocessing
        with pytest.raises(ModelError, match="deeplabv3"):
            predict(interpreter, preprocessing, np.zeros((1, 513, 513, 3), np.uint8))


def test_progress_counts_every_photo():
    told = []
    predict(opened(), SIGNED, photos(3), lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_no_photos_give_no_scores():
    """A class without test photos, or an empty folder."""
    assert predict(opened(), SIGNED, photos(0)).shape == (0, SCORES)
