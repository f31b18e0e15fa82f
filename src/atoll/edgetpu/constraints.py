"""What must hold for an operator to be mapped: small functions over (graph, operator).

Each returns whether it holds; its docstring is the sentence that the user reads when it does not.
Rows of `atoll.edgetpu.rules` name them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from atoll.tflite.graph import Operator, Subgraph, Tensor

Constraint = Callable[["Subgraph", "Operator"], bool]

_EIGHT_BIT = ("INT8", "UINT8")
_CONSTANT_TYPES = (*_EIGHT_BIT, "INT32")
_SOFTMAX_ELEMENTS = 16_000
# Seen: 2x maps (MoveNet), 1x1 to 33x33 does not (DeepLab).
_LARGEST_ENLARGEMENT = 2
# Reported: resizing to 1 MiB maps, to 4 MiB does not (google-coral/edgetpu issues 31 and 187).
_LARGEST_RESIZED = 2 << 20

# Which inputs are parameters. Others with weights or shapes have none that may be computed.
_PARAMETERS: dict[str, tuple[int, ...]] = {
    "CONV_2D": (1, 2),
    "DEPTHWISE_CONV_2D": (1, 2),
    "EXPAND_DIMS": (1,),
    "FULLY_CONNECTED": (1, 2),
    "MEAN": (1,),
    "PAD": (1,),
    "PRELU": (1,),
    "REDUCE_MAX": (1,),
    "REDUCE_MIN": (1,),
    "RESHAPE": (1,),
    "RESIZE_BILINEAR": (1,),
    "RESIZE_NEAREST_NEIGHBOR": (1,),
    "SLICE": (1, 2),
    "SPLIT": (0,),
    "STRIDED_SLICE": (1, 2, 3),
    "SUM": (1,),
    "TRANSPOSE": (1,),
    "TRANSPOSE_CONV": (0, 1, 3),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": tuple(i for i in range(1, 24) if i not in (18, 19)),
}

# How many inputs must be there, where it is more than the first; behind them they are optional.
_REQUIRED: dict[str, int] = {
    "CONV_2D": 2,
    "DEPTHWISE_CONV_2D": 2,
    "EXPAND_DIMS": 2,
    "FULLY_CONNECTED": 2,
    "MEAN": 2,
    "PAD": 2,
    "PRELU": 2,
    "REDUCE_MAX": 2,
    "REDUCE_MIN": 2,
    "RESIZE_BILINEAR": 2,
    "RESIZE_NEAREST_NEIGHBOR": 2,
    "SLICE": 3,
    "SPLIT": 2,
    "STRIDED_SLICE": 4,
    "SUM": 2,
    "TRANSPOSE": 2,
    "TRANSPOSE_CONV": 3,
}


# What holds for every operator.


def complete(graph: Subgraph, op: Operator) -> bool:
    """It must have the inputs and outputs of its kind."""
    needed = op.inputs[: _REQUIRED.get(op.type, 1)]
    return bool(op.outputs) and len(needed) == _REQUIRED.get(op.type, 1) and min(needed) >= 0


def eight_bit(graph: Subgraph, op: Operator) -> bool:
    """Computed tensors must be quantised to 8 bits, with one scale each."""
    return all(
        tensor.type in _EIGHT_BIT
        and tensor.quantization is not None
        and not tensor.quantization.per_channel
        for tensor in _computed(graph, op)
    )


def constant_types(graph: Subgraph, op: Operator) -> bool:
    """Constants must be 8-bit, or 32-bit integers (biases, sizes, axes)."""
    return all(
        graph.tensors[t].type in _CONSTANT_TYPES
        for t in op.inputs
        if t >= 0 and graph.tensors[t].is_constant
    )


def static_sizes(graph: Subgraph, op: Operator) -> bool:
    """Sizes must be known when the model is compiled; only the batch may be open."""
    return not any(
        size < 0 for tensor in _computed(graph, op) for size in (tensor.shape_signature or ())[1:]
    )


def three_dimensions(graph: Subgraph, op: Operator) -> bool:
    """Only the three innermost sizes of a tensor may be above 1."""
    return all(
        math.prod(tensor.shape[: max(0, len(tensor.shape) - 3)]) == 1
        for tensor in _computed(graph, op)
    )


def constant_parameters(graph: Subgraph, op: Operator) -> bool:
    """Weights, biases, sizes and axes must be constants in the file."""
    return all(
        graph.tensors[op.inputs[i]].is_constant
        for i in _PARAMETERS.get(op.type, ())
        if i < len(op.inputs) and op.inputs[i] >= 0
    )


# What holds for some.


def no_activation(graph: Subgraph, op: Operator) -> bool:
    """There must be no fused activation function."""
    return bool(_option(op, "fusedActivationFunction", 0) == 0)


def same_dilation(graph: Subgraph, op: Operator) -> bool:
    """The dilation must be the same in x and y."""
    return bool(_option(op, "dilationHFactor", 1) == _option(op, "dilationWFactor", 1))


def no_dilation(graph: Subgraph, op: Operator) -> bool:
    """There must be no dilation."""
    return bool(_option(op, "dilationHFactor", 1) == _option(op, "dilationWFactor", 1) == 1)


def only_zero_padding(graph: Subgraph, op: Operator) -> bool:
    """Where an input is a constant, there must be two inputs, and the constant all zeros."""
    constants = [graph.tensors[t] for t in op.inputs if t >= 0 and graph.tensors[t].is_constant]
    return not constants or (len(op.inputs) == 2 and all(map(_is_zero, constants)))


def default_weights_format(graph: Subgraph, op: Operator) -> bool:
    """The weights must be in the default format."""
    return bool(_option(op, "weightsFormat", 0) == 0)


def one_dimensional_output(graph: Subgraph, op: Operator) -> bool:
    """The output must have one dimension: only its innermost size may be above 1."""
    return all(_is_vector(graph.tensors[t].shape) for t in op.outputs)


def softmax_size(graph: Subgraph, op: Operator) -> bool:
    """The input must have one dimension and at most 16,000 elements."""
    shape = graph.tensors[op.inputs[0]].shape
    return _is_vector(shape) and math.prod(shape) <= _SOFTMAX_ELEMENTS


def not_over_batch(graph: Subgraph, op: Operator) -> bool:
    """It must not reach over the batch dimension."""
    rank = len(graph.tensors[op.outputs[0]].shape)
    axes = _AXES[op.type](graph, op)
    return rank <= 1 or axes is None or 0 not in {axis % rank for axis in axes if axis < rank}


def whole_fours_of_channels(graph: Subgraph, op: Operator) -> bool:
    """Where channels are reduced, their number must be a multiple of 4."""
    shape = graph.tensors[op.inputs[0]].shape
    axes = _constant_axes(graph, op, 1)
    if not shape or axes is None:
        return True
    return len(shape) - 1 not in {axis % len(shape) for axis in axes} or shape[-1] % 4 == 0


def only_over_space(graph: Subgraph, op: Operator) -> bool:
    """It must reach over x and y alone."""
    rank = len(graph.tensors[op.inputs[0]].shape)
    axes = _AXES[op.type](graph, op)
    return axes is not None and rank >= 3 and {a % rank for a in axes} <= {rank - 3, rank - 2}


def leading_ones(graph: Subgraph, op: Operator) -> bool:
    """Only leading sizes of 1 may be removed."""
    before, after = (graph.tensors[t].shape for t in (op.inputs[0], op.outputs[0]))
    removed = len(before) - len(after)
    return before[removed:] == after


def one_alpha_a_channel(graph: Subgraph, op: Operator) -> bool:
    """Alpha must have one dimension: one value a channel."""
    return _is_vector(graph.tensors[op.inputs[1]].shape)


def no_stride(graph: Subgraph, op: Operator) -> bool:
    """Every stride must be 1."""
    strides = graph.tensors[op.inputs[3]].data
    return strides is not None and bool((strides == 1).all())


def no_masked_axes(graph: Subgraph, op: Operator) -> bool:
    """There must be no ellipsis mask and no new-axis mask."""
    return bool(_option(op, "ellipsisMask", 0) == 0 == _option(op, "newAxisMask", 0))


def small_enlargement(graph: Subgraph, op: Operator) -> bool:
    """It must not enlarge by more than 2, as precision would be lost (inferred)."""
    before, after = (graph.tensors[t].shape for t in (op.inputs[0], op.outputs[0]))
    return all(
        new <= old * _LARGEST_ENLARGEMENT for old, new in zip(before[1:3], after[1:3], strict=False)
    )


def small_resized(graph: Subgraph, op: Operator) -> bool:
    """The resized tensor must not be above 2 MiB (inferred)."""
    return math.prod(graph.tensors[op.outputs[0]].shape) <= _LARGEST_RESIZED


def _computed(graph: Subgraph, op: Operator) -> Iterator[Tensor]:
    """The tensors that go in and out while the model runs, an operator's own state left out."""
    for index in (*graph.activations(op), *op.outputs):
        if not graph.tensors[index].is_variable:
            yield graph.tensors[index]


