"""Weights out of a TFLite model: a layer that gets another's weights is a network that guesses."""

from dataclasses import replace

import numpy as np
import pytest
from keras_networks import nearest_mean_classifier, random_statistics, small_network, tflite
from litert_files import run, runnable

from atoll.data.arrays import read_pixels
from atoll.errors import AtollError, ModelError, UsageError, WeightsError
from atoll.evaluate.predict import predict
from atoll.framework import keras, tensorflow
from atoll.quantize.conversion import converter
from atoll.runtime.interpreter import Interpreter
from atoll.tflite.graph import Model, Operator, Quantization, Subgraph, Tensor
from atoll.tflite.reader import read_model
from atoll.tflite.writer import write_model
from atoll.train.backbones import BACKBONES
from atoll.train.transfer import agreement, check_agreement, dequantize, from_tflite


def built(name, alpha=1.0, size=None):
    row = BACKBONES[name]
    keras().utils.set_random_seed(5)
    model = row.build((size or row.smallest, size or row.smallest, 3), alpha)
    random_statistics(model)
    return model


def images(model, count=2):
    shape = (count, *model.input.shape[1:])
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)


def assert_same(first, second, tolerance=1e-4):
    """Whether two networks compute the same, to a share of what they compute."""
    image = images(first)
    ours, theirs = (np.asarray(model(image, training=False)) for model in (first, second))
    assert ours.std() > 0
    assert np.abs(ours - theirs).max() <= tolerance * np.abs(theirs).max()


def one_line(caught, *words):
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    for word in words:
        assert word in message


def saved(path, content):
    path.write_bytes(content)
    return path


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A small convnet and its float TFLite model."""
    model = small_network()
    path = tmp_path_factory.mktemp("small") / "small.tflite"
    return model, saved(path, tflite(model))


def test_a_small_network_comes_back_whole(small):
    model, path = small
    transfer = from_tflite(path)
    assert (transfer.row.name, transfer.alpha, transfer.layers) == ("small_convnet", 0.5, 6)
    assert transfer.head is None
    assert not transfer.resized
    assert_same(transfer.model, model)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "alpha"),
    [
        ("mobilenet_v1", 0.25),
        ("mobilenet_v2", 0.35),
        ("mobilenet_v2", 1.0),
        ("inception_v3", 1.0),
        ("resnet50", 1.0),
        ("vgg16", 1.0),
        ("efficientnet_lite0", 1.0),
    ],
)
def test_every_backbone_is_found_again_in_its_tflite_model(name, alpha, tmp_path):
    """What Atoll or anybody else exported can be trained on, as the network that it was."""
    model = built(name, alpha)
    transfer = from_tflite(saved(tmp_path / "x.tflite", tflite(model)))
    assert (transfer.row.name, transfer.alpha) == (name, alpha)
    assert transfer.layers == sum(BACKBONES[name].convolutions)
    assert_same(transfer.model, model)


def test_a_scale_that_the_converter_folded_in_is_taken_out_again(tmp_path, monkeypatch):
    """Inception-ResNet scales its branches; counted twice, they all but vanish, silently."""

    def build(shape, alpha):
        from keras.src.applications.inception_resnet_v2 import CustomScaleLayer

        layers = keras().layers
        image = keras().Input(shape)
        x = layers.Conv2D(int(8 * alpha), 3, padding="same", activation="relu")(image)
        for scale in (0.17, 1.0, 0.2):
            branch = layers.Conv2D(4, 3, padding="same", activation="relu")(x)
            x = CustomScaleLayer(scale)([x, layers.Conv2D(int(8 * alpha), 1)(branch)])
            x = layers.ReLU()(x)
        return keras().Model(image, x)

    row = replace(BACKBONES["small_convnet"], name="scaled", build=build, convolutions=(7, 0))
    monkeypatch.setitem(BACKBONES, "scaled", row)
    keras().utils.set_random_seed(3)
    model = build((16, 16, 3), 1.0)
    for layer in model.layers:
        if layer.weights:
            layer.set_weights(
                [w + np.random.default_rng(0).normal(0, 0.1, w.shape) for w in layer.get_weights()]
            )
    transfer = from_tflite(saved(tmp_path / "x.tflite", tflite(model)))
    assert transfer.row.name == "scaled"
    assert_same(transfer.model, model)


def test_half_precision_files_are_read_too(small, tmp_path):
    """Their weights stand behind a DEQUANTIZE."""
    model, _ = small
    tf = tensorflow()
    with converter(model, (1, 16, 16, 3)) as converting:
        converting.optimizations = [tf.lite.Optimize.DEFAULT]
        converting.target_spec.supported_types = [tf.float16]
        content = converting.convert()
    assert "FLOAT16" in {tensor.type for tensor in read_model(content).main.tensors}
    transfer = from_tflite(saved(tmp_path / "half.tflite", content))
    assert_same(transfer.model, model, tolerance=5e-3)


def test_a_head_of_one_layer_comes_along(tmp_path):
    """By it a person can see that the network still gives the file's answers."""
    network = small_network()
    pixels = np.random.default_rng(0).integers(0, 256, (24, 16, 16, 3), np.uint8)
    prepare = BACKBONES["small_convnet"].preprocessing(16, 16)
    model = nearest_mean_classifier(network, prepare.normalize(pixels), np.arange(24) % 4)
    path = saved(tmp_path / "whole.tflite", tflite(model))
    transfer = from_tflite(path)
    kernel, bias = transfer.head
    assert kernel.shape == (64, 4)
    assert np.array_equal(kernel, np.asarray(model.layers[-1].kernel))
    assert np.array_equal(bias, np.asarray(model.layers[-1].bias))
    assert agreement(transfer, pixels) == (1.0, 1.0)
    # Another head's answers are others.
    wrong = replace(transfer, head=(np.roll(kernel, 1, axis=1), np.roll(bias, 1)))
    assert agreement(wrong, pixels)[0] < 0.5


