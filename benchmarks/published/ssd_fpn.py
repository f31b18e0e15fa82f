"""SSD with a feature pyramid on MobileNet v1 (RetinaNet), its predictors shared by all levels."""

import numpy as np

from atoll.tflite.build import GraphBuilder
from atoll.tflite.build_core import Style, option
from atoll.tflite.graph import Model
from published.detection import grid_anchors, post_processed, shared
from published.mobilenet import v1_features
from published.network import Network, image, table

SOURCE = (
    "github.com/tensorflow/models, research/object_detection, "
    "configs/tf2/ssd_mobilenet_v1_fpn_640x640_coco17_tpu-8.config"
)

_DEPTH = 256
_CLASSES = 90
_DETECTIONS = 20
_ANCHORS = 6
_FINEST = 3  # a feature of level n is 2^n times smaller than the image


def _doubled(b: GraphBuilder, x: int) -> int:
    """Every pixel four times: stacked on itself twice, as the library writes it."""
    _, height, width, channels = b.shape(x)
    wide = (1, height, width, 2, channels)
    x = b.op("PACK", [x, x], [wide], option("Pack", valuesCount=2, axis=3))[0]
    both = (1, height, 2, width, 2, channels)
    x = b.op("PACK", [x, x], [both], option("Pack", valuesCount=2, axis=2))[0]
    return b.reshape(x, (1, 2 * height, 2 * width, channels))


def _pyramid(b: GraphBuilder, features: list[int]) -> list[int]:
    """Five levels, fine to coarse: three mixed from coarse to fine, and two made from the third."""
    *finer, top = features
    levels = [b.conv2d(top, _DEPTH, 1)]
    for feature in reversed(finer):
        mixed = b.add(_doubled(b, levels[0]), b.conv2d(feature, _DEPTH, 1))
        levels.insert(0, b.conv2d(mixed, _DEPTH, 3, activation="RELU6"))
    for _ in range(2):
        levels.append(b.conv2d(levels[-1], _DEPTH, 3, 2, activation="RELU6"))
    return levels


def _predicted(b: GraphBuilder, levels: list[int], values: int) -> int:
    """So many values an anchor, of all levels, in one tensor.

    The levels share their weights, but not the normalisations: these move into the convolutions,
    which so become a level's own, all but the last.
    """
    made: dict[str, int] = {}
    parts = []
    for x in levels:
        for _ in range(4):
            x = b.conv2d(x, _DEPTH, 3, activation="RELU6")

        def last(x: int) -> int:
            return b.conv2d(x, _ANCHORS * values, 3, output_range=(-8.0, 8.0))

        x = shared(b, made, "last", x, last)
        height, width = b.plane(x)
        parts.append(b.reshape(x, (1, height * width * _ANCHORS, values)))
    return b.concat(parts, axis=1)


def _anchors(b: GraphBuilder, levels: list[int], size: int) -> np.ndarray:
    shapes = np.array(
        [
            (4 * 2 ** (octave / 2) / ratio**0.5, 4 * 2 ** (octave / 2) * ratio**0.5)
            for octave in range(2)
            for ratio in (1.0, 2.0, 0.5)
        ]
    )
    return grid_anchors(
        [(b.plane(x), shapes * 2**level / size) for level, x in enumerate(levels, _FINEST)]
    )


def mobilenet_v1_fpn(size: int = 640, style: Style = "int8") -> Model:
    """A detector of the 90 classes of COCO, with its post-processing."""
    b = GraphBuilder(style)
    features = v1_features(b, image(b, size))
    levels = _pyramid(b, [features[4], features[10], features[12]])
    boxes = _predicted(b, levels, 4)
    scores = b.logistic(_predicted(b, levels, _CLASSES + 1))
    anchors = _anchors(b, levels, size)
    return b.model(post_processed(b, boxes, scores, anchors, _CLASSES, _DETECTIONS))


_SHAPE = (1, 640, 640, 3)
NETWORKS = table(
    Network("ssd_mobilenet_v1_fpn_640", mobilenet_v1_fpn, _SHAPE, "int8", SOURCE, file_mb=37.7)
)
