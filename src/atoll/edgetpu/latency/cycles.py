"""The work of one operator and the chip's cycles for it: one table, from shapes alone.

The chip's tiles lie in a square grid and split the rows and the columns of a plane; in a tile, a
block of 64 cells makes 64 output channels of a pixel at a time, from words of 4 input channels.
So cycles count pixels of the largest tile, blocks and words. Some rates are fitted, as
docs/latency.md tells; an operator that is not in the table is taken to be elementwise (inferred).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from atoll.edgetpu.chip import BEAGLE
from atoll.edgetpu.latency.constants import value_of
from atoll.edgetpu.shapes import elements, filters, plane
from atoll.edgetpu.tiling import window

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from atoll.edgetpu.tiling import Plane
    from atoll.tflite.graph import Operator, Subgraph


class Work(NamedTuple):
    """What an operator asks for.

    Attributes:
        macs: Multiplications that its meaning asks for.
        todo: How much there is to do in the tile that does most.
        rate: The name of the constant that says how many cycles each of these takes.
    """

    macs: int
    todo: int
    rate: str

    @property
    def cycles(self) -> int:
        """Cycles of the chip."""
        return round(self.todo * value_of(self.rate))


# A convolution of so few input channels is the network's first: they fill less than a word.
_IMAGE_CHANNELS = BEAGLE.macs


def work(graph: Subgraph, op: Operator) -> Work:
    """The work of one operator, and the chip's cycles for it if it is mapped.

    Args:
        graph: The operator's graph.
        op: The operator.

    Returns:
        Its work; none for one that only renames what is there.
    """
    return WORK.get(op.type, _elementwise)(graph, op)


def _blocks(channels: int) -> int:
    return _up(channels, BEAGLE.cells)


def _words(channels: int) -> int:
    return _up(channels, BEAGLE.macs)


def _up(count: int, by: int) -> int:
    return -(-count // by)


def _convolution(graph: Subgraph, op: Operator) -> Work:
    outputs, height, width, inputs = filters(graph.input_of(op, 1))
    return _convolved(plane(graph.output_of(op)), outputs, height * width, inputs)


def _transposed_convolution(graph: Subgraph, op: Operator) -> Work:
    outputs, height, width, inputs = filters(graph.input_of(op, 1))
    return _convolved(plane(graph.input_of(op, 2)), outputs, height * width, inputs)


def _convolved(area: Plane, outputs: int, taps: int, inputs: int) -> Work:
    """A kernel moved over an area of so many positions."""
    macs = area.height * area.width * taps * inputs * outputs
    if area.is_vector:
        return Work(macs, _dense_words(outputs, taps * inputs), "cycles.dense")
    if inputs <= _IMAGE_CHANNELS:
        rate = "cycles.image"
    else:
        rate = "cycles.kernel" if taps > 1 else "cycles.pointwise"
    return Work(macs, area.tile_pixels * taps * _words(inputs) * _blocks(outputs), rate)


def _depthwise(graph: Subgraph, op: Operator) -> Work:
    _, height, width, _ = filters(graph.input_of(op, 1))
    output = graph.output_of(op)
    return _windowed(plane(output), height * width, elements(output) * height * width)


def _pooling(graph: Subgraph, op: Operator) -> Work:
    taps = math.prod(window(graph, op))
    return _windowed(plane(graph.output_of(op)), taps, 0)


def _windowed(area: Plane, taps: int, macs: int) -> Work:
    """Every channel by itself, from a window."""
    return Work(macs, area.tile_pixels * taps * _blocks(area.channels), "cycles.window")


def _reduction(graph: Subgraph, op: Operator) -> Work:
    return _windowed(plane(graph.input_of(op, 0)), 1, 0)


def _dense(graph: Subgraph, op: Operator) -> Work:
    weights = plane(graph.input_of(op, 1))
    units, inputs = weights.width, weights.channels
    rows = elements(graph.output_of(op)) // max(units, 1)
    return Work(rows * units * inputs, rows * _dense_words(units, inputs), "cycles.dense")


def _dense_words(outputs: int, inputs: int) -> int:
    """One position: the tiles split the output channels, not a plane."""
    return _words(inputs) * _up(_blocks(outputs), BEAGLE.tiles)


def _recurrent(graph: Subgraph, op: Operator) -> Work:
    """Every gate's two dense layers at every step, one after the other."""
    steps = plane(graph.input_of(op, 0)).width
    gates = [plane(graph.input_of(op, place)) for place in _GATE_WEIGHTS]
    macs = steps * sum(gate.width * gate.channels for gate in gates)
    todo = steps * sum(_dense_words(gate.width, gate.channels) for gate in gates)
    return Work(macs, todo, "cycles.dense")


def _elementwise(graph: Subgraph, op: Operator) -> Work:
    return Work(0, _plane_words(plane(graph.output_of(op))), "cycles.word")


def _multiplied(graph: Subgraph, op: Operator) -> Work:
    return _elementwise(graph, op)._replace(macs=elements(graph.output_of(op)))


def _split(graph: Subgraph, op: Operator) -> Work:
    outputs = (plane(graph.output_of(op, place)) for place in range(len(op.outputs)))
    return Work(0, sum(map(_plane_words, outputs)), "cycles.word")


def _plane_words(area: Plane) -> int:
    return area.tile_pixels * _words(area.channels)


def _renamed(graph: Subgraph, op: Operator) -> Work:
    return Work(0, 0, "cycles.word")


# The weights of a UNIDIRECTIONAL_SEQUENCE_LSTM: of the input and of the state, four gates each.
_GATE_WEIGHTS = range(1, 9)

WORK: Mapping[str, Callable[[Subgraph, Operator], Work]] = {
    "AVERAGE_POOL_2D": _pooling,
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _depthwise,
    "EXPAND_DIMS": _renamed,
    "FULLY_CONNECTED": _dense,
    "MAX_POOL_2D": _pooling,
    "MEAN": _reduction,
    "MUL": _multiplied,
    "REDUCE_MAX": _reduction,
    "REDUCE_MIN": _reduction,
    "RESHAPE": _renamed,
    "SPLIT": _split,
    "SPLIT_V": _split,
    "SQUEEZE": _renamed,
    "SUM": _reduction,
    "TRANSPOSE_CONV": _transposed_convolution,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _recurrent,
    "UNPACK": _split,
}
