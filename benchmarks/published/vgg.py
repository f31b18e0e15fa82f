"""VGG-16 and VGG-19."""

import math
from functools import partial

from atoll.tflite.build import GraphBuilder
from atoll.tflite.build_core import Style
from atoll.tflite.graph import Model
from published.network import LOGITS, Network, image, probabilities, table

SOURCE = "arXiv:1409.1556, table 1, columns D and E; Keras applications vgg16.py, vgg19.py"


def vgg(repeats: tuple[int, ...], size: int = 224, style: Style = "int8") -> Model:
    """Stages of 3x3 convolutions, each stage pooled, and three dense layers."""
    b = GraphBuilder(style)
    x = image(b, size)
    for channels, number in zip((64, 128, 256, 512, 512), repeats, strict=True):
        for _ in range(number):
            x = b.conv2d(x, channels, 3, activation="RELU")
        x = b.max_pool(x, 2)
    x = b.reshape(x, (1, math.prod(b.shape(x))))
    for _ in range(2):
        x = b.dense(x, 4096, activation="RELU")
    return probabilities(b, b.dense(x, 1000, output_range=LOGITS))


_SHAPE = (1, 224, 224, 3)
NETWORKS = table(
    Network("vgg16", partial(vgg, (2, 2, 3, 3, 3)), _SHAPE, "int8", SOURCE, 138.36, 15470),
    Network("vgg19", partial(vgg, (2, 2, 4, 4, 4)), _SHAPE, "int8", SOURCE, 143.67, 19632),
)
