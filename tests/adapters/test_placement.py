"""A photo laid into a model's input, and what was found there back on the photo."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from vision_models import colour_segmenter

from atoll.adapters import Segmenter
from atoll.adapters.placement import RESIZES, place
from atoll.adapters.vision import opened_photo
from atoll.data.preprocessing import crop, stretch

sizes = st.tuples(st.integers(1, 3000), st.integers(1, 3000))


@pytest.mark.parametrize("resize", RESIZES)
@given(photo=sizes, size=sizes, x=st.floats(0, 1), y=st.floats(0, 1))
def test_a_point_comes_back_to_where_it_was(resize, photo, size, x, y):
    """A box that is off by the grey border lies beside the person."""
    placement = RESIZES[resize].place(photo, size)
    there = np.array([x * photo[0], y * photo[1]])
    unit = (there * placement.scale + placement.offset) / size
    assert np.allclose(placement.to_photo(unit[None])[0], there, atol=1e-6 * max(photo))
    four = placement.to_photo(np.concatenate([unit, unit])[None])[0]
    assert np.allclose(four, [*there, *there], atol=1e-6 * max(photo))


@given(photo=sizes, size=sizes)
def test_a_letterbox_shows_all_of_the_photo_and_a_crop_nothing_else(photo, size):
    for name, sign in (("letterbox", 1), ("crop", -1)):
        placement = RESIZES[name].place(photo, size)
        for axis in (0, 1):
            start = placement.offset[axis]
            end = start + placement.scale[axis] * photo[axis]
            assert sign * start >= -1e-6
            assert sign * (size[axis] - end) >= -1e-6


@given(photo=st.tuples(st.integers(1, 400), st.integers(1, 400)))
def test_a_letterbox_keeps_the_proportions_to_half_a_pixel(photo):
    placement = RESIZES["letterbox"].place(photo, (320, 240))
    part = min(320 / photo[0], 240 / photo[1])
    for axis in (0, 1):
        drawn = placement.scale[axis] * photo[axis]
        assert abs(drawn - part * photo[axis]) <= 0.5 + 1e-9 or drawn == 1


def test_pixels_are_those_of_training():
    """A detector and a classifier must see what the data room shows a network in training."""
    image = Image.effect_noise((123, 77), 60).convert("RGB")
    for name, function in (("stretch", stretch), ("crop", crop)):
        pixels, _ = place(image, (64, 48), name)
        assert np.array_equal(pixels, np.asarray(function(image, 64, 48)))


def test_grey_surrounds_a_letterboxed_photo():
    pixels, placement = place(Image.new("RGB", (200, 100), "red"), (64, 64), "letterbox")
    assert placement.offset == (0.0, 16.0)
    assert (pixels[:16] == 114).all()
    assert (pixels[48:] == 114).all()
    assert (pixels[16:48] == (255, 0, 0)).all()


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("size", [(320, 200), (90, 300), (64, 64)])
def test_what_is_seen_lies_where_it_was_painted(resize, size):
    """Through a real model: red, green and blue areas of a photo, found again at their places."""
    image = Image.new("RGB", size, (255, 0, 0))
    draw = ImageDraw.Draw(image)
    left, top = size[0] * 3 // 8, size[1] * 3 // 8
    draw.rectangle((left, top, size[0] * 5 // 8, size[1] * 5 // 8), fill=(0, 0, 255))
    with Segmenter(colour_segmenter((64, 64)), device="cpu", resize=resize) as segmenter:
        mask = segmenter.see(image)
    expected = np.asarray(image).argmax(axis=2)
    assert mask.classes.shape == expected.shape
    wrong = mask.classes != expected
    if resize == "crop":
        # Beyond the crop, nothing was seen: there it is the background, which is red here.
        wrong &= mask.classes != 0
    # An edge may be off by a pixel of the input.
    assert wrong.sum() <= 2.2 * sum(size) / 4 * max(size) / 64 + 1


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16", "I", "F"])
def test_an_image_is_what_its_file_is(tmp_path, mode):
    """A photo that a program has opened itself gives what `atoll detect` gives."""
    values = np.linspace(0, 60_000, 64 * 48).reshape(48, 64)
    if mode in ("I;16", "I", "F"):
        kinds = {"I;16": np.uint16, "I": np.int32, "F": np.float32}
        image = Image.fromarray(values.astype(kinds[mode]))
    else:
        image = Image.fromarray((values / 256).astype(np.uint8)).convert("RGBA")
        image.putalpha(Image.fromarray((255 - values / 256).astype(np.uint8)))
        image = image if mode == "RGBA" else image.convert("RGB").convert(mode)
    path = tmp_path / "photo.tif"
    image.save(path)
    assert np.array_equal(np.asarray(opened_photo(image)), np.asarray(opened_photo(path)))
