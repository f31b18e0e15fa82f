"""What an operator's tensors measure, for any graph: nothing here can fail."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from atoll.edgetpu.tiling import Plane, plane_of
from atoll.tflite.types import BY_NAME

if TYPE_CHECKING:
    from atoll.tflite.graph import Operator, Subgraph, Tensor

# More elements than this come from damaged files; bounded, they stay exact as floats.
_LARGEST = 1 << 48


def plane(tensor: Tensor | None) -> Plane:
    """A tensor's height, width and channels; nothing where there is no tensor."""
    return Plane(0, 0, 0) if tensor is None else plane_of(tensor.shape)


def filters(tensor: Tensor | None) -> tuple[int, int, int, int]:
    """A convolution's weights [outputs, height, width, inputs]; zeros where they are not so."""
    if tensor is None or len(tensor.shape) != 4:
        return (0, 0, 0, 0)
    outputs, height, width, inputs = (max(size, 0) for size in tensor.shape)
    return (outputs, height, width, inputs)


def elements(tensor: Tensor | None) -> int:
    """How many elements a tensor has; none where there is no tensor."""
    return 0 if tensor is None else min(math.prod(max(size, 0) for size in tensor.shape), _LARGEST)


def tensor_bytes(tensor: Tensor) -> int:
    """The bytes of a tensor as TFLite stores it; 0 where its type has no fixed size."""
    row = BY_NAME.get(tensor.type)
    return 0 if row is None else (elements(tensor) * row.bits + 7) // 8


def activation_bytes(graph: Subgraph, op: Operator) -> int:
    """The bytes of an operator's computed inputs and outputs; one that is used twice counts once.

    Args:
        graph: The subgraph it is of.
        op: The operator.

    Returns:
        Bytes.
    """
    computed = {*graph.activations(op), *(t for t in op.outputs if t >= 0)}
    return sum(tensor_bytes(graph.tensors[t]) for t in computed)
