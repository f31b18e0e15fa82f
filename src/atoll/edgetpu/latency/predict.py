"""The predicted time of a call, from the cut graph and the memory plan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atoll.edgetpu.memory import MemoryPlan
    from atoll.edgetpu.verdict import Verdict
    from atoll.tflite.graph import Subgraph


@dataclass(frozen=True)
class OpTime:
    """The predicted time of one operator, on the chip or on the CPU.

    Attributes:
        index: Its place in the main subgraph.
        macs: Multiplications that its meaning asks for.
        cycles: Cycles of the chip; 0 on the CPU.
        ms: Milliseconds.
        bound_by: What the time goes into: "compute", "streaming" of its parameters over the link,
            "cpu", or "nothing" where it costs no time.
    """

    index: int
    macs: int
    cycles: int
    ms: float
    bound_by: str


@dataclass(frozen=True)
class Latency:
    """The predicted time of a call: a prediction, never a measurement.

    Attributes:
        link: How the chip is connected: a row of `LINKS`.
        clock: The chip's clock, "max" or "std".
        ms: Milliseconds a call, parameters loaded before.
        low_ms: The lower end of the range.
        high_ms: The upper end.
        call_ms: Of `ms`, the fixed cost of a call, once a mapped part.
        input_ms: Of `ms`, sending the inputs.
        output_ms: Of `ms`, fetching the outputs.
        cached_ms: What `ms` would be if all parameters fitted the chip.
        ops: An entry an operator, in the graph's order.
    """

    link: str
    clock: str
    ms: float
    low_ms: float
    high_ms: float
    call_ms: float
    input_ms: float
    output_ms: float
    cached_ms: float
    ops: tuple[OpTime, ...]


def predict(
    graph: Subgraph,
    verdicts: Sequence[Verdict],
    memory: MemoryPlan,
    *,
    link: str = "usb3",
    clock: str = "max",
) -> Latency:
    """Predicts the time of a call.

    Args:
        graph: The main subgraph.
        verdicts: What `partition` says of it.
        memory: What `plan_memory` says of it.
        link: A row of `LINKS`.
        clock: The chip's clock: "max" or "std".

    Returns:
        The prediction, with its range.

    Raises:
        UsageError: There is no such link or clock.
    """
    raise NotImplementedError
