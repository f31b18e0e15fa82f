"""A graph as a picture: a row an operator, tensors as lines in lanes beside it.

As version control draws its history: the rows keep the order of execution, a line runs from the
operator that computes a tensor to the last one that reads it, and takes the leftmost free lane.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from atoll.tflite.graph import Subgraph

# Lanes further right are not drawn: no such graph is read from a picture.
MOST_LANES = 24


@dataclass(frozen=True)
class Row:
    """One operator's part of the picture.

    Attributes:
        lane: Where its node stands.
        through: Lanes whose line goes on from the row above to the row below.
        into: Lanes from above whose line bends into the node.
        out_of: Lanes below whose line comes out of the node.
    """

    lane: int
    through: tuple[int, ...]
    into: tuple[int, ...]
    out_of: tuple[int, ...]


def lanes(graph: Subgraph) -> list[Row]:
    """Lays a graph out.

    Args:
        graph: A graph in execution order.

    Returns:
        A row an operator; lanes count from 0.
    """
    last = _last_readers(graph)
    lane_of: dict[int, int] = {}
    free: list[int] = []
    drawn: set[int] = set()
    width = 0

    def take(tensor: int) -> int:
        nonlocal width
        if free:
            lane = heapq.heappop(free)
        else:
            lane, width = width, width + 1
        lane_of[tensor] = lane
        drawn.update(_shown([lane]))
        return lane

    def leave(tensor: int) -> None:
        lane = lane_of.pop(tensor)
        heapq.heappush(free, lane)
        drawn.discard(lane)

    for tensor in graph.inputs:
        if tensor in last and tensor not in lane_of:
            take(tensor)
    rows = []
    for i, op in enumerate(graph.operators):
        read = dict.fromkeys(t for t in op.inputs if t in lane_of)
        into = sorted(lane_of[t] for t in read)
        for tensor in read:
            if last[tensor] <= i:
                leave(tensor)
        # Of what goes on only the drawn lanes are looked at: all of them at every row would take
        # time with the square of a wide graph's length.
        through = tuple(sorted(drawn))
        out_of = [
            take(tensor)
            for tensor in op.outputs
            if last.get(tensor, -1) > i and tensor not in lane_of
        ]
        lane = min(out_of, default=min(into, default=free[0] if free else width))
        rows.append(Row(lane, through, tuple(_shown(into)), tuple(_shown(out_of))))
    return rows


def _shown(numbers: list[int]) -> list[int]:
    return [lane for lane in numbers if lane < MOST_LANES]


def _last_readers(graph: Subgraph) -> dict[int, int]:
    """The last operator that reads each computed tensor, those that a constant holds left out."""
    return {
        t: i
        for i, op in enumerate(graph.operators)
        for t in op.inputs
        if t >= 0 and not graph.tensors[t].is_constant
    }
