"""The time of an operator that stays on the CPU: nanoseconds an element, one row an operator.

Two hosts have published figures: a desktop and the Dev Board's Cortex-A53. Operators that none of
the published models leaves on the CPU are taken to cost what those cost that move or compare
values (inferred).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from atoll.edgetpu.latency.cycles import work
from atoll.edgetpu.partition import CALLING_OPS
from atoll.edgetpu.shapes import elements

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from atoll.tflite.graph import Operator, Subgraph

    Rule = tuple[Callable[[Subgraph, Operator], int], str]


class HostWork(NamedTuple):
    """What an operator asks of a CPU.

    Attributes:
        todo: How much there is to do.
        price: The name of the host's constant that says what each costs, in nanoseconds.
    """

    todo: int
    price: str


def host_work(graph: Subgraph, op: Operator) -> HostWork:
    """What an operator asks of the CPU that it stays on.

    Args:
        graph: The operator's graph.
        op: The operator.

    Returns:
        Its work; none for one that only renames what is there, or that nobody knows the time of.
    """
    count, price = RULES.get(op.custom_name or op.type, _OTHER if is_priced(op) else _FREE)
    return HostWork(count(graph, op), price)


def is_priced(op: Operator) -> bool:
    """Whether there is reason to price an operator: not one of somebody's own, nor a call."""
    return (op.custom_name or op.type) in RULES or not (op.custom_name or op.type in CALLING_OPS)


def _moved(graph: Subgraph, op: Operator) -> int:
    """Elements of the larger side."""
    return max(elements(graph.input_of(op, 0)), elements(graph.output_of(op)))


def _read(graph: Subgraph, op: Operator) -> int:
    return sum(elements(graph.input_of(op, place)) for place in range(len(op.inputs)))


def _multiplied(graph: Subgraph, op: Operator) -> int:
    return work(graph, op).macs


def _nothing(graph: Subgraph, op: Operator) -> int:
    return 0


_OTHER: Rule = (_moved, "element")
_MACS: Rule = (_multiplied, "mac")
_FREE: Rule = (_nothing, "element")
_CONVERTED: Rule = (_moved, "conversion")

RULES: Mapping[str, Rule] = {
    "CONV_2D": _MACS,
    "DEPTHWISE_CONV_2D": _MACS,
    "FULLY_CONNECTED": _MACS,
    "TRANSPOSE_CONV": _MACS,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _MACS,
    "DEQUANTIZE": _CONVERTED,
    "QUANTIZE": _CONVERTED,
    "EXPAND_DIMS": _FREE,
    "RESHAPE": _FREE,
    "SQUEEZE": _FREE,
    "TFLite_Detection_PostProcess": (_read, "detection"),
    "PosenetDecoderOp": (_read, "element"),
}
