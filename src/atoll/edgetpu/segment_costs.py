"""What every stretch of a model's mapped operators would take on a chip of its own.

A chip in a pipeline pays for its own call: the fixed cost, its instructions, its inputs and its
outputs, and streaming of what its own cache does not hold. So a short stretch can be slower than a
longer one around it, and the stretches are priced all, column by column: those that end at one
place, from every start. What is cached in a stretch is an estimate there, that the layers which
come last are; `RangeCosts.exact` asks `choose`, as the memory plan does.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

import numpy as np

from atoll.edgetpu.caching import Layer, choose
from atoll.edgetpu.capacity import TILE_WORDS, need_of, reserved_words
from atoll.edgetpu.chip import BEAGLE
from atoll.edgetpu.latency.cycles import work
from atoll.edgetpu.latency.host import host_work
from atoll.edgetpu.latency.instructions import instructions
from atoll.edgetpu.latency.links import LINKS, check_clock, check_link
from atoll.edgetpu.memory import CACHING_SINCE
from atoll.edgetpu.shapes import tensor_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from atoll.edgetpu.capacity import Need
    from atoll.edgetpu.latency.links import Link
    from atoll.edgetpu.verdict import Verdict
    from atoll.tflite.graph import Operator, Subgraph

    Floats = NDArray[np.float64]

# All pairs of cuts are priced, so more places than this would take long. Of longer models only
# those are looked at over which the fewest bytes go, each among its neighbours.
_MOST_BLOCKS = 5_000
# The place of what no mapped operator makes, and of what is read to the very end.
_BEFORE, _NEVER = -1, 1 << 60


class Costs(Protocol):
    """The time of every stretch between two bounds."""

    @property
    def bounds(self) -> Sequence[int]:
        """Where it may be cut: places among the mapped operators, from 0 to their number."""

    def columns(self) -> Iterator[Floats]:
        """For every bound but the first the times of the stretches up to it, in ms.

        Column s has an element a start, from bound 0 to bound s - 1; it may be an estimate.
        """

    def exact(self, start: int, stop: int) -> float:
        """The time of the stretch between two bounds, by their numbers, in ms."""


@dataclass(frozen=True)
class RangeCosts:
    """The predicted times of stretches, from sums over blocks of operators.

    Attributes:
        bounds: Where blocks begin, and the end: places among the mapped operators.
        elapsed: At every bound the ms before it: computing, instructions, and what of the CPU's
            work goes with these operators.
        arriving: By block, what a stretch pays that has the block in it and begins behind a place:
            that place's block, and ms.
        leaving: By block, what a stretch pays that has the block in it and ends before a block: ms,
            and that block. An output that somebody else reads is such a thing.
        layers: Of every mapped operator what may be cached.
        working: The words of every tile that it needs while it runs.
        streaming: At every place the ms before it by which operators take longer uncached.
        caches: Whether anything may be cached.
    """

    bounds: tuple[int, ...]
    elapsed: Floats
    arriving: Sequence[Sequence[tuple[int, float]]]
    leaving: Sequence[Sequence[tuple[int, float]]]
    layers: Sequence[Layer]
    working: Sequence[int]
    streaming: Floats
    caches: bool

    def columns(self) -> Iterator[Floats]:
        """For every bound but the first the times of the stretches up to it, in ms."""
        count = len(self.bounds) - 1
        extra = np.zeros(count)
        reserved = np.zeros(count, np.int64)
        words = np.concatenate([[0], np.cumsum([layer.words for layer in self.layers])])
        held, late = words[list(self.bounds)], self.streaming[list(self.bounds)]
        ends: dict[int, list[tuple[int, float]]] = {}
        for stop in range(1, count + 1):
            block = stop - 1
            for behind, ms in self.arriving[block]:
                extra[behind + 1 : stop] += ms
            for end, ms in self.leaving[block]:
                extra[:stop] += ms
                ends.setdefault(end, []).append((block, ms))
            for made, ms in ends.pop(block, ()):
                extra[: made + 1] -= ms
            most = max(self.working[self.bounds[block] : self.bounds[stop]], default=0)
            np.maximum(reserved[:stop], most, out=reserved[:stop])
            column = self.elapsed[stop] - self.elapsed[:stop] + extra[:stop]
            room = (TILE_WORDS - np.minimum(reserved[:stop], TILE_WORDS)) * BEAGLE.tiles
            room *= self.caches
            # A stretch that begins later holds less and keeps no more room free.
            over = int(np.count_nonzero(held[stop] - held[:stop] > room))
            if over:
                first = np.searchsorted(words, held[stop] - room[:over])
                column[:over] += np.maximum(0.0, self.streaming[first] - late[:over])
            yield column

    def exact(self, start: int, stop: int) -> float:
        """The time of the stretch between two bounds, by their numbers, in ms."""
        first, last = self.bounds[start], self.bounds[stop]
        layers = self.layers[first:last]
        room = BEAGLE.tiles * (TILE_WORDS - min(TILE_WORDS, max(self.working[first:last])))
        kept = choose(layers, room if self.caches else 0)
        slower = np.diff(self.streaming[first : last + 1])[~np.array(kept, bool)].sum()
        paid = sum(
            ms for block in self.arriving[start:stop] for behind, ms in block if behind < start
        )
        paid += sum(ms for block in self.leaving[start:stop] for end, ms in block if end >= stop)
        return float(self.elapsed[stop] - self.elapsed[start] + slower + paid)


def range_costs(
    graph: Subgraph, verdicts: Sequence[Verdict], *, min_runtime: int, link: str, clock: str
) -> RangeCosts:
    """Prices the stretches of a graph's mapped operators.

    Args:
        graph: The main subgraph.
        verdicts: What `partition` says of it.
        min_runtime: The oldest runtime version that must run them: 10 has no caching.
        link: A row of `LINKS`.
        clock: The chip's clock: "max" or "std".

    Returns:
        What `predict` would say of each as a model of its own.

    Raises:
        UsageError: There is no such link or clock.
    """
    check_link(link)
    check_clock(clock)
    way, hertz = LINKS[link], BEAGLE.clocks[clock]
    mapped = [i for i, verdict in enumerate(verdicts) if verdict.target == "tpu"]
    place = {index: number for number, index in enumerate(mapped)}
    arriving, leaving = _transfers(graph, place, way)
    arriving += _calls([verdicts[i].part for i in mapped], way)
    bounds = _bounds(len(mapped), leaving)
    elapsed, slower, layers, working = [], [0.0], [], []
    for index in mapped:
        op = graph.operators[index]
        need = need_of(graph, op)
        kept, sent = _op_ms(graph, op, need, way, hertz)
        elapsed.append(kept)
        slower.append(max(0.0, sent - kept))
        layers.append(Layer(need.words, need.cached_bytes * need.passes, need.block_words))
        working.append(reserved_words([need]))
        program = instructions(graph, op, need.passes)
        elapsed[-1] += way.send_ms(program.size)
    for number, ms in _hosted(graph, place, way):
        elapsed[number] += ms
    blocks = np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))
    return RangeCosts(
        bounds,
        np.concatenate([[0.0], np.cumsum(elapsed)])[list(bounds)],
        _by_block(arriving, blocks),
        _by_block(leaving, blocks),
        layers,
        working,
        np.cumsum(slower),
        min_runtime >= CACHING_SINCE,
    )


def _op_ms(
    graph: Subgraph, op: Operator, need: Need, way: Link, hertz: float
) -> tuple[float, float]:
    """An operator's ms with its parameters cached, and without."""
    computing = work(graph, op).cycles / hertz * 1e3
    always = need.passes * need.streamed_bytes
    everything = always + need.passes * need.cached_bytes
    return max(computing, way.send_ms(always)), max(computing, way.send_ms(everything))


