"""Small networks to learn on, of the shapes in which classifiers come. Their weights are random."""

import numpy as np

from atoll.tflite.build import GraphBuilder
from atoll.tflite.build_core import GraphState, option

SIDE = 24


def backbone(builder, channels=32):
    """A few convolutions over an image: the index of a plane of 6 x 6."""
    x = builder.input((1, SIDE, SIDE, 3), low=0.0, high=1.0, name="image")
    x = builder.conv2d(x, 16, kernel=3, stride=2, activation="RELU6")
    return builder.conv2d(x, channels, kernel=3, stride=2, activation="RELU6")


def mobilenet_like(style="uint8", classes=5, channels=32):
    """Pooling, a convolution of 1 x 1, a reshape, a softmax: as TensorFlow 1 wrote MobileNets."""
    b = GraphBuilder(style, seed=3)
    x = b.average_pool(backbone(b, channels), 6)
    x = b.conv2d(x, classes, kernel=1)
    return b.model(b.softmax(b.reshape(x, (1, classes))))


def keras_like(style="int8", classes=5):
    """A mean, a dense layer, a softmax, and a conversion to uint8: as Keras' models come."""
    b = GraphBuilder(style, seed=4)
    x = b.softmax(b.dense(b.mean(backbone(b)), classes))
    if style == "int8":
        held = b.quantization(0.0, 255 / 256)
        held.zero_point = held.zero_point + 128
        x = b.op(
            "QUANTIZE", [x], [b.shape(x)], option("Quantize"), quantization=held,
            output_type="UINT8",
        )[0]  # fmt: skip
    return b.model(x)


def vgg_like(classes=5):
    """Two dense layers over a flattened plane."""
    b = GraphBuilder("int8", seed=5)
    x = b.reshape(b.max_pool(backbone(b), 2), (1, 3 * 3 * 32))
    x = b.dense(x, 40, activation="RELU")
    return b.model(b.softmax(b.dense(x, classes)))


def squeezenet_like(classes=5):
    """The dense layer is a convolution over a plane, and its scores are averaged."""
    b = GraphBuilder("uint8", seed=6)
    x = b.conv2d(backbone(b), classes, kernel=1, activation="RELU")
    return b.model(b.softmax(b.reshape(b.average_pool(x, 6), (1, classes))))


def plane_model():
    """No head at all: a plane of features."""
    b = GraphBuilder("int8", seed=7)
    return b.model(backbone(b))


def pooled_model(style="uint8"):
    """An embedding extractor."""
    b = GraphBuilder(style, seed=3)
    return b.model(b.average_pool(backbone(b), 6))


def float_model(classes=5):
    """The same in float: a convolution, a mean, a dense layer, a softmax."""
    rng = np.random.default_rng(8)
    b = GraphState()
    x = b.input((1, SIDE, SIDE, 3), "FLOAT32", name="image")
    kernel = b.constant(rng.normal(size=(32, 3, 3, 3)).astype(np.float32))
    bias = b.constant(rng.normal(size=32).astype(np.float32))
    window = option("Conv2D", padding=0, strideH=4, strideW=4, fusedActivationFunction=1)
    (x,) = b.op("CONV_2D", [x, kernel, bias], [(1, 6, 6, 32)], window)
    (x,) = b.op("MEAN", [x, b.constant([1, 2])], [(1, 32)], option("Reducer"))
    weights = b.constant(rng.normal(size=(classes, 32)).astype(np.float32))
    zeros = b.constant(np.zeros(classes, np.float32))
    (x,) = b.op("FULLY_CONNECTED", [x, weights, zeros], [(1, classes)], option("FullyConnected"))
    (x,) = b.op("SOFTMAX", [x], [(1, classes)], option("Softmax", beta=1.0))
    return b.model(x)


BASES = {
    "mobilenet, uint8": mobilenet_like,
    "mobilenet, int8": lambda: mobilenet_like("int8"),
    "keras": keras_like,
    "vgg": vgg_like,
    "squeezenet": squeezenet_like,
    "extractor": pooled_model,
    "plane": plane_model,
    "float": float_model,
}
"""By name; "plane" has no head, and its tensor must be named."""


def blobs(classes, count, size=32, seed=0):
    """Embeddings of classes that lie apart, none of them negative, and the class of each."""
    rng = np.random.default_rng(seed)
    middles = rng.uniform(0, 3, (classes, size))
    labels = np.repeat(np.arange(classes), count)
    return np.maximum(middles[labels] + rng.normal(0, 0.4, (len(labels), size)), 0), labels
