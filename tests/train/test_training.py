"""Fine-tuning as a whole: the passes, what they leave in the folder, and going on after a kill."""

import csv
import shutil

import numpy as np
import pytest
from keras_networks import Listener, colored_photos

from atoll.data.dataset import Dataset
from atoll.data.listing import Photo
from atoll.framework import keras, make_deterministic
from atoll.train.backbones import BACKBONES
from atoll.train.fitting import Epoch
from atoll.train.settings import TrainSettings
from atoll.train.training import train, write_epochs

SIZE = 32
CLASSES = ["blue", "green", "red"]


def dataset(count=72, size=SIZE):
    """Colours as classes: a third of the photos in val and test each."""
    pixels, labels = colored_photos(count, size, len(CLASSES))
    splits = ["train", "train", "val", "test"]
    photos = [
        Photo(f"{CLASSES[label]}/{i:03}.png", CLASSES[label], splits[i // 3 % 4])
        for i, label in enumerate(labels)
    ]
    return Dataset(".", "folders", CLASSES, photos, pixels, [], [], "", "f")


def trained(run, name, *, pretrained, augment="none", network=None, progress=None, **knobs):
    row = BACKBONES[name]
    size = 16 if name == "small_convnet" else SIZE
    prepare = row.preprocessing(size, size)
    if network is None:
        make_deterministic(3)
        network = row.build((size, size, 3), row.alphas[0])
    settings = TrainSettings(**({"batch_size": 16, "dropout": 0.3} | knobs))
    data = dataset(size=size)
    listener = progress or Listener()
    result = train(
        network, row, data, prepare, settings, augment, run, listener, pretrained=pretrained
    )
    return result, data, prepare, listener


def top1(model, data, prepare, split="test"):
    indices = data.indices(split)
    scores = np.asarray(model(prepare.normalize(data.pixels[indices]), training=False))
    np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-4)
    return float(np.mean(scores.argmax(axis=1) == data.labels[indices]))


def same(first, second):
    pairs = zip(first.get_weights(), second.get_weights(), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


class KillAt(Listener):
    """Dies when the training of a pass has come so far."""

    def __init__(self, title, share):
        super().__init__()
        self.title, self.share = title, share

    def update(self, done, total, detail=""):
        super().update(done, total, detail)
        if self.titles[-1] == self.title and done >= self.share * total:
            raise KeyboardInterrupt


def lines(run):
    with (run / "epochs.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_a_network_from_nothing_is_trained_whole(tmp_path):
    """Tiny images: no pretrained network is of use."""
    result, data, prepare, listener = trained(
        tmp_path, "small_convnet", pretrained=False, augment="photo", epochs=8
    )
    assert list(result.passes) == ["whole"]
    assert top1(result.model, data, prepare) > 0.9
    assert listener.titles == ["Training the network"]
    rows = lines(tmp_path)
    assert [row["epoch"] for row in rows] == [str(i + 1) for i in range(len(rows))]
    assert {row["phase"] for row in rows} == {"whole"}
    assert list((tmp_path / "tensorboard/whole").rglob("events*"))
    assert result.model.name == "small_convnet"


@pytest.mark.slow
def test_a_whole_network_that_was_killed_goes_on_to_the_same_bits(tmp_path):
    """Augmented views, dropout and batch statistics go on as if nothing had been."""
    knobs = {"pretrained": False, "augment": "photo", "epochs": 3}
    whole, *_ = trained(tmp_path / "whole", "small_convnet", **knobs)
    killer = KillAt("Training the network", 0.6)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "cut", "small_convnet", progress=killer, **knobs)
    assert len(lines(tmp_path / "cut")) == 1
    make_deterministic(99)
    other = BACKBONES["small_convnet"].build((16, 16, 3), 0.5)
    again, *_ = trained(tmp_path / "cut", "small_convnet", network=other, **knobs)
    assert same(again.model, whole.model)


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    """A MobileNet V2, taken for pretrained, through both of its passes."""
    folder = tmp_path_factory.mktemp("tuned")
    return folder, *trained(
        folder, "mobilenet_v2", pretrained=True, augment="photo", epochs=3, tail_epochs=2
    )


@pytest.mark.slow
def test_a_pretrained_network_goes_through_its_passes(tuned):
    folder, result, data, prepare, listener = tuned
    assert [*result.passes][:2] == ["head", "tail"]
    assert ("refit" in result.passes) == (result.passes["tail"].best < 0)
    assert listener.titles[:2] == ["Computing features", "Training the head"]
    top1(result.model, data, prepare)
    rows = lines(folder)
    assert len(rows) == sum(len(fitted.epochs) for fitted in result.passes.values())
    assert [row["phase"] for row in rows][:1] == ["head"]
    if "refit" in result.passes:
        assert rows[-1]["phase"] == "refit"
        assert rows[-1]["val_loss"] == ""
    assert sorted(path.name for path in (folder / "cache").iterdir()) == [
        "head_train.npy", "head_val.npy", "tail_train.npy", "tail_val.npy",
    ]  # fmt: skip


@pytest.mark.slow
def test_what_stands_before_the_cut_stays_as_it_came(tuned):
    """It is what the cached features were computed with."""
    _, result, *_ = tuned
    make_deterministic(3)
    row = BACKBONES["mobilenet_v2"]
    fresh = row.build((SIZE, SIZE, 3), row.alphas[0])
    names = [layer.name for layer in fresh.layers]
    frozen = names[: names.index(row.cut) + 1]
    for name in frozen:
        assert same(fresh.get_layer(name), result.model.get_layer(name)), name
    for layer in fresh.layers:
        if isinstance(layer, keras().layers.BatchNormalization):
            trained_layer = result.model.get_layer(layer.name)
            assert np.array_equal(layer.moving_mean, trained_layer.moving_mean), layer.name


@pytest.mark.slow
@pytest.mark.parametrize("title", ["Computing features", "Training the head"])
def test_a_fine_tuning_that_was_killed_goes_on_to_the_same_bits(tuned, tmp_path, title):
    folder, expected, *_ = tuned
    knobs = {"pretrained": True, "augment": "photo", "epochs": 3, "tail_epochs": 2}
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path, "mobilenet_v2", progress=KillAt(title, 0.5), **knobs)
    again, *_ = trained(tmp_path, "mobilenet_v2", **knobs)
    assert same(again.model, expected.model)
    assert [row["epoch"] for row in lines(tmp_path)] == [row["epoch"] for row in lines(folder)]


@pytest.mark.slow
def test_a_run_that_is_whole_is_not_trained_again(tuned, tmp_path):
    """Asked for again with the same knobs, it gives the same network in seconds."""
    folder, expected, *_ = tuned
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    knobs = {"pretrained": True, "augment": "photo", "epochs": 3, "tail_epochs": 2}
    again, _, _, listener = trained(copy, "mobilenet_v2", **knobs)
    assert listener.updates == []
    assert same(again.model, expected.model)


@pytest.mark.slow
def test_without_a_tail_the_head_is_refitted_on_val_too(tmp_path):
    """Photos that settled the length of the pass are learnt from as well."""
    result, data, prepare, listener = trained(
        tmp_path,
        "mobilenet_v2",
        pretrained=True,
        network=pretrained_network(),
        epochs=12,
        tail_epochs=0,
    )
    assert list(result.passes) == ["head", "refit"]
    assert len(result.passes["refit"].epochs) == len(result.passes["head"].epochs)
    assert {row.val_loss for row in result.passes["refit"].epochs} == {None}
    assert "Training the last blocks" not in listener.titles
    assert top1(result.model, data, prepare) > 0.9
    assert not any((tmp_path / "cache").glob("tail*"))


def pretrained_network():
    """A MobileNet V2 whose random features tell colours apart: its statistics are the photos'."""
    make_deterministic(3)
    row = BACKBONES["mobilenet_v2"]
    network = row.build((SIZE, SIZE, 3), row.alphas[0])
    pixels = colored_photos(48, SIZE, len(CLASSES), seed=9)[0]
    images = row.preprocessing(SIZE, SIZE).normalize(pixels)
    for layer in network.layers:
        if isinstance(layer, keras().layers.BatchNormalization):
            layer.momentum = 0.0
    network(images, training=True)
    for layer in network.layers:
        if isinstance(layer, keras().layers.BatchNormalization):
            layer.momentum = 0.999
    return network


def test_epochs_csv_can_be_read_by_anything(tmp_path):
    """A person plots it with what they know."""
    rows = [
        Epoch("head", 1, 1.23456789, 0.5, 0.1, 0.25, 2.0),
        Epoch("refit", 1, 0.5, 1.0, None, None, 1.5),
    ]
    write_epochs(tmp_path / "epochs.csv", rows)
    assert (tmp_path / "epochs.csv").read_text() == (
        "phase,epoch,loss,accuracy,val_loss,val_accuracy,seconds\n"
        "head,1,1.234568,0.5,0.1,0.25,2.0\n"
        "refit,1,0.5,1.0,,,1.5\n"
    )
