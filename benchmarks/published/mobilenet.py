"""MobileNet v1 and v2, as classifiers and as backbones of other networks."""

from functools import partial

from atoll.tflite.build import GraphBuilder
from atoll.tflite.build_core import Style
from atoll.tflite.graph import Model
from published.network import Network, image, padded, slim_head, table, tf2_head

V1 = "arXiv:1704.04861, table 1; TF-slim mobilenet_v1.py"
V2 = "arXiv:1801.04381, table 2; TF-slim mobilenet_v2.py"

# (stride, channels) of the thirteen separable convolutions.
_V1_BLOCKS = (
    (1, 64),
    (2, 128),
    (1, 128),
    (2, 256),
    (1, 256),
    (2, 512),
    *[(1, 512)] * 5,
    (2, 1024),
    (1, 1024),
)
# (expansion, channels, repeats, stride) of the inverted residuals.
_V2_BLOCKS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def divisible(channels: float, divisor: int = 8) -> int:
    """The nearest multiple of the divisor, at most a tenth below the wish."""
    nearest = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return nearest + divisor if nearest < 0.9 * channels else nearest


def v1_features(b: GraphBuilder, x: int, alpha: float = 1.0) -> list[int]:
    """The outputs of the thirteen separable convolutions of MobileNet v1."""
    x = b.conv2d(x, max(8, int(32 * alpha)), 3, 2, activation="RELU6")
    features = []
    for stride, channels in _V1_BLOCKS:
        x = b.depthwise(x, 3, stride, activation="RELU6")
        x = b.conv2d(x, max(8, int(channels * alpha)), 1, activation="RELU6")
        features.append(x)
    return features


def inverted_residual(
    b: GraphBuilder,
    x: int,
    expansion: int,
    channels: int,
    stride: int,
    dilation: int = 1,
    keras: bool = False,
) -> tuple[int, int]:
    """One block of MobileNet v2: its output, and what it expands to."""
    wide = x
    if expansion > 1:
        wide = b.conv2d(x, b.shape(x)[3] * expansion, 1, activation="RELU6")
    if keras and stride == 2:
        y = b.depthwise(padded(b, wide, 0, 1), 3, 2, "VALID", activation="RELU6")
    else:
        y = b.depthwise(wide, 3, stride, dilation=dilation, activation="RELU6")
    y = b.conv2d(y, channels, 1)
    if stride == 1 and b.shape(x)[3] == channels:
        y = b.add(x, y)
    return y, wide


def v2_blocks(
    b: GraphBuilder,
    x: int,
    alpha: float = 1.0,
    output_stride: int = 32,
    keras: bool = False,
    divisor: int = 8,
) -> list[tuple[int, int]]:
    """For each of the seventeen blocks of MobileNet v2 its output and what it expands to.

    From `output_stride` on, strides become dilations of the later blocks, as DeepLab does it;
    where it scales widths, it leaves them as they come, with a divisor of 1.
    Keras (until TensorFlow 2.4) pads an image of even size by an operator before each stride.
    """
    if keras:
        x = b.conv2d(
            padded(b, x, 0, 1), divisible(32 * alpha, divisor), 3, 2, "VALID", activation="RELU6"
        )
    else:
        x = b.conv2d(x, divisible(32 * alpha, divisor), 3, 2, activation="RELU6")
    blocks = []
    reached, dilation = 2, 1
    for expansion, channels, repeats, first_stride in _V2_BLOCKS:
        for number in range(repeats):
            stride = first_stride if number == 0 else 1
            rate = dilation
            if reached * stride > output_stride:
                dilation, stride = dilation * stride, 1
            reached *= stride
            width = divisible(channels * alpha, divisor)
            x, wide = inverted_residual(b, x, expansion, width, stride, rate, keras)
            blocks.append((x, wide))
    return blocks


def v1(alpha: float = 1.0, size: int = 224, style: Style = "uint8") -> Model:
    """MobileNet v1, a classifier."""
    b = GraphBuilder(style)
    x = v1_features(b, image(b, size), alpha)[-1]
    return _HEADS[style](b, x)


def v2(alpha: float = 1.0, size: int = 224, style: Style = "uint8") -> Model:
    """MobileNet v2, a classifier; the last 1280 channels never become fewer."""
    b = GraphBuilder(style)
    x, _ = v2_blocks(b, image(b, size), alpha)[-1]
    x = b.conv2d(x, divisible(1280 * max(alpha, 1.0)), 1, activation="RELU6")
    return _HEADS[style](b, x)


_HEADS = {"uint8": slim_head, "int8": tf2_head}


def _v1_row(
    alpha: float, size: int, parameters: float, macs: float, file_mb: float | None = None
) -> Network:
    build, shape = partial(v1, alpha, size), (1, size, size, 3)
    name = f"mobilenet_v1_{alpha}_{size}"
    return Network(name, build, shape, "uint8", V1, parameters, macs, file_mb)


_SHAPE = (1, 224, 224, 3)
# Parameters and MACs: the tables in the README of TF-slim's mobilenet folder.
NETWORKS = table(
    _v1_row(0.25, 128, 0.47, 14, 0.5),
    _v1_row(0.5, 160, 1.34, 77),
    _v1_row(0.75, 192, 2.59, 233),
    _v1_row(1.0, 224, 4.24, 569),
    Network("mobilenet_v2_1.0_224", v2, _SHAPE, "uint8", V2, 3.5, 300),
    Network("tf2_mobilenet_v1_1.0_224", partial(v1, style="int8"), _SHAPE, "int8", V1, 4.24, 569),
    Network("tf2_mobilenet_v2_1.0_224", partial(v2, style="int8"), _SHAPE, "int8", V2, 3.5, 300),
)
