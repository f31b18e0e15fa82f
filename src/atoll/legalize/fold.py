"""What can be known before the model runs, written down: sizes, and arithmetic over them."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from atoll.legalize.draft import Change
from atoll.legalize.options import option
from atoll.legalize.sizes import output_shapes
from atoll.legalize.spans import spans
from atoll.tflite.types import BY_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from atoll.legalize.draft import Draft
    from atoll.tflite.graph import Operator

    Arrays = Sequence[np.ndarray]

# Elements that may go in, and that may come out where that can be more: a table that is computed
# from a few numbers would make the file larger.
_MOST_READ = 1 << 22
_LARGEST = 1 << 16
# What numpy raises where the numbers of a damaged file do not fit together.
_NONSENSE = (ArithmeticError, AttributeError, IndexError, TypeError, ValueError)


def fold_constants(draft: Draft) -> list[str]:
    """What follows from constants and sizes alone is computed now, as the chip wants it fixed."""
    folded = []
    for number in draft.ordered():
        op = draft.operators[number]
        values = _values(draft, op)
        if values is None:
            _fix_sizes(draft, op)
            continue
        for tensor, value in zip(op.outputs, values, strict=True):
            draft.graph.tensors[tensor] = replace(
                draft.tensor(tensor), data=value, shape=value.shape, shape_signature=None
            )
        folded.append(number)
    names = [draft.tensor(t).name for n in folded for t in draft.operators[n].outputs]
    draft.commit(Change(removed=tuple(folded)))
    return names


def _fix_sizes(draft: Draft, op: Operator) -> None:
    """Writes down sizes of an operator's outputs that the file leaves open."""
    tensors = draft.graph.tensors
    if not any(_is_open(draft, t) for t in op.outputs):
        return
    if any(t >= 0 and _is_open(draft, t) for t in op.inputs):
        return
    shapes = output_shapes(draft, op)
    if shapes is None:
        return
    for tensor, shape in zip(op.outputs, shapes, strict=True):
        if _is_open(draft, tensor):
            tensors[tensor] = replace(tensors[tensor], shape=shape, shape_signature=None)


def _is_open(draft: Draft, tensor: int) -> bool:
    return any(size < 0 for size in draft.tensor(tensor).shape_signature or ())


def _values(draft: Draft, op: Operator) -> list[np.ndarray] | None:
    """What an operator computes, of constants alone; None where that is not so, or not known."""
    if not op.inputs or any(draft.is_output(t) for t in op.outputs):
        return None
    if op.type == "SHAPE":
        return _sizes(draft, op)
    function = _FUNCTIONS.get(op.type)
    if function is None or option(op, "fusedActivationFunction"):
        return None
    if not _keeps_its_meaning(draft, op):
        return None
    arrays = []
    for tensor in op.inputs:
        data = draft.tensor(tensor).data if tensor >= 0 else None
        if data is None:
            return None
        arrays.append(data)
    if sum(a.size for a in arrays) > _MOST_READ:
        return None
    types = [BY_NAME[draft.tensor(t).type].dtype for t in op.outputs]
    try:
        # Whole numbers wrap around as they do in the interpreter.
        with np.errstate(all="ignore"):
            values = function(op, arrays)
    except _NONSENSE:
        return None
    if values is None or len(values) != len(types) or None in types:
        return None
    return [np.asarray(v).astype(t) for v, t in zip(values, types, strict=True)]


def _keeps_its_meaning(draft: Draft, op: Operator) -> bool:
    """Whether the integers that come out mean what those that go in mean.

    Quantised numbers may be moved, to where they have the same scale; not computed with.
    """
    ends = [t for t in (*op.inputs, *op.outputs) if t >= 0]
    quantized = [t for t in ends if draft.tensor(t).quantization is not None]
    if not quantized:
        return True
    alike = all(draft.same_quantization(quantized[0], t) for t in quantized)
    return op.type in _MOVING and alike and {*op.outputs} <= {*quantized}


def _sizes(draft: Draft, op: Operator) -> list[np.ndarray] | None:
    dtype = BY_NAME[draft.tensor(op.outputs[0]).type].dtype if len(op.outputs) == 1 else None
    if op.inputs[0] < 0 or _is_open(draft, op.inputs[0]) or dtype is None or dtype.kind != "i":
        return None
    return [np.asarray(draft.tensor(op.inputs[0]).shape, dtype)]


def _bounded(shape: Sequence[int]) -> tuple[int, ...]:
    sizes = tuple(int(n) for n in shape)
    if min(sizes, default=0) < 0 or math.prod(sizes) > _LARGEST:
        raise ValueError("too large")
    return sizes


