"""The memory plan: which parameters stay on the chip, which are streamed at every call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from atoll.edgetpu.caching import Layer, choose
from atoll.edgetpu.capacity import (
    TILE_WORDS,
    WORD,
    cached_bytes,
    cached_words,
    passes,
    reserved_words,
    tile_words,
)
from atoll.edgetpu.chip import BEAGLE
from atoll.edgetpu.narrow import activation_bytes, narrow_bytes
from atoll.edgetpu.parameters import streamed_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atoll.edgetpu.verdict import Verdict
    from atoll.tflite.graph import Operator, Subgraph

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
    narrow_bytes_per_tile: int
    spills: bool


@dataclass(frozen=True)
class MemoryPlan:
    """What lies where.

    Attributes:
        ops: An entry a mapped operator, in the graph's order.
        parameter_bytes: All parameters, as the compiled file holds them.
        cached_bytes: Those that are cached on the chip, as the compiled file holds them.
        onchip_used_bytes: The memory that these take there, as Google's compiler prints it.
        onchip_remaining_bytes: What is left there for other models.
        offchip_bytes: Parameters that are streamed at every call.
        narrow_bytes_per_tile: The most activation memory that a tile uses at a time (a prediction).
    """

    ops: tuple[OpMemory, ...]
    parameter_bytes: int
    cached_bytes: int
    onchip_used_bytes: int
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
        [op for verdict, op in zip(verdicts, graph.operators, strict=True) if _runs(verdict)]
        for graph, verdicts in models
    ]
    left = 0
    if min_runtime >= CACHING_SINCE:
        reserved = max(
            (reserved_words(graph, ops) for (graph, _), ops in zip(models, mapped, strict=True)),
            default=0,
        )
        left = BEAGLE.tiles * (TILE_WORDS - reserved)
        if cache_bytes is not None:
            left = min(left, max(0, cache_bytes) // WORD)
    chosen = []
    for (graph, _), ops in zip(models, mapped, strict=True):
        layers = [_layer(graph, op) for op in ops]
        cached = choose(layers, left)
        left -= sum(layer.words for layer, kept in zip(layers, cached, strict=True) if kept)
        chosen.append(cached)
    return [
        _plan(graph, verdicts, cached, left)
        for (graph, verdicts), cached in zip(models, chosen, strict=True)
    ]


def _runs(verdict: Verdict) -> bool:
    return verdict.target == "tpu"


def _layer(graph: Subgraph, op: Operator) -> Layer:
    saved = cached_bytes(graph, op) * passes(graph, op)
    return Layer(cached_words(graph, op), saved, tile_words(graph, op))


def _plan(
    graph: Subgraph, verdicts: Sequence[Verdict], cached: Sequence[bool], left: int
) -> MemoryPlan:
    indices = [i for i, verdict in enumerate(verdicts) if _runs(verdict)]
    held = narrow_bytes(graph, indices)
    ops = tuple(
        _op_memory(graph, index, kept, narrow)
        for index, kept, narrow in zip(indices, cached, held, strict=True)
    )
    offchip = sum(op.streamed_bytes for op in ops)
    total = sum(op.parameter_bytes for op in ops)
    return MemoryPlan(
        ops=ops,
        parameter_bytes=total,
        cached_bytes=total - offchip,
        onchip_used_bytes=sum(op.onchip_bytes for op in ops),
        onchip_remaining_bytes=left * WORD,
        offchip_bytes=offchip,
        narrow_bytes_per_tile=max(held, default=0),
    )


def _op_memory(graph: Subgraph, index: int, cached: bool, narrow: int) -> OpMemory:
    op: Operator = graph.operators[index]
    cacheable, streamed = cached_bytes(graph, op), streamed_bytes(graph, op)
    return OpMemory(
        index=index,
        parameter_bytes=cacheable + streamed,
        cached=cached,
        streamed_bytes=streamed if cached else streamed + cacheable,
        onchip_bytes=cached_words(graph, op) * WORD if cached else 0,
        activation_bytes=activation_bytes(graph, op),
        narrow_bytes_per_tile=narrow,
        spills=narrow > BEAGLE.narrow_bytes,
    )
