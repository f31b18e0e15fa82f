"""Many photos to one array: the order is that of the labels, or every label is wrong."""

import io
import itertools

import numpy as np
import pytest
from PIL import Image

from atoll.data.arrays import load_pixels, read_pixels
from atoll.data.decode import UnreadablePhoto
from atoll.data.listing import Photo
from atoll.data.preprocessing import Preprocessing
from atoll.errors import OutputError

PREPROCESSING = Preprocessing(20, 12, (127.5,) * 3, (127.5,) * 3)


@pytest.fixture
def photos(tmp_path):
    """Forty photos, each of one grey, of sizes that take different times to decode."""
    for number in range(40):
        size = (900, 700) if number % 7 == 0 else (30, 20)
        Image.new("RGB", size, (number * 5,) * 3).save(tmp_path / f"{number:02}.png")
    return [Photo(f"{number:02}.png", "a") for number in range(40)]


def test_rows_come_in_the_photos_order_from_any_number_of_threads(photos, tmp_path):
    for workers in (1, 2, 7):
        pixels, kept, skipped = load_pixels(photos, tmp_path, PREPROCESSING, workers=workers)
        assert (pixels.shape, pixels.dtype) == ((40, 12, 20, 3), np.uint8)
        assert (pixels == np.arange(0, 200, 5)[:, None, None, None]).all()
        assert (kept, skipped) == (list(range(40)), [])


def test_unreadable_photos_leave_no_hole(photos, tmp_path):
    (tmp_path / "03.png").write_text("no photo")
    (tmp_path / "07.png").unlink()
    pixels, kept, skipped = load_pixels(photos, tmp_path, PREPROCESSING)
    assert kept == [place for place in range(40) if place not in (3, 7)]
    assert (pixels[:, 0, 0, 0] == np.array(kept) * 5).all()
    assert [(entry.path, entry.reason) for entry in skipped] == [
        ("03.png", "not an image"),
        ("07.png", "no such file"),
    ]


def test_a_mapped_array_is_the_one_in_memory(photos, tmp_path):
    (tmp_path / "03.png").write_text("no photo")
    expected, *told = load_pixels(photos, tmp_path, PREPROCESSING)
    path = tmp_path / "pixels.npy"
    mapped, *said = load_pixels(photos, tmp_path, PREPROCESSING, path)
    assert isinstance(mapped, np.memmap)
    assert said == told
    np.testing.assert_array_equal(mapped, expected)
    np.testing.assert_array_equal(np.load(path), expected)
    assert [entry.name for entry in tmp_path.glob("*.part*")] == []


def test_the_files_header_grows_with_the_number_of_rows(tmp_path):
    photos = [Photo("1.png", "a")] * 1234
    Image.new("RGB", (1, 1), (9, 9, 9)).save(tmp_path / "1.png")
    tiny = Preprocessing(1, 1, (0.0,) * 3, (1.0,) * 3)
    pixels, _, _ = load_pixels(photos, tmp_path, tiny, tmp_path / "pixels.npy")
    assert pixels.shape == (1234, 1, 1, 3)
    assert (pixels == 9).all()


@pytest.mark.parametrize("name", [None, "pixels.npy"])
def test_nothing_readable_gives_an_empty_array(tmp_path, name):
    destination = tmp_path / name if name else None
    pixels, kept, skipped = load_pixels([Photo("no", "a")], tmp_path, PREPROCESSING, destination)
    assert pixels.shape == (0, 12, 20, 3)
    assert (kept, len(skipped)) == ([], 1)


def test_progress_counts_every_photo_once(photos, tmp_path):
    (tmp_path / "03.png").write_text("no photo")
    seen = []
    load_pixels(photos, tmp_path, PREPROCESSING, progress=lambda *step: seen.append(step))
    assert seen == [(done, 40) for done in range(1, 41)]


def test_a_listener_that_gives_up_ends_the_work_at_once(photos, tmp_path):
    """Ctrl-C in a build of 100,000 photos must not wait for the rest of them."""
    calls = itertools.count()

    def give_up(done, total):
        next(calls)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load_pixels(photos * 1000, tmp_path, PREPROCESSING, tmp_path / "x.npy", give_up)
    assert next(calls) == 1
    assert list(tmp_path.glob("*.npy")) == []


def test_a_place_that_cannot_be_written_is_one_clear_error(photos, tmp_path):
    with pytest.raises(OutputError, match=r"pixels\.npy"):
        load_pixels(photos, tmp_path, PREPROCESSING, tmp_path / "none" / "pixels.npy")


def test_one_photo_is_read_as_the_many_are(tmp_path):
    """A server that decodes otherwise than the training did would be less accurate than said."""
    noise = Image.effect_noise((640, 480), 60).convert("RGB")
    noise.save(tmp_path / "1.jpg")
    many, _, _ = load_pixels([Photo("1.jpg", "a")], tmp_path, PREPROCESSING)
    data = (tmp_path / "1.jpg").read_bytes()
    np.testing.assert_array_equal(read_pixels(tmp_path / "1.jpg", PREPROCESSING), many[0])
    np.testing.assert_array_equal(read_pixels(io.BytesIO(data), PREPROCESSING), many[0])
    with pytest.raises(UnreadablePhoto, match="megapixels"):
        read_pixels(io.BytesIO(data), PREPROCESSING, max_pixels=1000)


def test_decoding_jpegs_at_a_fraction_leaves_the_pixels_nearly_as_they_were(shared, tmp_path):
    with Image.open(shared / "data" / "photos" / "parrot.jpg") as photo:
        photo.resize((2048, 3716), Image.Resampling.LANCZOS).save(tmp_path / "1.jpg", quality=95)
    preprocessing = Preprocessing(224, 224, (0.0,) * 3, (1.0,) * 3)
    with Image.open(tmp_path / "1.jpg") as photo:
        whole = preprocessing.pixels(photo.convert("RGB")).astype(int)
    drafted = read_pixels(tmp_path / "1.jpg", preprocessing)
    assert np.abs(drafted - whole).mean() < 0.5
