"""A compiled model for the simulator: each mapped part in one custom operator, the rest around.

The operator's payload is the mapped part itself, as a whole TFLite file. So whoever can run TFLite
can simulate, and nobody can take the file for one that real silicon runs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from atoll.edgetpu.partition import partition, stages
from atoll.edgetpu.rules import NEWEST_RUNTIME
from atoll.errors import CompilerError
from atoll.tflite.edit import compact, renumbered, with_main
from atoll.tflite.graph import Model, Operator, Subgraph
from atoll.tflite.reader import parse_model
from atoll.tflite.writer import write_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atoll.edgetpu.verdict import Verdict

SIM_OP = "atoll-sim-op"
EDGETPU_OP = "edgetpu-custom-op"


def to_sim(model: Model, verdicts: Sequence[Verdict]) -> Model:
    """Puts the mapped operators of a model into one custom operator a part.

    Args:
        model: The model; it stays as it is.
        verdicts: What `partition` says of its main subgraph.

    Returns:
        The compiled model; the model itself where nothing is mapped.

    Raises:
        CompilerError: The mapped operators of a part cannot run as one, for one needs what a CPU
            operator computes from another.
    """
    graph = model.main
    on_tpu = [verdict.target == "tpu" for verdict in verdicts]
    levels = stages(graph, on_tpu)
    for verdict, level in zip(verdicts, levels, strict=True):
        if verdict.target == "tpu" and level > max(0, verdict.part):
            raise CompilerError(
                verdict.name,
                "mapped operators must not need what a CPU operator computes from their own part",
                received=verdict.type,
                fix="Leave it on the CPU, or map it in a later part",
            )
    if not any(on_tpu):
        return model
    outside: list[list[Operator]] = [[] for _ in range(max(levels) + 1)]
    mapped: list[list[Operator]] = [[] for _ in range(max(levels) + 1)]
    for op, here, level in zip(graph.operators, on_tpu, levels, strict=True):
        (mapped if here else outside)[level].append(op)
    readers = _Readers(model)
    operators = []
    for before, part in zip(outside, mapped, strict=True):
        operators += before
        if part:
            operators.append(_custom(model, part, readers))
    return with_main(model, replace(graph, operators=operators))


def compile_for_sim(model: Model, *, min_runtime: int = NEWEST_RUNTIME) -> Model:
    """Compiles a model for the simulator, in memory.

    Args:
        model: A model that is not compiled; it stays as it is.
        min_runtime: The oldest runtime version that must run the model, 10 to 14.

    Returns:
        The compiled model; the model itself where nothing is mapped.

    Raises:
        UsageError: There is no such runtime version.
    """
    return to_sim(model, partition(model.main, min_runtime=min_runtime))


def uncut(model: Model, source: object) -> Model:
    """The model that a simulator's file was made of: `to_sim` undone.

    Args:
        model: A model with operators named `SIM_OP`; it stays as it is.
        source: What to call it in a message.

    Returns:
        A model in which their operators stand in their places.

    Raises:
        ModelError: A payload is damaged.
    """
    graph = model.main
    tensors, operators = list(graph.tensors), []
    for op in graph.operators:
        if op.custom_name != SIM_OP:
            operators.append(op)
            continue
        part = parse_model(op.custom_options, f"{source}: {SIM_OP}'s payload").main
        new = dict(zip((*part.inputs, *part.outputs), (*op.inputs, *op.outputs), strict=False))
        for index, tensor in enumerate(part.tensors):
            if index not in new:
                new[index] = len(tensors)
                tensors.append(tensor)
        operators += [renumbered(each, new) for each in part.operators]
    return with_main(model, replace(graph, tensors=tensors, operators=operators))


class _Readers:
    """Who reads each tensor: operators, and the world outside."""

    def __init__(self, model: Model) -> None:
        graph = model.main
        self._outside = set(graph.outputs)
        for signature in model.signatures:
            if signature.subgraphIndex == 0:
                self._outside |= {entry.tensorIndex for entry in signature.outputs or ()}
        self._operators: dict[int, set[int]] = {}
        for op in graph.operators:
            for tensor in op.inputs:
                self._operators.setdefault(tensor, set()).add(id(op))

    def reach_beyond(self, tensor: int, inside: set[int]) -> bool:
        """Whether somebody other than the operators of these ids reads a tensor."""
        return tensor in self._outside or not self._operators.get(tensor, set()) <= inside


def _custom(model: Model, part: list[Operator], readers: _Readers) -> Operator:
    """One custom operator that stands for a mapped part."""
    graph = model.main
    made = {t: None for op in part for t in op.outputs}
    taken = {t: None for op in part for t in graph.activations(op)}
    inside = {id(op) for op in part}
    # An operator's own state stays where the operator is.
    inputs = [t for t in taken if t not in made and not graph.tensors[t].is_variable]
    outputs = [t for t in made if readers.reach_beyond(t, inside)]
    payload = Subgraph("main", graph.tensors, part, inputs, outputs)
    return Operator(
        type="CUSTOM",
        inputs=inputs,
        outputs=outputs,
        custom_name=SIM_OP,
        custom_options=write_model(
            Model([compact(payload)[0]], description="The part that the Edge TPU runs.")
        ),
    )
