"""Small models of the forms that Frigate takes, and of some that it does not."""

import numpy as np
from flatbuffers import flexbuffers

from atoll.adapters.ssd import POST_PROCESS
from atoll.tflite.build import GraphBuilder
from atoll.tflite.metadata import ImageMetadata, attach

SIZE, ANCHORS = 32, 12
CLASSES = ["person", "car", "cat"]


def labelled(model, labels):
    """With a label file inside, as atoll build writes."""
    _, height, width, _ = model.main.tensors[model.main.inputs[0]].shape
    card = ImageMetadata("made", "", [127.5], [127.5], width, height, list(labels))
    return attach(model, card)


def ssd(labels=CLASSES, order=(0, 1, 2, 3), style="uint8", size=SIZE):
    """A detector with SSD's last operator, its outputs in some order."""
    b = GraphBuilder(style, seed=3)
    x = b.input((1, size, size, 3))
    x = b.mean(b.conv2d(x, 8, kernel=3, stride=2, activation="RELU6"))
    boxes = b.reshape(b.dense(x, ANCHORS * 4), (1, ANCHORS, 4))
    scores = b.reshape(b.dense(x, ANCHORS * (len(CLASSES) + 1)), (1, ANCHORS, len(CLASSES) + 1))
    centers = np.random.default_rng(5).random((ANCHORS, 4)).astype(np.float32)
    anchors = b.constant(centers * 0.5 + 0.2)
    options = flexbuffers.Dumps(
        {
            "max_detections": 10, "max_classes_per_detection": 1, "detections_per_class": 10,
            "use_regular_nms": False, "nms_score_threshold": 0.0, "nms_iou_threshold": 0.6,
            "num_classes": len(CLASSES), "y_scale": 10.0, "x_scale": 10.0, "h_scale": 5.0,
            "w_scale": 5.0,
        }
    )  # fmt: skip
    found = b.op(
        "CUSTOM",
        [b.dequantize(boxes), b.dequantize(scores), anchors],
        [(1, 10, 4), (1, 10), (1, 10), (1,)],
        output_type="FLOAT32",
        custom_name=POST_PROCESS,
        custom_options=bytes(options),
    )
    # At place i comes what the operator gives at place order[i].
    return labelled(b.model([found[place] for place in order]), labels)


def yolo(labels=CLASSES, size=64, numbers=64, style="int8", most=False):
    """A detector as YOLO v9 is exported for Frigate: boxes and scores of each cell."""
    b = GraphBuilder(style, seed=3)
    cells = sum((size // stride) ** 2 for stride in (8, 16, 32))
    x = b.mean(b.conv2d(b.input((1, size, size, 3)), 4, kernel=3, stride=2))
    shapes = [(len(labels) or 3), numbers] + ([1] if most else [])
    outputs = [b.reshape(b.dense(x, cells * depth), (1, cells, depth)) for depth in shapes]
    return labelled(b.model(outputs), labels)


def classifier(labels=CLASSES, size=224, style="uint8", softmax=True):
    """A classifier, as atoll build makes."""
    b = GraphBuilder(style, seed=3)
    x = b.mean(b.conv2d(b.input((1, size, size, 3)), 4, kernel=3, stride=4))
    x = b.dense(x, len(labels))
    return labelled(b.model(b.softmax(x) if softmax else x), labels)
