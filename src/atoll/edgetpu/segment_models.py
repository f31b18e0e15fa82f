"""The pieces of a pipeline as TFLite models of their own, which hand tensors on by name."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING

from atoll.edgetpu.partition import CALLING_OPS, STATE_TYPES
from atoll.errors import CompilerError
from atoll.tflite.edit import compact
from atoll.tflite.graph import Model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atoll.edgetpu.segments import Segment
    from atoll.tflite.graph import Subgraph, Tensor


def segment_models(model: Model, segments: Sequence[Segment]) -> list[Model]:
    """Writes each piece of a pipeline as a model.

    A piece's inputs are the model's, or outputs of earlier pieces, by their names; the last piece's
    outputs are the model's.

    Args:
        model: The whole model; it stays as it is.
        segments: What `split` made of its main subgraph.

    Returns:
        A model a piece. Signatures and metadata, which speak of the whole, are left out.

    Raises:
        CompilerError: An operator holds state or calls another subgraph, which no piece has.
    """
    graph = _named(model.main, segments)
    _check(graph, segments)
    return [_piece(model, graph, segment) for segment in segments]


def _piece(model: Model, graph: Subgraph, segment: Segment) -> Model:
    part = replace(
        graph,
        operators=[graph.operators[i] for i in segment.operators],
        inputs=list(segment.inputs),
        outputs=list(segment.outputs),
    )
    return Model([compact(part)[0]], model.description, model.version)


def _check(graph: Subgraph, segments: Sequence[Segment]) -> None:
    for segment in segments:
        for index in segment.operators:
            op = graph.operators[index]
            if op.type in CALLING_OPS and len(segments) > 1:
                raise CompilerError(
                    op.type,
                    "a model that is cut into segments must not call other subgraphs",
                    received=f"operator {index}",
                    fix="Compile the model as one",
                )
        for tensor in (*segment.inputs, *segment.outputs):
            kind = graph.tensors[tensor]
            if len(segments) > 1 and (kind.type in STATE_TYPES or kind.is_variable):
                raise CompilerError(
                    kind.name,
                    "segments hand on values, not state",
                    received=f"a variable of type {kind.type}",
                    fix="Compile the model as one",
                )


def _named(graph: Subgraph, segments: Sequence[Segment]) -> Subgraph:
    """The graph with a name of its own for every tensor that goes in or out of a piece."""
    handed = sorted({t for segment in segments for t in (*segment.inputs, *segment.outputs)})
    tensors: list[Tensor] = list(graph.tensors)
    taken: set[str] = set()
    for index in handed:
        name = tensors[index].name
        if not name or name in taken:
            name = next(
                other
                for number in range(index, index + len(handed) + 1)
                if (other := f"{name or 'tensor'}_{number}") not in taken
            )
            tensors[index] = copy.copy(tensors[index])
            tensors[index].name = name
        taken.add(name)
    return replace(graph, tensors=tensors)
