"""Small models for programs of the old Coral libraries."""

import ai_edge_litert.schema_py_generated as schema
import numpy as np

from atoll.tflite.build import GraphBuilder
from atoll.tflite.graph import Model, Operator, Quantization, Subgraph, Tensor

CLASSES = 10
SIDE = 16
FOUND = 5
# What a detector gives of each: its numbers, in which shape.
NAMED_OUTPUT = ["output_0", "output_1"]
BOXES, IDS, SCORES, COUNT = (1, FOUND, 4), (1, FOUND), (1, FOUND), (1,)


def classifier(seed=1, style="uint8", channels=3) -> Model:
    """Photos of 16x16 to ten scores."""
    b = GraphBuilder(style, seed=seed)
    x = b.conv2d(b.input((1, SIDE, SIDE, channels)), 8, 3, stride=2, activation="RELU6")
    return b.model(b.softmax(b.dense(b.mean(x), CLASSES)))


def two_segments(seed=2) -> tuple[Model, Model]:
    """Two models, of which the second takes what the first gives, and what the first takes."""
    b = GraphBuilder("uint8", seed=seed)
    image = b.input((1, 8, 8, 3), name="image")
    middle = b.conv2d(image, 4, 3)
    b.tensors[middle].name = "middle"
    first = b.model(middle)
    c = GraphBuilder("uint8", seed=seed)
    both = [c.input((1, 8, 8, 4), name="middle"), c.input((1, 8, 8, 3), name="image")]
    quantization = first.main.tensors[first.main.outputs[0]].quantization
    c.tensors[both[0]].quantization = quantization
    scores = c.softmax(c.dense(c.mean(c.conv2d(c.concat(both), 4, 3)), CLASSES))
    return first, c.model(scores)


def windows(shapes, kind="FLOAT32", scale=None, signature=None) -> Model:
    """An image of 8x8 whose numbers are the outputs, one behind the other.

    Args:
        shapes: Of the outputs.
        kind: Of all tensors.
        scale: Of all tensors; None for none.
        signature: The outputs' names in a signature; None for no signature.
    """
    quantization = None if scale is None else Quantization(np.float32([scale]), np.int64([0]))
    tensors = [Tensor("image", kind, (1, 8, 8, 3), quantization=quantization)]
    operators, outputs = [], []

    def constant(values):
        tensors.append(Tensor("constant", "INT32", (len(values),), data=np.array(values, np.int32)))
        return len(tensors) - 1

    def tensor(shape):
        tensors.append(Tensor(f"t{len(tensors)}", kind, tuple(shape), quantization=quantization))
        return len(tensors) - 1

    row = tensor((192,))
    operators.append(Operator("RESHAPE", [0, constant([192])], [row]))
    start = 0
    for shape in shapes:
        size = int(np.prod(shape))
        part, output = tensor((size,)), tensor(shape)
        operators.append(Operator("SLICE", [row, constant([start]), constant([size])], [part]))
        operators.append(Operator("RESHAPE", [part, constant(shape)], [output]))
        outputs.append(output)
        start += size
    signatures = []
    if signature:
        made = schema.SignatureDefT()
        made.signatureKey, made.subgraphIndex = b"serving_default", 0
        made.inputs = [_entry("image", 0)]
        made.outputs = [_entry(name, out) for name, out in zip(signature, outputs, strict=True)]
        signatures.append(made)
    return Model([Subgraph("main", tensors, operators, [0], outputs)], signatures=signatures)


def _entry(name, index):
    entry = schema.TensorMapT()
    entry.name, entry.tensorIndex = name.encode(), index
    return entry


def image_of(*arrays, dtype=np.float32) -> np.ndarray:
    """The image that gives these outputs."""
    row = np.concatenate([np.ravel(array) for array in arrays]).astype(dtype)
    return np.pad(row, (0, 192 - row.size)).reshape(1, 8, 8, 3)
