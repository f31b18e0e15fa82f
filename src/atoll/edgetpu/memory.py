"""The memory plan: which parameters stay on the chip, which are streamed at every call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atoll.edgetpu.verdict import Verdict
    from atoll.tflite.graph import Subgraph


@dataclass(frozen=True)
class OpMemory:
    """What one mapped operator takes of the chip's memory.

    Attributes:
        index: Its place in the main subgraph.
        parameter_bytes: Its parameters as the chip wants them, in bytes.
        cached: Whether they stay on the chip between calls; an operator without any is cached.
        activation_bytes: Its computed inputs and outputs, in bytes.
        narrow_bytes_per_tile: What of these a tile holds while it runs, in bytes (a prediction).
    """

    index: int
    parameter_bytes: int
    cached: bool
    activation_bytes: int
    narrow_bytes_per_tile: int


@dataclass(frozen=True)
class MemoryPlan:
    """What lies where.

    Attributes:
        ops: An entry a mapped operator, in the graph's order.
        parameter_bytes: All parameters.
        onchip_used_bytes: Those that are cached on the chip.
        onchip_remaining_bytes: What is left there for other models.
        offchip_bytes: Those that are streamed at every call.
        narrow_bytes_per_tile: The most activation memory that a tile uses at a time (a prediction).
    """

    ops: tuple[OpMemory, ...]
    parameter_bytes: int
    onchip_used_bytes: int
    onchip_remaining_bytes: int
    offchip_bytes: int
    narrow_bytes_per_tile: int


def plan_memory(
    graph: Subgraph,
    verdicts: Sequence[Verdict],
    *,
    min_runtime: int,
    cache_bytes: int | None = None,
) -> MemoryPlan:
    """Decides what is cached and what is streamed, as Google's compiler does.

    Args:
        graph: The main subgraph.
        verdicts: What `partition` says of it.
        min_runtime: The oldest runtime version that must run the model: 10 has no caching.
        cache_bytes: On-chip memory that is left for parameters; None for all there is.

    Returns:
        The plan.
    """
    raise NotImplementedError
