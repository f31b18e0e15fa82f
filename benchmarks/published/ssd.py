"""Single-shot detectors of TensorFlow's object detection library, with their post-processing."""

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from atoll.tflite.build import GraphBuilder
from atoll.tflite.build_core import Style
from atoll.tflite.graph import Model
from published import mobiledet, mobilenet
from published.detection import grid_anchors, post_processed
from published.network import Network, image, table

SOURCE = "github.com/tensorflow/models, research/object_detection, "

# Depths of the four feature maps that are added behind the network's own two.
_EXTRA = (512, 256, 256, 128)
_CLASSES = 90
_DETECTIONS = 20


def _extra_maps(b: GraphBuilder, x: int, lite: bool) -> list[int]:
    """Feature maps, each half the size of the one before."""
    maps = []
    for depth in _EXTRA:
        x = b.conv2d(x, depth // 2, 1, activation="RELU6")
        if lite:
            x = b.depthwise(x, 3, 2, activation="RELU6")
        x = b.conv2d(x, depth, *((1, 1) if lite else (3, 2)), activation="RELU6")
        maps.append(x)
    return maps


def _predicted(b: GraphBuilder, maps: Sequence[int], values: int, lite: bool) -> int:
    """So many values an anchor, of all anchors of all maps, in one tensor."""
    parts = []
    for number, x in enumerate(maps):
        anchors = 6 if number else 3
        if lite:
            x = b.depthwise(x, 3, activation="RELU6")
        y = b.conv2d(x, anchors * values, 1, output_range=(-8.0, 8.0))
        height, width = b.plane(y)
        # Boxes have a dimension more, of 1, until they are joined.
        inner = (1, values) if values == 4 else (values,)
        parts.append(b.reshape(y, (1, height * width * anchors, *inner)))
    joined = b.concat(parts, axis=1)
    return b.reshape(joined, (1, b.shape(joined)[1], 4)) if values == 4 else joined


def _anchors(b: GraphBuilder, maps: Sequence[int]) -> np.ndarray:
    """Centre and size of every anchor as [y, x, height, width], float32, shares of the image.

    Source: multiple_grid_anchor_generator.py with the scales and ratios of the sample files.
    """
    scales = [0.2 + 0.15 * i for i in range(6)] + [1.0]
    grids = []
    for number, x in enumerate(maps):
        scale, following = scales[number], scales[number + 1]
        if number == 0:
            shapes = [(0.1, 1.0), (scale, 2.0), (scale, 0.5)]
        else:
            shapes = [(scale, ratio) for ratio in (1.0, 2.0, 0.5, 3.0, 0.3333)]
            shapes.append((math.sqrt(scale * following), 1.0))
        sizes = np.array([[s / math.sqrt(ratio), s * math.sqrt(ratio)] for s, ratio in shapes])
        grids.append((b.plane(x), sizes))
    return grid_anchors(grids)


def detector(b: GraphBuilder, maps: list[int], lite: bool = False) -> Model:
    """The model that ends in boxes, classes, scores and their number."""
    boxes = _predicted(b, maps, 4, lite)
    scores = b.logistic(_predicted(b, maps, _CLASSES + 1, lite))
    anchors = _anchors(b, maps)
    return b.model(post_processed(b, boxes, scores, anchors, _CLASSES, _DETECTIONS))


def mobilenet_v1(size: int = 300, style: Style = "uint8") -> Model:
    """SSD on MobileNet v1."""
    b = GraphBuilder(style)
    features = mobilenet.v1_features(b, image(b, size))
    return detector(b, [features[10], features[12], *_extra_maps(b, features[12], False)])


def mobilenet_v2(size: int = 300, style: Style = "uint8") -> Model:
    """SSD on MobileNet v2: its first map is what the fourteenth block expands to."""
    b = GraphBuilder(style)
    blocks = mobilenet.v2_blocks(b, image(b, size))
    top = b.conv2d(blocks[-1][0], 1280, 1, activation="RELU6")
    return detector(b, [blocks[13][1], top, *_extra_maps(b, top, False)])


def mobiledet_edgetpu(size: int = 320, style: Style = "uint8") -> Model:
    """SSDLite on MobileDet for the Edge TPU."""
    b = GraphBuilder(style)
    c4, c5 = mobiledet.edgetpu_features(b, image(b, size))
    return detector(b, [c4, c5, *_extra_maps(b, c5, True)], lite=True)


def _row(
    name: str,
    build: Callable[..., Model],
    size: int,
    config: str,
    *facts: float | None,
    style: Style = "uint8",
) -> Network:
    shape = (1, size, size, 3)
    return Network(
        f"{name}_{size}", partial(build, size, style), shape, style, SOURCE + config, *facts
    )


_V1 = "samples/configs/ssd_mobilenet_v1_quantized_300x300_coco14_sync.config"
_V2 = "samples/configs/ssd_mobilenet_v2_quantized_300x300_coco.config"
_TF2_V2 = "configs/tf2/ssd_mobilenet_v2_320x320_coco17_tpu-8.config"
_DET = "samples/configs/ssdlite_mobiledet_edgetpu_320x320_coco_sync_4x4.config"

# Parameters and MACs of MobileDet: the head of its configuration file.
NETWORKS = table(
    _row("ssd_mobilenet_v1", mobilenet_v1, 224, _V1),
    _row("ssd_mobilenet_v1", mobilenet_v1, 300, _V1, None, None, 7.0),
    _row("ssd_mobilenet_v2", mobilenet_v2, 224, _V2),
    _row("ssd_mobilenet_v2", mobilenet_v2, 300, _V2),
    _row("tf2_ssd_mobilenet_v2", mobilenet_v2, 300, _TF2_V2, None, None, 6.7, style="int8"),
    _row("ssdlite_mobiledet", mobiledet_edgetpu, 320, _DET, 4.20, 1530, 5.1),
)
