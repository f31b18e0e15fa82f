"""What must hold of a graph before LiteRT may see it: it does not check, and crashes the process.

Found by changing sound files: each rule here ended LiteRT 2.3 with a signal when it was broken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from atoll.errors import ModelError
from atoll.runtime.sound_operators import operator_fault
from atoll.tflite.types import BY_NAME

if TYPE_CHECKING:
    from atoll.tflite.graph import Model, Operator, Subgraph, Tensor

# Beyond these, factors of scales leave the range that LiteRT's kernels check by ending the process.
_SMALLEST, _LARGEST = 1e-15, 1e15


def check_sound(model: Model, source: object) -> None:
    """Refuses a model that would crash LiteRT.

    Args:
        model: The model.
        source: What to call it in a message.

    Raises:
        ModelError: A scale or zero point is impossible, an operator reads what nobody computes, or
            an operator breaks a rule of its own.
    """
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            _check_quantization(tensor, source)
        known = {*graph.inputs, *(i for i, t in enumerate(graph.tensors) if _has_value(t))}
        for op in graph.operators:
            _check_inputs(graph, op, known, source)
            if (fault := operator_fault(graph, op)) is not None:
                raise _unsound(source, *fault)
            known |= {*op.outputs}


def _check_quantization(tensor: Tensor, source: object) -> None:
    if tensor.quantization is None:
        return
    scale, zero_point = tensor.quantization.scale, tensor.quantization.zero_point
    # A channel of nothing but zeros may have a scale of 0.
    smallest = 0.0 if tensor.is_constant else _SMALLEST
    if not ((scale >= smallest) & (scale <= _LARGEST)).all():
        rule = f"scales must be above 0, from {_SMALLEST:g} to {_LARGEST:g}"
        raise _unsound(source, rule, f"{scale.min():g} to {scale.max():g} at {tensor.name!r}")
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


def _unsound(source: object, rule: str, received: str) -> ModelError:
    return ModelError(
        source, f"the model is damaged: {rule}", received=received, fix="Get the file again"
    )
