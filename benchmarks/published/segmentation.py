"""Networks that label every pixel: U-Net and DeepLab v3, both on MobileNet v2."""

from functools import partial

from atoll.tflite.build import GraphBuilder
from atoll.tflite.build_core import Style, option
from atoll.tflite.graph import Model
from atoll.tflite.schema import schema
from published.mobilenet import v2_blocks
from published.network import Network, image, normalised, table, unsigned

UNET = "tensorflow.org/tutorials/images/segmentation; pix2pix.upsample of tensorflow/examples"
DEEPLAB = "arXiv:1706.05587; github.com/tensorflow/models, research/deeplab, mobilenet_v2"

# Of MobileNet v2: the blocks whose expansions the decoder reads, coarse to fine, and its filters.
_SKIPS = ((13, 512), (6, 256), (3, 128), (1, 64))
_LAST = 16


def unet(size: int = 128, classes: int = 3, style: Style = "int8") -> Model:
    """The tutorial's network; transposed convolutions take up no normalisation."""
    b = GraphBuilder(style)
    blocks = v2_blocks(b, image(b, size), keras=True)
    x = blocks[_LAST][0]
    for block, filters in _SKIPS:
        x = normalised(b, b.transpose_conv(x, filters, 3, bias=False))
        x = b.concat([x, blocks[block][1]])
    return b.model(unsigned(b, b.transpose_conv(x, classes, 3)))


def deeplab(
    alpha: float = 1.0, size: int = 513, classes: int = 21, style: Style = "uint8"
) -> Model:
    """DeepLab v3 without atrous pooling, at an output stride of 16."""
    b = GraphBuilder(style)
    divisor = 8 if alpha == 1.0 else 1
    x = v2_blocks(b, image(b, size), alpha, output_stride=16, divisor=divisor)[-1][0]
    plane = b.plane(x)
    pooled = b.average_pool(x, plane)
    near = b.conv2d(x, 256, 1, activation="RELU")
    far = b.conv2d(pooled, 256, 1, activation="RELU", output_range=(0.0, 2.0))
    far = b.quantize(b.resize(far, plane, align_corners=True), 0.0, 4.0)
    x = b.concat([far, near])
    x = b.conv2d(b.conv2d(x, 256, 1, activation="RELU"), classes, 1)
    x = b.resize(b.resize(x, plane, align_corners=True), size, align_corners=True)
    options = option("ArgMax", outputType=schema().TensorType.INT64)
    shape = b.shape(x)[:3]
    return b.model(b.op("ARG_MAX", [x, b.constant(3)], [shape], options, output_type="INT64"))


def _unet_row(size: int, file_mb: float) -> Network:
    build = partial(unet, size)
    return Network(
        f"unet_mobilenet_v2_{size}", build, (1, size, size, 3), "int8", UNET, None, None, file_mb
    )


def _deeplab_row(alpha: float, file_mb: float | None) -> Network:
    build, shape = partial(deeplab, alpha), (1, 513, 513, 3)
    name = f"deeplab_v3_mobilenet_v2_dm{alpha}_513"
    return Network(name, build, shape, "uint8", DEEPLAB, None, None, file_mb)


NETWORKS = table(
    _unet_row(128, 7.2),
    _unet_row(256, 7.3),
    _deeplab_row(0.5, 1.1),
    _deeplab_row(1.0, None),
)
