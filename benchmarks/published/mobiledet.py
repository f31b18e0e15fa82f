"""The backbone of MobileDet for the Edge TPU."""

from dataclasses import dataclass

from atoll.tflite.build import GraphBuilder

SOURCE = "arXiv:2004.14525, figure 6; tensorflow/models, ssd_mobiledet_feature_extractor.py"


@dataclass(frozen=True)
class _Block:
    """`fused`: a full convolution expands, instead of a 1x1 and a depthwise one.

    A block has a shortcut unless it changes the number of channels or the size.
    """

    fused: bool
    channels: int
    expansion: int
    kernel: int = 3
    stride: int = 1
    end: bool = False


_BLOCKS = (
    _Block(True, 16, 8, stride=2),
    _Block(True, 16, 4),
    _Block(True, 16, 8),
    _Block(True, 16, 4),
    _Block(True, 40, 8, kernel=5, stride=2),
    _Block(True, 40, 4),
    _Block(True, 40, 4),
    _Block(True, 40, 4),
    _Block(False, 72, 8, stride=2),
    _Block(False, 72, 8),
    _Block(True, 72, 4),
    _Block(True, 72, 4),
    _Block(False, 96, 8, kernel=5),
    _Block(False, 96, 8, kernel=5),
    _Block(False, 96, 8),
    _Block(False, 96, 8, end=True),
    _Block(False, 120, 8, kernel=5, stride=2),
    _Block(False, 120, 8),
    _Block(False, 120, 4, kernel=5),
    _Block(False, 120, 8),
    _Block(False, 384, 8, kernel=5, end=True),
)


def edgetpu_features(b: GraphBuilder, x: int) -> list[int]:
    """Its feature maps C4 and C5, a sixteenth and a thirty-second of the image's size."""
    x = b.conv2d(x, 32, 3, 2, activation="RELU6")
    # A Tucker convolution: 1x1 to a quarter of the inputs, 3x3 to three quarters of the outputs,
    # widths rounded to multiples of 8, 1x1.
    x = b.conv2d(x, 8, 1, activation="RELU6")
    x = b.conv2d(x, 16, 3, activation="RELU6")
    x = b.conv2d(x, 16, 1)
    ends = []
    for block in _BLOCKS:
        x = _built(b, x, block)
        if block.end:
            ends.append(x)
    return ends


def _built(b: GraphBuilder, x: int, block: _Block) -> int:
    wide = b.shape(x)[3] * block.expansion
    if block.fused:
        y = b.conv2d(x, wide, block.kernel, block.stride, activation="RELU6")
    else:
        y = b.conv2d(x, wide, 1, activation="RELU6")
        y = b.depthwise(y, block.kernel, block.stride, activation="RELU6")
    y = b.conv2d(y, block.channels, 1)
    return b.add(y, x) if b.shape(x) == b.shape(y) else y
