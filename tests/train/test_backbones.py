"""The table of backbones: a wrong row trains for an hour, then fails, or takes no weights."""

import numpy as np
import pytest

from atoll.errors import UsageError
from atoll.framework import keras
from atoll.train.backbones import BACKBONES, check_alpha, check_size, find_backbone

ROWS = [pytest.param(row, id=row.name) for row in BACKBONES.values()]


def refusal(call, *arguments) -> str:
    with pytest.raises(UsageError) as caught:
        call(*arguments)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


@pytest.fixture(scope="module")
def built():
    """Each row's network at its smallest size and width, built once."""
    networks = {}

    def build(row):
        if row.name not in networks:
            check_size(row, row.smallest, row.smallest)
            networks[row.name] = row.build((row.smallest, row.smallest, 3), row.alphas[0])
        return networks[row.name]

    return build


@pytest.mark.parametrize("row", ROWS)
def test_every_row_builds_and_has_the_convolutions_that_it_says(row, built):
    """By their number a TFLite model is found to be this network."""
    model = built(row)
    kinds = [type(layer).__name__ for layer in model.layers]
    assert (kinds.count("Conv2D"), kinds.count("DepthwiseConv2D")) == row.convolutions
    assert model.input.shape == (None, row.smallest, row.smallest, 3)
    assert len(model.output.shape) == 4


@pytest.mark.parametrize("row", ROWS)
def test_what_follows_the_cut_can_be_trained_by_itself(row, built):
    """The second pass trains what is behind the cut, from the cut's own features."""
    model = built(row)
    if not row.cut:
        assert not row.application, "pretrained weights deserve the two passes"
        return
    cut = model.get_layer(row.cut).output
    tail = keras().Model(cut, model.output)
    weighted = sum(bool(layer.trainable_weights) for layer in tail.layers)
    assert 0 < weighted < sum(bool(layer.trainable_weights) for layer in model.layers)
    trunk = keras().Model(model.input, cut)
    image = np.random.default_rng(0).uniform(-1, 1, (1, *model.input.shape[1:])).astype(np.float32)
    np.testing.assert_allclose(
        tail(trunk(image, training=False), training=False),
        model(image, training=False),
        rtol=1e-4,
        atol=1e-5,
    )


@pytest.mark.parametrize("row", ROWS)
def test_every_row_speaks_for_itself(row):
    assert BACKBONES[row.name] is row
    check_size(row, row.size, row.size)
    check_alpha(row, 1.0)
    assert row.alphas == tuple(sorted(row.alphas))
    assert row.edgetpu.endswith(".")
    assert not row.application or hasattr(keras().applications, row.application)


@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v2", "small_convnet"])
def test_the_width_multiplier_reaches_the_network(name):
    """Otherwise a small network is asked for, and the large one is built."""
    row = BACKBONES[name]
    sizes = [
        row.build((row.smallest, row.smallest, 3), alpha).count_params() for alpha in row.alphas
    ]
    assert sizes == sorted(set(sizes))


def test_efficientnet_lite0_is_the_published_network(built):
    """Google states 4.65 million parameters, with its 1000 classes."""
    model = built(BACKBONES["efficientnet_lite0"])
    assert model.count_params() == 3_413_024
    layers = keras().layers
    x = layers.GlobalAveragePooling2D()(model.output)
    whole = keras().Model(model.input, layers.Dense(1000)(x))
    trainable = sum(int(np.prod(v.shape)) for v in whole.trainable_weights)
    assert round(trainable / 1e6, 2) == 4.65


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("mobilenet_v1", "mobilenet"),
        ("mobilenet_v2", "mobilenet_v2"),
        ("inception_v3", "inception_v3"),
        ("inception_resnet_v2", "inception_resnet_v2"),
        ("resnet50", "resnet50"),
        ("vgg16", "vgg16"),
    ],
)
def test_photos_are_prepared_as_keras_s_weights_want_them(name, module):
    """ImageNet weights fed other numbers still give answers, only worse ones.

    Up to one step of a pixel: 128 stands for 127.5, so that 8-bit pixels need no rescaling.
    """
    row = BACKBONES[name]
    pixels = np.random.default_rng(0).integers(0, 256, (2, 8, 9, 3), np.uint8)
    ours = row.preprocessing(9, 8).normalize(pixels)
    theirs = getattr(keras().applications, module).preprocess_input(pixels.astype(np.float32))
    step = 1 / 128 if row.std[0] == 128 else 1e-4
    assert np.abs(ours - theirs).max() <= step
    assert (row.preprocessing(9, 8).width, row.preprocessing(9, 8).height) == (9, 8)


def test_an_unknown_backbone_is_answered_with_the_known_ones():
    message = refusal(find_backbone, "mobilnet_v2")
    assert "mobilnet_v2" in message
    assert all(name in message for name in BACKBONES)
    assert find_backbone("resnet50").name == "resnet50"


@pytest.mark.parametrize(
    ("name", "size", "words"),
    [
        ("mobilenet_v2", (224, 225), ["224x225", "32 to 1024", "multiple of 32"]),
        ("mobilenet_v2", (0, 224), ["0x224"]),
        ("mobilenet_v2", (-32, 32), ["-32x32"]),
        ("inception_v3", (74, 75), ["75 to 1024", "74x75"]),
        ("small_convnet", (2048, 64), ["16 to 1024", "2048x64"]),
    ],
)
def test_a_size_that_the_network_cannot_take_is_refused_first(name, size, words):
    """Before photos are decoded, not by a shape error of Keras's afterwards."""
    message = refusal(check_size, BACKBONES[name], *size)
    assert all(word in message for word in [*words, "--size", name])


def test_sizes_that_differ_in_width_and_height_are_taken():
    check_size(BACKBONES["mobilenet_v2"], 320, 96)
    assert "multiple" not in refusal(check_size, BACKBONES["resnet50"], 31, 31)


def test_a_width_that_there_is_not_is_answered_with_those_there_are():
    message = refusal(check_alpha, BACKBONES["mobilenet_v2"], 0.75001)
    assert "0.35, 0.5, 0.75, 1.0, 1.3, 1.4" in message
    assert "--alpha" in message
    assert refusal(check_alpha, BACKBONES["vgg16"], 0.5)
    assert refusal(check_alpha, BACKBONES["mobilenet_v1"], float("nan"))
    check_alpha(BACKBONES["mobilenet_v2"], 1.4)
