"""Changing a graph without leaving anything behind that nothing refers to."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING

from atoll.tflite.reader import block_tensors

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from atoll.tflite.graph import Model, Operator, Subgraph, Tensor


def compact(graph: Subgraph, named: Collection[int] = ()) -> tuple[Subgraph, dict[int, int]]:
    """Drops the tensors that nothing refers to, and numbers the others anew in their old order.

    Args:
        graph: A subgraph; it stays as it is.
        named: Tensors that something outside the graph refers to.

    Returns:
        The smaller subgraph, and the new index of every old one that is kept.
    """
    kept = _referred(graph) | {*named}
    new = {old: i for i, old in enumerate(sorted(kept))}
    return (
        replace(
            graph,
            tensors=[_renumbered(graph.tensors[old], new) for old in new],
            operators=[renumbered(op, new) for op in graph.operators],
            inputs=[new[t] for t in graph.inputs],
            outputs=[new[t] for t in graph.outputs],
        ),
        new,
    )


def with_main(model: Model, graph: Subgraph) -> Model:
    """A model with another main subgraph, compacted; its signatures follow.

    Args:
        model: The model; it stays as it is.
        graph: The new main subgraph. Its tensors are numbered as the old one's.

    Returns:
        The new model.
    """
    signatures = copy.deepcopy(model.signatures)
    entries = [
        entry
        for signature in signatures
        if signature.subgraphIndex == 0
        for entry in [*(signature.inputs or ()), *(signature.outputs or ())]
    ]
    # A damaged signature may name what is not there.
    entries = [entry for entry in entries if 0 <= entry.tensorIndex < len(graph.tensors)]
    main, new = compact(graph, {entry.tensorIndex for entry in entries})
    for entry in entries:
        entry.tensorIndex = new[entry.tensorIndex]
    return replace(model, subgraphs=[main, *model.subgraphs[1:]], signatures=signatures)


def between(graph: Subgraph, given: Sequence[int], wanted: Sequence[int]) -> Subgraph:
    """The part of a graph that computes some tensors from others.

    Args:
        graph: The graph; it stays as it is.
        given: Tensors that are given.
        wanted: Tensors that are wanted.

    Returns:
        The part, its tensors numbered as the graph's, its inputs and outputs as given here.
    """
    needed, known = set(wanted), set(given)
    operators = []
    for op in reversed(graph.operators):
        if any(t in needed and t not in known for t in op.outputs):
            operators.append(op)
            needed.update(op.inputs)
    return replace(graph, operators=operators[::-1], inputs=list(given), outputs=list(wanted))


def _referred(graph: Subgraph) -> set[int]:
    kept = {*graph.inputs, *graph.outputs}
    for op in graph.operators:
        kept |= {*op.inputs, *op.outputs, *op.intermediates}
    for index in list(kept):
        if index >= 0:
            kept |= set(block_tensors(graph.tensors[index]))
    return {index for index in kept if index >= 0}


def renumbered(op: Operator, new: dict[int, int]) -> Operator:
    """An operator of which the tensors have other numbers.

    Args:
        op: The operator; it stays as it is.
        new: The new number of each of its tensors, by the old.
    """

    def map_all(indices: Iterable[int]) -> list[int]:
        return [new[i] if i >= 0 else i for i in indices]

    return replace(
        op,
        inputs=map_all(op.inputs),
        outputs=map_all(op.outputs),
        intermediates=map_all(op.intermediates),
    )


def _renumbered(tensor: Tensor, new: dict[int, int]) -> Tensor:
    """A tensor whose block-wise scales follow their new numbers."""
    if not block_tensors(tensor):
        return tensor
    details = copy.copy(tensor.extra["quantization_details"])
    details.scales = new.get(details.scales, details.scales)
    details.zeroPoints = new.get(details.zeroPoints, details.zeroPoints)
    return replace(tensor, extra=tensor.extra | {"quantization_details": details})
