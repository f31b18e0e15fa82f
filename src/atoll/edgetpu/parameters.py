"""What an operator's parameters take of the chip's memory: the size of its block in the blob.

The layout, its evidence and what is not known of it are in docs/format.md. Sizes are those of the
last version of Google's compiler.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from atoll.edgetpu.chip import BEAGLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from atoll.tflite.graph import Operator, Subgraph, Tensor

# The chip reads parameters in rows of 64 bytes.
ROW = 64
# A block of weights has a lane a cell at most; in a row of it, a lane has a byte for each of the
# input channels that a cell multiplies at a time.
LANES = BEAGLE.cells
GROUP = BEAGLE.macs
_SAME_PADDING = 0

# Where a row of the table comes from.
EXACT = "compiled files: equal on every one at hand"
ONE_FILE = "compiled files: fits the only one that has it"
INFERRED = "inferred: no compiled file at hand has it"


@dataclass(frozen=True)
class ParameterRule:
    """How the parameters of one kind of operator are sized.

    Attributes:
        cacheable: The bytes of an operator's block that may stay on the chip.
        source: Where that comes from.
        streamed: The bytes that are sent at every call whatever room there is, as they are taken
            for an activation; None where there are never any.
    """

    cacheable: Callable[[Subgraph, Operator], int]
    source: str = EXACT
    streamed: Callable[[Subgraph, Operator], int] | None = None


def parameter_bytes(graph: Subgraph, op: Operator) -> int:
    """The size of an operator's parameters as the chip wants them, streamed ones included.

    Args:
        graph: The operator's graph.
        op: The operator, as if it were mapped.

    Returns:
        Bytes, a multiple of 64; 0 for an operator without parameters.
    """
    rule = RULES.get(op.type)
    return 0 if rule is None else rule.cacheable(graph, op) + streamed_bytes(graph, op)


def streamed_bytes(graph: Subgraph, op: Operator) -> int:
    """The part of `parameter_bytes` that is never cached: constants that act as activations.

    Args:
        graph: The operator's graph.
        op: The operator, as if it were mapped.

    Returns:
        Bytes, a multiple of 64.
    """
    rule = RULES.get(op.type)
    return 0 if rule is None or rule.streamed is None else rule.streamed(graph, op)


def dense_bytes(outputs: int, rows: int) -> int:
    """The size of a layer in which every output has a weight for every input.

    Args:
        outputs: Output channels.
        rows: Rows of a block: those before the weights, and one for every 4 inputs of every tap.

    Returns:
        Bytes.
    """
    if outputs > LANES:
        return -(-outputs // LANES) * LANES * GROUP * rows
    row = _up(outputs, GROUP) * GROUP
    # Of up to 4 lanes, rows lie side by side; only the whole is padded.
    return _up((row if outputs <= GROUP else _up(row, ROW)) * rows, ROW)


def diagonal_bytes(channels: int, heads: int, taps: int) -> int:
    """The size of a layer in which every channel has weights for itself alone.

    Args:
        channels: Channels, in and out.
        heads: Values of 4 bytes that come before a channel's weights.
        taps: Positions of the kernel; each takes a 4 x 4 matrix for every 4 channels.

    Returns:
        Bytes.
    """
    return _up(-(-channels // GROUP) * GROUP * GROUP * (heads + taps), ROW)


@dataclass(frozen=True)
class Heads:
    """Which values come before a layer's weights, 4 bytes each an output, in this order.

    Attributes:
        scales: Multipliers, float32: where channels have scales that differ.
        biases: Biases, int32: where one is not 0.
        zero_points: The weights' zero points, int32: where channels have scales of their own.
    """

    scales: bool
    biases: bool
    zero_points: bool

    @property
    def count(self) -> int:
        """How many values an output has."""
        return self.scales + self.biases + self.zero_points


def heads_of(weights: Tensor, bias: Tensor | None) -> Heads:
    """What comes before the weights of a layer."""
    quantization = weights.quantization
    per_channel = quantization is not None and quantization.per_channel
    scales = quantization.scale if quantization is not None else np.empty(0)
    return Heads(
        scales=per_channel and bool(np.any(scales != scales[0])),
        biases=bias is not None and bias.data is not None and bool(np.any(bias.data)),
        zero_points=per_channel,
    )


def used_taps(image: int, taps: int, stride: int, dilation: int, padding: int) -> range:
    """The taps of a kernel, along one dimension, that ever meet the image and not only padding.

    Args:
        image: The image's size, in pixels.
        taps: The kernel's size, in taps.
        stride: The stride, in pixels.
        dilation: The distance of two taps, in pixels.
        padding: The schema's Padding: 0 SAME, 1 VALID.

    Returns:
        Their places in the kernel.
    """
    if padding != _SAME_PADDING or min(image, taps, stride, dilation) < 1:
        return range(taps)
    reach = (-(-image // stride) - 1) * stride
    before = max(reach + (taps - 1) * dilation + 1 - image, 0) // 2
    first = max(-(-(before - reach) // dilation), 0)
    return range(first, min((image - 1 + before) // dilation + 1, taps))


def _up(size: int, step: int) -> int:
    return -(-size // step) * step


def kernel_taps(op: Operator, image: Tensor | None, weights: Tensor) -> tuple[range, range]:
    """The rows and columns that are kept of a kernel.

    Args:
        op: A convolution.
        image: Its input, [batch, height, width, channels].
        weights: Its kernel, [_, height, width, _].

    Returns:
        The rows, the columns.
    """
    height, width = weights.shape[1:3]
    if image is None or len(image.shape) != 4 or op.options is None:
        return range(height), range(width)

    def used(axis: str, size: int, taps: int) -> range:
        stride = getattr(op.options, f"stride{axis}", 1)
        dilation = getattr(op.options, f"dilation{axis}Factor", 1)
        padding = getattr(op.options, "padding", _SAME_PADDING)
        return used_taps(size, taps, stride, dilation, padding)

    return used("H", image.shape[1], height), used("W", image.shape[2], width)


def takes_one_channel(image: Tensor | None, channels: int) -> bool:
    """Whether a depthwise convolution is an ordinary one: over one input channel."""
    return image is not None and image.shape[-1:] == (1,) and channels > 1


def _taps(op: Operator, image: Tensor | None, weights: Tensor) -> int:
    """How many taps are kept of a kernel."""
    rows, columns = kernel_taps(op, image, weights)
    return len(rows) * len(columns)


def _convolution(graph: Subgraph, op: Operator) -> int:
    image, weights, bias = (graph.input_of(op, place) for place in range(3))
    if weights is None or len(weights.shape) != 4:
        return 0
    rows = _taps(op, image, weights) * -(-weights.shape[3] // GROUP)
    return dense_bytes(weights.shape[0], heads_of(weights, bias).count + rows)


def _transposed_convolution(graph: Subgraph, op: Operator) -> int:
    weights, bias = graph.input_of(op, 1), graph.input_of(op, 3)
    if weights is None or len(weights.shape) != 4:
        return 0
    outputs, height, width, inputs = weights.shape
    return dense_bytes(
        outputs, heads_of(weights, bias).count + height * width * -(-inputs // GROUP)
    )


def _dense(graph: Subgraph, op: Operator) -> int:
    weights, bias = graph.input_of(op, 1), graph.input_of(op, 2)
    if weights is None or len(weights.shape) != 2:
        return 0
    outputs, inputs = weights.shape
    return dense_bytes(outputs, heads_of(weights, bias).count + -(-inputs // GROUP))


def _depthwise(graph: Subgraph, op: Operator) -> int:
    image, weights, bias = (graph.input_of(op, place) for place in range(3))
    if weights is None or len(weights.shape) != 4:
        return 0
    channels, heads, taps = weights.shape[3], heads_of(weights, bias), _taps(op, image, weights)
    if takes_one_channel(image, channels):
        return dense_bytes(channels, heads.count + taps)
    return diagonal_bytes(channels, heads.count, taps)


def _softmax(graph: Subgraph, op: Operator) -> int:
    scores = graph.input_of(op, 0)
    if scores is None or not scores.shape or _is_of_older_converter(graph):
        return 0
    classes = scores.shape[-1]
    # For every 4 classes a row each of biases, zero points and scales; more classes than a block
    # has lanes need one more to add up.
    return ROW * (3 * -(-classes // GROUP) + (classes > LANES))


def _is_of_older_converter(graph: Subgraph) -> bool:
    """Whether the graph is TOCO's, the converter until TensorFlow 2.1, which names no subgraph.

    Its files are known compiled by Google's older compiler alone, those of its successor by the
    newer one: which of the two decides cannot be told, and the file shows this one.
    """
    return not graph.name


def _constant_operand(graph: Subgraph, op: Operator) -> int:
    """A constant tensor that is added, multiplied...: its plain bytes. One number needs none."""
    tensors = (graph.input_of(op, place) for place in range(len(op.inputs)))
    sizes = [t.data.size for t in tensors if t is not None and t.data is not None]
    return sum(_up(size, ROW) for size in sizes if size > 1)


def _reshape(graph: Subgraph, op: Operator) -> int:
    """Pixels of channels that make no whole groups are gathered by a kernel of ones and zeros."""
    image = graph.input_of(op, 0)
    if image is None or not op.outputs or not image.shape:
        return 0
    channels, elements = image.shape[-1], math.prod(image.shape)
    gathered = graph.tensors[op.outputs[0]].shape[-1:] == (elements,)
    # How many more than one block are gathered is not known; a kernel would outgrow the chip.
    if not gathered or channels % GROUP == 0 or channels == elements or elements > LANES:
        return 0
    pixels = elements // channels
    return dense_bytes(elements, 1 + pixels * -(-channels // GROUP))


def _split(graph: Subgraph, op: Operator) -> int:
    """Channels that do not begin at a whole group are picked by a kernel of ones and zeros."""
    start = size = 0
    for shape in _channel_pieces(graph, op, op.outputs):
        if start % GROUP:
            groups = -(-(start % GROUP + shape) // GROUP)
            size += dense_bytes(shape, 1 + groups)
        start += shape
    return size


def _concatenation(graph: Subgraph, op: Operator) -> int:
    """Channels that do not end at a whole group are joined by a kernel of ones and zeros."""
    pieces = list(_channel_pieces(graph, op, op.inputs))
    if not any(piece % GROUP for piece in pieces[:-1]):
        return 0
    return dense_bytes(sum(pieces), 1 + sum(-(-piece // GROUP) for piece in pieces))


def _channel_pieces(graph: Subgraph, op: Operator, tensors: list[int]) -> Iterator[int]:
    """The channels of the tensors that an operator splits or joins, where it does so by channel."""
    shapes = [graph.tensors[t].shape for t in tensors if t >= 0]
    others = {shape[:-1] for shape in shapes}
    if len(shapes) > 1 and len(others) == 1 and all(shapes) and _by_channel(graph, op):
        yield from (shape[-1] for shape in shapes)


def _by_channel(graph: Subgraph, op: Operator) -> bool:
    """Whether an operator's whole, in or out, is wider in channels than its pieces."""
    if op.type == "SPLIT":
        whole, pieces = graph.input_of(op, 1), op.outputs
    else:
        whole, pieces = graph.tensors[op.outputs[0]] if op.outputs else None, op.inputs
    channels = sum(graph.tensors[t].shape[-1] for t in pieces if t >= 0)
    return whole is not None and whole.shape[-1:] == (channels,)


