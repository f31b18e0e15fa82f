"""EfficientDet-Lite: EfficientNet-Lite, features mixed in both directions, shared predictors."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from atoll.tflite.build import GraphBuilder
from atoll.tflite.build_core import Style
from atoll.tflite.graph import Model
from published.detection import grid_anchors, post_processed, shared
from published.efficientnet import lite_features
from published.network import Network, image, table

SOURCE = "arXiv:1911.09070; github.com/google/automl, efficientdet/hparams_config.py, -lite"

_ANCHORS = 9
_CLASSES = 90
_DETECTIONS = 25
# The nodes of one round: the level of each, and which earlier features it adds up. The first five
# are what comes in, fine to coarse; the last five go out.
_NODES = (
    (3, (3, 4)),
    (2, (2, 5)),
    (1, (1, 6)),
    (0, (0, 7)),
    (1, (1, 7, 8)),
    (2, (2, 6, 9)),
    (3, (3, 5, 10)),
    (4, (4, 11)),
)
_OUTGOING = (8, 9, 10, 11, 12)


@dataclass(frozen=True)
class Form:
    """The sizes of one of the family: backbone's scaling, image, and depth and width behind it."""

    width: float
    depth: float
    size: int
    channels: int
    rounds: int
    repeats: int
    anchor_scale: float


FORMS = {
    "lite0": Form(1.0, 1.0, 320, 64, 3, 3, 3.0),
    "lite1": Form(1.0, 1.1, 384, 88, 4, 3, 3.0),
    "lite2": Form(1.1, 1.2, 448, 112, 5, 3, 3.0),
    "lite3": Form(1.2, 1.4, 512, 160, 6, 4, 4.0),
    "lite3x": Form(1.2, 1.4, 640, 200, 6, 4, 3.0),
}


def _resampled(b: GraphBuilder, x: int, plane: tuple[int, int], channels: int) -> int:
    """A feature at another level's size and width."""
    if b.shape(x)[3] != channels:
        x = b.conv2d(x, channels, 1)
    if b.shape(x)[1] > plane[0]:
        x = b.max_pool(x, 3, 2, "SAME")
    elif b.shape(x)[1] < plane[0]:
        x = b.resize(x, plane, "nearest")
    return x


def _mixed(b: GraphBuilder, features: list[int], channels: int) -> list[int]:
    """One round of mixing over the five levels."""
    planes = [b.plane(x) for x in features]
    nodes = list(features)
    for level, sources in _NODES:
        total, *others = [_resampled(b, nodes[s], planes[level], channels) for s in sources]
        for number, other in enumerate(others, 1):
            total = b.add(total, other, "RELU6" if number == len(others) else None)
        nodes.append(_separable(b, total, channels))
    return [nodes[i] for i in _OUTGOING]


def _separable(b: GraphBuilder, x: int, channels: int, activation: str | None = None) -> int:
    return b.conv2d(b.depthwise(x, 3, zero_bias=True), channels, 1, activation=activation)


def _predicted(b: GraphBuilder, features: list[int], form: Form, values: int) -> int:
    """So many values an anchor, of all levels, in one tensor.

    The levels share their weights, but not the normalisations: these move into the pointwise
    convolutions, which so become a level's own.
    """
    made: dict[str, int] = {}
    parts = []

    def depthwise(x: int) -> int:
        return b.depthwise(x, 3, zero_bias=True)

    def last(x: int) -> int:
        return b.conv2d(x, _ANCHORS * values, 1, output_range=(-8.0, 8.0))

    for x in features:
        for number in range(form.repeats):
            x = shared(b, made, f"depthwise {number}", x, depthwise)
            x = b.conv2d(x, form.channels, 1, activation="RELU6")
        x = shared(b, made, "last depthwise", x, depthwise)
        x = shared(b, made, "last", x, last)
        height, width = b.plane(x)
        parts.append(b.reshape(x, (1, height * width * _ANCHORS, values)))
    return b.concat(parts, axis=1)


def _anchors(b: GraphBuilder, features: list[int], form: Form) -> np.ndarray:
    """Centre and size of every anchor as [y, x, height, width], float32, shares of the image."""
    shapes = [
        (2 ** (octave / 3) / ratio**0.5, 2 ** (octave / 3) * ratio**0.5)
        for octave in range(3)
        for ratio in (1.0, 2.0, 0.5)
    ]
    planes = [b.plane(x) for x in features]
    return grid_anchors(
        [(plane, np.array(shapes) * form.anchor_scale / plane[0]) for plane in planes]
    )


def efficientdet(form: Form, style: Style = "int8") -> Model:
    """A detector of the 90 classes of COCO, with its post-processing."""
    b = GraphBuilder(style)
    stages = lite_features(b, image(b, form.size), form.width, form.depth)
    features = [stages[2], stages[4], stages[6]]
    coarse = b.max_pool(b.conv2d(features[-1], form.channels, 1), 3, 2, "SAME")
    features += [coarse, b.max_pool(coarse, 3, 2, "SAME")]
    for _ in range(form.rounds):
        features = _mixed(b, features, form.channels)
    scores = b.logistic(_predicted(b, features, form, _CLASSES))
    boxes = _predicted(b, features, form, 4)
    anchors = _anchors(b, features, form)
    scaling = (1.0, 1.0)
    return b.model(post_processed(b, boxes, scores, anchors, _CLASSES, _DETECTIONS, scaling))


def _row(name: str, macs: float, file_mb: float | None = None) -> Network:
    form = FORMS[name]
    shape, build = (1, form.size, form.size, 3), partial(efficientdet, form)
    return Network(f"efficientdet_{name}", build, shape, "int8", SOURCE, None, macs, file_mb)


# MACs: efficientdet_arch_test.py of the same repository. Its parameters are fewer than a file's:
# it counts what the levels share once.
NETWORKS = table(
    _row("lite0", 978, 5.7),
    _row("lite1", 1974),
    _row("lite2", 3383),
    _row("lite3", 7504),
    _row("lite3x", 14020),
)
