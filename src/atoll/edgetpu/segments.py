"""Cutting a model into pieces for several Edge TPUs that work one after another.

A pipeline is as fast as its slowest piece. So the slowest piece is made as fast as any cut can make
it, in predicted time with all that a piece pays for its own call; among such cuts, the one is taken
whose pieces take least together. A longer stretch can be faster than a part of it, which would hand
on a larger tensor, so that nothing is found by growing pieces up to a limit: all pairs of cuts are
looked at, a column of them at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from atoll.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from atoll.edgetpu.segment_costs import Costs
    from atoll.edgetpu.verdict import Verdict
    from atoll.tflite.graph import Subgraph

    Floats = NDArray[np.float64]

# No piece: what the caller hands over.
_OUTSIDE = -1
# Estimates are replaced by exact times where they were relied on, and it is cut again, this often
# at most; in a long model, so often that about so many pairs of cuts are looked at.
_MOST_ROUNDS = 40
_MOST_PAIRS = 40_000_000
# Times that differ by no more are the same.
_SAME = 1e-9


@dataclass(frozen=True)
class Segment:
    """One piece of a pipeline.

    Attributes:
        operators: The places of its operators in the main subgraph, in the graph's order.
        inputs: The tensors that it takes: of the model's inputs, or of earlier pieces' outputs.
        outputs: The tensors that it gives; of the last one the model's outputs, in their order.
        ms: Its predicted time; 0 where nothing is mapped.
    """

    operators: tuple[int, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    ms: float


def split(graph: Subgraph, verdicts: Sequence[Verdict], count: int, costs: Costs) -> list[Segment]:
    """Cuts a model into pieces that run one after another.

    CPU operators in front of the mapped ones go with the first piece, those behind with the last.

    Args:
        graph: The main subgraph.
        verdicts: What `partition` says of it.
        count: How many pieces.
        costs: The times of stretches of its mapped operators, as `range_costs` gives them.

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
    if not mapped:
        return _segments(graph, [0] * len(graph.operators), [0.0])
    cuts, times = _cut(costs, count)
    levels = _levels(graph, mapped, [costs.bounds[cut] for cut in cuts])
    return _segments(graph, levels, times)


def slowest_ms(costs: Costs, count: int) -> list[float]:
    """How fast a model's slowest piece can be, by how many pieces there are.

    Args:
        costs: The times of stretches of its mapped operators.
        count: The most pieces.

    Returns:
        An estimate in ms for 1 piece, for 2, and so on.
    """
    return [float(row[-1]) for row in _fastest(costs.columns(), len(costs.bounds) - 1, count)[1:]]


def _cut(costs: Costs, count: int) -> tuple[list[int], list[float]]:
    """The bounds at which the pieces begin, and the end; and the pieces' times in ms."""
    length = len(costs.bounds) - 1
    known: dict[tuple[int, int], float] = {}
    found: list[tuple[float, float, list[int], list[float]]] = []
    rounds = min(_MOST_ROUNDS, 1 + _MOST_PAIRS // (count * length * length))
    for _ in range(rounds):
        limit = float(_fastest(_corrected(costs, known), length, count)[count, length])
        limit += _SAME * max(1.0, limit)
        cuts, estimate = _cheapest(_corrected(costs, known), length, count, limit)
        known |= {p: costs.exact(*p) for p in pairwise(cuts) if p not in known}
        times = [known[piece] for piece in pairwise(cuts)]
        found.append((max(times), sum(times), cuts, times))
        if max(times) <= limit and abs(sum(times) - estimate) <= _SAME * max(1.0, estimate):
            break
    _, _, cuts, times = min(found)
    return cuts, times


def _corrected(costs: Costs, known: dict[tuple[int, int], float]) -> Iterator[Floats]:
    """The columns, with exact times where they are known."""
    starts: dict[int, list[int]] = {}
    for start, stop in known:
        starts.setdefault(stop, []).append(start)
    for stop, column in enumerate(costs.columns(), 1):
        for start in starts.get(stop, ()):
            column[start] = known[start, stop]
        yield column


def _fastest(columns: Iterator[Floats], length: int, count: int) -> Floats:
    """The slowest piece's time where it is least: by pieces, and by the bound that they reach."""
    best = np.full((count + 1, length + 1), np.inf)
    best[0, 0] = 0.0
    for stop, column in enumerate(columns, 1):
        best[1:, stop] = np.maximum(best[:-1, :stop], column).min(axis=1)
    return best


def _cheapest(
    columns: Iterator[Floats], length: int, count: int, limit: float
) -> tuple[list[int], float]:
    """The bounds of the pieces that keep a limit and take least together, and what they take."""
    least = np.full((count + 1, length + 1), np.inf)
    least[0, 0] = 0.0
    source = np.zeros((count + 1, length + 1), np.int64)
    pieces = np.arange(count)
    for stop, column in enumerate(columns, 1):
        sums = least[:-1, :stop] + np.where(column <= limit, column, np.inf)
        source[1:, stop] = starts = sums.argmin(axis=1)
        least[1:, stop] = sums[pieces, starts]
    cuts = [length]
    for piece in range(count, 0, -1):
        cuts.append(int(source[piece, cuts[-1]]))
    return cuts[::-1], float(least[count, length])


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