def _transfers(
    graph: Subgraph, place: dict[int, int], way: Link
) -> tuple[list[tuple[int, int, float]], list[tuple[int, int, float]]]:
    """What is paid for tensors: each time a place, the place that must be outside, and ms.

    Only the first operator of a stretch that reads a tensor has it sent, so that the one outside is
    the reader before it, or the tensor's maker.
    """
    made: dict[int, int] = {}
    touched: dict[int, int] = {}
    until: dict[int, int] = {}
    arriving = []
    for index, op in enumerate(graph.operators):
        here = place.get(index)
        for tensor in dict.fromkeys(graph.activations(op)):
            until[tensor] = _NEVER if here is None else max(here, until.get(tensor, _BEFORE))
            if here is not None:
                ms = way.send_ms(tensor_bytes(graph.tensors[tensor]))
                arriving.append((here, touched.get(tensor, _BEFORE), ms))
                touched[tensor] = here
        for tensor in op.outputs:
            if tensor >= 0 and here is not None:
                made[tensor] = touched[tensor] = here
    until |= dict.fromkeys(graph.outputs, _NEVER)
    leaving = [
        (here, until[tensor], way.output_ms(tensor_bytes(graph.tensors[tensor])))
        for tensor, here in made.items()
        if until.get(tensor, _BEFORE) > here
    ]
    return arriving, leaving


