"""Which operators run on the Edge TPU: the cut of a graph, as Google's compiler makes it.

The rule, held against published pairs of models: the compiler follows what depends on what, not
the order in the file. An operator is mapped if it is supported and needs nothing that a CPU
operator computes from mapped ones. So operators at the head may run on the CPU first (MoveNet
starts with a CAST), and those beside a cut are still mapped (three of MoveNet's four branches
stand behind the first ARG_MAX in the file).
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from atoll.edgetpu.rules import NEWEST_RUNTIME, OLDEST_RUNTIME, breach
from atoll.edgetpu.verdict import MAPPED, SECOND_SUBGRAPH, Verdict
from atoll.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atoll.edgetpu.rules import Breach
    from atoll.tflite.graph import Operator, Subgraph


class Place(IntEnum):
    """When an operator runs: on the CPU before the mapped part, within it, or after it."""

    HEAD = 0
    TPU = 1
    TAIL = 2


_STATEFUL_TYPES = ("RESOURCE", "VARIANT")
_STATEFUL_OPS = ("CALL", "CALL_ONCE", "IF", "WHILE", "STABLEHLO_COMPOSITE", "STABLEHLO_WHILE")


def partition(graph: Subgraph, *, min_runtime: int = NEWEST_RUNTIME) -> list[Verdict]:
    """Decides for every operator of a graph where it runs.

    Args:
        graph: The main subgraph.
        min_runtime: The oldest runtime version that must run the model, 10 to 14.

    Returns:
        A verdict an operator, in the graph's order.

    Raises:
        UsageError: There is no such runtime version.
    """
    if not OLDEST_RUNTIME <= min_runtime <= NEWEST_RUNTIME:
        raise UsageError(
            "min_runtime_version",
            f"it must be {OLDEST_RUNTIME} to {NEWEST_RUNTIME}",
            received=min_runtime,
            fix=f"Leave it out for {NEWEST_RUNTIME}",
        )
    breaches = [breach(graph, op, min_runtime) for op in graph.operators]
    places = place(graph, [found is None for found in breaches])
    return [
        _verdict(graph, index, op, places[index], breaches[index])
        for index, op in enumerate(graph.operators)
    ]


def place(graph: Subgraph, supported: Sequence[bool]) -> list[Place]:
    """When each operator runs, given which ones the Edge TPU supports.

    Args:
        graph: A graph in execution order.
        supported: For every operator, whether the Edge TPU could run it.

    Returns:
        Where each runs, so that all of HEAD, then all of TPU, then all of TAIL is a valid order.
    """
    computed: dict[int, Place] = {}
    places: list[Place] = []
    for op, possible in zip(graph.operators, supported, strict=True):
        latest = max((computed.get(t, Place.HEAD) for t in graph.activations(op)), default=0)
        if possible and latest <= Place.TPU:
            here = Place.TPU
        elif latest == Place.HEAD and not (_is_stateful(graph, op) and Place.TPU in places):
            here = Place.HEAD
        else:
            here = Place.TAIL
        places.append(here)
        computed |= dict.fromkeys(op.outputs, here)
    return places


def _is_stateful(graph: Subgraph, op: Operator) -> bool:
    """Whether an operator's order matters beyond its inputs."""
    touched = (graph.tensors[t].type for t in (*op.inputs, *op.outputs) if t >= 0)
    return op.type in _STATEFUL_OPS or not op.outputs or any(t in _STATEFUL_TYPES for t in touched)


def _verdict(
    graph: Subgraph, index: int, op: Operator, place: Place, found: Breach | None
) -> Verdict:
    name = graph.tensors[op.outputs[0]].name if op.outputs else ""
    kind = op.custom_name or op.type
    if place == Place.TPU:
        return Verdict(index, kind, name, "tpu", MAPPED)
    if found is not None:
        return Verdict(index, kind, name, "cpu", found.status, found.reason, found.fix)
    return Verdict(
        index,
        kind,
        name,
        "cpu",
        SECOND_SUBGRAPH,
        "It needs what a CPU operator computes from the mapped part.",
        "Change the operators before it that stay on the CPU",
    )
