"""One way from a photo to numbers: a slip here is a model that is right in no program."""

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from atoll.data.preprocessing import RESIZES, Preprocessing
from atoll.errors import ModelError

HALF = (127.5, 127.5, 127.5)
IMAGENET = {"mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)}


def photo(width: int, height: int) -> Image.Image:
    across, down = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.stack([across, down, 255 - across], -1).astype(np.uint8))


def test_a_photo_of_the_right_size_is_not_touched():
    image = photo(20, 10)
    pixels = Preprocessing(20, 10, HALF, HALF).pixels(image)
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, np.asarray(image))


def test_stretch_is_pillows_own_bilinear_resize():
    image = photo(50, 31)
    expected = np.asarray(image.resize((32, 24), Image.Resampling.BILINEAR))
    ours = Preprocessing(32, 24, HALF, HALF, resize="stretch").pixels(image)
    np.testing.assert_array_equal(ours, expected)


@pytest.mark.parametrize("size", [(90, 40), (40, 90), (64, 64)])
def test_crop_takes_the_middle_as_imageops_fit_does(size):
    image = photo(*size)
    ours = Preprocessing(32, 24, HALF, HALF, resize="crop").pixels(image)
    expected = np.asarray(ImageOps.fit(image, (32, 24), Image.Resampling.BILINEAR))
    assert ours.shape == (24, 32, 3)
    np.testing.assert_allclose(ours.astype(int), expected, atol=3)


@settings(max_examples=150)
@example(346, 352, 32, 299, "crop")
@example(399, 226, 128, 299, "crop")
@given(
    st.integers(1, 400),
    st.integers(1, 400),
    st.integers(1, 320),
    st.integers(1, 320),
    st.sampled_from(sorted(RESIZES)),
)
def test_no_proportions_of_photo_and_input_fail(wide, high, width, height, resize):
    image = Image.new("RGB", (wide, high), (10, 200, 30))
    pixels = Preprocessing(width, height, HALF, HALF, resize=resize).pixels(image)
    assert pixels.shape == (height, width, 3)
    assert (pixels == (10, 200, 30)).all()


def test_normalize_puts_mean_and_std_in_the_models_own_channel_order():
    pixels = np.array([[[255, 128, 0]]], np.uint8)
    rgb = Preprocessing(1, 1, (1, 2, 3), (2, 4, 8)).normalize(pixels)
    bgr = Preprocessing(1, 1, (1, 2, 3), (2, 4, 8), channel_order="bgr").normalize(pixels)
    assert rgb.dtype == bgr.dtype == np.float32
    np.testing.assert_allclose(rgb[0, 0], [127, 31.5, -0.375])
    np.testing.assert_allclose(bgr[0, 0], [-0.5, 31.5, 31.5])


@pytest.mark.parametrize("order", ["rgb", "bgr"])
@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
@pytest.mark.parametrize("norm", [{"mean": HALF, "std": HALF}, IMAGENET])
def test_quantize_is_normalize_then_the_affine_rule(order, dtype, norm):
    preprocessing = Preprocessing(16, 16, **norm, channel_order=order)
    pixels = np.arange(16 * 16 * 3).reshape(16, 16, 3).astype(np.uint8)
    scale, zero_point = 0.0186, 114 if dtype == np.uint8 else -14
    limits = np.iinfo(dtype)
    real = preprocessing.normalize(pixels).astype(np.float64) / scale + zero_point
    got = preprocessing.quantize(pixels, scale, zero_point, dtype)
    assert got.dtype == dtype
    assert (np.abs(got - np.clip(real, limits.min, limits.max)) <= 0.5 + 1e-4).all()


def test_a_uint8_model_that_wants_plain_pixels_gets_them_uncopied():
    pixels = np.arange(48).reshape(4, 4, 3).astype(np.uint8)
    unit = Preprocessing(4, 4, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    assert unit.quantize(pixels, 1.0, 0, np.uint8) is pixels


def test_batches_are_quantised_like_single_photos():
    batch = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), np.uint8)
    preprocessing = Preprocessing(8, 8, **IMAGENET)
    together = preprocessing.quantize(batch, 0.02, -3, np.int8)
    one_by_one = np.stack([preprocessing.quantize(x, 0.02, -3, np.int8) for x in batch])
    np.testing.assert_array_equal(together, one_by_one)


def test_what_is_written_is_read_back():
    written = Preprocessing(32, 24, *IMAGENET.values(), channel_order="bgr", resize="crop")
    assert Preprocessing.from_json(written.to_json(), "x") == written
    assert written.resized(8, 9) == Preprocessing(
        8, 9, *IMAGENET.values(), channel_order="bgr", resize="crop"
    )


@pytest.mark.parametrize(
    "change",
    [
        {"width": 0},
        {"width": [1]},
        {"width": math.inf},
        {"height": 1_000_000},
        {"mean": [1, 2]},
        {"mean": [1, 2, math.nan]},
        {"mean": None},
        {"std": [1, 0, 1]},
        {"std": "abc"},
        {"channel_order": "grb"},
        {"channel_order": ["rgb"]},
        {"resize": "shrink"},
        {"resize": ["crop"]},
        {"resize": {}},
    ],
    ids=str,
)
def test_a_damaged_document_is_one_clear_error(change):
    document = Preprocessing(32, 32, HALF, HALF).to_json() | change
    with pytest.raises(ModelError, match=r"model\.json.*Received"):
        Preprocessing.from_json(document, "model.json")


def test_a_document_with_a_field_missing_is_one_clear_error():
    document = Preprocessing(32, 32, HALF, HALF).to_json()
    del document["std"]
    with pytest.raises(ModelError, match="std"):
        Preprocessing.from_json(document, "model.json")