def _calls(parts: Sequence[int], way: Link) -> list[tuple[int, int, float]]:
    """The fixed cost of a call, at the first operator of a stretch that is of a mapped part."""
    calls, seen = [], dict.fromkeys(parts, _BEFORE)
    for number, part in enumerate(parts):
        calls.append((number, seen[part], way.call_ms))
        seen[part] = number
    return calls


def _hosted(graph: Subgraph, place: dict[int, int], way: Link) -> Iterator[tuple[int, float]]:
    """The CPU's work: the place of the mapped operator that it goes with, and ms.

    As `segments` deals them out: what mapped operators need goes with the last mapped one that it
    needs itself, the rest with the last of all.
    """
    needed: set[int] = set()
    for index in range(len(graph.operators) - 1, -1, -1):
        op = graph.operators[index]
        if index in place or needed.intersection(op.outputs):
            needed.update(graph.activations(op))
    after: dict[int, int] = {}
    for index, op in enumerate(graph.operators):
        here = place.get(index)
        if here is None and place:
            here = max((after.get(t, 0) for t in graph.activations(op)), default=0)
            if not needed.intersection(op.outputs):
                here = len(place) - 1
            yield here, way.host_ms(host_work(graph, op))
        after |= dict.fromkeys(op.outputs, here or 0)


def _bounds(count: int, leaving: Sequence[tuple[int, int, float]]) -> tuple[int, ...]:
    """Where a graph of so many mapped operators may be cut, and both its ends."""
    if count <= _MOST_BLOCKS:
        return tuple(range(count + 1))
    steps = np.zeros(count + 1)
    for here, until, ms in leaving:
        steps[min(here + 1, count)] += ms
        steps[min(until, count - 1) + 1] -= ms
    over = np.cumsum(steps)
    edges = np.linspace(1, count, _MOST_BLOCKS).astype(int)
    inner = [int(low + np.argmin(over[low:high])) for low, high in pairwise(edges)]
    return (0, *inner, count)


def _by_block(
    paid: Sequence[tuple[int, int, float]], blocks: NDArray[np.int64]
) -> list[list[tuple[int, float]]]:
    """What is paid at each block, places turned into blocks; within one there is nothing to pay."""
    sums: list[dict[int, float]] = [{} for _ in range(int(blocks[-1]) + 1 if len(blocks) else 0)]
    for here, outside, ms in paid:
        block = int(blocks[here])
        other = int(blocks[outside]) if 0 <= outside < len(blocks) else outside
        if other != block:
            sums[block][other] = sums[block].get(other, 0.0) + ms
    return [list(found.items()) for found in sums]
