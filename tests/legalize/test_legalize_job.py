"""The whole of it: what comes out beside a graph that maps."""

import json

import numpy as np
import pytest
from legalize.structures import CASES, start

from atoll.data.preprocessing import Preprocessing
from atoll.errors import DatasetError, UsageError
from atoll.legalize.job import legalize
from atoll.legalize.samples import MOST_SAMPLES, read_samples
from atoll.runtime.model_input import ENTRY, preprocessing_of
from atoll.tflite.build import GraphBuilder
from atoll.tflite.build_core import option
from atoll.tflite.metadata import ImageMetadata, attach, read_card, read_label_file
from atoll.tflite.reader import read_model
from atoll.tflite.writer import write_model


def classifier():
    """A classifier with a LEAKY_RELU, which the chip lacks."""
    b = GraphBuilder("int8", seed=3)
    x = b.input((1, 16, 16, 3), type="UINT8")
    x = b.conv2d(b.quantize(x), 8, 3, 2)
    (x,) = b.op("LEAKY_RELU", [x], [b.shape(x)], option("LeakyRelu", alpha=0.25), version=2)
    return b.model(b.softmax(b.dense(b.mean(x), 6)))


def test_labels_and_preprocessing_stay_in_the_file():
    """A program would no longer know the classes, nor how to prepare a photo."""
    said = Preprocessing(16, 16, (127.5,) * 3, (127.5,) * 3)
    labels = [f"class {i}" for i in range(6)]
    card = ImageMetadata("six", "", [127.5], [127.5], 16, 16, labels)
    entry = json.dumps(said.to_json()).encode()
    model = attach(classifier(), card, extra={ENTRY: entry})
    done = legalize(model)
    assert [change.name for change in done.changes]
    again = read_model(write_model(done.model))
    assert read_label_file(again) == labels
    assert read_card(again) == read_card(model)
    assert again.metadata[ENTRY] == model.metadata[ENTRY]
    assert preprocessing_of(again, "model") == preprocessing_of(model, "model")


def test_the_same_model_gives_the_same_file():
    """A build could not be repeated."""
    first, second = (write_model(legalize(classifier(), seed=1).model) for _ in range(2))
    assert first == second


def test_random_inputs_are_called_random():
    """A figure on noise would be taken for a figure on photos."""
    done = legalize(classifier())
    assert done.comparison.drawn
    samples = [[np.full((1, 16, 16, 3), i, np.uint8)] for i in range(5)]
    measured = legalize(classifier(), samples=samples).comparison
    assert (measured.drawn, measured.samples) == (False, 5)
    assert measured.top1 == 1.0


def test_samples_that_do_not_fit_are_refused_in_one_line():
    """The interpreter's own words name no sample."""
    with pytest.raises(UsageError, match=r"takes UINT8 of shape \[1, 16, 16, 3\]"):
        legalize(classifier(), samples=[[np.zeros((1, 8, 8, 3), np.uint8)]])


def test_a_skipped_change_is_not_made():
    """A person who knows better could not say so."""
    done = legalize(classifier())
    names = {change.name for change in done.changes}
    kept = legalize(classifier(), skip=[*names])
    assert not names & {change.name for change in kept.changes}
    with pytest.raises(UsageError, match="skip: it must be one of"):
        legalize(classifier(), skip=["no-such-change"])


def test_nothing_is_changed_in_vain():
    """Behind an operator that stays on the CPU, a change costs accuracy and gains nothing."""
    b, x = start()
    (y,) = b.op("LEAKY_RELU", [x], [b.shape(x)], option("LeakyRelu", alpha=0.5), version=2)
    (top,) = b.op("CUSTOM", [b.conv2d(y, 4, 1)], [(1, 8, 8, 4)], custom_name="Mine")
    (z,) = b.op("LEAKY_RELU", [top], [b.shape(x)], option("LeakyRelu", alpha=0.5), version=2)
    done = legalize(b.model(b.conv2d(z, 4, 1)))
    assert len(done.changes) == 1
    assert [op.type for op in done.model.main.operators].count("LEAKY_RELU") == 1
    assert "Mine" in done.comparison.failure


def test_a_model_that_maps_comes_out_as_it_was():
    """A good file would be changed for the sake of it."""
    b, x = start()
    model = b.model(b.softmax(b.dense(b.mean(b.relu(x)), 5)))
    done = legalize(model)
    assert done.changes == []
    assert write_model(done.model) == write_model(model)
    assert done.comparison.max == 0


def test_without_checks_the_table_gives_the_same_graph():
    """`atoll check` says what legalising would do, and runs nothing."""
    for build, _, runtime in CASES.values():
        checked = legalize(build(), min_runtime=runtime)
        unchecked = legalize(build(), min_runtime=runtime, verify=False)
        assert write_model(checked.model) == write_model(unchecked.model)
        assert unchecked.comparison is None


def test_samples_are_read_from_photos_and_arrays(tmp_path):
    """The figures would be of something else than the user's photos."""
    from PIL import Image

    model = classifier()
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    (tmp_path / "deep").mkdir()
    for i in range(MOST_SAMPLES + 3):
        Image.fromarray(pixels).save(tmp_path / "deep" / f"{i:03}.png")
    photos = read_samples(tmp_path, model, "model")
    assert len(photos) == MOST_SAMPLES
    ((photo,), *_) = photos
    assert photo.shape == (1, 16, 16, 3)
    assert photo.dtype == np.uint8
    array = np.stack([pixels] * 3)
    np.save(tmp_path / "a.npy", array)
    assert np.array_equal(read_samples(tmp_path / "a.npy", model, "model")[2][0][0], pixels)
    np.save(tmp_path / "b.npy", array.astype(np.float32))
    with pytest.raises(DatasetError, match="the model takes UINT8"):
        read_samples(tmp_path / "b.npy", model, "model")
    np.save(tmp_path / "c.npy", array[:, :8])
    with pytest.raises(DatasetError, match="inputs of shape"):
        read_samples(tmp_path / "c.npy", model, "model")
    (tmp_path / "d.npy").write_text("no array")
    with pytest.raises(DatasetError, match="must be a NumPy array"):
        read_samples(tmp_path / "d.npy", model, "model")
    with pytest.raises(DatasetError, match="no photos"):
        read_samples(tmp_path / "none", model, "model")
