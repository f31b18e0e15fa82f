"""What must hold of an operator before LiteRT may see it.

Found by changing sound files, as the rules of `soundness`: each of these ended LiteRT 2.3 with a
signal when it was broken, or had it take all memory.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from atoll.tflite.weighted import WEIGHTED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy as np

    from atoll.tflite.graph import Operator, Subgraph

    # The rule that is broken, and what was found.
    Fault = tuple[str, str]

Shape = tuple[int, ...]

# Operators that are told how many outputs they have, and how the schema calls that.
_PIECES = {"SPLIT": "numSplits", "SPLIT_V": "numSplits", "UNPACK": "num"}
# Values in a tensor that a damaged number makes by chance, and that would fill the memory.
_LARGE = 1 << 27
# What the schema calls the sizes of steps and windows.
_STEPS = (
    "strideH",
    "strideW",
    "dilationHFactor",
    "dilationWFactor",
    "filterHeight",
    "filterWidth",
)
# Operators with inputs that may be left out, beside a bias: states, gates and the like.
_OPTIONAL = ("LSTM", "RNN", "SVDF", "CUSTOM", "COMPOSITE", "CALL", "IF", "WHILE")
_BIASES = {kind: row.bias for kind, row in WEIGHTED.items()} | {"CONV_3D": 2}
# Operators whose 8-bit numbers LiteRT scales against each other, without asking for scales.
_SCALED = ("ADD", "SUB", "MUL", "DIV", "SQUARED_DIFFERENCE")
_EIGHT_BIT = ("INT8", "UINT8")
# It adds and subtracts with so many bits more than the numbers have.
_ADDED = ("ADD", "SUB")
_MOST_TIMES = 1 << 19


def operator_fault(graph: Subgraph, op: Operator) -> Fault | None:
    """What is wrong with an operator.

    Args:
        graph: Its graph.
        op: The operator.

    Returns:
        The rule that it breaks and what was found; None where nothing is wrong.
    """
    faults = (check(graph, op) for check in _CHECKS)
    return next((fault for fault in faults if fault is not None), None)


def _left_out(_graph: Subgraph, op: Operator) -> Fault | None:
    if op.type.endswith(_OPTIONAL):
        return None
    for place, index in enumerate(op.inputs):
        if index < 0 and place != _BIASES.get(op.type):
            return f"a {op.type} must have all of its inputs", f"none at place {place}"
    return None


def _pieces(_graph: Subgraph, op: Operator) -> Fault | None:
    name = _PIECES.get(op.type)
    told = len(op.outputs) if name is None else getattr(op.options, name, 0)
    if told == len(op.outputs):
        return None
    return f"a {op.type} must have as many outputs as it says", f"{len(op.outputs)} of {told}"


def _steps(_graph: Subgraph, op: Operator) -> Fault | None:
    for name in _STEPS:
        told = getattr(op.options, name, 1)
        if told < 1:
            return f"a {op.type} must have windows and steps of at least 1", f"{name} {told}"
    return None


def _scales(graph: Subgraph, op: Operator) -> Fault | None:
    if op.type not in _SCALED:
        return None
    tensors = [graph.tensors[t] for t in (*op.inputs, *op.outputs) if t >= 0]
    types = {tensor.type for tensor in tensors}
    if len(types) != 1:
        return f"a {op.type} must have tensors of one type", ", ".join(sorted(types)) or "none"
    for tensor in tensors:
        held = tensor.quantization
        if tensor.type in _EIGHT_BIT and (held is None or not held.scale.size):
            return f"a {op.type} of 8 bits must have scales", f"none at {tensor.name!r}"
    held = tensors[-1].quantization
    if op.type not in _ADDED or held is None or not held.scale.size:
        return None
    for tensor in tensors[:-1]:
        taken = tensor.quantization
        if taken is not None and taken.scale.size and taken.scale[0] >= _MOST_TIMES * held.scale[0]:
            rule = f"a {op.type} must not take scales of {_MOST_TIMES} times its output's"
            return rule, f"{taken.scale[0]:g} at {tensor.name!r}, {held.scale[0]:g} at its output"
    return None


def _size(graph: Subgraph, op: Operator) -> Fault | None:
    size_of, place = _SIZES.get(op.type, (None, 0))
    image, constant = graph.input_of(op, 0), graph.input_of(op, place)
    output = graph.output_of(op)
    if size_of is None or image is None or constant is None or output is None:
        return None
    told = constant.data
    if told is None or not told.size or told.dtype.kind != "i":
        return None
    try:
        size = int(math.prod(size_of(image.shape, told.astype(object))))
    except (IndexError, TypeError, ValueError):
        return None  # LiteRT refuses these itself
    if size <= _LARGE or size == math.prod(output.shape):
        return None
    received = f"{size} values for {output.name!r} of {list(output.shape)}"
    return f"a {op.type} must make what its output says", received


def _padded(image: Shape, amounts: np.ndarray) -> Iterable[int]:
    return (n + before + after for n, (before, after) in zip(image, amounts, strict=True))


def _resized(image: Shape, size: np.ndarray) -> Iterable[int]:
    return (image[0], *size, *image[3:])


def _repeated(image: Shape, times: np.ndarray) -> Iterable[int]:
    return (n * count for n, count in zip(image, times, strict=True))


def _told(_image: Shape, shape: np.ndarray) -> Iterable[int]:
    return iter(shape)


def _spread(image: Shape, amounts: np.ndarray) -> Iterable[int]:
    sides = zip(image[1:], amounts, strict=False)
    return (image[0], *(n + sum(pair) for n, pair in sides), *image[1 + len(amounts) :])


# Operators whose output's size is a constant's to say: which input that is, and what it makes.
_SIZES: dict[str, tuple[Callable[[Shape, np.ndarray], Iterable[int]], int]] = {
    "BROADCAST_TO": (_told, 1),
    "FILL": (_told, 0),
    "MIRROR_PAD": (_padded, 1),
    "PAD": (_padded, 1),
    "PADV2": (_padded, 1),
    "RESIZE_BILINEAR": (_resized, 1),
    "RESIZE_NEAREST_NEIGHBOR": (_resized, 1),
    "SPACE_TO_BATCH_ND": (_spread, 2),
    "TILE": (_repeated, 1),
    "TRANSPOSE_CONV": (_told, 0),
}

_CHECKS = (_left_out, _pieces, _steps, _scales, _size)