def _lstm_sizes(graph: Subgraph, op: Operator) -> tuple[int, int, int]:
    """Steps, units and inputs of an LSTM; zeros where it is none."""
    sequence, weights = graph.input_of(op, 0), graph.input_of(op, 1)
    if sequence is None or weights is None or len(sequence.shape) != 3 or len(weights.shape) != 2:
        return 0, 0, 0
    return sequence.shape[1], *weights.shape


def _lstm(graph: Subgraph, op: Operator) -> int:
    """The gates, and kernels of ones and zeros that pick a step's input and keep its output."""
    steps, units, inputs = _lstm_sizes(graph, op)
    if not steps:
        return 0
    gate = dense_bytes(units, 1 + -(-inputs // GROUP)) + dense_bytes(units, -(-units // GROUP))

    def spread(channels: int) -> int:
        """Every channel becomes a pixel of its own."""
        return dense_bytes(GROUP * channels, 1 + -(-channels // GROUP))

    # A pixel is copied; as many pixels as there are steps are kept; pixels become channels.
    picked = spread(inputs) + ROW + dense_bytes(inputs, inputs)
    kept = spread(units) + dense_bytes(GROUP * steps, steps) + dense_bytes(units, units)
    return 4 * gate + picked + kept


def _lstm_output(graph: Subgraph, op: Operator) -> int:
    """The zeros that the steps' outputs are written over."""
    steps, units, _ = _lstm_sizes(graph, op)
    return _up(steps * units, ROW)


def _none(graph: Subgraph, op: Operator) -> int:
    return 0


_ELEMENTWISE = ("ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE")

RULES: dict[str, ParameterRule] = {
    "CONCATENATION": ParameterRule(_concatenation, INFERRED),
    "CONV_2D": ParameterRule(_convolution),
    "DEPTHWISE_CONV_2D": ParameterRule(_depthwise),
    "FULLY_CONNECTED": ParameterRule(_dense),
    "PRELU": ParameterRule(_constant_operand, INFERRED),
    "RESHAPE": ParameterRule(_reshape, ONE_FILE),
    "SOFTMAX": ParameterRule(_softmax),
    "SPLIT": ParameterRule(_split, INFERRED),
    "TRANSPOSE_CONV": ParameterRule(_transposed_convolution, INFERRED),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": ParameterRule(_lstm, ONE_FILE, _lstm_output),
} | {op: ParameterRule(_none, ONE_FILE, _constant_operand) for op in _ELEMENTWISE}