def test_a_head_that_sees_no_average_is_no_head_of_ours(tmp_path):
    """A dense layer over the whole plane has another shape than Atoll's own."""
    network = small_network()
    layers = keras().layers
    x = layers.Dense(5)(layers.Flatten()(network.output))
    transfer = from_tflite(saved(tmp_path / "f.tflite", tflite(keras().Model(network.input, x))))
    assert transfer.head is None
    assert_same(transfer.model, network)
    with pytest.raises(WeightsError) as caught:
        transfer.classifier()
    one_line(caught, "f.tflite", "one layer behind an average")


def test_two_layers_behind_the_network_are_no_head_of_ours(tmp_path):
    network = small_network()
    layers = keras().layers
    x = layers.GlobalAveragePooling2D()(network.output)
    x = layers.Dense(5)(layers.Dense(7, activation="relu")(x))
    transfer = from_tflite(saved(tmp_path / "2.tflite", tflite(keras().Model(network.input, x))))
    assert transfer.head is None


def test_another_input_size_takes_the_same_weights(small):
    """A published model at 224 can be trained on for a faster camera at 96."""
    model, path = small
    transfer = from_tflite(path, size=(40, 24))
    assert transfer.resized
    assert transfer.model.input.shape == (None, 24, 40, 3)
    assert (transfer.preprocessing.width, transfer.preprocessing.height) == (40, 24)
    for ours, theirs in zip(
        transfer.model.get_weights(), from_tflite(path).model.get_weights(), strict=True
    ):
        assert np.array_equal(ours, theirs)
    assert not from_tflite(path, size=(16, 16)).resized
    assert_same(from_tflite(path, size=(16, 16)).model, model)


def test_a_size_that_the_network_cannot_take_is_one_line(small):
    with pytest.raises(UsageError) as caught:
        from_tflite(small[1], size=(8, 8))
    one_line(caught, "--size", "16 to 1024", "8x8")


def test_another_backbone_than_the_file_s_is_refused(small):
    """Naming the wrong network must not fill it half."""
    with pytest.raises(WeightsError) as caught:
        from_tflite(small[1], backbone="mobilenet_v2")
    one_line(caught, "mobilenet_v2", "6 CONV_2D and 0 DEPTHWISE_CONV_2D")
    assert from_tflite(small[1], backbone="small_convnet").alpha == 0.5
    with pytest.raises(UsageError) as caught:
        from_tflite(small[1], backbone="no_such_net")
    one_line(caught, "no_such_net")


def test_as_many_convolutions_in_another_order_are_another_network(tmp_path):
    """The number of layers is a hint, not a proof."""
    layers = keras().layers
    image = x = keras().Input((16, 16, 3))
    for filters in (128, 128, 96, 64, 48, 32):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
    with pytest.raises(WeightsError) as caught:
        from_tflite(saved(tmp_path / "x.tflite", tflite(keras().Model(image, x))))
    one_line(caught, "6 CONV_2D and 0 DEPTHWISE_CONV_2D", "one of the backbones")


