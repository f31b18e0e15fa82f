"""Weights from Keras's download or a .keras file: the right layers, or one clear line."""

import io
import socket
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from keras_networks import small_network

from atoll.errors import WeightsError
from atoll.framework import keras
from atoll.train.backbones import BACKBONES
from atoll.train.weights import load_imagenet, load_keras_file

ROW = BACKBONES["small_convnet"]


def one_line(caught, *words):
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    for word in words:
        assert word in message


def refused(path, model=None):
    before = None if model is None else model.get_weights()
    with pytest.raises(WeightsError) as caught:
        load_keras_file(path, model or ROW.build((16, 16, 3), 0.5))
    if before is not None:
        for old, new in zip(before, model.get_weights(), strict=True):
            assert np.array_equal(old, new), "a refused file changed the network"
    return caught


@pytest.fixture(scope="module")
def network():
    return small_network()


def same_weights(first, second):
    pairs = zip(first.get_weights(), second.get_weights(), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


def with_head(network, nested=False):
    layers = keras().layers
    image = keras().Input(network.input.shape[1:])
    x = network(image) if nested else network.output
    x = layers.Dense(3)(layers.GlobalAveragePooling2D()(x))
    return keras().Model(image if nested else network.input, x)


@pytest.mark.parametrize("head", ["none", "flat", "nested"])
def test_a_network_comes_back_from_its_file(network, tmp_path, head):
    """With its head, as Atoll saves it, or wrapped in another model, as many scripts do."""
    saved = network if head == "none" else with_head(network, nested=head == "nested")
    saved.save(tmp_path / "x.keras")
    other = ROW.build((32, 24, 3), 0.5)
    assert not same_weights(other, network)
    assert load_keras_file(tmp_path / "x.keras", other) == 12
    assert same_weights(other, network)


def test_another_width_is_refused_by_its_first_layer(network, tmp_path):
    """Without --alpha of the file, the message must say which layer does not fit."""
    small_network(alpha=1.0).save(tmp_path / "wide.keras")
    caught = refused(tmp_path / "wide.keras", network)
    one_line(caught, "wide.keras", "conv1", "(3, 3, 3, 16)", "(3, 3, 3, 32)", "--alpha")


def test_a_network_that_ends_too_early_is_refused(network, tmp_path):
    half = keras().Model(network.input, network.get_layer("conv4_relu").output)
    half.save(tmp_path / "half.keras")
    one_line(refused(tmp_path / "half.keras", network), "conv5", "no more layers")


def test_a_file_of_another_kind_is_one_line(tmp_path):
    (tmp_path / "notes.keras").write_text("these are no weights\n")
    one_line(refused(tmp_path / "notes.keras"), "notes.keras", ".keras file")
    (tmp_path / "empty.keras").write_bytes(b"")
    one_line(refused(tmp_path / "empty.keras"), "empty.keras")
    (tmp_path / "folder.keras").mkdir()
    one_line(refused(tmp_path / "folder.keras"), "folder.keras")
    one_line(refused(tmp_path / "missing.keras"), "no such file")
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr("cat.jpg", b"x")
    one_line(refused(tmp_path / "photos.zip"), "photos.zip")


def rewritten(path, changes):
    """A .keras file with some of its members exchanged."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in (members | changes).items():
            if data is not None:
                archive.writestr(name, data)
    return content.getvalue()


@pytest.mark.parametrize(
    "changes",
    [
        {"config.json": b"{"},
        {"config.json": b"[]"},
        {"config.json": b"7"},
        {"config.json": b"{}"},
        {"config.json": b'{"module": "os", "class_name": "system", "config": "true"}'},
        {"config.json": b'{"module": "keras.layers", "class_name": "Dense", "config": 3}'},
        {"config.json": b"[" * 100_000},
        {"config.json": None},
        {"model.weights.h5": b"no weights"},
        {"model.weights.h5": None},
    ],
)
def test_a_damaged_keras_file_is_one_line(network, tmp_path, changes):
    """Files from the net are not all what they say."""
    network.save(tmp_path / "x.keras")
    (tmp_path / "bad.keras").write_bytes(rewritten(tmp_path / "x.keras", changes))
    one_line(refused(tmp_path / "bad.keras", network), "bad.keras")


def test_a_cut_off_keras_file_is_one_line(network, tmp_path):
    """A download that broke off, or a bit that flipped."""
    network.save(tmp_path / "x.keras")
    whole = (tmp_path / "x.keras").read_bytes()
    (tmp_path / "cut.keras").write_bytes(whole[: len(whole) // 2])
    one_line(refused(tmp_path / "cut.keras", network), "cut.keras")
    flipped = bytearray(whole)
    flipped[whole.index(b'"config"')] ^= 0xFF
    (tmp_path / "flipped.keras").write_bytes(flipped)
    one_line(refused(tmp_path / "flipped.keras", network), "flipped.keras")


def test_a_layer_alone_is_no_network(tmp_path):
    """Keras saves layers under the same name."""
    from keras.src.saving import saving_lib

    layer = keras().layers.Dense(3)
    layer.build((None, 4))
    saving_lib.save_model(layer, tmp_path / "layer.keras")
    one_line(refused(tmp_path / "layer.keras"), "layer.keras", "conv1")


def test_code_in_a_keras_file_is_not_run(tmp_path):
    """A weights file from a stranger must not be able to delete one's own files."""
    target = tmp_path / "touched"
    layers = keras().layers
    image = keras().Input((16, 16, 3))
    harm = eval(f"lambda x: (__import__('pathlib').Path({str(target)!r}).touch(), x)[1]")
    x = layers.Lambda(harm, output_shape=(16, 16, 3))(image)
    keras().Model(image, layers.Conv2D(16, 3)(x)).save(tmp_path / "evil.keras")
    target.unlink(missing_ok=True)
    one_line(refused(tmp_path / "evil.keras"), "evil.keras", "without Python code")
    assert not target.exists()


def test_a_row_without_published_weights_says_so_at_once(network):
    with pytest.raises(WeightsError) as caught:
        load_imagenet(ROW, network, 0.5)
    one_line(caught, "small_convnet", "--init-from", "--weights none")


def test_a_width_without_published_weights_says_so():
    """Keras has ImageNet weights for some widths only."""
    row = BACKBONES["mobilenet_v2"]
    with pytest.raises(WeightsError) as caught:
        load_imagenet(row, row.build((32, 32, 3), 0.35), 0.36)
    one_line(caught, "mobilenet_v2", "0.36", "this width")


@pytest.mark.slow
def test_imagenet_without_a_network_names_the_ways_without():
    """It must not hang, and must say what works offline."""
    before = socket.getdefaulttimeout()
    try:
        socket.create_connection(("storage.googleapis.com", 443), timeout=5).close()
    except OSError:
        pass
    else:
        pytest.skip("there is a network here")
    if any((Path.home() / ".keras/models").glob("mobilenet_v2*")):
        pytest.skip("Keras has the weights already")
    row = BACKBONES["mobilenet_v2"]
    model = row.build((32, 32, 3), 0.35)
    began = time.monotonic()
    with pytest.raises(WeightsError) as caught:
        load_imagenet(row, model, 0.35)
    assert time.monotonic() - began < 30
    one_line(caught, "mobilenet_v2", "--init-from X.tflite", "--weights X.keras", "--weights none")
    assert socket.getdefaulttimeout() == before
