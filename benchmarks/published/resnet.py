"""ResNet v1 and v2, in the form that Keras gives them."""

from functools import partial

from atoll.tflite.build import GraphBuilder
from atoll.tflite.build_core import Style
from atoll.tflite.graph import Model
from published.network import Network, image, keras_head, normalised, padded, table

V1 = "arXiv:1512.03385, table 1; Keras applications resnet.py"
V2 = "arXiv:1603.05027; Keras applications resnet_v2.py"

_WIDTHS = (64, 128, 256, 512)


def _stem(b: GraphBuilder, size: int, activation: str | None) -> int:
    x = b.conv2d(padded(b, image(b, size), 3, 3), 64, 7, 2, "VALID", activation=activation)
    return b.max_pool(padded(b, x, 1, 1), 3, 2)


def v1(repeats: tuple[int, ...], size: int = 224, style: Style = "int8") -> Model:
    """The bottleneck form; the first 1x1 convolution of a stage has its stride."""
    b = GraphBuilder(style)
    x = _stem(b, size, "RELU")
    for stage, (width, number) in enumerate(zip(_WIDTHS, repeats, strict=True)):
        for block in range(number):
            stride = 2 if stage and not block else 1
            shortcut = x if block else b.conv2d(x, 4 * width, 1, stride)
            y = b.conv2d(x, width, 1, stride, activation="RELU")
            y = b.conv2d(y, width, 3, activation="RELU")
            x = b.add(shortcut, b.conv2d(y, 4 * width, 1), "RELU")
    return keras_head(b, x)


def v2(repeats: tuple[int, ...], size: int = 224, style: Style = "int8") -> Model:
    """Normalised before each block; the last block of a stage has its stride."""
    b = GraphBuilder(style)
    x = _stem(b, size, None)
    for stage, (width, number) in enumerate(zip(_WIDTHS, repeats, strict=True)):
        for block in range(number):
            stride = 2 if block == number - 1 and stage < 3 else 1
            x = _v2_block(b, x, width, stride, projected=block == 0)
    return keras_head(b, normalised(b, x))


def _v2_block(b: GraphBuilder, x: int, width: int, stride: int, projected: bool) -> int:
    active = normalised(b, x)
    if projected:
        shortcut = b.conv2d(active, 4 * width, 1, stride)
    else:
        shortcut = b.max_pool(x, 1, stride) if stride > 1 else x
    y = b.conv2d(active, width, 1, activation="RELU")
    y = b.conv2d(padded(b, y, 1, 1), width, 3, stride, "VALID", activation="RELU")
    return b.add(shortcut, b.conv2d(y, 4 * width, 1))


def _row(
    name: str,
    version: int,
    repeats: tuple[int, ...],
    size: int,
    parameters: float,
    macs: float | None,
) -> Network:
    build = partial(v1 if version == 1 else v2, repeats, size)
    source = V1 if version == 1 else V2
    return Network(name, build, (1, size, size, 3), "int8", source, parameters, macs)


# Parameters: Keras applications. MACs at 224: arXiv:1512.03385, table 1.
NETWORKS = table(
    _row("resnet50_v1_224", 1, (3, 4, 6, 3), 224, 25.64, 3860),
    _row("resnet50_v1_299", 1, (3, 4, 6, 3), 299, 25.64, None),
    _row("resnet50_v2_224", 2, (3, 4, 6, 3), 224, 25.61, None),
    _row("resnet50_v2_299", 2, (3, 4, 6, 3), 299, 25.61, None),
    _row("resnet152_v2_224", 2, (3, 8, 36, 3), 224, 60.38, None),
    _row("resnet152_v2_299", 2, (3, 8, 36, 3), 299, 60.38, None),
)
