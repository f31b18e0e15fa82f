"""EfficientNet-EdgeTPU and EfficientNet-Lite: neither squeeze-and-excite nor swish."""

import math
from dataclasses import dataclass
from functools import partial

from atoll.tflite.build import GraphBuilder
from atoll.tflite.build_core import Style
from atoll.tflite.graph import Model
from published.mobilenet import divisible
from published.network import Network, image, keras_head, table

EDGETPU = "github.com/tensorflow/tpu, models/official/efficientnet, efficientnet_edgetpu_builder.py"
LITE = "github.com/tensorflow/tpu, models/official/efficientnet/lite, efficientnet_lite_builder.py"


@dataclass(frozen=True)
class _Stage:
    """Blocks of one width; `fused`: a full convolution instead of a 1x1 and a depthwise one."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    nominal: int
    channels: int
    fused: bool
    skip: bool = True


_EDGETPU_STAGES = (
    _Stage(1, 3, 1, 4, 24, 24, fused=True, skip=False),
    _Stage(2, 3, 2, 8, 24, 32, fused=True),
    _Stage(4, 3, 2, 8, 32, 48, fused=True),
    _Stage(5, 5, 2, 8, 48, 96, fused=False),
    _Stage(4, 5, 1, 8, 96, 144, fused=False),
    _Stage(2, 5, 2, 8, 144, 192, fused=False),
)
_LITE_STAGES = (
    _Stage(1, 3, 1, 1, 32, 16, fused=False),
    _Stage(2, 3, 2, 6, 16, 24, fused=False),
    _Stage(2, 5, 2, 6, 24, 40, fused=False),
    _Stage(3, 3, 2, 6, 40, 80, fused=False),
    _Stage(3, 5, 1, 6, 80, 112, fused=False),
    _Stage(4, 5, 2, 6, 112, 192, fused=False),
    _Stage(1, 3, 1, 6, 192, 320, fused=False),
)


def edgetpu(width: float, depth: float, size: int, style: Style = "int8") -> Model:
    """EfficientNet-EdgeTPU, scaled in width and depth; early blocks are not depthwise."""
    b = GraphBuilder(style)
    x = b.conv2d(image(b, size), divisible(32 * width), 3, 2, activation="RELU")
    for stage in _EDGETPU_STAGES:
        repeats = math.ceil(stage.repeats * depth)
        x = _stage(b, x, stage, repeats, width, divisible(stage.nominal * width), "RELU")
    return keras_head(b, b.conv2d(x, divisible(1280 * width), 1, activation="RELU"), 1001)


def lite_features(b: GraphBuilder, x: int, width: float = 1.0, depth: float = 1.0) -> list[int]:
    """The outputs of the seven stages of EfficientNet-Lite.

    Stem, head, and the repeats of the first and the last stage do not scale.
    """
    x = b.conv2d(x, 32, 3, 2, activation="RELU6")
    ends = []
    for number, stage in enumerate(_LITE_STAGES):
        inner = 0 < number < len(_LITE_STAGES) - 1
        repeats = math.ceil(stage.repeats * depth) if inner else stage.repeats
        x = _stage(b, x, stage, repeats, width, b.shape(x)[3], "RELU6")
        ends.append(x)
    return ends


def lite(width: float, depth: float, size: int, style: Style = "int8") -> Model:
    """EfficientNet-Lite, a classifier."""
    b = GraphBuilder(style)
    x = lite_features(b, image(b, size), width, depth)[-1]
    return keras_head(b, b.conv2d(x, 1280, 1, activation="RELU6"))


def _stage(
    b: GraphBuilder,
    x: int,
    stage: _Stage,
    repeats: int,
    width: float,
    nominal: int,
    activation: str,
) -> int:
    """Blocks in a row; the first expands `nominal` channels, whatever comes in."""
    channels = divisible(stage.channels * width)
    for number in range(repeats):
        stride = 1 if number else stage.stride
        x = _block(b, x, stage, channels if number else nominal, channels, stride, activation)
    return x


def _block(
    b: GraphBuilder,
    x: int,
    stage: _Stage,
    nominal: int,
    channels: int,
    stride: int,
    activation: str,
) -> int:
    wide = nominal * stage.expansion
    if stage.fused:
        # The stride is that of the projection: the published code has it so.
        y = b.conv2d(x, wide, 3, activation=activation)
        y = b.conv2d(y, channels, 1, stride)
    else:
        y = b.conv2d(x, wide, 1, activation=activation) if stage.expansion > 1 else x
        y = b.depthwise(y, stage.kernel, stride, activation=activation)
        y = b.conv2d(y, channels, 1)
    same = stride == 1 and nominal == channels
    return b.add(y, x) if same and stage.skip else y


def _lite_row(number: int, width: float, depth: float, size: int, *facts: float) -> Network:
    build, shape = partial(lite, width, depth, size), (1, size, size, 3)
    return Network(f"efficientnet_lite{number}", build, shape, "int8", LITE, *facts)


def _row(letter: str, width: float, depth: float, size: int, *facts: float | None) -> Network:
    build, shape = partial(edgetpu, width, depth, size), (1, size, size, 3)
    return Network(f"efficientnet_edgetpu_{letter}", build, shape, "int8", EDGETPU, *facts)


# Parameters: timm's efficientnet_es, _em, _el. Its MACs are of another form, which has the stride
# in the expansion.
NETWORKS = table(
    _row("s", 1.0, 1.0, 224, 5.44, None, 6.8),
    _row("m", 1.0, 1.1, 240, 6.90, None, 8.7),
    _row("l", 1.2, 1.4, 300, 10.59, None, 12.8),
    # Of the lite ones: the README of that folder.
    _lite_row(0, 1.0, 1.0, 224, 4.7, 407),
    _lite_row(1, 1.0, 1.1, 240, 5.4, 631),
    _lite_row(2, 1.1, 1.2, 260, 6.1, 899),
    _lite_row(3, 1.2, 1.4, 280, 8.2, 1440),
)
