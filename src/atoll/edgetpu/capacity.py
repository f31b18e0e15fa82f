"""How much of the chip's memory is free for cached parameters.

Every tile has 2,048 words of 256 bytes for parameters (8 MiB in all). Read off the instructions of
compiled files (runtime 13 and 14) and held against compiler logs:

- A row of weights takes a whole word, however few lanes it has. What the compiler prints as used
  is counted in words, so it can exceed the block in the file: 12 rows of a first convolution with
  16 filters are printed as 3.00 KiB, and are 768 bytes in the file.
- A spatial convolution has its weights on one tile or a few, and sends them to all tiles while it
  runs. They arrive in a ring of two pieces at the top of every tile's memory. The whole block of 64
  outputs is such a piece; or a piece is part of the input channels, and then the partial sums of
  the tile's pixels, a word each, lie beside the ring. The compiler takes what needs fewer words
  (all 1x1, 3x3 and 5x5 layers of the files looked at).
- The layer that needs most reserves that much on all tiles, whether or not its parameters are
  cached: 67 words in mobilenet_v1_1.0_224 (49 pixels + 2 x 9), 118 in ssd_mobilenet_v1's first
  segment (100 + 2 x 9), where cached layers end exactly below.

How well this agrees with what the compiler printed is in docs/memory.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from atoll.edgetpu.chip import BEAGLE
from atoll.edgetpu.parameters import (
    GROUP,
    LANES,
    ROW,
    heads_of,
    parameter_bytes,
    streamed_bytes,
    takes_one_channel,
)
from atoll.edgetpu.tiling import padded, plane_of, tile_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from atoll.edgetpu.tiling import Plane
    from atoll.tflite.graph import Operator, Subgraph, Tensor

WORD = LANES * GROUP
"""Bytes of a word of parameter memory: a row of weights of all lanes."""

TILE_WORDS = BEAGLE.wide_bytes // WORD
"""Words of parameter memory in one tile."""

# Where the weights are among the inputs, and the bias.
_BLOCKED = {"CONV_2D": (1, 2), "FULLY_CONNECTED": (1, 2), "TRANSPOSE_CONV": (1, 3)}

# A ring of two pieces of the input channels takes at most so many words.
_RING_WORDS = 32
# Whole blocks of up to 60 rows were seen in a ring of two. Four models with blocks of 72 rows leave
# 235 to 246 words less than there are: three of them and 20 words. Fitted, not understood.
_LARGEST_PAIRED_BLOCK = 64
_LARGE_BLOCK_COPIES = 3
_LARGE_BLOCK_WORDS = 20
# So few partial sums stay in the cells: 9 pixels take no memory, 16 do.
_SUMS_IN_CELLS = 9
# What a dense layer streams through: Dense 8192x8192 leaves 7.88 MiB.
_DENSE_RING_WORDS = 32


def cached_bytes(graph: Subgraph, op: Operator) -> int:
    """The bytes of an operator's parameters that may be cached.

    Args:
        graph: The subgraph it is of.
        op: The operator, as if it were mapped.

    Returns:
        Bytes in the file, a multiple of 64.
    """
    return parameter_bytes(graph, op) - streamed_bytes(graph, op)


def cached_words(graph: Subgraph, op: Operator) -> int:
    """The memory that an operator's parameters take while they are cached.

    Args:
        graph: The subgraph it is of.
        op: The operator, as if it were mapped.

    Returns:
        Words of 256 bytes.
    """
    size = cached_bytes(graph, op)
    if op.type == "SOFTMAX":
        return -(-size // ROW)
    outputs = _outputs(graph, op)
    if outputs is None or outputs > LANES:
        return -(-size // WORD)
    row = padded(outputs) * GROUP
    return -(-size // (row if outputs <= GROUP else -(-row // ROW) * ROW))


def tile_words(graph: Subgraph, op: Operator) -> int:
    """The least memory of one tile that an operator needs to be cached.

    Tiles share out the outputs of a dense layer, so that a block of 64 must lie whole on the tile
    that uses it. What else there is may be spread at will.

    Args:
        graph: The subgraph it is of.
        op: The operator, as if it were mapped.

    Returns:
        Words of 256 bytes; 0 where it does not matter how much is left on which tile.
    """
    outputs = _outputs(graph, op)
    if outputs is None or not _is_dense(graph, op):
        return 0
    return -(-cached_words(graph, op) // -(-outputs // LANES))


def reserved_words(graph: Subgraph, ops: Iterable[Operator]) -> int:
    """The memory of every tile that is kept free of cached parameters.

    Args:
        graph: The subgraph they are of.
        ops: The mapped operators.

    Returns:
        Words of 256 bytes, at most what a tile has.
    """
    return min(TILE_WORDS, max((working_words(graph, op) for op in ops), default=0))


def working_words(graph: Subgraph, op: Operator) -> int:
    """The memory of every tile that an operator needs while it runs, beside what is cached.

    Args:
        graph: The subgraph it is of.
        op: The operator, as if it were mapped.

    Returns:
        Words of 256 bytes.
    """
    if op.type == "FULLY_CONNECTED":
        return _DENSE_RING_WORDS
    if op.type == "DEPTHWISE_CONV_2D":
        weights = _tensor(graph, op, 1)
        if weights is None or len(weights.shape) != 4:
            return 0
        heads = heads_of(weights, _tensor(graph, op, 2)).count
        return 2 * (weights.shape[1] * weights.shape[2] + heads)
    outputs = _outputs(graph, op)
    if not outputs:
        return 0
    weights_at, bias_at = _BLOCKED[op.type]
    weights = graph.tensors[op.inputs[weights_at]]
    heads = heads_of(weights, _tensor(graph, op, bias_at)).count
    groups = max(1, padded(weights.shape[3]) // GROUP)
    whole = -(-cached_words(graph, op) // -(-outputs // LANES)) - heads
    taps = max(1, whole // groups)
    if _is_dense(graph, op):
        # What one tile cannot hold passes through it in equal parts: issue 572's 7,056 rows in 4.
        return _largest_divisor(whole, TILE_WORDS) + heads if whole + heads > TILE_WORDS else 0
    piece = taps * _largest_divisor(groups, (_RING_WORDS // 2 - heads) // taps)
    needs = [_whole_block(whole, heads)]
    if piece < whole:
        needs.append(2 * (piece + heads) + _partial_sums(graph, op))
    return min(needs)


def passes(graph: Subgraph, op: Operator) -> int:
    """How often an operator goes over its weights: once for every part of the plane that fits.

    Args:
        graph: The subgraph it is of.
        op: The operator, as if it were mapped.

    Returns:
        Passes, at least 1 (a prediction).
    """
    held = sum(
        tile_bytes(graph.tensors[t].shape) for t in {*graph.activations(op), *op.outputs} if t >= 0
    )
    return max(1, -(-held // BEAGLE.narrow_bytes))


def _whole_block(rows: int, heads: int) -> int:
    if rows <= _LARGEST_PAIRED_BLOCK:
        return 2 * (rows + heads)
    return _LARGE_BLOCK_COPIES * (rows + heads) + _LARGE_BLOCK_WORDS


def _partial_sums(graph: Subgraph, op: Operator) -> int:
    """The words for what a tile's pixels have added up of the channels so far."""
    pixels = _output_plane(graph, op).tile_pixels
    if pixels <= _SUMS_IN_CELLS:
        return 0
    return -(-pixels // passes(graph, op))


def _largest_divisor(number: int, limit: int) -> int:
    """The largest divisor of a number up to a limit; 1 where there is no other."""
    return next((d for d in range(min(number, limit), 1, -1) if number % d == 0), 1)


def _is_dense(graph: Subgraph, op: Operator) -> bool:
    return op.type == "FULLY_CONNECTED" or _output_plane(graph, op).is_vector


def _output_plane(graph: Subgraph, op: Operator) -> Plane:
    return plane_of(graph.tensors[op.outputs[0]].shape if op.outputs else ())


def _outputs(graph: Subgraph, op: Operator) -> int | None:
    """The outputs of an operator whose parameters come in blocks of 64 of them; None of others."""
    if op.type == "DEPTHWISE_CONV_2D":
        kernel = _tensor(graph, op, 1)
        channels = kernel.shape[3] if kernel is not None and len(kernel.shape) == 4 else 0
        return channels if takes_one_channel(_tensor(graph, op, 0), channels) else None
    if op.type not in _BLOCKED:
        return None
    weights = _tensor(graph, op, _BLOCKED[op.type][0])
    rank = 2 if op.type == "FULLY_CONNECTED" else 4
    return weights.shape[0] if weights is not None and len(weights.shape) == rank else None


def _tensor(graph: Subgraph, op: Operator, place: int) -> Tensor | None:
    """An input of an operator; None where it is left out."""
    if place >= len(op.inputs) or not 0 <= op.inputs[place] < len(graph.tensors):
        return None
    return graph.tensors[op.inputs[place]]
