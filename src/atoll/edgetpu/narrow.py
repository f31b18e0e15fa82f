"""How much activation memory a tile needs: a prediction, from the cut over the tiles alone.

A tile holds its part of every tensor that is alive, with the pixels of its neighbours that a window
reaches. An input stays one operator longer than it is needed; what only changes numbers is done in
place; a dense layer takes 512 bytes more. So it is in all compiled files whose activations fit but
three (docs/memory.md). Where they do not fit, the compiler cuts the plane in several passes, and
this is what it would have needed otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from atoll.edgetpu.parameters import LANES
from atoll.edgetpu.tiling import padded, plane_of, span, window

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from atoll.tflite.graph import Operator, Subgraph


# Beside inputs and outputs: 256, 512 and 1024 wide, as compiled for runtime 14.
_DENSE_BYTES = 512

# Their result takes the place of what they read, where nothing else reads it.
_IN_PLACE = ("QUANTIZE", "RESHAPE", "SQUEEZE", "EXPAND_DIMS", "RELU", "RELU6", "RELU_N1_TO_1")


def narrow_bytes(graph: Subgraph, mapped: Sequence[int]) -> list[int]:
    """What a tile holds while each mapped operator runs.

    Args:
        graph: The subgraph.
        mapped: The places of the mapped operators, in the order in which they run.

    Returns:
        Bytes of the tile that holds most, an entry a mapped operator.
    """
    buffers = _buffers(graph, mapped)
    sizes: dict[int, int] = {}
    for tensor, size in _tile_sizes(graph, mapped).items():
        sizes[buffers[tensor]] = max(size, sizes.get(buffers[tensor], 0))
    ending: dict[int, list[int]] = {}
    for buffer, place in _last_uses(graph, mapped, buffers).items():
        ending.setdefault(place, []).append(buffer)
    needs: list[int] = []
    alive: set[int] = set()
    held = 0
    for place, index in enumerate(mapped):
        op = graph.operators[index]
        new = {buffers[t] for t in _computed(graph, op)} - alive
        alive |= new
        held += sum(sizes[buffer] for buffer in new)
        needs.append(held + (_DENSE_BYTES if op.type == "FULLY_CONNECTED" else 0))
        gone = ending.get(place, [])
        alive.difference_update(gone)
        held -= sum(sizes[buffer] for buffer in gone)
    return needs


def _computed(graph: Subgraph, op: Operator) -> set[int]:
    return {*graph.activations(op), *(t for t in op.outputs if t >= 0)}


def _buffers(graph: Subgraph, mapped: Sequence[int]) -> dict[int, int]:
    """The tensor whose memory each tensor lies in: its own, or that of what it was made from."""
    readers = graph.consumers()
    buffers: dict[int, int] = {}
    for index in mapped:
        op = graph.operators[index]
        sources = list(graph.activations(op))
        for tensor in sources:
            buffers.setdefault(tensor, tensor)
        alone = len(sources) == 1 and len(readers[sources[0]]) == 1
        for tensor in op.outputs:
            if tensor >= 0:
                kept = alone and op.type in _IN_PLACE
                buffers[tensor] = buffers[sources[0]] if kept else tensor
    return buffers


def _last_uses(
    graph: Subgraph, mapped: Sequence[int], buffers: Mapping[int, int]
) -> dict[int, int]:
    """When each buffer is given up: a place among the mapped operators."""
    last: dict[int, int] = {}
    made: set[int] = set()
    for place, index in enumerate(mapped):
        op = graph.operators[index]
        for tensor in graph.activations(op):
            late = tensor not in made and buffers[tensor] == tensor
            last[buffers[tensor]] = min(place + late, len(mapped) - 1)
        for tensor in op.outputs:
            if tensor >= 0:
                last[buffers[tensor]] = max(place, last.get(buffers[tensor], 0))
                made.add(tensor)
    return last


def _tile_sizes(graph: Subgraph, mapped: Sequence[int]) -> dict[int, int]:
    """The bytes that a tile holds of each tensor, with what the windows over it reach."""
    rows: dict[int, int] = {}
    columns: dict[int, int] = {}
    channels: dict[int, int] = {}
    for index in mapped:
        op = graph.operators[index]
        for tensor in _computed(graph, op):
            plane = plane_of(graph.tensors[tensor].shape)
            rows.setdefault(tensor, span(plane.height, plane.height, 1, 1))
            columns.setdefault(tensor, span(plane.width, plane.width, 1, 1))
            # Tiles share out the outputs of a dense layer; who reads them gathers them first.
            made = tensor in op.outputs and op.type == "FULLY_CONNECTED"
            shared = plane.is_vector and (made or op.type in _IN_PLACE)
            share = min(plane.channels, LANES) if shared else plane.channels
            channels[tensor] = max(padded(share), channels.get(tensor, 0))
        high, wide = window(graph, op)
        source = op.inputs[0] if op.inputs else -1
        if (high, wide) == (1, 1) or not op.outputs or source not in rows:
            continue
        image, result = (plane_of(graph.tensors[t].shape) for t in (source, op.outputs[0]))
        if result.is_vector:
            continue
        down = max(1, getattr(op.options, "strideH", 1))
        right = max(1, getattr(op.options, "strideW", 1))
        rows[source] = max(rows[source], span(image.height, result.height, high, down))
        columns[source] = max(columns[source], span(image.width, result.width, wide, right))
    return {t: rows[t] * columns[t] * channels[t] for t in rows}
