"""DenseNet-121, in the form of Keras, as an 8-bit conversion leaves it."""

from atoll.tflite.build import GraphBuilder
from atoll.tflite.build_core import Style
from atoll.tflite.graph import Model
from published.network import Network, image, keras_head, normalised, padded, table

SOURCE = "arXiv:1608.06993, table 1; Keras applications densenet.py"

_GROWTH = 32


def densenet(repeats: tuple[int, ...], size: int = 224, style: Style = "int8") -> Model:
    """Every layer reads all before it; normalisation stands before the convolution.

    The normalisation of a sum of many layers cannot move into one of them, and stays as MUL and
    ADD; the one between the two convolutions of a layer moves into the first.
    """
    b = GraphBuilder(style)
    x = b.conv2d(padded(b, image(b, size), 3, 3), 64, 7, 2, "VALID", activation="RELU")
    x = b.max_pool(padded(b, x, 1, 1), 3, 2)
    for stage, number in enumerate(repeats):
        for _ in range(number):
            y = b.conv2d(normalised(b, x), 4 * _GROWTH, 1, activation="RELU")
            x = b.concat([x, b.conv2d(y, _GROWTH, 3, zero_bias=True)])
        if stage < len(repeats) - 1:
            half = b.shape(x)[3] // 2
            x = b.average_pool(b.conv2d(normalised(b, x), half, 1, zero_bias=True), 2, 2)
    return keras_head(b, normalised(b, x))


def densenet121() -> Model:
    """The smallest of the paper."""
    return densenet((6, 12, 24, 16))


_SHAPE = (1, 224, 224, 3)
# Parameters: Keras applications.
NETWORKS = table(Network("densenet121_224", densenet121, _SHAPE, "int8", SOURCE, 8.06, 2830))
