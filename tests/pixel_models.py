"""The simplest classifiers that LiteRT runs: a photo's numbers are the scores themselves."""

import ai_edge_litert.schema_py_generated as schema
import numpy as np

from atoll.tflite.graph import Model, Operator, Quantization, Subgraph, Tensor
from atoll.tflite.writer import write_model

SIDE = 4
SCORES = SIDE * SIDE * 3


def pixel_model(kind="UINT8", scale=1 / 128, zero_point=128, shapes=((1, SCORES),)) -> Model:
    """A model from an image of 4x4 to its numbers in each of these shapes, by RESHAPE alone."""
    quantization = Quantization(np.float32([scale]), np.int64([zero_point])) if scale else None
    tensors = [Tensor("image", kind, (1, SIDE, SIDE, 3), quantization=quantization)]
    operators = []
    for shape in shapes:
        options = schema.ReshapeOptionsT()
        options.newShape = list(shape)
        wanted = np.array(shape, np.int32)
        tensors.append(Tensor("shape", "INT32", wanted.shape, data=wanted))
        tensors.append(Tensor("scores", kind, tuple(shape), quantization=quantization))
        place = len(tensors)
        operators.append(Operator("RESHAPE", [0, place - 2], [place - 1], options=options))
    outputs = [op.outputs[0] for op in operators]
    return Model([Subgraph("main", tensors, operators, [0], outputs)])


def pixel_file(path, **kwargs):
    """The same as a file."""
    path.write_bytes(write_model(pixel_model(**kwargs)))
    return path
