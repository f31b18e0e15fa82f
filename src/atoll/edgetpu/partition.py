"""Which operators run on the Edge TPU: the cut of a graph, as Google's compiler makes it.

The rule, held against published pairs of models: the compiler follows what depends on what, not
the order in the file. An operator is mapped if it is supported and needs nothing that a CPU
operator computes from mapped ones. So operators at the head may run on the CPU first (MoveNet
starts with a CAST), and those beside a cut are still mapped (three of MoveNet's four branches
stand behind the first ARG_MAX in the file).

What is supported behind such a CPU operator would be a second mapped part, which Google's compiler
makes only where it is told to (-a). The parts are numbered by how many parts must have run before:
no fewer can hold the same operators, and none needs what is computed from itself elsewhere.
"""

from __future__ import annotations

import difflib
from collections import Counter
from typing import TYPE_CHECKING

from atoll.edgetpu.rules import NEWEST_RUNTIME, OLDEST_RUNTIME, Breach, breach
from atoll.edgetpu.verdict import LIMITATION, MAPPED, SECOND_SUBGRAPH, Verdict
from atoll.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from atoll.tflite.graph import Operator, Subgraph

STATE_TYPES = ("RESOURCE", "VARIANT")
"""Types of tensors that stand for a state, which lives in one interpreter."""

CALLING_OPS = ("CALL", "CALL_ONCE", "IF", "WHILE", "STABLEHLO_COMPOSITE", "STABLEHLO_WHILE")
"""Operators whose options name other subgraphs of the file."""

_BEHIND_CPU = Breach(
    SECOND_SUBGRAPH,
    "It needs what a CPU operator computes from the mapped part.",
    "Change the operators before it that stay on the CPU",
)
_BEHIND_TENSOR = Breach(
    SECOND_SUBGRAPH, "It reads a tensor at which the mapped part was told to end."
)
_BEHIND_STOP = Breach(
    SECOND_SUBGRAPH, "It is behind the operator at which the mapped part was told to end."
)
_NO_ORDER = Breach(
    LIMITATION,
    "Its tensors must be computed once, before they are read, and share no state with another "
    "operator.",
)


def partition(
    graph: Subgraph,
    *,
    min_runtime: int = NEWEST_RUNTIME,
    intermediate_tensors: Sequence[str] = (),
    multiple_subgraphs: bool = False,
    stop: int | None = None,
) -> list[Verdict]:
    """Decides for every operator of a graph where it runs.

    Args:
        graph: The main subgraph.
        min_runtime: The oldest runtime version that must run the model, 10 to 14.
        intermediate_tensors: Names of tensors at which a mapped part ends: what reads them stays on
            the CPU, and so what is computed from that, unless more parts may be mapped.
        multiple_subgraphs: Whether more than one part may be mapped.
        stop: The first part ends before this index: operators from there on stay on the CPU, or,
            where more parts may be mapped, those of them that read what was computed before.
            Google's search for what compiles tries smaller and smaller ones. None for no end.

    Returns:
        A verdict an operator, in the graph's order.

    Raises:
        UsageError: There is no such runtime version, or no such tensor.
    """
    if not OLDEST_RUNTIME <= min_runtime <= NEWEST_RUNTIME:
        raise UsageError(
            "min_runtime_version",
            f"it must be {OLDEST_RUNTIME} to {NEWEST_RUNTIME}",
            received=min_runtime,
            fix=f"Leave it out for {NEWEST_RUNTIME}",
        )
    unordered = _unordered(graph)
    breaches = [breach(graph, op, min_runtime) for op in graph.operators]
    for index in unordered:
        breaches[index] = breaches[index] or _NO_ORDER
    # What Google's compiler does with both (google-coral/edgetpu#601 and #324): the readers of the
    # tensors stay on the CPU, and the rest is cut as ever.
    named = _named(graph, intermediate_tensors)
    for index in _readers(graph, named, 0):
        breaches[index] = breaches[index] or _BEHIND_TENSOR
    if stop is not None:
        first = max(0, stop)
        before = {t for op in graph.operators[:first] for t in op.outputs}
        behind = _readers(graph, before, first) if multiple_subgraphs else range(len(breaches))
        for index in behind:
            if index >= first:
                breaches[index] = breaches[index] or _BEHIND_STOP
    levels = stages(graph, [found is None for found in breaches])
    verdicts = []
    for index, (op, found) in enumerate(zip(graph.operators, breaches, strict=True)):
        if found is None and levels[index] > 0 and not multiple_subgraphs:
            found = _BEHIND_CPU
        verdicts.append(_verdict(graph, index, op, found, levels[index]))
    return verdicts


