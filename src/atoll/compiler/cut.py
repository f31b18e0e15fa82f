"""Parts of a graph: what lies before a place, and what lies between two sets of tensors."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from atoll.tflite.edit import between as between_tensors

if TYPE_CHECKING:
    from collections.abc import Collection

    from atoll.tflite.graph import Model, Subgraph

# What divides the names in Google's --intermediate_tensors.
_DIVIDERS = ",:"


def frontier(graph: Subgraph, count: int) -> list[int]:
    """The tensors that the first operators hand to the others, or to the caller.

    Args:
        graph: A graph in execution order.
        count: How many operators are before the cut.

    Returns:
        Tensor indices, in the order in which they are computed.
    """
    made = [t for op in graph.operators[:count] for t in op.outputs if t >= 0]
    wanted = {t for op in graph.operators[count:] for t in op.inputs} | set(graph.outputs)
    return [t for t in dict.fromkeys(made) if t in wanted]


def with_plain_names(model: Model, tensors: Collection[int]) -> Model:
    """A model in which some tensors of the main subgraph can be named on a command line.

    Args:
        model: The model; it stays as it is.
        tensors: Those that are to be named.

    Returns:
        The model, with new names for those whose own is not theirs alone or has a comma or a colon.
    """
    graph = model.main
    taken: dict[str, int] = {}
    for tensor in graph.tensors:
        taken[tensor.name] = taken.get(tensor.name, 0) + 1
    changed = list(graph.tensors)
    for index in tensors:
        name = graph.tensors[index].name
        if taken[name] == 1 and name and not any(sign in name for sign in _DIVIDERS):
            continue
        plain = name.translate(str.maketrans(_DIVIDERS, "_" * len(_DIVIDERS))) or "tensor"
        while plain in taken:
            plain = f"{plain}_{index}"
        taken[plain] = 1
        changed[index] = replace(graph.tensors[index], name=plain)
    main = replace(graph, tensors=changed)
    return replace(model, subgraphs=[main, *model.subgraphs[1:]])


def between(graph: Subgraph, inputs: Collection[str], outputs: Collection[str]) -> Subgraph:
    """The part of a graph that computes some tensors from others.

    Args:
        graph: The graph; it stays as it is.
        inputs: Names of tensors that are given.
        outputs: Names of tensors that are wanted.

    Returns:
        The part, its tensors numbered as the graph's.
    """
    given = [i for i, tensor in enumerate(graph.tensors) if tensor.name in inputs]
    wanted = [i for i, tensor in enumerate(graph.tensors) if tensor.name in outputs]
    return between_tensors(graph, given, wanted)
