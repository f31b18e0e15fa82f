"""A few operators of a graph as a model of their own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from atoll.tflite.graph import Model, Subgraph

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atoll.tflite.graph import Operator, Tensor


def piece(
    tensors: Sequence[Tensor],
    operators: Sequence[Operator],
    inputs: Sequence[int],
    outputs: Sequence[int],
) -> Model:
    """Makes a model of some operators.

    Tensors are named by their place, so that the same piece found elsewhere gives the same bytes.

    Args:
        tensors: Those that the indices point at.
        operators: In execution order.
        inputs: Indices of what is given to it, in order.
        outputs: Indices of what it gives, in order.

    Returns:
        The model; its inputs and outputs are in the orders given.
    """
    used = dict.fromkeys((*inputs, *outputs))
    for op in operators:
        used |= dict.fromkeys(t for t in (*op.inputs, *op.outputs, *op.intermediates) if t >= 0)
    new = {old: i for i, old in enumerate(used)}

    def moved(indices: Sequence[int]) -> list[int]:
        return [new.get(t, -1) for t in indices]

    graph = Subgraph(
        name="piece",
        tensors=[
            replace(tensors[old], name=f"t{i}", shape_signature=None) for old, i in new.items()
        ],
        operators=[
            replace(
                op,
                inputs=moved(op.inputs),
                outputs=moved(op.outputs),
                intermediates=moved(op.intermediates),
            )
            for op in operators
        ],
        inputs=moved(inputs),
        outputs=moved(outputs),
    )
    return Model([graph])


def outside(
    tensors: Sequence[Tensor], operators: Sequence[Operator]
) -> tuple[list[int], list[int]]:
    """What a few operators read from others, constants left out, and what they compute.

    Args:
        tensors: Those that the operators' indices point at.
        operators: In execution order.

    Returns:
        Tensor indices read, and tensor indices computed, each once and in order.
    """
    computed = dict.fromkeys(t for op in operators for t in op.outputs)
    read = dict.fromkeys(
        t
        for op in operators
        for t in op.inputs
        if t >= 0 and t not in computed and not tensors[t].is_constant
    )
    return list(read), list(computed)
