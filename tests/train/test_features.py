"""Cached features: what the head learns from instead of the photos. Stale or cut, it learns rot."""

import numpy as np
import pytest
from keras_networks import Listener, colored_photos, small_network

from atoll.framework import keras
from atoll.train.augment import AUGMENTATIONS, view_of
from atoll.train.backbones import BACKBONES
from atoll.train.features import BATCH, Extractor, extract

SIZE = 16
PREPARE = BACKBONES["small_convnet"].preprocessing(SIZE, SIZE)
HALF_STEP = 2.0**-10


@pytest.fixture(scope="module")
def trunk():
    """A frozen part with two outputs: a feature vector and a feature map."""
    network = small_network(SIZE)
    pooled = keras().layers.GlobalAveragePooling2D()(network.output)
    cut = network.get_layer("conv5_relu").output
    return keras().Model(network.input, [pooled, cut])


@pytest.fixture(scope="module")
def extractor(trunk):
    return Extractor(trunk, PREPARE)


@pytest.fixture(scope="module")
def pixels():
    return colored_photos(2 * BATCH + 3, SIZE)[0]


def run(extractor, pixels, folder, **changes):
    listener = Listener()
    settings = {
        "indices": np.arange(len(pixels)),
        "views": 1,
        "augmentation": None,
        "seed": 0,
        "destinations": [folder / "head.npy", folder / "tail.npy"],
        "progress": listener,
    } | changes
    indices = settings.pop("indices")
    return extract(extractor, pixels, indices, **settings), listener


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("count", [1, BATCH - 1, BATCH])
def test_features_are_the_network_s_own(trunk, extractor, pixels, count):
    """A batch that is not full is filled up, and what fills it must not come back."""
    ours = extractor(pixels[:count])
    theirs = trunk(PREPARE.normalize(pixels[:count]), training=False)
    assert extractor.shapes == [tuple(t.shape[1:]) for t in theirs]
    for one, two in zip(ours, theirs, strict=True):
        two = np.asarray(two)
        assert one.dtype == np.float32
        np.testing.assert_allclose(one, two, atol=1e-4 * np.abs(two).max())


def test_each_photo_s_features_stand_at_its_place(trunk, extractor, pixels, tmp_path):
    """Features beside another photo's label teach nothing."""
    indices = np.array([17, 3, 3, 18, 0, 5, 6, 7, 8, 9, 10])
    arrays, listener = run(extractor, pixels, tmp_path, indices=indices)
    for array, value in zip(
        arrays, trunk(PREPARE.normalize(pixels[indices]), training=False), strict=True
    ):
        value = np.asarray(value)
        assert array.dtype == np.float16
        assert array.shape == (1, *value.shape)
        error = np.abs(array[0].astype(np.float64) - value)
        assert error.max() <= HALF_STEP * np.abs(value).max()
        assert np.abs(value).max() > 0
    assert listener.updates == [(8, 11), (11, 11)]
    assert names(tmp_path) == ["head.npy", "tail.npy"]


def test_further_views_are_those_of_the_augmentation(trunk, extractor, pixels, tmp_path):
    """The views that a run without a cache would see, in the same rounds."""
    photo = AUGMENTATIONS["photo"]
    indices = np.array([4, 11])
    (array, _), _ = run(
        extractor, pixels, tmp_path, indices=indices, views=3, augmentation=photo, seed=9
    )
    for number in range(3):
        views = np.stack([view_of(pixels[i], photo, 9, number, int(i)) for i in indices])
        value = np.asarray(trunk(PREPARE.normalize(views), training=False)[0])
        np.testing.assert_allclose(array[number], value, atol=2 * HALF_STEP * value.max())
    assert not np.array_equal(array[0], array[1])


def test_whole_files_are_taken_as_they_are(extractor, pixels, tmp_path):
    """A run that goes on must not compute for an hour what it has."""
    first, _ = run(extractor, pixels, tmp_path)
    stamps = [path.stat().st_mtime_ns for path in sorted(tmp_path.iterdir())]
    again, listener = run(extractor, pixels, tmp_path)
    assert listener.updates == []
    assert [path.stat().st_mtime_ns for path in sorted(tmp_path.iterdir())] == stamps
    for one, two in zip(first, again, strict=True):
        assert np.array_equal(one, two)


def test_a_run_that_was_killed_starts_its_features_again(extractor, pixels, tmp_path, monkeypatch):
    """Half a file is zeros from the middle on: a network trained on it would be worthless."""
    calls = []

    def killed(done, total, detail=""):
        calls.append(done)
        raise KeyboardInterrupt

    listener = Listener()
    monkeypatch.setattr(listener, "update", killed)
    with pytest.raises(KeyboardInterrupt):
        run(extractor, pixels, tmp_path, progress=listener)
    assert calls == [BATCH]
    assert not {"head.npy", "tail.npy"} & set(names(tmp_path))
    arrays, _ = run(extractor, pixels, tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    expected, _ = run(extractor, pixels, elsewhere)
    for one, two in zip(arrays, expected, strict=True):
        assert np.array_equal(one, two)
        assert one[0, -1].any()
    assert names(elsewhere) == ["head.npy", "tail.npy"]


def test_one_file_of_two_is_not_enough(extractor, pixels, tmp_path):
    """Killed between the two renames."""
    first, _ = run(extractor, pixels, tmp_path)
    kept = [np.array(array) for array in first]
    (tmp_path / "tail.npy").unlink()
    again, listener = run(extractor, pixels, tmp_path)
    assert listener.updates
    for one, two in zip(kept, again, strict=True):
        assert np.array_equal(one, two)


def test_files_of_another_shape_are_made_again(extractor, pixels, tmp_path):
    """Other settings in the same folder."""
    run(extractor, pixels, tmp_path)
    (head, _), _ = run(extractor, pixels, tmp_path, indices=np.arange(5))
    assert head.shape[:2] == (1, 5)
    assert np.load(tmp_path / "head.npy").shape == head.shape


@pytest.mark.parametrize("content", [b"", b"no array", "cut"])
def test_a_file_that_was_damaged_is_made_again(extractor, pixels, tmp_path, content):
    """A full disk or a crash of the machine may leave such a one."""
    run(extractor, pixels, tmp_path)
    path = tmp_path / "head.npy"
    path.write_bytes(path.read_bytes()[:-100] if content == "cut" else content)
    (head, _), listener = run(extractor, pixels, tmp_path)
    assert listener.updates
    assert head[0, -1].any()
