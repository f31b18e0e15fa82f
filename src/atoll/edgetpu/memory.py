"""The memory plan: which parameters stay on the chip, which are streamed at every call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from atoll.edgetpu.caching import Layer, choose
from atoll.edgetpu.capacity import TILE_WORDS, WORD, need_of, reserved_words
from atoll.edgetpu.chip import BEAGLE
from atoll.edgetpu.narrow import narrow_bytes
from atoll.edgetpu.shapes import activation_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atoll.edgetpu.capacity import Need
    from atoll.edgetpu.verdict import Verdict
    from atoll.tflite.graph import Subgraph

CACHING_SINCE = 11
"""The first runtime version that keeps parameters on the chip between calls."""


@dataclass(frozen=True)
class OpMemory:
    """What one mapped operator takes of the chip's memory.

    Attributes:
        index: Its place in the main subgraph.
        parameter_bytes: Its parameters as the chip wants them, in bytes.
        cached: Whether they stay on the chip between calls; an operator without any is cached.
        streamed_bytes: What of them is sent at every call: all where it is not cached, and
            otherwise constants that act as activations.
        onchip_bytes: The memory that they take while they are cached, in bytes: a row of weights
            fills a whole word, so this can be more than they have in the file.
        activation_bytes: Its computed inputs and outputs, in bytes.
        passes: In how many parts its plane is worked off, each of which wants its parameters (a
            prediction).
        narrow_bytes_per_tile: What a tile holds while it runs, other tensors that are still needed
            among it, in bytes (a prediction).
        spills: Whether that is more than a tile has, so that the operator needs several passes, or
            the compiler gives up on large activation tensors (a prediction).
    """

    index: int
    parameter_bytes: int
    cached: bool
    streamed_bytes: int
    onchip_bytes: int
    activation_bytes: int
    passes: int
    narrow_bytes_per_tile: int
    spills: bool


@dataclass(frozen=True)
class MemoryPlan:
    """What lies where.

    Attributes:
        ops: An entry a mapped operator, in the graph's order.
        parameter_bytes: All parameters, as the compiled file holds them.
        cached_bytes: Those that are cached on the chip, as the compiled file holds them.
        onchip_memory_bytes: The memory that these take there, as Google's compiler prints it.
        onchip_remaining_bytes: What is left there for other models.
        offchip_bytes: Parameters that are streamed at every call.
        narrow_bytes_per_tile: The most activation memory that a tile uses at a time (a prediction).
    """

    ops: tuple[OpMemory, ...]
    parameter_bytes: int
    cached_bytes: int
    onchip_memory_bytes: int
    onchip_remaining_bytes: int
    offchip_bytes: int
    narrow_bytes_per_tile: int

    @property
    def spills(self) -> tuple[int, ...]:
        """The places of the operators whose activations a tile cannot hold at once."""
        return tuple(op.index for op in self.ops if op.spills)


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
    return plan_together([(graph, verdicts)], min_runtime=min_runtime, cache_bytes=cache_bytes)[0]


def plan_together(
    models: Sequence[tuple[Subgraph, Sequence[Verdict]]],
    *,
    min_runtime: int,
    cache_bytes: int | None = None,
) -> list[MemoryPlan]:
    """Decides what is cached of several models that share the chip.

    Each takes what those before it leave; what the most demanding of them needs to run is kept free
    for all. So a small model that comes late can find no room.

    Args:
        models: The main subgraph of each and what `partition` says of it, the most important first.
        min_runtime: The oldest runtime version that must run them: 10 has no caching.
        cache_bytes: On-chip memory that is left for parameters; None for all there is.

    Returns:
        A plan a model. What remains on the chip is what all of them together leave.
    """
    mapped = [
        [i for i, verdict in enumerate(verdicts) if verdict.target == "tpu"]
        for _, verdicts in models
    ]
    needs = [
        [need_of(graph, graph.operators[i]) for i in indices]
        for (graph, _), indices in zip(models, mapped, strict=True)
    ]
    left = 0
    if min_runtime >= CACHING_SINCE:
        reserved = reserved_words(need for model in needs for need in model)
        left = BEAGLE.tiles * (TILE_WORDS - reserved)
        if cache_bytes is not None:
            left = min(left, max(0, cache_bytes) // WORD)
    chosen = []
    for model in needs:
        layers = [Layer(n.words, n.cached_bytes * n.passes, n.block_words) for n in model]
        cached = choose(layers, left)
        left -= sum(layer.words for layer, kept in zip(layers, cached, strict=True) if kept)
        chosen.append(cached)
    return [
        _plan(graph, indices, model, cached, left)
        for (graph, _), indices, model, cached in zip(models, mapped, needs, chosen, strict=True)
    ]


def _plan(
    graph: Subgraph,
    indices: Sequence[int],
    needs: Sequence[Need],
    cached: Sequence[bool],
    left: int,
) -> MemoryPlan:
    held = narrow_bytes(graph, indices)
    ops = tuple(
        OpMemory(
            index=index,
            parameter_bytes=need.cached_bytes + need.streamed_bytes,
            cached=kept,
            streamed_bytes=need.streamed_bytes + (0 if kept else need.cached_bytes),
            onchip_bytes=need.words * WORD if kept else 0,
            activation_bytes=activation_bytes(graph, graph.operators[index]),
            passes=need.passes,
            narrow_bytes_per_tile=narrow,
            spills=narrow > BEAGLE.narrow_bytes,
        )
        for index, need, kept, narrow in zip(indices, needs, cached, held, strict=True)
    )
    offchip = sum(op.streamed_bytes for op in ops)
    total = sum(op.parameter_bytes for op in ops)
    return MemoryPlan(
        ops=ops,
        parameter_bytes=total,
        cached_bytes=total - offchip,
        onchip_memory_bytes=sum(op.onchip_bytes for op in ops),
        onchip_remaining_bytes=left * WORD,
        offchip_bytes=offchip,
        narrow_bytes_per_tile=max(held, default=0),
    )