def test_an_input_below_the_network_s_smallest_is_refused(tmp_path):
    """Thirteen convolutions in a model of 20 pixels are no VGG16."""
    layers = keras().layers
    image = x = keras().Input((20, 20, 3))
    for _ in range(13):
        x = layers.Conv2D(4, 3, padding="same")(x)
    path = saved(tmp_path / "x.tflite", tflite(keras().Model(image, x)))
    for backbone in (None, "vgg16"):
        with pytest.raises(WeightsError) as caught:
            from_tflite(path, backbone=backbone)
        one_line(caught, "13 CONV_2D")


QUANTISED = [
    ("v10/mobilenet_v2_1.0_224_quant", "mobilenet_v2", 1.0),
    ("v10/mobilenet_v2_1.0_224_inat_bird_quant", "mobilenet_v2", 1.0),
    ("v10/mobilenet_v1_0.25_128_quant", "mobilenet_v1", 0.25),
    ("v10/mobilenet_v1_0.75_192_quant", "mobilenet_v1", 0.75),
    ("v13/tf2_mobilenet_v2_1.0_224_ptq", "mobilenet_v2", 1.0),
]
NEAR_TIE = 0.3


@pytest.mark.parametrize(("model", "name", "alpha"), QUANTISED)
def test_coral_s_models_give_the_same_answers_in_float(shared, model, name, alpha):
    """Their checkpoints can no longer be loaded: the 8-bit files are what is left of them.

    8-bit activations may decide otherwise between two classes that the float network holds
    nearly equal, and only there: a weight in the wrong place changes every answer.
    """
    path = shared / f"models/{model}.tflite"
    transfer = from_tflite(path)
    assert (transfer.row.name, transfer.alpha) == (name, alpha)
    assert transfer.layers == sum(BACKBONES[name].convolutions)
    photos = shared / "data/photos"
    files = sorted(p for p in photos.iterdir() if p.suffix in (".bmp", ".jpg"))
    assert len(files) >= 13
    prepare = transfer.preprocessing
    pixels = np.stack([read_pixels(p, prepare) for p in files])
    logits = np.asarray(transfer.classifier()(prepare.normalize(pixels)))
    litert = runnable(path)
    scale, zero_point = litert.get_input_details()[0]["quantization"]
    stored = prepare.quantize(pixels, scale, zero_point, np.uint8)
    theirs = np.array([int(np.argmax(run(litert, [photo[None]])[0])) for photo in stored])
    ours = logits.argmax(axis=1)
    differing = np.nonzero(ours != theirs)[0]
    assert len(differing) <= 2
    for i in differing:
        assert logits[i, ours[i]] - logits[i, theirs[i]] < NEAR_TIE
    same, among_five = agreement(transfer, pixels)
    assert same == pytest.approx(1 - len(differing) / len(files))
    assert among_five == 1
    check_agreement(transfer, among_five)


@pytest.mark.parametrize(
    "model",
    [
        "v10/mobilenet_edgetpu_0.75_224_post_training_quant",
        "v10/deeplabv3_mnv2_dm05_pascal_quant",
        "v10/mobilenet_v1_0.25_128_quant_edgetpu",
        "v13/keras_lstm_mnist_ptq",
        "v16/dense_512",
    ],
)
def test_other_networks_are_refused_in_one_line(shared, model):
    """The same number of layers, or a compiled file, is no reason to fill a network wrongly."""
    with pytest.raises((WeightsError, ModelError)) as caught:
        from_tflite(shared / f"models/{model}.tflite")
    one_line(caught, model.rsplit("/", 1)[1])


def test_a_network_that_answers_otherwise_is_refused(small):
    """The same layers may pad or activate in another way."""
    transfer = from_tflite(small[1])
    check_agreement(transfer, 0.5)
    with pytest.raises(WeightsError) as caught:
        check_agreement(transfer, 0.03)
    one_line(caught, "small.tflite", "3%")


def constants(rng, kind, axis):
    """A random 8-bit constant, per tensor or along an axis."""
    shape = (3, 2, 4, 5)
    data = rng.integers(-128, 128, shape).astype(np.int8)
    if kind == "UINT8":
        data = (data.astype(int) + 128).astype(np.uint8)
    count = 1 if axis is None else shape[axis]
    scale = rng.uniform(0.001, 2, count).astype(np.float32)
    low, high = np.iinfo(data.dtype).min, np.iinfo(data.dtype).max
    zero_point = rng.integers(low, high + 1, count).astype(np.int64)
    return Tensor(
        "kernel", kind, shape, quantization=Quantization(scale, zero_point, axis or 0), data=data
    )


