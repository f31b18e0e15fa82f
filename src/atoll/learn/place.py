"""Where a model's embedding is: what the last dense layer looks at."""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from atoll.edgetpu.simfile import EDGETPU_OP
from atoll.errors import ModelError, UsageError

if TYPE_CHECKING:
    from atoll.tflite.graph import Model, Operator, Subgraph, Tensor

# What may stand between a dense layer and the end: it changes the form of scores, not which is
# the highest. Of MUL and ADD, only those with a constant.
_FORMS = ("QUANTIZE", "DEQUANTIZE", "RESHAPE", "SQUEEZE", "EXPAND_DIMS", "MUL", "ADD")
_SCORES = ("SOFTMAX", "LOGISTIC", "LOG_SOFTMAX")
_POOLS = ("AVERAGE_POOL_2D", "MAX_POOL_2D", "MEAN", "REDUCE_MAX", "SUM")
_EIGHT_BIT = ("INT8", "UINT8")
_FIX = "Name a tensor with --embedding; atoll check --json lists them, or look with Netron"


@dataclass(frozen=True)
class Place:
    """Where a model's embedding is.

    Attributes:
        tensor: Its index in the main subgraph.
        name: Its name.
        size: How many numbers it has, once averaged over its plane where it has one.
        dense: The index of the dense layer that looks at it; None where none is known.
    """

    tensor: int
    name: str
    size: int
    dense: int | None = None


def find_embedding(model: Model, source: object, name: str | None = None) -> Place:
    """Finds a model's embedding: the tensor that its last dense layer looks at.

    From the output backwards, over softmax, reshaping and such, to the first of

    - a dense layer (FULLY_CONNECTED, or CONV_2D of 1 x 1 over one point): what it reads, or where
      an L2_NORMALIZATION gives that, what this one reads;
    - an L2_NORMALIZATION or a global pooling, with no scores made from it: the model is an
      embedding extractor, and this is its embedding;
    - a compiled part of a model, with no scores made from it: what it gives.

    Where a pooling gives the scores themselves, as in SqueezeNet, the dense layer lies before it;
    its embedding is a plane, which is averaged.

    Args:
        model: A classifier, or an embedding extractor.
        source: What to call it in a message.
        name: The name of the tensor to take instead.

    Returns:
        The place.

    Raises:
        ModelError: The end of the model has another form, or its embedding another type.
        UsageError: There is no tensor of this name.
    """
    graph = model.main
    tensor, dense = _named(graph, name) if name is not None else _walk(graph, source)
    found = graph.tensors[tensor]
    _check(found, source)
    if tensor in graph.inputs:
        raise _not_found(source, f"the model's own input {found.name!r}")
    return Place(tensor, found.name, found.shape[-1], dense)


def _named(graph: Subgraph, name: str) -> tuple[int, int | None]:
    index = next((i for i, tensor in enumerate(graph.tensors) if tensor.name == name), None)
    if index is None:
        made = [graph.tensors[t].name for op in graph.operators for t in op.outputs]
        near = difflib.get_close_matches(name, made, n=3, cutoff=0.4)
        raise UsageError(
            "--embedding",
            "the model must have a tensor of this name",
            received=name,
            fix=f"Near: {', '.join(near)}" if near else "See the names with: atoll check --json",
        )
    return index, None


def _walk(graph: Subgraph, source: object) -> tuple[int, int | None]:
    if len(graph.outputs) != 1:
        raise _not_found(source, f"{len(graph.outputs)} outputs")
    makers = graph.producers()
    tensor, scored, pooled = graph.outputs[0], False, False
    # Each step goes to a tensor that is made before: a damaged file could lead in a circle.
    for _ in graph.operators:
        index = makers.get(tensor)
        if index is None:
            break
        op = graph.operators[index]
        if graph.input_of(op, 0) is None:
            raise _not_found(source, _described(graph, op))
        if op.type == "L2_NORMALIZATION" and not scored:
            return op.inputs[0], None
        if _is_dense(graph, op, pooled):
            return _before_norm(graph, makers, op.inputs[0]), index
        pools = _is_global_pool(graph, op)
        if not scored and (pools or op.custom_name == EDGETPU_OP):
            return tensor, None
        scored, pooled = scored or op.type in _SCORES, pooled or pools
        computed = list(graph.activations(op))
        if not (pools or op.type in (*_SCORES, *_FORMS)) or len(computed) != 1:
            raise _not_found(source, _described(graph, op))
        tensor = computed[0]
    raise _not_found(source, "no dense layer and no global pooling")


def _before_norm(graph: Subgraph, makers: dict[int, int], tensor: int) -> int:
    """What an L2_NORMALIZATION reads, where it, maybe requantised, gives a tensor."""
    index = tensor
    for kind in ("QUANTIZE", "L2_NORMALIZATION"):
        op = graph.operators[makers[index]] if index in makers else None
        if op is not None and op.type == kind and graph.input_of(op, 0) is not None:
            index = op.inputs[0]
            if kind == "L2_NORMALIZATION":
                return index
    return tensor


def _is_dense(graph: Subgraph, op: Operator, pooled: bool) -> bool:
    """Whether an operator is a dense layer: over one point, or over a plane averaged after it."""
    weights, image = graph.input_of(op, 1), graph.input_of(op, 0)
    if weights is None or image is None or weights.data is None or image.is_constant:
        return False
    if op.type == "FULLY_CONNECTED":
        return len(weights.shape) == 2
    if op.type != "CONV_2D" or len(weights.shape) != 4 or len(image.shape) != 4:
        return False
    # As many channels as the input has: no groups.
    alone = weights.shape[1:3] == (1, 1) and weights.shape[3] == image.shape[3]
    return alone and (pooled or image.shape[1:3] == (1, 1))


def _is_global_pool(graph: Subgraph, op: Operator) -> bool:
    before, after = graph.input_of(op, 0), graph.output_of(op)
    if op.type not in _POOLS or before is None or after is None or len(before.shape) != 4:
        return False
    channels = before.shape[3]
    plane = math.prod(before.shape[1:3])
    return plane > 1 and math.prod(after.shape) == channels and after.shape[-1] == channels


def _check(tensor: Tensor, source: object) -> None:
    shape = tensor.shape
    size = math.prod(shape)
    flat = len(shape) >= 2 and size == shape[-1]
    plane = len(shape) == 4 and shape[0] == 1 and size > 0
    if tensor.is_constant or not (flat or plane) or size < 1:
        raise _not_found(source, f"{tensor.name!r} of shape {list(shape)}")
    held = tensor.quantization
    eight_bit = tensor.type in _EIGHT_BIT and held is not None and held.scale.size == 1
    if eight_bit and held is not None:
        scale = float(held.scale[0])
        if not (np.isfinite(scale) and scale > 0):
            raise _not_found(source, f"{tensor.name!r} with a scale of {scale}")
        return
    if tensor.type != "FLOAT32":
        raise _not_found(source, f"{tensor.name!r} of type {tensor.type}")


def _described(graph: Subgraph, op: Operator) -> str:
    made = graph.output_of(op)
    return f"{op.custom_name or op.type} ({made.name if made is not None else 'no output'})"


def _not_found(source: object, received: str) -> ModelError:
    return ModelError(
        source,
        "its embedding must be a vector, or a plane, of 8 bits or float, before a last dense "
        "layer or behind a global pooling",
        received=received,
        fix=_FIX,
    )
