"""What would become of a model on the chip: where each operator runs, what fits, how long it takes.

One function, a line a pass. `check`, `compile`, `profile` and the page all show this.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from atoll.edgetpu.latency.demand import demand_of
from atoll.edgetpu.latency.links import LINKS
from atoll.edgetpu.latency.predict import price
from atoll.edgetpu.memory import plan_memory
from atoll.edgetpu.partition import partition
from atoll.edgetpu.rules import NEWEST_RUNTIME
from atoll.edgetpu.verdict import count_mapped, count_parts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atoll.edgetpu.latency.predict import Latency
    from atoll.edgetpu.memory import MemoryPlan
    from atoll.edgetpu.verdict import Verdict
    from atoll.tflite.graph import Subgraph


@dataclass(frozen=True)
class Analysis:
    """What would become of a model.

    Attributes:
        graph: Its main subgraph.
        verdicts: Where each operator runs, in the graph's order.
        memory: What lies where on the chip.
        latency: The predicted time of a call, by link.
        min_runtime: The oldest runtime version that it is said for.
    """

    graph: Subgraph
    verdicts: list[Verdict]
    memory: MemoryPlan
    latency: dict[str, Latency]
    min_runtime: int

    @property
    def ops_total(self) -> int:
        """Operators in all."""
        return len(self.verdicts)

    @property
    def ops_tpu(self) -> int:
        """Operators that are mapped."""
        return count_mapped(self.verdicts)

    @property
    def ops_cpu(self) -> int:
        """Operators that stay on the CPU."""
        return self.ops_total - self.ops_tpu

    @property
    def subgraphs(self) -> int:
        """Mapped parts."""
        return count_parts(self.verdicts)


def analyse(
    graph: Subgraph,
    *,
    min_runtime: int = NEWEST_RUNTIME,
    intermediate_tensors: Sequence[str] = (),
    multiple_subgraphs: bool = False,
    cache_bytes: int | None = None,
    clock: str = "max",
) -> Analysis:
    """Says what would become of a model on the Edge TPU.

    Args:
        graph: The main subgraph of a model that is not compiled.
        min_runtime: The oldest runtime version that must run the model, 10 to 14.
        intermediate_tensors: Names of tensors; what follows them stays on the CPU.
        multiple_subgraphs: Whether more than one part may be mapped.
        cache_bytes: On-chip memory for parameters that other models leave; None for all there is.
        clock: The chip's clock: "max" or "std".

    Returns:
        The analysis.

    Raises:
        UsageError: A flag has no meaning: there is no such runtime version, tensor or clock.
    """
    verdicts = partition(
        graph,
        min_runtime=min_runtime,
        intermediate_tensors=intermediate_tensors,
        multiple_subgraphs=multiple_subgraphs,
    )
    return analyse_cut(
        graph, verdicts, min_runtime=min_runtime, cache_bytes=cache_bytes, clock=clock
    )


def analyse_cut(
    graph: Subgraph,
    verdicts: Sequence[Verdict],
    *,
    min_runtime: int = NEWEST_RUNTIME,
    cache_bytes: int | None = None,
    memory: MemoryPlan | None = None,
    clock: str = "max",
) -> Analysis:
    """Says what would become of a model of which it is known where each operator runs.

    Args:
        graph: The main subgraph.
        verdicts: Where each operator runs.
        min_runtime: The oldest runtime version that must run the model, 10 to 14.
        cache_bytes: On-chip memory for parameters that other models leave; None for all there is.
        memory: What lies where, where that was decided together with other models.
        clock: The chip's clock: "max" or "std".

    Returns:
        The analysis.

    Raises:
        UsageError: There is no such clock.
    """
    if memory is None:
        memory = plan_memory(graph, verdicts, min_runtime=min_runtime, cache_bytes=cache_bytes)
    demand = demand_of(graph, verdicts, memory)
    latency = {link: price(demand, link=link, clock=clock) for link in LINKS}
    return Analysis(graph, list(verdicts), memory, latency, min_runtime)