def stages(graph: Subgraph, supported: Sequence[bool]) -> list[int]:
    """How many mapped parts must have run before each operator.

    Stage by stage, first its CPU operators and then its mapped ones, is a valid order.

    Args:
        graph: A graph in execution order.
        supported: For every operator, whether it is to be mapped.

    Returns:
        A number an operator: of a mapped one that of its part, from 0; of one on the CPU that of
        the parts that it needs.
    """
    # Of each computed tensor: from which stage on the Edge TPU, and the CPU, may read it.
    ready: dict[int, tuple[int, int]] = {}
    levels: list[int] = []
    unordered = _unordered(graph)
    last_state = 0
    for index, (op, mapped) in enumerate(zip(graph.operators, supported, strict=True)):
        needed = [ready[t] for t in op.inputs if t in ready]
        here = max((pair[0 if mapped else 1] for pair in needed), default=0)
        if not mapped and (index in unordered or _is_stateful(graph, op)):
            # Two operators with a state keep the order that the file has them in.
            here = last_state = max(here, last_state)
        levels.append(here)
        ready |= dict.fromkeys(op.outputs, (here, here + 1 if mapped else here))
    return levels


def _unordered(graph: Subgraph) -> set[int]:
    """The operators whose tensors no order of dependencies explains: damaged files have them."""
    made = Counter(t for op in graph.operators for t in op.outputs)
    strange = {t for t, times in made.items() if times > 1}
    strange |= {t for t in graph.inputs if t in made}
    strange |= {t for t in made if t >= 0 and graph.tensors[t].is_constant}
    # A state that two operators share would be two states in two files.
    read = Counter(t for op in graph.operators for t in {*op.inputs})
    strange |= {t for t, times in read.items() if times > 1 and graph.tensors[t].is_variable}
    seen: set[int] = set()
    for op in graph.operators:
        strange |= {t for t in op.inputs if t in made and t not in seen}
        seen |= {*op.outputs}
    if not strange:
        return set()
    return {
        index
        for index, op in enumerate(graph.operators)
        if any(t in strange for t in (*op.inputs, *op.outputs))
    }


def _named(graph: Subgraph, names: Collection[str]) -> set[int]:
    """The tensors of these names."""
    places: dict[str, list[int]] = {}
    for index, tensor in enumerate(graph.tensors if names else ()):
        places.setdefault(tensor.name, []).append(index)
    found = set()
    for name in names:
        if name not in places:
            near = difflib.get_close_matches(name, places, n=3, cutoff=0.4)
            raise UsageError(
                "intermediate_tensors",
                "the model must have a tensor of this name",
                received=name,
                fix=f"Near: {', '.join(near)}" if near else "See the names with: atoll check",
            )
        found |= {*places[name]}
    return found


def _readers(graph: Subgraph, tensors: Collection[int], first: int) -> Iterator[int]:
    """The operators from an index on that read any of these tensors."""
    for index in range(first, len(graph.operators)):
        if any(t in tensors for t in graph.operators[index].inputs):
            yield index


def _is_stateful(graph: Subgraph, op: Operator) -> bool:
    """Whether an operator's order matters beyond its inputs."""
    touched = [graph.tensors[t] for t in (*op.inputs, *op.outputs) if t >= 0]
    return (
        op.type in CALLING_OPS
        or not op.outputs
        or any(tensor.type in STATE_TYPES or tensor.is_variable for tensor in touched)
    )


def _verdict(graph: Subgraph, index: int, op: Operator, found: Breach | None, part: int) -> Verdict:
    name = graph.tensors[op.outputs[0]].name if op.outputs else ""
    kind = op.custom_name or op.type
    if found is None:
        return Verdict(index, kind, name, "tpu", MAPPED, part=part)
    return Verdict(index, kind, name, "cpu", found.status, found.reason, found.fix)
