"""What detectors end in: shared layers, anchors, TensorFlow Lite's post-processing on the CPU."""

from collections.abc import Callable, Iterable

import numpy as np
from flatbuffers import flexbuffers

from atoll.tflite.build import GraphBuilder


def grid_anchors(grids: Iterable[tuple[tuple[int, int], np.ndarray]]) -> np.ndarray:
    """The anchors of every cell of grids over the image, grid by grid and row by row.

    Args:
        grids: Rows and columns of each, and (anchors, 2) heights and widths of those of one cell.

    Returns:
        (anchors, 4) float32: centre y and x, height, width, as shares of the image.
    """
    rows = []
    for (height, width), sizes in grids:
        y, x = np.indices((height, width), np.float64)
        centres = np.stack([(y + 0.5) / height, (x + 0.5) / width], -1).reshape(-1, 1, 2)
        shape = (height * width, len(sizes), 2)
        pair = [np.broadcast_to(centres, shape), np.broadcast_to(sizes, shape)]
        rows.append(np.concatenate(pair, -1).reshape(-1, 4))
    return np.concatenate(rows).astype(np.float32)


def shared(
    b: GraphBuilder, made: dict[str, int], key: str, x: int, build: Callable[[int], int]
) -> int:
    """A layer that several levels share.

    Args:
        b: The builder.
        made: The operators that are shared so far, by their keys.
        key: The layer's.
        x: What it reads; of one quantisation at all levels.
        build: Adds the layer, its operator last, when it is met first.

    Returns:
        The layer's output: what `build` gives, or the same weights used once more.
    """
    if key not in made:
        y = build(x)
        made[key] = len(b.operators) - 1
        return y
    first = b.operators[made[key]]
    output = b.tensors[first.outputs[0]]
    shape = (*b.shape(x)[:3], output.shape[3])
    inputs, quantization = [x, *first.inputs[1:]], output.quantization
    return b.op(first.type, inputs, [shape], first.options, quantization=quantization)[0]


def post_processed(
    b: GraphBuilder,
    boxes: int,
    scores: int,
    anchors: np.ndarray,
    classes: int,
    detections: int,
    scaling: tuple[float, float] = (10.0, 5.0),
) -> list[int]:
    """TFLite_Detection_PostProcess on dequantised predictions.

    Args:
        b: The builder.
        boxes: (1, anchors, 4).
        scores: (1, anchors, classes), or one more with the background first.
        anchors: As of `grid_anchors`.
        classes: Without the background.
        detections: How many to keep.
        scaling: What the coder of boxes multiplies centres and sizes by.

    Returns:
        Boxes, classes, scores and number of what is found.
    """
    centre, size = scaling
    settings = {
        "max_detections": detections,
        "max_classes_per_detection": 1,
        "detections_per_class": 100,
        "use_regular_nms": False,
        "nms_score_threshold": 0.3,
        "nms_iou_threshold": 0.6,
        "num_classes": classes,
        "y_scale": centre,
        "x_scale": centre,
        "h_scale": size,
        "w_scale": size,
    }
    return b.op(
        "CUSTOM",
        [b.dequantize(boxes), b.dequantize(scores), b.constant(anchors)],
        [(1, detections, 4), (1, detections), (1, detections), (1,)],
        custom_name="TFLite_Detection_PostProcess",
        custom_options=bytes(flexbuffers.Dumps(settings)),
    )
