"""What a call asks of the chip, the link and the host: counts alone, before any price."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from atoll.edgetpu.latency.cycles import work
from atoll.edgetpu.latency.host import host_work
from atoll.edgetpu.latency.instructions import Instructions, instructions, total
from atoll.edgetpu.shapes import tensor_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atoll.edgetpu.latency.cycles import Work
    from atoll.edgetpu.latency.host import HostWork
    from atoll.edgetpu.memory import MemoryPlan
    from atoll.edgetpu.verdict import Verdict
    from atoll.tflite.graph import Subgraph


@dataclass(frozen=True)
class OpDemand:
    """What one operator asks for.

    Attributes:
        index: Its place in the main subgraph.
        work: Its work; on the chip, if it is mapped.
        streamed_bytes: Parameters that are sent at a call, every time that they are.
        host: Its work on the CPU; None if it is mapped.
    """

    index: int
    work: Work
    streamed_bytes: int
    host: HostWork | None


@dataclass(frozen=True)
class Demand:
    """What a call asks for.

    Attributes:
        ops: An entry an operator, in the graph's order.
        parts: Mapped parts of the graph.
        instructions: What describes the length of all mapped parts' programs.
        input_bytes: What goes into the mapped parts.
        output_bytes: What comes out of them.
    """

    ops: tuple[OpDemand, ...]
    parts: int
    instructions: Instructions
    input_bytes: int
    output_bytes: int


def demand_of(graph: Subgraph, verdicts: Sequence[Verdict], memory: MemoryPlan) -> Demand:
    """Counts what a call asks for.

    Args:
        graph: The main subgraph.
        verdicts: What `partition` says of it.
        memory: What `plan_memory` says of it.

    Returns:
        The counts.
    """
    passes = {plan.index: plan.passes for plan in memory.ops}
    streamed = {plan.index: plan.passes * plan.streamed_bytes for plan in memory.ops}
    ops: list[OpDemand] = []
    programs = [Instructions(0, 0, 0)]
    for verdict, op in zip(verdicts, graph.operators, strict=True):
        on_host = verdict.target == "cpu"
        host = host_work(graph, op) if on_host else None
        sent = 0 if on_host else streamed.get(verdict.index, 0)
        ops.append(OpDemand(verdict.index, work(graph, op), sent, host))
        if not on_host:
            programs.append(instructions(graph, op, passes.get(verdict.index, 1)))
    parts = {verdict.part for verdict in verdicts if verdict.target == "tpu"}
    inputs, outputs = _crossings(graph, verdicts)
    return Demand(tuple(ops), len(parts), total(programs), inputs, outputs)


_HOST = -2
"""No mapped part: they count from 0, and a mapped operator of none has -1."""


def _crossings(graph: Subgraph, verdicts: Sequence[Verdict]) -> tuple[int, int]:
    """Bytes that go into the mapped parts, and that come out of them."""
    made: dict[int, int] = {}
    sent: set[tuple[int, int]] = set()
    fetched: set[int] = set()
    for verdict, op in zip(verdicts, graph.operators, strict=True):
        part = verdict.part if verdict.target == "tpu" else _HOST
        for tensor in op.inputs:
            if not 0 <= tensor < len(graph.tensors) or graph.tensors[tensor].is_constant:
                continue
            maker = made.get(tensor, _HOST)
            if maker != part and part != _HOST:
                sent.add((part, tensor))
            if maker not in (part, _HOST):
                fetched.add(tensor)
        made |= dict.fromkeys(op.outputs, part)
    fetched |= {tensor for tensor in graph.outputs if made.get(tensor, _HOST) != _HOST}
    return (
        sum(tensor_bytes(graph.tensors[tensor]) for _, tensor in sent),
        sum(tensor_bytes(graph.tensors[t]) for t in fetched if 0 <= t < len(graph.tensors)),
    )
