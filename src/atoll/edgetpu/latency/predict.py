"""The predicted time of a call, from the cut graph and the memory plan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from atoll.edgetpu.chip import BEAGLE
from atoll.edgetpu.latency.constants import value_of
from atoll.edgetpu.latency.demand import demand_of
from atoll.edgetpu.latency.links import LINKS, check_clock, check_link

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atoll.edgetpu.latency.demand import Demand, OpDemand
    from atoll.edgetpu.latency.links import Link
    from atoll.edgetpu.memory import MemoryPlan
    from atoll.edgetpu.verdict import Verdict
    from atoll.tflite.graph import Subgraph


SPENDING = {
    "call": "fixed cost of a call",
    "input": "sending the input",
    "compute": "computing",
    "streaming": "streaming parameters",
    "cpu": "operators on the CPU",
    "output": "fetching the output",
}
"""What the time of a call is spent on, in words; `call` is sending the instructions too."""


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
        call_ms: Of `ms`, the fixed cost of a call and sending its instructions, once a mapped part.
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

    @property
    def breakdown(self) -> dict[str, float]:
        """Milliseconds by what they are spent on, keys as in `SPENDING`; together they are `ms`."""
        spent = dict.fromkeys(SPENDING, 0.0)
        spent |= {"call": self.call_ms, "input": self.input_ms, "output": self.output_ms}
        for op in self.ops:
            spent[op.bound_by if op.bound_by in spent else "compute"] += op.ms
        return spent


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
    return price(demand_of(graph, verdicts, memory), link=link, clock=clock)


def price(demand: Demand, *, link: str, clock: str) -> Latency:
    """Predicts the time of a call from what it asks for, which is the same over every link.

    Args:
        demand: What `demand_of` says of a model.
        link: A row of `LINKS`.
        clock: The chip's clock: "max" or "std".

    Returns:
        The prediction, with its range.

    Raises:
        UsageError: There is no such link or clock.
    """
    check_link(link)
    check_clock(clock)
    way, hertz = LINKS[link], BEAGLE.clocks[clock]
    ops = tuple(_priced(op, way, hertz) for op in demand.ops)
    call = way.call_ms * demand.parts + way.send_ms(demand.instructions.size)
    sent = way.send_ms(demand.input_bytes)
    fetched = way.output_ms(demand.output_bytes)
    hosted = sum(op.ms for op in ops if op.bound_by == "cpu")
    streaming = sum(op.ms - op.cycles / hertz * 1e3 for op in ops if op.bound_by == "streaming")
    total = call + sent + fetched + sum(op.ms for op in ops)
    return Latency(
        link=link,
        clock=clock,
        ms=total,
        low_ms=(total - hosted) * value_of("range.low") + hosted / value_of("range.host"),
        high_ms=(total - hosted) * value_of("range.high") + hosted * value_of("range.host"),
        call_ms=call,
        input_ms=sent,
        output_ms=fetched,
        cached_ms=total - streaming,
        ops=ops,
    )


def _priced(op: OpDemand, way: Link, hertz: float) -> OpTime:
    if op.host is not None:
        ms = way.host_ms(op.host)
        return OpTime(op.index, op.work.macs, 0, ms, "cpu" if ms > 0 else "nothing")
    computing = op.work.cycles / hertz * 1e3
    streaming = way.send_ms(op.streamed_bytes)
    ms = max(computing, streaming)
    bound = "nothing" if ms == 0 else "streaming" if streaming > computing else "compute"
    return OpTime(op.index, op.work.macs, op.work.cycles, ms, bound)
