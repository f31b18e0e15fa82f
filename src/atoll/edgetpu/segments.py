"""Cutting a model into pieces for several Edge TPUs that work one after another.

A pipeline is as fast as its slowest piece, and a piece whose parameters do not fit its chip's cache
streams the rest at every call. So the cut is balanced on predicted time, streaming included: the
slowest piece is as fast as any cut can make it. Among such cuts it is the one that carries the
fewest bytes from piece to piece.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from atoll.edgetpu.capacity import TILE_WORDS, WORD, need_of, reserved_words
from atoll.edgetpu.chip import BEAGLE
from atoll.edgetpu.shapes import tensor_bytes
from atoll.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from atoll.edgetpu.verdict import Verdict
    from atoll.tflite.graph import Subgraph

    # Milliseconds of the mapped operators from a place up to another, which is not among them.
    # It must not fall where the range grows.
    Cost = Callable[[int, int], float]

# Halvings of the interval in which the best time lies: below the precision of a float.
_HALVINGS = 64
# No piece: what the caller hands over.
_OUTSIDE = -1


@dataclass(frozen=True)
class Segment:
    """One piece of a pipeline.

    Attributes:
        operators: The places of its operators in the main subgraph, in the graph's order.
        inputs: The tensors that it takes: of the model's inputs, or of earlier pieces' outputs.
        outputs: The tensors that it gives; of the last one the model's outputs, in their order.
        ms: Its predicted time on the chip.
    """

    operators: tuple[int, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    ms: float


def split(
    graph: Subgraph,
    verdicts: Sequence[Verdict],
    times_ms: Sequence[float],
    count: int,
    *,
    stream_ms_per_byte: float = 0.0,
    cost: Cost | None = None,
) -> list[Segment]:
    """Cuts a model into pieces that run one after another.

    CPU operators in front of the mapped ones go with the first piece, those behind with the last.

    Args:
        graph: The main subgraph.
        verdicts: What `partition` says of it.
        times_ms: The predicted time of each operator with its parameters on the chip, in ms.
        count: How many pieces.
        stream_ms_per_byte: What streaming a byte of parameters costs that a piece cannot cache, in
            ms.
        cost: The time of a range of mapped operators, in ms, where it is known better.

    Returns:
        The pieces, in the order in which they run.

    Raises:
        UsageError: There are fewer mapped operators than pieces, or no pieces are asked for.
    """
    mapped = [i for i, verdict in enumerate(verdicts) if verdict.target == "tpu"]
    if not 1 <= count <= max(1, len(mapped)):
        raise UsageError(
            "num_segments",
            "every segment needs a mapped operator",
            received=f"{count} segments, {len(mapped)} mapped operators",
            fix=f"Ask for 1 to {max(1, len(mapped))}",
        )
    price = cost or cached_cost(graph, mapped, times_ms, stream_ms_per_byte)
    cuts = _cuts(graph, mapped, count, price) if mapped else [0, 0]
    levels = _levels(graph, mapped, cuts)
    times = [price(start, stop) if stop > start else 0.0 for start, stop in pairwise(cuts)]
    return _segments(graph, levels, times)


def cached_cost(
    graph: Subgraph, mapped: Sequence[int], times_ms: Sequence[float], stream_ms_per_byte: float
) -> Cost:
    """The time of a range of mapped operators on a chip of their own.

    Args:
        graph: The main subgraph.
        mapped: The places of the mapped operators.
        times_ms: The time of each operator of the graph with its parameters on the chip, in ms.
        stream_ms_per_byte: What streaming a byte costs, in ms.

    Returns:
        The function of a range: its times, and streaming of what is more than the cache holds.
    """
    needs = [need_of(graph, graph.operators[i]) for i in mapped]
    room = BEAGLE.tiles * (TILE_WORDS - reserved_words(needs)) * WORD
    elapsed, held = [0.0], [0]
    for index, need in zip(mapped, needs, strict=True):
        elapsed.append(elapsed[-1] + max(0.0, times_ms[index]))
        held.append(held[-1] + need.words * WORD)

    def cost(start: int, stop: int) -> float:
        over = max(0, held[stop] - held[start] - room)
        return elapsed[stop] - elapsed[start] + over * stream_ms_per_byte

    return cost


def _cuts(graph: Subgraph, mapped: Sequence[int], count: int, cost: Cost) -> list[int]:
    """The places among the mapped operators where the pieces begin, and the end."""
    limit = _fastest(len(mapped), count, cost)
    carried = _carried(graph, mapped)
    return _cheapest(len(mapped), count, cost, limit, carried)


def _fastest(length: int, count: int, cost: Cost) -> float:
    """The time of the slowest piece, where it is as fast as can be."""
    # Pieces can be faster together than the whole: each has a cache of its own.
    low, high = 0.0, cost(0, length)
    found = _filled(length, count, cost, low)
    if found is not None:
        return found
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if not low < middle < high:
            break
        found = _filled(length, count, cost, middle)
        if found is None:
            low = middle
        else:
            high = found
    return high


def _filled(length: int, count: int, cost: Cost, limit: float) -> float | None:
    """The slowest of pieces that are as long as a limit allows; None where too many are needed."""
    start, slowest = 0, 0.0
    for _ in range(count):
        stop = _reach(start, length, cost, limit)
        if stop == start:
            return None
        slowest = max(slowest, cost(start, stop))
        if stop == length:
            return slowest
        start = stop
    return None


def _reach(start: int, length: int, cost: Cost, limit: float) -> int:
    """The furthest place up to which a piece from a start keeps the limit."""
    low, high = start, length
    while low < high:
        middle = (low + high + 1) // 2
        if cost(start, middle) <= limit:
            low = middle
        else:
            high = middle - 1
    return low


def _carried(graph: Subgraph, mapped: Sequence[int]) -> list[int]:
    """For every place where mapped operators can be cut the bytes that go over it."""
    place = {index: number for number, index in enumerate(mapped)}
    made: dict[int, int] = {}
    last: dict[int, int] = {}
    for index in mapped:
        op = graph.operators[index]
        for tensor in graph.activations(op):
            if tensor in made:
                last[tensor] = place[index]
        made |= dict.fromkeys((t for t in op.outputs if t >= 0), place[index])
    steps = [0] * (len(mapped) + 2)
    for tensor, end in last.items():
        size = tensor_bytes(graph.tensors[tensor])
        steps[made[tensor] + 1] += size
        steps[end + 1] -= size
    carried, total = [], 0
    for step in steps[:-1]:
        total += step
        carried.append(total)
    return carried


def _cheapest(
    length: int, count: int, cost: Cost, limit: float, carried: Sequence[int]
) -> list[int]:
    """Cuts that keep the limit and carry the fewest bytes.

    The starts from which a piece up to a stop keeps the limit are a window that only moves on, so
    that its least element costs a queue.
    """
    least: list[float] = [0.0] + [math.inf] * length
    came: list[list[int]] = []
    for _ in range(count):
        new = [math.inf] * (length + 1)
        source = [-1] * (length + 1)
        window: deque[int] = deque()
        for stop in range(1, length + 1):
            while window and least[window[-1]] > least[stop - 1]:
                window.pop()
            window.append(stop - 1)
            while window and cost(window[0], stop) > limit:
                window.popleft()
            if window and math.isfinite(least[window[0]]):
                source[stop] = window[0]
                new[stop] = least[window[0]] + carried[stop]
        came.append(source)
        least = new
    cuts = [length]
    for source in reversed(came):
        cuts.append(source[cuts[-1]])
    return cuts[::-1]


def _levels(graph: Subgraph, mapped: Sequence[int], cuts: Sequence[int]) -> list[int]:
    """The piece that each operator goes with."""
    levels = [-1] * len(graph.operators)
    for piece, (start, stop) in enumerate(pairwise(cuts)):
        for index in mapped[start:stop]:
            levels[index] = piece
    last = len(cuts) - 2
    needed: set[int] = set()
    for index in range(len(levels) - 1, -1, -1):
        op = graph.operators[index]
        if levels[index] >= 0 or needed.intersection(op.outputs):
            needed.update(graph.activations(op))
    made: dict[int, int] = {}
    for index, op in enumerate(graph.operators):
        if levels[index] < 0:
            earlier = max((made.get(t, 0) for t in graph.activations(op)), default=0)
            levels[index] = earlier if needed.intersection(op.outputs) else last
        made |= dict.fromkeys(op.outputs, levels[index])
    return levels


def _segments(graph: Subgraph, levels: Sequence[int], times: Sequence[float]) -> list[Segment]:
    count = len(times)
    members: list[list[int]] = [[] for _ in range(count)]
    inputs: list[dict[int, None]] = [{} for _ in range(count)]
    outputs: list[dict[int, None]] = [{} for _ in range(count)]
    made = dict.fromkeys(graph.inputs, _OUTSIDE)
    for index, op in enumerate(graph.operators):
        piece = levels[index]
        members[piece].append(index)
        for tensor in graph.activations(op):
            _hand_over(tensor, made.get(tensor), piece, inputs, outputs)
        made |= dict.fromkeys((t for t in op.outputs if t >= 0), piece)
    for tensor in graph.outputs:
        # Constants and the model's own inputs may be its outputs.
        if not graph.tensors[tensor].is_constant:
            _hand_over(tensor, made.get(tensor), count - 1, inputs, outputs)
    for tensor in graph.inputs:
        # The first piece takes all that the model takes, whether or not anything reads it.
        if not any(tensor in taken for taken in inputs):
            inputs[0][tensor] = None
    outputs[-1] = dict.fromkeys(graph.outputs)
    return [
        Segment(tuple(members[i]), tuple(inputs[i]), tuple(outputs[i]), times[i])
        for i in range(count)
    ]


def _hand_over(
    tensor: int,
    source: int | None,
    piece: int,
    inputs: list[dict[int, None]],
    outputs: list[dict[int, None]],
) -> None:
    """Notes that a piece needs a tensor, where it does not make it itself."""
    if source is None or source == piece:
        return
    inputs[piece][tensor] = None
    if source != _OUTSIDE:
        outputs[source][tensor] = None
