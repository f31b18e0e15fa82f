"""Inception v3, v4 and Inception-ResNet v2, in the form of TF-slim (and, the last, of Keras)."""

from atoll.tflite.build import GraphBuilder
from atoll.tflite.build_core import Style
from atoll.tflite.build_window import Padding, Pair
from atoll.tflite.graph import Model
from published.network import LOGITS, Network, image, keras_head, probabilities, slim_head, table

V3 = "arXiv:1512.00567, table 1; TF-slim inception_v3.py"
V4 = "arXiv:1602.07261, figures 3 to 9; TF-slim inception_v4.py"
RESNET_V2 = "arXiv:1602.07261; TF-slim inception_resnet_v2.py; Keras inception_resnet_v2.py"

# A branch is a chain: (filters, kernel) or (filters, kernel, stride); a stride of 2 is not padded.
Link = tuple[int, Pair] | tuple[int, Pair, int]
Chain = tuple[Link, ...]
_WIDE, _TALL, _WIDE3, _TALL3 = (1, 7), (7, 1), (1, 3), (3, 1)


def _chain(b: GraphBuilder, x: int, *links: Link) -> int:
    for link in links:
        filters, kernel, stride = link if len(link) == 3 else (*link, 1)
        padding: Padding = "VALID" if stride == 2 else "SAME"
        x = b.conv2d(x, filters, kernel, stride, padding, activation="RELU")
    return x


def _block(b: GraphBuilder, x: int, branches: tuple[Chain, ...], projected: int | None) -> int:
    """Branches side by side, and a pooled one: averaged and projected, or halved where None."""
    parts = [_chain(b, x, *branch) for branch in branches]
    if projected is None:
        parts.append(b.max_pool(x, 3, 2))
    else:
        parts.append(_chain(b, b.average_pool(x, 3, 1, "SAME"), (projected, 1)))
    return b.concat(parts)


def _split(b: GraphBuilder, x: int, filters: int) -> list[int]:
    """The two halves that the widest blocks end a branch with."""
    return [_chain(b, x, (filters, _WIDE3)), _chain(b, x, (filters, _TALL3))]


def _valid(b: GraphBuilder, x: int, filters: int, kernel: int | tuple[int, int]) -> int:
    return b.conv2d(x, filters, kernel, padding="VALID", activation="RELU")


def v3(size: int = 299, style: Style = "uint8") -> Model:
    """Inception v3 without its side head."""
    b = GraphBuilder(style)
    x = _valid(b, _chain(b, image(b, size), (32, 3, 2)), 32, 3)
    x = b.max_pool(_chain(b, x, (64, 3)), 3, 2)
    x = b.max_pool(_valid(b, _valid(b, x, 80, 1), 192, 3), 3, 2)
    branches: tuple[Chain, ...]
    for projected in (32, 64, 64):
        branches = (((64, 1),), ((48, 1), (64, 5)), ((64, 1), (96, 3), (96, 3)))
        x = _block(b, x, branches, projected)
    x = _block(b, x, (((384, 3, 2),), ((64, 1), (96, 3), (96, 3, 2))), None)
    for c in (128, 160, 160, 192):
        branches = (
            ((192, 1),),
            ((c, 1), (c, _WIDE), (192, _TALL)),
            ((c, 1), (c, _TALL), (c, _WIDE), (c, _TALL), (192, _WIDE)),
        )
        x = _block(b, x, branches, 192)
    last = ((192, 1), (192, _WIDE), (192, _TALL), (192, 3, 2))
    x = _block(b, x, (((192, 1), (320, 3, 2)), last), None)
    for _ in range(2):
        halves = [
            b.concat(_split(b, _chain(b, x, (384, 1)), 384)),
            b.concat(_split(b, _chain(b, x, (448, 1), (384, 3)), 384)),
        ]
        pooled = _chain(b, b.average_pool(x, 3, 1, "SAME"), (192, 1))
        x = b.concat([_chain(b, x, (320, 1)), *halves, pooled])
    return slim_head(b, x)


def _v4_stem(b: GraphBuilder, x: int) -> int:
    x = _chain(b, _valid(b, _chain(b, x, (32, 3, 2)), 32, 3), (64, 3))
    x = b.concat([b.max_pool(x, 3, 2), _chain(b, x, (96, 3, 2))])
    short = _valid(b, _chain(b, x, (64, 1)), 96, 3)
    long = _valid(b, _chain(b, x, (64, 1), (64, _WIDE), (64, _TALL)), 96, 3)
    x = b.concat([short, long])
    return b.concat([_chain(b, x, (192, 3, 2)), b.max_pool(x, 3, 2)])


