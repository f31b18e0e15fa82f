"""Whether a compiled part computes with a graph's scales, as far as its instructions show it.

The program holds the zero points of every layer with weights, and the multiplier where all channels
have the same: see docs/format.md.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

from atoll.edgetpu.parameters_encode import is_laid_out, multiplier
from atoll.edgetpu.program_layers import Computed, bits_of, computed
from atoll.tflite.weighted import WEIGHTED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from atoll.edgetpu.package import Package
    from atoll.tflite.graph import Operator, Subgraph

_LAYERS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
# These move values or give them another scale; a compiler may do so within the layer beside them.
_MOVES = frozenset(
    {
        "CONCATENATION",
        "DEPTH_TO_SPACE",
        "MAX_POOL_2D",
        "PAD",
        "QUANTIZE",
        "RELU",
        "RELU6",
        "RELU_N1_TO_1",
        "RESHAPE",
        "SLICE",
        "SPACE_TO_DEPTH",
        "SPLIT",
        "SQUEEZE",
        "STRIDED_SLICE",
        "TRANSPOSE",
    }
)
_SIGNED_OFFSET = {"INT8": 128, "UINT8": 0}


def rescaled_operator(graph: Subgraph, package: Package) -> Operator | None:
    """The first layer whose scales and zero points the program of a compiled part does not have.

    Args:
        graph: The operators that the part should have been made of, in execution order.
        package: The compiled part.

    Returns:
        The layer; None where there is none, or the program cannot be read.
    """
    found: set[Computed] = set()
    for executable in package.executables:
        layers = computed(chunk.bitstream for chunk in executable.chunks)
        if layers is None:
            return None
        found |= layers
    moves = [op for op in graph.operators if op.type in _MOVES]
    for op in graph.operators:
        due = set(_due(graph, op, moves))
        if due and (not due & found or _odd_zero_points(graph, op)):
            return op
    return None


def _due(graph: Subgraph, op: Operator, moves: Sequence[Operator]) -> Iterator[Computed]:
    """What the program may have for a layer with weights; nothing for any other operator."""
    if op.type not in _LAYERS or not is_laid_out(graph, op):
        return
    weights = graph.tensors[op.inputs[WEIGHTED[op.type].weights]]
    held = weights.quantization
    assert held is not None
    # Of weights with more than one scale, zero points are parameters.
    zero_point = 0 if held.per_channel else int(held.zero_point[0]) + _SIGNED_OFFSET[weights.type]
    before = _beside(graph, op.inputs[0], [(m.outputs, m.inputs) for m in moves])
    behind = _beside(graph, op.outputs[0], [(m.inputs, m.outputs) for m in moves])
    for (scale_in, zero_in), (scale_out, zero_out) in product(before, behind):
        factors = multiplier(scale_in, held.scale, scale_out)
        # Where they differ, they are parameters too.
        factor = factors[0] if (held.scale == held.scale[0]).all() else 1.0
        yield Computed(zero_point, zero_in, bits_of(factor), zero_out)


def _odd_zero_points(graph: Subgraph, op: Operator) -> bool:
    """Whether a bias has one, or channels have different ones: nothing in the program shows it."""
    place = WEIGHTED[op.type]
    weights, bias = (graph.input_of(op, place.weights), graph.input_of(op, place.bias))
    of_weights, of_bias = (None if t is None else t.quantization for t in (weights, bias))
    if of_weights is not None and (of_weights.zero_point != of_weights.zero_point[0]).any():
        return True
    return of_bias is not None and bool(of_bias.zero_point.any())


def _beside(
    graph: Subgraph, start: int, moves: Sequence[tuple[list[int], list[int]]]
) -> set[tuple[float, int]]:
    """The scale and zero point of a tensor, and of those that its values are moved to or from.

    Args:
        graph: The graph.
        start: The tensor.
        moves: Of each operator that moves values, the tensors on this side and on the other.
    """
    reached, waiting = {start}, [start]
    while waiting:
        last = waiting.pop()
        for near, far in moves:
            if last in near:
                waiting += {*far} - reached
                reached |= {*far}
    found = set()
    for index in reached - {-1}:
        tensor = graph.tensors[index]
        held = tensor.quantization
        if held is not None and held.scale.size and tensor.type in _SIGNED_OFFSET:
            zero = int(held.zero_point[0]) + _SIGNED_OFFSET[tensor.type]
            found.add((float(held.scale[0]), zero))
    return found