def _strided(op: Operator, arrays: Arrays) -> list[np.ndarray] | None:
    data = arrays[0]
    begins, ends, steps = (a.tolist() for a in arrays[1:])
    found = spans(op, data.shape, begins, ends, steps)
    if found is None:
        return None
    places = tuple(slice(b, b + (n - 1) * step + 1, step) for b, n, step in found[0])
    return [data[places].reshape(found[1])]


def _sliced(op: Operator, arrays: Arrays) -> list[np.ndarray]:
    data, begins, sizes = arrays
    places = zip(begins.tolist(), sizes.tolist(), strict=True)
    return [data[tuple(slice(b, None if n < 0 else b + n) for b, n in places)]]


def _gathered(op: Operator, arrays: Arrays) -> list[np.ndarray] | None:
    if op.options is not None and op.options.batchDims:
        return None
    data, places = arrays
    axis = option(op, "axis")
    _bounded([places.size, data.size // max(1, data.shape[axis])])
    return [np.take(data, places, axis=axis)]


def _reshaped(op: Operator, arrays: Arrays) -> list[np.ndarray]:
    target = arrays[1].tolist() if len(arrays) > 1 else list(op.options.newShape)
    return [arrays[0].reshape(target)]


def _squeezed(op: Operator, arrays: Arrays) -> list[np.ndarray]:
    axes = tuple(int(axis) for axis in op.options.squeezeDims)
    return [np.squeeze(arrays[0], axes or None)]


def _range(op: Operator, arrays: Arrays) -> list[np.ndarray]:
    first, last, step = (a.item() for a in arrays)
    _bounded([max(0, int((last - first) // step))])
    return [np.arange(first, last, step)]


def _tiled(op: Operator, arrays: Arrays) -> list[np.ndarray]:
    data, repeats = arrays
    _bounded([n * m for n, m in zip(data.shape, repeats.tolist(), strict=True)])
    return [np.tile(data, repeats)]


def _pairwise(function: Callable[..., Any]) -> Callable[[Operator, Arrays], list[np.ndarray]]:
    def compute(op: Operator, arrays: Arrays) -> list[np.ndarray]:
        one, other = arrays
        _bounded(np.broadcast_shapes(one.shape, other.shape))
        return [function(one, other)]

    return compute


def _reduced(function: Callable[..., Any]) -> Callable[[Operator, Arrays], list[np.ndarray]]:
    def compute(op: Operator, arrays: Arrays) -> list[np.ndarray]:
        data, axes = arrays
        keep = option(op, "keepDims")
        return [function(data, axis=tuple(np.atleast_1d(axes).tolist()), keepdims=keep)]

    return compute


# What each operator computes, of numbers without a scale.
# What moves numbers and does not compute with them.
_MOVING = ("BROADCAST_TO", "EXPAND_DIMS", "FILL", "RESHAPE", "SQUEEZE", "TILE")
_FUNCTIONS: dict[str, Callable[[Operator, Arrays], list[np.ndarray] | None]] = {
    "ADD": _pairwise(np.add),
    "BROADCAST_TO": lambda op, a: [np.broadcast_to(a[0], _bounded(a[1].tolist()))],
    "CAST": lambda op, a: [a[0]],
    "CONCATENATION": lambda op, a: [np.concatenate(a, axis=op.options.axis)],
    "EQUAL": _pairwise(np.equal),
    "EXPAND_DIMS": lambda op, a: [np.expand_dims(a[0], int(a[1].item()))],
    "FILL": lambda op, a: [np.full(_bounded(a[0].tolist()), a[1].item())],
    "FLOOR_DIV": _pairwise(np.floor_divide),
    "FLOOR_MOD": _pairwise(np.mod),
    "GATHER": _gathered,
    "GREATER": _pairwise(np.greater),
    "LESS": _pairwise(np.less),
    "MAXIMUM": _pairwise(np.maximum),
    "MINIMUM": _pairwise(np.minimum),
    "MUL": _pairwise(np.multiply),
    "NOT_EQUAL": _pairwise(np.not_equal),
    "PACK": lambda op, a: [np.stack(a, axis=op.options.axis)],
    "RANGE": _range,
    "REDUCE_MAX": _reduced(np.max),
    "REDUCE_MIN": _reduced(np.min),
    "REDUCE_PROD": _reduced(np.prod),
    "RESHAPE": _reshaped,
    "SLICE": _sliced,
    "SQUEEZE": _squeezed,
    "STRIDED_SLICE": _strided,
    "SUB": _pairwise(np.subtract),
    "SUM": _reduced(np.sum),
    "TILE": _tiled,
    "TRANSPOSE": lambda op, a: [np.transpose(a[0], a[1].tolist())],
    "UNPACK": lambda op, a: list(np.moveaxis(a[0], op.options.axis, 0)),
}
