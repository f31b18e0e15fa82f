"""Small models whose outputs are known, for the tests of adapters and their commands."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers

from atoll.tflite.build import GraphBuilder
from atoll.tflite.graph import Model, Operator, Quantization, Subgraph, Tensor
from atoll.tflite.types import TYPES
from atoll.tflite.writer import write_model

POST_PROCESS = "TFLite_Detection_PostProcess"


def constant_model(outputs, size=(32, 32), kind="UINT8") -> Model:
    """A model of an image whose outputs are these arrays, whatever the image.

    Args:
        outputs: A dict from name to an array, or to (array of 8 bits, scale, zero point).
        size: The input's (width, height).
        kind: "UINT8" (pixels as they are, no scale) or "FLOAT32".
    """
    width, height = size
    tensors = [Tensor("image", kind, (1, height, width, 3))]
    operators, made = [], []
    for name, value in outputs.items():
        data, *quantized = value if isinstance(value, tuple) else (value,)
        data = np.asarray(data)
        scale = None
        if quantized:
            scale = Quantization(np.float32([quantized[0]]), np.int64([quantized[1]]))
        type_ = next(row.name for row in TYPES if row.dtype == data.dtype)
        at = len(tensors)
        tensors += [
            Tensor(f"{name}/value", type_, data.shape, None, scale, data),
            Tensor(f"{name}/shape", "INT32", (data.ndim,), data=np.int32(data.shape)),
            Tensor(name, type_, data.shape, None, scale),
        ]
        options = schema.ReshapeOptionsT()
        options.newShape = list(data.shape)
        operators.append(Operator("RESHAPE", [at, at + 1], [at + 2], options=options))
        made.append(at + 2)
    return Model([Subgraph("main", tensors, operators, [0], made)])


def constant_file(path, outputs, **kwargs):
    """The same as a file."""
    path.write_bytes(write_model(constant_model(outputs, **kwargs)))
    return path


def post_process_model(encodings, scores, anchors, order=(0, 1, 2, 3), size=(300, 300), **options):
    """A detector that ends with LiteRT's own operator for picking boxes.

    Args:
        encodings: (n, 4) float, relative to the anchors.
        scores: (n, 1 + classes) float, 0 to 1, the first for the background.
        anchors: (n, 4) float.
        order: Of its outputs, in which boxes, classes, scores and count come out of the model.
        size: The input's (width, height).
        **options: Of the operator's, other than usual.
    """
    n = len(encodings)
    model = constant_model(
        {"encodings": np.float32(encodings)[None], "scores": np.float32(scores)[None]}, size
    )
    graph = model.main
    most = options.get("max_detections", 10)
    graph.tensors.append(Tensor("anchors", "FLOAT32", (n, 4), data=np.float32(anchors)))
    start = len(graph.tensors)
    for name, shape in (
        ("boxes", (1, most, 4)),
        ("classes", (1, most)),
        ("rated", (1, most)),
        ("count", (1,)),
    ):
        graph.tensors.append(Tensor(name, "FLOAT32", shape))
    settings = {
        "max_detections": most,
        "max_classes_per_detection": 1,
        "detections_per_class": 100,
        "use_regular_nms": False,
        "nms_score_threshold": 1e-8,
        "nms_iou_threshold": 0.5,
        "num_classes": scores.shape[1] - 1,
        "y_scale": 10.0,
        "x_scale": 10.0,
        "h_scale": 5.0,
        "w_scale": 5.0,
        **options,
    }
    outputs = [start + i for i in range(4)]
    graph.operators.append(
        Operator(
            "CUSTOM",
            [*graph.outputs, start - 1],
            outputs,
            custom_name=POST_PROCESS,
            custom_options=bytes(flexbuffers.Dumps(settings)),
        )
    )
    graph.outputs = [outputs[i] for i in order]
    return model


def colour_detector(side=64) -> bytes:
    """A detector of the shape of YOLO's: three classes, red, green and blue.

    A cell's score is the mean of a colour in it. So it finds what is painted, where it is painted.
    """
    b = GraphBuilder("uint8")
    image = b.input((1, side, side, 3), low=0.0, high=255 / 256)
    tables, boxes = [], []
    for stride in (8, 16, 32):
        cells = side // stride
        pooled = b.average_pool(image, stride, stride)
        tables.append(b.reshape(pooled, (1, cells * cells, 3)))
        ys, xs = np.divmod(np.arange(cells * cells), cells)
        box = np.stack([xs + 0.5, ys + 0.5, np.ones_like(xs), np.ones_like(xs)], axis=1)
        boxes.append(box * stride / side)
    scores = b.concat(tables, axis=1)
    value = b.constant(np.float32(np.concatenate(boxes))[None])
    table = b.reshape(value, b.shape(value))
    return write_model(b.model([table, scores]))


def colour_segmenter(size=(32, 32)) -> bytes:
    """A segmentation model whose scores are the image: classes red, green and blue."""
    b = GraphBuilder("uint8")
    image = b.input((1, size[1], size[0], 3), low=0.0, high=1.0)
    return write_model(b.model(b.reshape(image, b.shape(image))))