def v4(size: int = 299, style: Style = "uint8") -> Model:
    """Inception v4 without its side head."""
    b = GraphBuilder(style)
    x = _v4_stem(b, image(b, size))
    for _ in range(4):
        x = _block(b, x, (((96, 1),), ((64, 1), (96, 3)), ((64, 1), (96, 3), (96, 3))), 96)
    x = _block(b, x, (((384, 3, 2),), ((192, 1), (224, 3), (256, 3, 2))), None)
    for _ in range(7):
        branches = (
            ((384, 1),),
            ((192, 1), (224, _WIDE), (256, _TALL)),
            ((192, 1), (192, _TALL), (224, _WIDE), (224, _TALL), (256, _WIDE)),
        )
        x = _block(b, x, branches, 128)
    tall = ((256, 1), (256, _WIDE), (320, _TALL), (320, 3, 2))
    x = _block(b, x, (((192, 1), (192, 3, 2)), tall), None)
    for _ in range(3):
        short = b.concat(_split(b, _chain(b, x, (384, 1)), 256))
        long = b.concat(_split(b, _chain(b, x, (384, 1), (448, _TALL3), (512, _WIDE3)), 256))
        pooled = _chain(b, b.average_pool(x, 3, 1, "SAME"), (256, 1))
        x = b.concat([_chain(b, x, (256, 1)), short, long, pooled])
    x = b.average_pool(x, b.plane(x))
    x = b.reshape(x, (1, b.shape(x)[3]))
    # A dense layer here, where its elders have a 1x1 convolution.
    return probabilities(b, b.dense(x, 1001, output_range=LOGITS))


def _residual(b: GraphBuilder, x: int, branches: tuple[Chain, ...], active: bool = True) -> int:
    """Branches projected back and added; their scaling is folded into the projection."""
    mixed = b.concat([_chain(b, x, *branch) for branch in branches])
    up = b.conv2d(mixed, b.shape(x)[3], 1, output_range=(-1.0, 1.0))
    return b.add(x, up, "RELU" if active else None)


def resnet_v2(size: int = 299, style: Style = "int8") -> Model:
    """Inception-ResNet v2 without its side head."""
    b = GraphBuilder(style)
    x = _valid(b, _chain(b, image(b, size), (32, 3, 2)), 32, 3)
    x = b.max_pool(_chain(b, x, (64, 3)), 3, 2)
    x = b.max_pool(_valid(b, _valid(b, x, 80, 1), 192, 3), 3, 2)
    x = _block(b, x, (((96, 1),), ((48, 1), (64, 5)), ((64, 1), (96, 3), (96, 3))), 64)
    branches: tuple[Chain, ...]
    for _ in range(10):
        branches = (((32, 1),), ((32, 1), (32, 3)), ((32, 1), (48, 3), (64, 3)))
        x = _residual(b, x, branches)
    x = _block(b, x, (((384, 3, 2),), ((256, 1), (256, 3), (384, 3, 2))), None)
    for _ in range(20):
        x = _residual(b, x, (((192, 1),), ((128, 1), (160, _WIDE), (192, _TALL))))
    branches = (
        ((256, 1), (384, 3, 2)),
        ((256, 1), (288, 3, 2)),
        ((256, 1), (288, 3), (320, 3, 2)),
    )
    x = _block(b, x, branches, None)
    for number in range(10):
        branches = (((192, 1),), ((192, 1), (224, _WIDE3), (256, _TALL3)))
        x = _residual(b, x, branches, active=number < 9)
    return keras_head(b, _chain(b, x, (1536, 1)))


_SHAPE = (1, 299, 299, 3)
# Parameters: Keras applications (v3, Inception-ResNet v2); v4 from its paper's reimplementations.
NETWORKS = table(
    Network("inception_v3_299", v3, _SHAPE, "uint8", V3, 23.85, 5700),
    Network("inception_v4_299", v4, _SHAPE, "uint8", V4, 42.68, 12270, 42.9),
    Network("inception_resnet_v2_299", resnet_v2, _SHAPE, "int8", RESNET_V2, 55.87, 13180),
)