def _option(op: Operator, name: str, default: int) -> Any:
    return getattr(op.options, name, default)


def _is_vector(shape: tuple[int, ...]) -> bool:
    return math.prod(shape[:-1]) == 1


def _is_zero(tensor: Tensor) -> bool:
    """Whether a constant stands for zeros, in the file's numbers."""
    zero = 0 if tensor.quantization is None else tensor.quantization.zero_point.flat[0]
    return tensor.data is not None and bool((tensor.data == zero).all())


def _constant_axes(graph: Subgraph, op: Operator, position: int) -> list[int] | None:
    """The axes that a constant input names; None where it is not constant."""
    data = graph.tensors[op.inputs[position]].data
    return None if data is None else [int(axis) for axis in np.atleast_1d(data)]


def _padded_axes(graph: Subgraph, op: Operator) -> list[int] | None:
    data = graph.tensors[op.inputs[1]].data
    if data is None or data.ndim != 2:
        return None
    return [int(i) for i in np.flatnonzero(data.any(axis=1))]


# Which axes an operator reaches over, by type.
_AXES: dict[str, Callable[[Subgraph, Operator], list[int] | None]] = {
    "MEAN": lambda graph, op: _constant_axes(graph, op, 1),
    "PACK": lambda graph, op: [_option(op, "axis", 0)],
    "PAD": _padded_axes,
    "REDUCE_MAX": lambda graph, op: _constant_axes(graph, op, 1),
    "REDUCE_MIN": lambda graph, op: _constant_axes(graph, op, 1),
    "SPLIT": lambda graph, op: _constant_axes(graph, op, 0),
    "SUM": lambda graph, op: _constant_axes(graph, op, 1),
}
