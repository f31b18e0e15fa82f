"""A Keras network on its way to TFLite: silent, with a fixed batch and nothing left over."""

import tempfile

import numpy as np
import pytest
from keras_networks import small_network
from litert_files import opened, run, runnable

from atoll.framework import keras
from atoll.quantize.conversion import converter
from atoll.tflite.reader import read_model

SIZE = 16


@pytest.fixture(scope="module")
def network():
    return small_network(SIZE)


def converted(model, batch):
    with converter(model, (batch, SIZE, SIZE, 3)) as converting:
        return converting.convert()


@pytest.mark.parametrize("batch", [1, 5])
def test_the_converted_network_computes_the_same(network, batch):
    """Its variables must be frozen into it: an empty one runs too, and answers nothing."""
    content = converted(network, batch)
    image = np.random.default_rng(0).uniform(-1, 1, (batch, SIZE, SIZE, 3)).astype(np.float32)
    (ours,) = run(runnable(content), [image])
    theirs = np.asarray(network(image, training=False))
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= 1e-4 * np.abs(theirs).max()
    graph = read_model(content).main
    kinds = {op.type for op in graph.operators}
    assert kinds == {"CONV_2D"}
    assert graph.tensors[graph.inputs[0]].shape == (batch, SIZE, SIZE, 3)


def test_outputs_are_named_by_their_place(network):
    """With two outputs of one shape, nothing else says which is which."""
    layers = keras().layers
    pooled = layers.GlobalAveragePooling2D()(network.output)
    largest = layers.GlobalMaxPooling2D()(network.output)
    model = keras().Model(network.input, [largest, pooled])
    interpreter = opened(converted(model, 1))
    runner = interpreter.get_signature_runner()
    image = np.random.default_rng(0).uniform(-1, 1, (1, SIZE, SIZE, 3)).astype(np.float32)
    results = runner(image=image)
    assert sorted(results) == ["output_0", "output_1"]
    for place, expected in enumerate(model(image, training=False)):
        expected = np.asarray(expected)
        np.testing.assert_allclose(results[f"output_{place}"], expected, rtol=1e-3, atol=1e-4)


def test_it_prints_nothing_and_leaves_nothing_behind(network, capfd, tmp_path, monkeypatch):
    """Each conversion writes a whole SavedModel to the temporary folder."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    converted(network, 1)
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_the_same_network_gives_the_same_bytes(network):
    """Otherwise a build could not be told from another by its files."""
    assert converted(network, 1) == converted(network, 1)
