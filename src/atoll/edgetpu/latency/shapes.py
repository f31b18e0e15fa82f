"""What an operator's tensors measure, for any graph: nothing here can fail."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from atoll.edgetpu.tiling import Plane, plane_of
from atoll.tflite.types import BY_NAME

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atoll.tflite.graph import Operator, Subgraph, Tensor

# More elements than this come from damaged files; bounded, they stay exact as floats.
_LARGEST = 1 << 48
_BITS_OF_UNKNOWN = 8


def input_tensor(graph: Subgraph, op: Operator, place: int) -> Tensor | None:
    """An input of an operator; None where it is left out."""
    return _tensor(graph, op.inputs, place)


def output_tensor(graph: Subgraph, op: Operator, place: int = 0) -> Tensor | None:
    """An output of an operator; None where it is left out."""
    return _tensor(graph, op.outputs, place)


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


def data_bytes(tensor: Tensor) -> int:
    """The bytes of a tensor's elements."""
    known = BY_NAME.get(tensor.type)
    bits = known.bits if known is not None and known.bits else _BITS_OF_UNKNOWN
    return elements(tensor) * bits // 8


def _tensor(graph: Subgraph, places: Sequence[int], place: int) -> Tensor | None:
    if place >= len(places) or not 0 <= places[place] < len(graph.tensors):
        return None
    return graph.tensors[places[place]]
