"""Inception v1 and v2 (BN-Inception), in the form of TF-slim."""

from atoll.tflite.build import GraphBuilder
from atoll.tflite.build_core import Style
from atoll.tflite.graph import Model
from published.network import Network, image, slim_head, table

V1 = "arXiv:1409.4842, table 1; TF-slim inception_v1.py"
V2 = "arXiv:1502.03167, figure 5; TF-slim inception_v2.py"

# Of each block: 1x1, 3x3 reduced, 3x3, "5x5" reduced, "5x5", pool projected; None for a pooling.
# TF-slim's "5x5" is a 3x3.
_V1_BLOCKS = (
    (64, 96, 128, 16, 32, 32),
    (128, 128, 192, 32, 96, 64),
    None,
    (192, 96, 208, 16, 48, 64),
    (160, 112, 224, 24, 64, 64),
    (128, 128, 256, 24, 64, 64),
    (112, 144, 288, 32, 64, 64),
    (256, 160, 320, 32, 128, 128),
    None,
    (256, 160, 320, 32, 128, 128),
    (384, 192, 384, 48, 128, 128),
)
# Of each block: 1x1, 3x3 reduced, 3x3, double 3x3 reduced, double 3x3, pool projected. Blocks with
# neither 1x1 nor projection have a stride of 2.
_V2_BLOCKS = (
    (64, 64, 64, 64, 96, 32),
    (64, 64, 96, 64, 96, 64),
    (0, 128, 160, 64, 96, 0),
    (224, 64, 96, 96, 128, 128),
    (192, 96, 128, 96, 128, 128),
    (160, 128, 160, 128, 160, 96),
    (96, 128, 192, 160, 192, 96),
    (0, 128, 192, 192, 256, 0),
    (352, 192, 320, 160, 224, 128),
    (352, 192, 320, 192, 224, 128),
)


def conv(b: GraphBuilder, x: int, filters: int, kernel: int, stride: int = 1) -> int:
    """A padded convolution with RELU."""
    return b.conv2d(x, filters, kernel, stride, activation="RELU")


def v1(size: int = 224, style: Style = "uint8") -> Model:
    """GoogLeNet without its side heads."""
    b = GraphBuilder(style)
    x = b.max_pool(conv(b, image(b, size), 64, 7, 2), 3, 2, "SAME")
    x = b.max_pool(conv(b, conv(b, x, 64, 1), 192, 3), 3, 2, "SAME")
    for number, block in enumerate(_V1_BLOCKS):
        if block is None:
            # The second of the two has a window of 2.
            x = b.max_pool(x, 3 if number == 2 else 2, 2, "SAME")
            continue
        one, reduce3, three, reduce5, five, projected = block
        branches = [
            conv(b, x, one, 1),
            conv(b, conv(b, x, reduce3, 1), three, 3),
            conv(b, conv(b, x, reduce5, 1), five, 3),
            conv(b, b.max_pool(x, 3, 1, "SAME"), projected, 1),
        ]
        x = b.concat(branches)
    return slim_head(b, x)


def v2(size: int = 224, style: Style = "uint8") -> Model:
    """BN-Inception, its first convolution separable."""
    b = GraphBuilder(style)
    x = b.depthwise(image(b, size), 7, 2, multiplier=8)
    x = b.max_pool(conv(b, x, 64, 1), 3, 2, "SAME")
    x = b.max_pool(conv(b, conv(b, x, 64, 1), 192, 3), 3, 2, "SAME")
    for block in _V2_BLOCKS:
        x = _v2_block(b, x, block, last=block is _V2_BLOCKS[-1])
    return slim_head(b, x)


def _v2_block(b: GraphBuilder, x: int, block: tuple[int, ...], last: bool) -> int:
    one, reduce3, three, reduce33, double, projected = block
    stride = 1 if one else 2
    branches = [
        conv(b, conv(b, x, reduce3, 1), three, 3, stride),
        conv(b, conv(b, conv(b, x, reduce33, 1), double, 3), double, 3, stride),
    ]
    if not one:
        return b.concat([*branches, b.max_pool(x, 3, 2, "SAME")])
    pool = b.max_pool if last else b.average_pool
    pooled = conv(b, pool(x, 3, 1, "SAME"), projected, 1)
    return b.concat([conv(b, x, one, 1), *branches, pooled])


_SHAPE = (1, 224, 224, 3)
# Parameters: what the two papers' tables add up to, with TF-slim's 3x3 for 5x5.
NETWORKS = table(
    Network("inception_v1_224", v1, _SHAPE, "uint8", V1, 6.63, None, 7.0),
    Network("inception_v2_224", v2, _SHAPE, "uint8", V2, 11.2, None, 12.0),
)