@pytest.mark.parametrize("kind", ["INT8", "UINT8"])
@pytest.mark.parametrize("axis", [None, 0, 3])
def test_dequantised_weights_are_litert_s_own(kind, axis):
    """Per channel along the wrong axis, every filter would have another one's scale."""
    tensor = constants(np.random.default_rng(axis or 7), kind, axis)
    output = Tensor("real", "FLOAT32", tensor.shape)
    stored = replace(tensor, data=None)
    graph = Subgraph("main", [stored, output], [Operator("DEQUANTIZE", [0], [1], 6)], [0], [1])
    (theirs,) = run(runnable(write_model(Model([graph]))), [tensor.data])
    ours = dequantize(tensor)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)


def test_dequantised_weights_follow_the_formula():
    """real = scale * (stored - zero point), a scale for each filter."""
    data = np.array([[-128, 0], [127, 1]], np.int8)
    scale, zero_point = np.float32([0.5, 2.0]), np.int64([0, 1])
    rows = Tensor("x", "INT8", (2, 2), quantization=Quantization(scale, zero_point, 0), data=data)
    assert dequantize(rows).tolist() == [[-64, 0], [252, 0]]
    columns = replace(rows, quantization=Quantization(scale, zero_point, 1))
    assert dequantize(columns).tolist() == [[-64, -2], [63.5, 0]]
    one = Quantization(np.float32([0.1]), np.int64([3]))
    bias = Tensor("b", "INT32", (2,), quantization=one, data=np.array([2**31 - 1, 3], np.int32))
    np.testing.assert_allclose(dequantize(bias), [(2**31 - 4) * 0.1, 0], rtol=1e-6)
    plain = Tensor("f", "FLOAT16", (2,), data=np.array([0.5, -2], np.float16))
    assert dequantize(plain).tolist() == [0.5, -2]


def damaged(graph, op):
    """Ways in which a file that can be read still makes no sense of its operators."""
    kernel, bias = graph.tensors[op.inputs[1]], graph.tensors[op.inputs[2]]

    def tensor(index, **changes):
        graph.tensors[op.inputs[index]] = replace(graph.tensors[op.inputs[index]], **changes)

    nan = np.full(kernel.shape, np.nan, np.float32)
    return {
        "no options": lambda: setattr(op, "options", None),
        "no inputs": lambda: setattr(op, "inputs", op.inputs[:1]),
        "flat kernel": lambda: tensor(1, shape=(kernel.data.size,), data=kernel.data.reshape(-1)),
        "nan kernel": lambda: tensor(1, data=nan),
        "computed kernel": lambda: tensor(1, data=None, is_variable=True),
        "packed kernel": lambda: tensor(
            1, type="INT4", data=np.zeros((kernel.data.size + 1) // 2, np.uint8)
        ),
        "short bias": lambda: tensor(2, shape=(1,), data=bias.data[:1]),
        "no image": lambda: setattr(graph, "inputs", []),
        "bad scale": lambda: tensor(
            1, quantization=Quantization(np.float32([np.nan]), np.int64([0]))
        ),
    }


DAMAGES = [
    "no options", "no inputs", "flat kernel", "nan kernel", "computed kernel", "packed kernel",
    "short bias", "no image", "bad scale",
]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("which", [0, 3])
def test_a_damaged_file_is_one_line(small, tmp_path, damage, which):
    """Files from the net are not all what they say."""
    model = read_model(small[1])
    convolutions = [op for op in model.main.operators if op.type == "CONV_2D"]
    damaged(model.main, convolutions[which])[damage]()
    path = saved(tmp_path / "bad.tflite", write_model(model))
    with pytest.raises(AtollError) as caught:
        from_tflite(path)
    one_line(caught, "bad.tflite")


def test_the_file_s_own_scores_are_those_compared(small):
    """A network without a head has nothing to compare: it says so."""
    transfer = from_tflite(small[1])
    with pytest.raises(WeightsError):
        agreement(transfer, np.zeros((1, 16, 16, 3), np.uint8))
    with Interpreter(small[1], device="cpu") as interpreter, pytest.raises(ModelError):
        predict(interpreter, transfer.preprocessing, np.zeros((1, 16, 16, 3), np.uint8))
