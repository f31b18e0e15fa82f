"""What must hold for an operator to be mapped: small functions over (graph, operator).

Each returns None where it holds, and otherwise what was received instead; its docstring is the
sentence that the user reads then. Rows of `atoll.edgetpu.rules` name them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from atoll.tflite.graph import Operator, Subgraph, Tensor

Constraint = Callable[["Subgraph", "Operator"], str | None]

_EIGHT_BIT = ("INT8", "UINT8")
_CONSTANT_TYPES = (*_EIGHT_BIT, "INT32")
_SOFTMAX_ELEMENTS = 16_000
# Seen: 2x maps (MoveNet), 1x1 to 33x33 does not (DeepLab).
_LARGEST_ENLARGEMENT = 2
# Reported: resizing to 1 MiB maps, to 4 MiB does not (google-coral/edgetpu issues 31 and 187).
_LARGEST_RESIZED = 2 << 20
# More sizes than any tensor has: the rest of a list is not shown.
_MOST_SHOWN = 16
# Reported: 64x128 values a channel map, 256x128 do not (google-coral/edgetpu issue 461).
_MOST_AVERAGED = 16_384


class Inputs(NamedTuple):
    """What an operator wants of its inputs.

    Attributes:
        least: How many must be there; those behind are optional.
        parameters: Which of them are weights, sizes or axes, that must not be computed.
    """

    least: int
    parameters: tuple[int, ...] = ()


# Source: the operators' definitions in TensorFlow Lite. Others want one input.
_INPUTS: dict[str, Inputs] = {
    "ADD": Inputs(2),
    "CONV_2D": Inputs(2, (1, 2)),
    "DEPTHWISE_CONV_2D": Inputs(2, (1, 2)),
    "EXPAND_DIMS": Inputs(2, (1,)),
    "FULLY_CONNECTED": Inputs(2, (1, 2)),
    "MAXIMUM": Inputs(2),
    "MEAN": Inputs(2, (1,)),
    "MINIMUM": Inputs(2),
    "MUL": Inputs(2),
    "PAD": Inputs(2, (1,)),
    "PRELU": Inputs(2, (1,)),
    "REDUCE_MAX": Inputs(2, (1,)),
    "REDUCE_MIN": Inputs(2, (1,)),
    "RESHAPE": Inputs(1, (1,)),
    "RESIZE_BILINEAR": Inputs(2, (1,)),
    "RESIZE_NEAREST_NEIGHBOR": Inputs(2, (1,)),
    "SLICE": Inputs(3, (1, 2)),
    "SPLIT": Inputs(2, (0,)),
    "SQUARED_DIFFERENCE": Inputs(2),
    "STRIDED_SLICE": Inputs(4, (1, 2, 3)),
    "SUB": Inputs(2),
    "SUM": Inputs(2, (1,)),
    "TRANSPOSE": Inputs(2, (1,)),
    "TRANSPOSE_CONV": Inputs(3, (0, 1, 3)),
    # All but the sequence, and the state (18 and 19).
    "UNIDIRECTIONAL_SEQUENCE_LSTM": Inputs(1, (*range(1, 18), *range(20, 24))),
}
_ONE_INPUT = Inputs(1)


# What holds for every operator.


def complete(graph: Subgraph, op: Operator) -> str | None:
    """It must have the inputs and outputs of its kind."""
    least = _INPUTS.get(op.type, _ONE_INPUT).least
    needed = op.inputs[:least]
    if op.outputs and len(needed) == least and min(needed) >= 0:
        return None
    return f"{sum(t >= 0 for t in op.inputs)} inputs, {len(op.outputs)} outputs"


def eight_bit(graph: Subgraph, op: Operator) -> str | None:
    """Computed tensors must be quantised to 8 bits, with one scale each."""
    for tensor in _computed(graph, op):
        if tensor.type not in _EIGHT_BIT:
            return tensor.type
        if tensor.quantization is None:
            return f"{tensor.type} without a scale"
        if tensor.quantization.per_channel:
            return f"{tensor.quantization.scale.size} scales"
    return None


def constant_types(graph: Subgraph, op: Operator) -> str | None:
    """Constants must be 8-bit, or 32-bit integers (biases, sizes, axes)."""
    constants = (graph.tensors[t] for t in op.inputs if t >= 0 and graph.tensors[t].is_constant)
    return next((c.type for c in constants if c.type not in _CONSTANT_TYPES), None)


def unsigned(graph: Subgraph, op: Operator) -> str | None:
    """Signed 8-bit tensors need runtime 12."""
    return next((t.type for t in _computed(graph, op) if t.type != "UINT8"), None)


def static_sizes(graph: Subgraph, op: Operator) -> str | None:
    """Sizes must be known when the model is compiled; only the batch may be open."""
    for tensor in _computed(graph, op):
        signature = tensor.shape_signature or ()
        if any(size < 0 for size in signature[1:]):
            return _sizes(signature)
    return None


def three_dimensions(graph: Subgraph, op: Operator) -> str | None:
    """Only the three innermost sizes of a tensor may be above 1."""
    for tensor in _computed(graph, op):
        if math.prod(tensor.shape[: max(0, len(tensor.shape) - 3)]) != 1:
            return _sizes(tensor.shape)
    return None


def constant_parameters(graph: Subgraph, op: Operator) -> str | None:
    """Weights, biases, sizes and axes must be constants in the file."""
    for place in _INPUTS.get(op.type, _ONE_INPUT).parameters:
        if place < len(op.inputs) and op.inputs[place] >= 0:
            tensor = graph.tensors[op.inputs[place]]
            if not tensor.is_constant:
                return f"input {place} is computed: {tensor.name}"
    return None


# What holds for some.


def no_activation(graph: Subgraph, op: Operator) -> str | None:
    """There must be no fused activation function."""
    return _unless(_option(op, "fusedActivationFunction", 0), 0)


def same_dilation(graph: Subgraph, op: Operator) -> str | None:
    """The dilation must be the same in x and y."""
    high, wide = _option(op, "dilationHFactor", 1), _option(op, "dilationWFactor", 1)
    return None if high == wide else f"{wide} in x, {high} in y"


def no_dilation(graph: Subgraph, op: Operator) -> str | None:
    """There must be no dilation."""
    high, wide = _option(op, "dilationHFactor", 1), _option(op, "dilationWFactor", 1)
    return None if high == wide == 1 else f"{wide} in x, {high} in y"


def one_group(graph: Subgraph, op: Operator) -> str | None:
    """The weights must have as many input channels as the input: there are no groups."""
    image, kernel = (graph.tensors[t].shape for t in op.inputs[:2])
    if not image or not kernel or image[-1] == kernel[-1]:
        return None
    return f"{image[-1]} channels, weights of {kernel[-1]}"


def only_zero_padding(graph: Subgraph, op: Operator) -> str | None:
    """Where an input is a constant, there must be two inputs, and the constant all zeros."""
    constants = [graph.tensors[t] for t in op.inputs if t >= 0 and graph.tensors[t].is_constant]
    if not constants or (len(op.inputs) == 2 and all(map(_is_zero, constants))):
        return None
    return f"{len(op.inputs)} inputs, of which {len(constants)} are constants"


def default_weights_format(graph: Subgraph, op: Operator) -> str | None:
    """The weights must be in the default format."""
    return _unless(_option(op, "weightsFormat", 0), 0)


def one_dimensional_output(graph: Subgraph, op: Operator) -> str | None:
    """The output must have one dimension: only its innermost size may be above 1."""
    shapes = (graph.tensors[t].shape for t in op.outputs)
    return next((_sizes(shape) for shape in shapes if not _is_vector(shape)), None)


def softmax_vector(graph: Subgraph, op: Operator) -> str | None:
    """The input must have one dimension and at most 16,000 elements."""
    shape = graph.tensors[op.inputs[0]].shape
    fits = _is_vector(shape) and math.prod(shape) <= _SOFTMAX_ELEMENTS
    return None if fits else _sizes(shape)


def softmax_size(graph: Subgraph, op: Operator) -> str | None:
    """The innermost size must be at most 16,000."""
    shape = graph.tensors[op.inputs[0]].shape
    return _sizes(shape) if shape and shape[-1] > _SOFTMAX_ELEMENTS else None


def not_over_batch(graph: Subgraph, op: Operator) -> str | None:
    """It must not reach over the batch dimension."""
    # Reductions have more dimensions before, PACK has more after: the axes count in the larger.
    rank = max((len(tensor.shape) for tensor in _computed(graph, op)), default=0)
    axes = _AXES[op.type](graph, op)
    if rank <= 1 or axes is None or 0 not in {axis % rank for axis in axes if axis < rank}:
        return None
    return f"axes {_sizes(axes)}"


def whole_fours_of_channels(graph: Subgraph, op: Operator) -> str | None:
    """Where channels are reduced, their number must be a multiple of 4."""
    shape = graph.tensors[op.inputs[0]].shape
    axes = _constant_axes(graph, op, 1)
    if not shape or axes is None:
        return None
    reduced = len(shape) - 1 in {axis % len(shape) for axis in axes}
    return f"{shape[-1]} channels" if reduced and shape[-1] % 4 else None


def few_averaged(graph: Subgraph, op: Operator) -> str | None:
    """At most 16,384 values may be averaged into one (inferred)."""
    before, after = (graph.tensors[t].shape for t in (op.inputs[0], op.outputs[0]))
    count = math.prod(before) // max(1, math.prod(after))
    return _unless(count, count if count <= _MOST_AVERAGED else None)


def only_over_space(graph: Subgraph, op: Operator) -> str | None:
    """It must reach over x and y alone."""
    rank = len(graph.tensors[op.inputs[0]].shape)
    axes = _AXES[op.type](graph, op)
    if axes is None:
        return "axes that are not known"
    if rank >= 3 and {axis % rank for axis in axes} <= {rank - 3, rank - 2}:
        return None
    return f"axes {_sizes(axes)} of {rank}"


def leading_ones(graph: Subgraph, op: Operator) -> str | None:
    """Only leading sizes of 1 may be removed."""
    before, after = (graph.tensors[t].shape for t in (op.inputs[0], op.outputs[0]))
    removed = len(before) - len(after)
    return None if before[removed:] == after else f"{_sizes(before)} to {_sizes(after)}"


def one_alpha_a_channel(graph: Subgraph, op: Operator) -> str | None:
    """Alpha must have one dimension: one value a channel."""
    shape = graph.tensors[op.inputs[1]].shape
    return None if _is_vector(shape) else _sizes(shape)


def no_stride(graph: Subgraph, op: Operator) -> str | None:
    """Every stride must be 1."""
    strides = graph.tensors[op.inputs[3]].data
    if strides is None:
        return "computed strides"
    return None if bool((strides == 1).all()) else _sizes(strides.ravel().tolist())


def no_masked_axes(graph: Subgraph, op: Operator) -> str | None:
    """There must be no ellipsis mask and no new-axis mask."""
    ellipsis, new = _option(op, "ellipsisMask", 0), _option(op, "newAxisMask", 0)
    return None if ellipsis == new == 0 else f"ellipsis mask {ellipsis}, new-axis mask {new}"


def small_enlargement(graph: Subgraph, op: Operator) -> str | None:
    """It must not enlarge by more than 2, as precision would be lost (inferred)."""
    before, after = (graph.tensors[t].shape for t in (op.inputs[0], op.outputs[0]))
    pairs = zip(before[1:3], after[1:3], strict=False)
    if all(new <= old * _LARGEST_ENLARGEMENT for old, new in pairs):
        return None
    return f"{_sizes(before)} to {_sizes(after)}"


def small_resized(graph: Subgraph, op: Operator) -> str | None:
    """The resized tensor must not be above 2 MiB (inferred)."""
    shape = graph.tensors[op.outputs[0]].shape
    return None if math.prod(shape) <= _LARGEST_RESIZED else _sizes(shape)


def _computed(graph: Subgraph, op: Operator) -> Iterator[Tensor]:
    """The tensors that go in and out while the model runs, an operator's own state left out."""
    for index in (*graph.activations(op), *op.outputs):
        if not graph.tensors[index].is_variable:
            yield graph.tensors[index]


def _option(op: Operator, name: str, default: int) -> Any:
    return getattr(op.options, name, default)


def _unless(value: Any, right: Any) -> str | None:
    return None if value == right else str(value)


def _sizes(sizes: Sequence[int]) -> str:
    """Sizes or axes in brackets; of a damaged file's very many only the first."""
    more = ", ..." if len(sizes) > _MOST_SHOWN else ""
    return f"[{', '.join(map(str, sizes[:_MOST_SHOWN]))}{more}]"


def _is_vector(shape: tuple[int, ...]) -> bool:
    return math.prod(shape[:-1]) == 1


def _is_zero(tensor: Tensor) -> bool:
    """Whether a constant stands for zeros, in the file's numbers."""
    points = None if tensor.quantization is None else tensor.quantization.zero_point
    zero = points.flat[0] if points is not None and points.size else 0
    return tensor.data is not None and bool((tensor.data == zero).all())


def _constant_axes(graph: Subgraph, op: Operator, position: int) -> list[int] | None:
    """The axes that a constant input names; None where it is not constant."""
    data = graph.tensors[op.inputs[position]].data
    return None if data is None else [int(axis) for axis in np.ravel(data)]


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
