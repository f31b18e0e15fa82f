"""What must hold of a graph before LiteRT may see it: it does not check, and crashes the process.

Found by changing sound files: each rule here ended LiteRT 2.3 with a signal when it was broken.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from atoll.errors import ModelError
from atoll.tflite.types import BY_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from atoll.tflite.graph import Model, Operator, Subgraph, Tensor

Shape = tuple[int, ...]

# Values in a tensor that a damaged number makes by chance, and that would fill the memory.
_LARGE = 1 << 27
# Operators that are told how many outputs they have, and how the schema calls that.
_PIECES = {"SPLIT": "numSplits", "SPLIT_V": "numSplits", "UNPACK": "num"}


def check_sound(model: Model, source: object) -> None:
    """Refuses a model that would crash LiteRT.

    Args:
        model: The model.
        source: What to call it in a message.

    Raises:
        ModelError: A scale or zero point is impossible, an operator reads what nobody computes, or
            it has not as many outputs as it says; or a constant makes an output far larger than it
            says.
    """
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            _check_quantization(tensor, source)
        known = {*graph.inputs, *(i for i, t in enumerate(graph.tensors) if _has_value(t))}
        for op in graph.operators:
            _check_inputs(graph, op, known, source)
            _check_pieces(op, source)
            _check_size(graph, op, source)
            known |= {*op.outputs}


def _check_quantization(tensor: Tensor, source: object) -> None:
    if tensor.quantization is None:
        return
    scale, zero_point = tensor.quantization.scale, tensor.quantization.zero_point
    # A channel of nothing but zeros may have a scale of 0.
    smallest = 0.0 if tensor.is_constant else np.finfo(np.float32).tiny
    if not (np.isfinite(scale).all() and (scale >= smallest).all()):
        raise _unsound(source, "scales must be above 0", f"{scale.min()} at {tensor.name!r}")
    dtype = BY_NAME[tensor.type].dtype
    if dtype is not None and dtype.kind in "iu":
        limits = np.iinfo(dtype)
        if zero_point.min() < limits.min or zero_point.max() > limits.max:
            raise _unsound(
                source,
                f"a zero point must be a number of its type {tensor.type}",
                f"{zero_point.min()} to {zero_point.max()} at {tensor.name!r}",
            )


def _has_value(tensor: Tensor) -> bool:
    """Whether a tensor has a value before anything runs."""
    return (
        tensor.is_constant
        or tensor.is_variable
        or 0 in tensor.shape
        or "external_buffer" in tensor.extra
    )


def _check_inputs(graph: Subgraph, op: Operator, known: set[int], source: object) -> None:
    for index in op.inputs:
        if index >= 0 and index not in known:
            raise _unsound(
                source,
                "an operator must read only what is computed before it, or constant",
                f"{graph.tensors[index].name!r} of {op.custom_name or op.type}",
            )


def _check_pieces(op: Operator, source: object) -> None:
    name = _PIECES.get(op.type)
    if name is None:
        return
    told = getattr(op.options, name, 0)
    if told != len(op.outputs):
        raise _unsound(
            source,
            f"a {op.type} must have as many outputs as it says",
            f"{len(op.outputs)} of {told}",
        )


def _check_size(graph: Subgraph, op: Operator, source: object) -> None:
    size_of, place = _SIZES.get(op.type, (None, 0))
    image, constant, output = (
        graph.input_of(op, 0),
        graph.input_of(op, place),
        graph.output_of(op),
    )
    if size_of is None or image is None or constant is None or output is None:
        return
    told = constant.data
    if told is None or not told.size or told.dtype.kind != "i":
        return
    try:
        size = math.prod(size_of(image.shape, told.astype(object)))
    except (IndexError, ValueError):
        return  # LiteRT refuses these itself
    if size > _LARGE and size != math.prod(output.shape):
        raise _unsound(
            source,
            f"a {op.type} must make what its output says",
            f"{size} values for {output.name!r} of {list(output.shape)}",
        )


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


def _unsound(source: object, rule: str, received: str) -> ModelError:
    return ModelError(
        source, f"the model is damaged: {rule}", received=received, fix="Get the file again"
    )
