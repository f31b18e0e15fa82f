"""Whether a compiled part was made of a graph: its parameters, laid out anew, are the file's.

Scales that are no parameters are looked for in its instructions.

The layout and its evidence are in docs/format.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from atoll.edgetpu.package_tables import ExecutableType
from atoll.edgetpu.parameters import parameter_bytes
from atoll.edgetpu.parameters_encode import encode
from atoll.edgetpu.twin_scales import rescaled_operator

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from atoll.edgetpu.package import Package
    from atoll.tflite.graph import Operator, Subgraph


# The share of the parameters that may be of unknown layout, the rest being equal: the constants
# of MoveNet's first operators are 64 of 2,865,024 bytes.
_MOST_UNKNOWN = 0.01


@dataclass(frozen=True)
class ParameterMatch:
    """How far a compiled part's parameters are those of a graph.

    Attributes:
        equal_bytes: Bytes of the compiled part that are equal, at the place where they are due.
        total_bytes: Bytes of parameters that the compiled part has.
        differs: The first operator whose parameters are not in the compiled part, or not where
            they are due; None where there is none.
        rescaled: The first operator whose scales or zero points the instructions do not have; None
            where there is none, or the instructions cannot be read.
        unknown: Operators with weights whose layout is not known.
        unknown_bytes: What these take.
        spare_bytes: What all operators of unknown layout may take, weights or none.
    """

    equal_bytes: int
    total_bytes: int
    differs: str | None
    rescaled: str | None
    unknown: tuple[str, ...]
    unknown_bytes: int
    spare_bytes: int

    @property
    def fault(self) -> str | None:
        """Why the part was not made of the graph, or cannot be shown to be; None where it was."""
        if self.differs is not None:
            return f"other parameters of {self.differs!r}"
        if self.rescaled is not None:
            return f"other scales or zero points of {self.rescaled!r}"
        if self.unknown_bytes > _MOST_UNKNOWN * self.total_bytes:
            return f"weights whose layout is not known: {', '.join(self.unknown)}"
        rest = self.total_bytes - self.equal_bytes
        if rest > self.spare_bytes:
            return f"{rest} more bytes of parameters than its operators explain"
        return None


def match_parameters(graph: Subgraph, package: Package) -> ParameterMatch:
    """Compares a graph's parameters with those of a compiled part.

    Blocks must lie in the order in which the graph's operators depend on each other; how branches
    that do not depend on each other are ordered is not known (docs/format.md), so that is free.

    Args:
        graph: The operators that the part should have been made of, in execution order.
        package: The compiled part.

    Returns:
        What was found.
    """
    # Cached parameters come before streamed ones, each in the graph's order.
    blobs = [
        each.parameters
        for each in sorted(
            package.executables, key=lambda e: e.type != ExecutableType.PARAMETER_CACHING
        )
        if each.parameters
    ]
    before = _dependencies(graph)
    ends: list[dict[int, int]] = [{} for _ in blobs]
    total = sum(map(len, blobs))
    equal, spare, unknown_bytes = 0, 0, 0
    unknown: list[str] = []
    differs: str | None = None
    for index, op in enumerate(graph.operators):
        block = encode(graph, op)
        if block is None:
            size = parameter_bytes(graph, op)
            spare += size
            if size and _has_weights(graph, op):
                unknown.append(f"{op.type} ({_name(graph, op)})")
                unknown_bytes += size
            continue
        place = _place(block, blobs, ends, before[index])
        if place is None:
            differs = _name(graph, op)
            break
        number, start = place
        ends[number][index] = start + len(block)
        equal += len(block)
    odd = None if differs is not None else rescaled_operator(graph, package)
    rescaled = None if odd is None else _name(graph, odd)
    return ParameterMatch(equal, total, differs, rescaled, tuple(unknown), unknown_bytes, spare)


def _has_weights(graph: Subgraph, op: Operator) -> bool:
    """Whether an operator's block holds values of the model: a single one says its scale, too."""
    constants = [graph.tensors[t] for t in op.inputs if t >= 0 and graph.tensors[t].is_constant]
    return any(
        t.quantization is not None and t.data is not None and t.data.size > 1 for t in constants
    )


def _place(
    block: bytes, blobs: Sequence[bytes], ends: Sequence[dict[int, int]], before: frozenset[int]
) -> tuple[int, int] | None:
    """The blob and the byte at which a block lies, behind those of what it depends on."""
    for number, (blob, taken) in enumerate(zip(blobs, ends, strict=True)):
        behind = max((end for op, end in taken.items() if op in before), default=0)
        used = set(taken.values())
        for start in _starts(block, blob, behind):
            # Two equal blocks are two: each operator has its own.
            if start + len(block) not in used:
                return number, start
    return None


def _starts(block: bytes, blob: bytes, start: int) -> Iterator[int]:
    while (start := blob.find(block, start)) >= 0:
        yield start
        start += 1


def _dependencies(graph: Subgraph) -> list[frozenset[int]]:
    """For every operator, all those that it depends on."""
    producers = graph.producers()
    found: list[frozenset[int]] = []
    for op in graph.operators:
        direct = {producers[t] for t in op.inputs if t in producers and producers[t] < len(found)}
        found.append(frozenset(direct).union(*(found[i] for i in direct)))
    return found


def _name(graph: Subgraph, op: Operator) -> str:
    return graph.tensors[op.outputs[0]].name if op.outputs else op.type
