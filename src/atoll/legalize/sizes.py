"""The sizes of what an operator computes, from those of its inputs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from atoll.legalize.options import option
from atoll.tflite.build_window import extent

if TYPE_CHECKING:
    from collections.abc import Callable

    from atoll.legalize.draft import Draft
    from atoll.tflite.graph import Operator

Shape = tuple[int, ...]

_PADDINGS = ("SAME", "VALID")
# Sizes are numbers of 32 bits.
_LARGEST = 1 << 31


def output_shapes(draft: Draft, op: Operator) -> list[Shape] | None:
    """The shapes of an operator's outputs.

    Args:
        draft: The draft; the operator's inputs have their true shapes.
        op: The operator.

    Returns:
        A shape an output; None where the operator is not known, or makes no sense.
    """
    rule = _RULES.get(op.type)
    try:
        found = None if rule is None else rule(draft, op)
    # What a damaged file says of its sizes need not fit together.
    except (IndexError, ValueError, ZeroDivisionError, TypeError, AttributeError):
        return None
    if found is None:
        return None
    shapes = found if isinstance(found, list) else [found] * len(op.outputs)
    sound = len(shapes) == len(op.outputs) and all(
        0 <= n < _LARGEST for shape in shapes for n in shape
    )
    return [tuple(int(n) for n in shape) for shape in shapes] if sound else None


def _shape(draft: Draft, op: Operator, position: int = 0) -> Shape:
    return draft.tensor(op.inputs[position]).shape


def _integers(draft: Draft, op: Operator, position: int) -> list[int]:
    found = draft.integers(op, position)
    if found is None:
        raise ValueError("not a constant")
    return found


def _same(draft: Draft, op: Operator) -> Shape:
    return _shape(draft, op)


def _broadcast(draft: Draft, op: Operator) -> Shape:
    return tuple(np.broadcast_shapes(*(draft.tensor(t).shape for t in op.inputs)))


def _extents(draft: Draft, op: Operator, window: Shape, data: int = 0) -> Shape:
    batch, height, width, _ = _shape(draft, op, data)
    options, padding = op.options, _PADDINGS[op.options.padding]
    dilation = [option(op, f"dilation{side}Factor", 1) for side in "HW"]
    return (
        batch,
        extent(height, window[0], options.strideH, padding, dilation[0]),
        extent(width, window[1], options.strideW, padding, dilation[1]),
    )


def _convolution(draft: Draft, op: Operator) -> Shape:
    filters, height, width, depth = _shape(draft, op, 1)
    channels = filters if op.type == "CONV_2D" else depth
    return (*_extents(draft, op, (height, width)), channels)


def _pool(draft: Draft, op: Operator) -> Shape:
    window = (op.options.filterHeight, op.options.filterWidth)
    return (*_extents(draft, op, window), _shape(draft, op)[3])


def _dense(draft: Draft, op: Operator) -> Shape:
    shape, (units, terms) = _shape(draft, op), _shape(draft, op, 1)
    if option(op, "keepNumDims"):
        return (*shape[:-1], units)
    return (math.prod(shape) // terms, units)


def _reshape(draft: Draft, op: Operator) -> Shape:
    if len(op.inputs) > 1 and op.inputs[1] >= 0:
        target = _integers(draft, op, 1)
    else:
        target = [int(n) for n in op.options.newShape]
    size = math.prod(_shape(draft, op))
    known = math.prod(n for n in target if n >= 0)
    return tuple(size // known if n < 0 else n for n in target)


def _expand(draft: Draft, op: Operator) -> Shape:
    shape, (axis,) = _shape(draft, op), _integers(draft, op, 1)
    axis %= len(shape) + 1
    return (*shape[:axis], 1, *shape[axis:])


def _squeeze(draft: Draft, op: Operator) -> Shape:
    shape = _shape(draft, op)
    axes = [int(a) % len(shape) for a in op.options.squeezeDims if a is not None]
    return tuple(n for i, n in enumerate(shape) if not (i in axes if axes else n == 1))


def _transpose(draft: Draft, op: Operator) -> Shape:
    return tuple(_shape(draft, op)[axis] for axis in _integers(draft, op, 1))


def _reduction(draft: Draft, op: Operator) -> Shape:
    shape = _shape(draft, op)
    axes = {axis % len(shape) for axis in _integers(draft, op, 1)}
    if op.options.keepDims:
        return tuple(1 if i in axes else n for i, n in enumerate(shape))
    return tuple(n for i, n in enumerate(shape) if i not in axes)


def _pad(draft: Draft, op: Operator) -> Shape:
    amounts = _integers(draft, op, 1)
    sizes = zip(_shape(draft, op), amounts[::2], amounts[1::2], strict=True)
    return tuple(n + a + b for n, a, b in sizes)


def _concatenation(draft: Draft, op: Operator) -> Shape:
    shape = list(_shape(draft, op))
    axis = op.options.axis
    shape[axis] = sum(draft.tensor(t).shape[axis] for t in op.inputs)
    return tuple(shape)


def _pack(draft: Draft, op: Operator) -> Shape:
    shape = _shape(draft, op)
    axis = op.options.axis % (len(shape) + 1)
    return (*shape[:axis], len(op.inputs), *shape[axis:])


def _unpack(draft: Draft, op: Operator) -> Shape:
    shape = _shape(draft, op)
    axis = op.options.axis % len(shape)
    return (*shape[:axis], *shape[axis + 1 :])


def _split(draft: Draft, op: Operator) -> Shape:
    shape = list(_shape(draft, op, 1))
    (axis,) = _integers(draft, op, 0)
    shape[axis] //= len(op.outputs)
    return tuple(shape)


def _split_v(draft: Draft, op: Operator) -> list[Shape]:
    shape, (axis,) = list(_shape(draft, op)), _integers(draft, op, 2)
    sizes = _integers(draft, op, 1)
    rest = shape[axis] - sum(n for n in sizes if n >= 0)
    made = []
    for size in sizes:
        part = shape.copy()
        part[axis] = rest if size < 0 else size
        made.append(tuple(part))
    return made


def _slice(draft: Draft, op: Operator) -> Shape:
    begins, sizes = _integers(draft, op, 1), _integers(draft, op, 2)
    parts = zip(_shape(draft, op), begins, sizes, strict=True)
    return tuple(n - begin if size < 0 else size for n, begin, size in parts)


def _gather(draft: Draft, op: Operator) -> Shape | None:
    shape, places = _shape(draft, op), _shape(draft, op, 1)
    axis = op.options.axis % len(shape)
    return None if op.options.batchDims else (*shape[:axis], *places, *shape[axis + 1 :])


def _tile(draft: Draft, op: Operator) -> Shape:
    return tuple(n * m for n, m in zip(_shape(draft, op), _integers(draft, op, 1), strict=True))


def _resize(draft: Draft, op: Operator) -> Shape:
    batch, _, _, channels = _shape(draft, op)
    height, width = _integers(draft, op, 1)
    return (batch, height, width, channels)


def _depth_to_space(draft: Draft, op: Operator) -> Shape:
    batch, height, width, channels = _shape(draft, op)
    block = op.options.blockSize
    return (batch, height * block, width * block, channels // (block * block))


def _space_to_depth(draft: Draft, op: Operator) -> Shape:
    batch, height, width, channels = _shape(draft, op)
    block = op.options.blockSize
    return (batch, height // block, width // block, channels * block * block)


def _space_to_batch(draft: Draft, op: Operator) -> Shape:
    shape, block, amounts = _shape(draft, op), _integers(draft, op, 1), _integers(draft, op, 2)
    inner = zip(shape[1:], block, amounts[::2], amounts[1::2], strict=False)
    made = tuple((n + a + b) // size for n, size, a, b in inner)
    return (shape[0] * math.prod(block), *made, *shape[1 + len(block) :])


def _batch_to_space(draft: Draft, op: Operator) -> Shape:
    shape, block, crops = _shape(draft, op), _integers(draft, op, 1), _integers(draft, op, 2)
    inner = zip(shape[1:], block, crops[::2], crops[1::2], strict=False)
    made = tuple(n * size - a - b for n, size, a, b in inner)
    return (shape[0] // math.prod(block), *made, *shape[1 + len(block) :])


def _product(draft: Draft, op: Operator) -> Shape:
    left, right = list(_shape(draft, op)), list(_shape(draft, op, 1))
    if option(op, "adjX"):
        left[-2:] = left[:-3:-1]
    if option(op, "adjY"):
        right[-2:] = right[:-3:-1]
    return (*np.broadcast_shapes(tuple(left[:-2]), tuple(right[:-2])), left[-2], right[-1])


def _given(position: int) -> Callable[[Draft, Operator], Any]:
    return lambda draft, op: tuple(_integers(draft, op, position))


_RULES: dict[str, Callable[[Draft, Operator], Any]] = {
    **dict.fromkeys(("CONV_2D", "DEPTHWISE_CONV_2D"), _convolution),
    **dict.fromkeys(("AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D"), _pool),
    **dict.fromkeys(("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD"), _reduction),
    **dict.fromkeys(("PAD", "PADV2", "MIRROR_PAD"), _pad),
    **dict.fromkeys(("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"), _resize),
    **dict.fromkeys(
        (
            *("ADD", "ATAN2", "DIV", "EQUAL", "FLOOR_DIV", "FLOOR_MOD", "GREATER"),
            *("GREATER_EQUAL", "LESS", "LESS_EQUAL", "LOGICAL_AND", "LOGICAL_OR", "MAXIMUM"),
            *("MINIMUM", "MUL", "NOT_EQUAL", "POW", "PRELU", "SELECT", "SELECT_V2"),
            *("SQUARED_DIFFERENCE", "SUB"),
        ),
        _broadcast,
    ),
    **dict.fromkeys(
        (
            *("ABS", "CAST", "CEIL", "COS", "CUMSUM", "DEQUANTIZE", "ELU", "EXP", "FAKE_QUANT"),
            *("FLOOR", "GELU", "HARD_SWISH", "LOGICAL_NOT", "REVERSE_V2", "ROUND", "SIGN", "SIN"),
            *("L2_NORMALIZATION", "LEAKY_RELU", "LOG", "LOGISTIC", "LOG_SOFTMAX", "NEG"),
            *("QUANTIZE", "RELU", "RELU6", "RELU_0_TO_1", "RELU_N1_TO_1", "RSQRT", "SOFTMAX"),
            *("SQRT", "SQUARE", "TANH", "ZEROS_LIKE"),
        ),
        _same,
    ),
    "BATCH_MATMUL": _product,
    "BATCH_TO_SPACE_ND": _batch_to_space,
    "BROADCAST_TO": _given(1),
    "CONCATENATION": _concatenation,
    "DEPTH_TO_SPACE": _depth_to_space,
    "EXPAND_DIMS": _expand,
    "FULLY_CONNECTED": _dense,
    "GATHER": _gather,
    "PACK": _pack,
    "RESHAPE": _reshape,
    "SLICE": _slice,
    "SPACE_TO_BATCH_ND": _space_to_batch,
    "SPACE_TO_DEPTH": _space_to_depth,
    "SPLIT": _split,
    "SPLIT_V": _split_v,
    "SQUEEZE": _squeeze,
    "TILE": _tile,
    "TRANSPOSE": _transpose,
    "TRANSPOSE_CONV": _given(0),
    "UNPACK": _unpack,
}
