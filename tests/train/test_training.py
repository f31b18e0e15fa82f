"""Fine-tuning as a whole: the passes, what they leave in the folder, and going on after a kill."""

import csv
import shutil
from dataclasses import replace

import numpy as np
import pytest
from keras_networks import Listener, colored_photos, small_network

from atoll.data.dataset import Dataset
from atoll.data.listing import Photo
from atoll.framework import keras
from atoll.train.backbones import BACKBONES
from atoll.train.fitting import Epoch
from atoll.train.settings import TrainSettings
from atoll.train.training import train, write_epochs

SIZE = 16
CLASSES = ["blue", "green", "red"]


def dataset(count=72, *, learnable=True):
    """Colours as classes, or noise; half of the photos in train, a quarter in val and test each."""
    pixels, labels = colored_photos(count, SIZE, len(CLASSES))
    if not learnable:
        pixels = np.random.default_rng(0).integers(0, 256, pixels.shape, np.uint8)
    splits = ["train", "train", "val", "test"]
    photos = [
        Photo(f"{CLASSES[label]}/{i:03}.png", CLASSES[label], splits[i // 3 % 4])
        for i, label in enumerate(labels)
    ]
    return Dataset(".", "folders", CLASSES, photos, pixels, [], [], "", "f")


# The smallest network that can be cut in two: every pass takes seconds.
ROW = replace(BACKBONES["small_convnet"], cut="conv4_relu")
PREPARE = ROW.preprocessing(SIZE, SIZE)
TUNING = {"pretrained": True, "augment": "photo", "epochs": 3, "tail_epochs": 2}
WHOLE = {"pretrained": False, "augment": "photo", "epochs": 3}


def trained(
    run, *, pretrained, augment="none", network=None, progress=None, learnable=True, **knobs
):
    settings = TrainSettings(**({"batch_size": 16, "dropout": 0.3} | knobs))
    return train(
        small_network(SIZE) if network is None else network,
        ROW,
        dataset(learnable=learnable),
        PREPARE,
        settings,
        augment,
        run,
        progress or Listener(),
        pretrained=pretrained,
    )


def top1(model, split="test"):
    data = dataset()
    indices = data.indices(split)
    scores = np.asarray(model(PREPARE.normalize(data.pixels[indices]), training=False))
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


def test_a_network_from_nothing_is_trained_whole(tmp_path):
    """Tiny images: no pretrained network is of use."""
    listener = Listener()
    result = trained(tmp_path, progress=listener, **WHOLE | {"epochs": 8})
    assert list(result.passes) == ["whole"]
    assert top1(result.model) > 0.9
    assert listener.titles == ["Training the network"]
    rows = lines(tmp_path)
    assert [row["epoch"] for row in rows] == [str(i + 1) for i in range(len(rows))]
    assert {row["phase"] for row in rows} == {"whole"}
    assert list((tmp_path / "tensorboard/whole").rglob("events*"))
    fresh = small_network(SIZE)
    assert not same(fresh.get_layer("conv1"), result.model.get_layer("conv1"))


def test_a_network_without_a_cut_is_trained_whole_even_if_it_has_weights(tmp_path):
    """There are no last blocks to train by themselves."""
    row = replace(ROW, cut="")
    settings = TrainSettings(epochs=1)
    result = train(
        small_network(SIZE), row, dataset(), PREPARE, settings, "none", tmp_path, Listener(),
        pretrained=True,
    )  # fmt: skip
    assert list(result.passes) == ["whole"]


def test_a_whole_network_that_was_killed_goes_on_to_the_same_bits(tmp_path):
    """Augmented views, dropout and batch statistics go on as if nothing had been."""
    whole = trained(tmp_path / "whole", **WHOLE)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "cut", progress=KillAt("Training the network", 0.6), **WHOLE)
    assert len(lines(tmp_path / "cut")) == 1
    again = trained(tmp_path / "cut", network=small_network(SIZE, seed=99), **WHOLE)
    assert same(again.model, whole.model)


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    """A network taken for pretrained, through all of its passes."""
    folder, listener = tmp_path_factory.mktemp("tuned"), Listener()
    return folder, trained(folder, progress=listener, **TUNING), listener


def test_a_pretrained_network_goes_through_its_passes(tuned):
    folder, result, listener = tuned
    assert [*result.passes][:2] == ["head", "tail"]
    assert ("refit" in result.passes) == (result.passes["tail"].best < 0)
    assert listener.titles[:3] == [
        "Computing features", "Training the head", "Training the last blocks",
    ]  # fmt: skip
    rows = lines(folder)
    phases = [name for name, fitted in result.passes.items() for _ in fitted.epochs]
    assert [row["phase"] for row in rows] == phases
    assert sorted(path.name for path in (folder / "cache").iterdir()) == [
        "head_train.npy", "head_val.npy", "tail_train.npy", "tail_val.npy",
    ]  # fmt: skip


def test_what_stands_before_the_cut_stays_as_it_came(tuned):
    """It is what the cached features were computed with."""
    _, result, _ = tuned
    fresh = small_network(SIZE)
    names = [layer.name for layer in fresh.layers if layer.weights]
    behind = names.index("conv5")
    for name in names[:behind]:
        assert same(fresh.get_layer(name), result.model.get_layer(name)), name
    for name in names[behind:]:
        layer, before = result.model.get_layer(name), fresh.get_layer(name)
        if isinstance(layer, keras().layers.BatchNormalization):
            # A few photos say little about its statistics.
            assert same(before, layer), name


@pytest.fixture(scope="module")
def undone(tmp_path_factory):
    """The same with photos of noise, which no last blocks can tell apart."""
    folder, listener = tmp_path_factory.mktemp("undone"), Listener()
    return folder, trained(folder, progress=listener, learnable=False, **TUNING), listener


def test_last_blocks_that_do_not_help_are_as_they_came(undone):
    """A second pass that fits nothing but the training photos must not make it worse."""
    _, result, listener = undone
    assert list(result.passes) == ["head", "tail", "refit"]
    assert result.passes["tail"].best == -1
    assert any("undone" in note for note in listener.notes)
    fresh = small_network(SIZE)
    for name in ("conv1", "conv5", "conv6", "conv6_bn"):
        assert same(fresh.get_layer(name), result.model.get_layer(name))


@pytest.mark.parametrize(
    ("kind", "title", "share"),
    [
        ("tuned", "Training the last blocks", 0.8),
        ("undone", "Training the head on val too", 0.7),
    ],
)
def test_a_fine_tuning_that_was_killed_goes_on_to_the_same_bits(
    request, tmp_path, kind, title, share
):
    """In whichever pass it was."""
    folder, expected, _ = request.getfixturevalue(kind)
    knobs = TUNING | {"learnable": kind == "tuned"}
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path, progress=KillAt(title, share), **knobs)
    again = trained(tmp_path, **knobs)
    assert same(again.model, expected.model)

    def figures(run):
        return [{k: v for k, v in row.items() if k != "seconds"} for row in lines(run)]

    assert figures(tmp_path) == figures(folder)


def test_a_run_that_is_whole_is_not_trained_again(tuned, tmp_path):
    """Asked for again with the same knobs, it gives the same network in seconds."""
    folder, expected, _ = tuned
    shutil.copytree(folder, tmp_path / "copy")
    listener = Listener()
    again = trained(tmp_path / "copy", progress=listener, **TUNING)
    assert listener.updates == []
    assert same(again.model, expected.model)


def test_without_a_tail_the_head_is_refitted_on_val_too(tmp_path):
    """Photos that settled the length of the pass are learnt from as well."""
    listener = Listener()
    knobs = {"pretrained": True, "epochs": 25, "tail_epochs": 0, "learning_rate": 0.03}
    result = trained(tmp_path, progress=listener, **knobs)
    assert list(result.passes) == ["head", "refit"]
    assert len(result.passes["refit"].epochs) == len(result.passes["head"].epochs)
    assert {row.val_loss for row in result.passes["refit"].epochs} == {None}
    assert "Training the last blocks" not in listener.titles
    assert top1(result.model) > 0.9
    assert not any((tmp_path / "cache").glob("tail*"))
    fresh = small_network(SIZE)
    assert same(fresh.get_layer("conv6"), result.model.get_layer("conv6"))


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
