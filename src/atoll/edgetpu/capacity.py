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

from dataclasses import dataclass
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
from atoll.edgetpu.passes import spatial_passes
from atoll.edgetpu.shapes import activation_bytes
from atoll.edgetpu.tiling import padded, plane_of
from atoll.tflite.weighted import WEIGHTED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from atoll.edgetpu.tiling import Plane
    from atoll.tflite.graph import Operator, Subgraph, Tensor

WORD = LANES * GROUP
"""Bytes of a word of parameter memory: a row of weights of all lanes."""

TILE_WORDS = BEAGLE.wide_bytes // WORD
"""Words of parameter memory in one tile."""

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


@dataclass(frozen=True)
class Need:
    """What an operator needs of the chip's parameter memory.

    Attributes:
        cached_bytes: Its parameters that may be cached, as the file holds them, in bytes.
        streamed_bytes: Its parameters that never are, in bytes.
        words: The memory that the former take while they are cached, in words.
        block_words: Tiles share out the outputs of a dense layer, so that a block of 64 must lie
            whole on the tile that uses it: the words of one. 0 where it does not matter what lies
            on which tile.
        working_words: What it needs of every tile while it runs, beside what is cached, in words.
        passes: How often it goes over its weights in a call: once for every part that its plane is
            cut into (a prediction).
    """

    cached_bytes: int
    streamed_bytes: int
    words: int
    block_words: int
    working_words: int
    passes: int


def need_of(graph: Subgraph, op: Operator) -> Need:
    """What an operator needs of the chip's parameter memory.

    Args:
        graph: The subgraph it is of.
        op: The operator, as if it were mapped.

    Returns:
        The need.
    """
    streamed = streamed_bytes(graph, op)
    cached = parameter_bytes(graph, op) - streamed
    times = spatial_passes(activation_bytes(graph, op))
    if not cached:
        return Need(0, streamed, 0, 0, 0, times)
    outputs = _outputs(graph, op)
    words = _words(op, cached, outputs)
    block = -(-words // -(-outputs // LANES)) if outputs else 0
    plane = plane_of(graph.tensors[op.outputs[0]].shape if op.outputs else ())
    dense = bool(outputs) and (op.type == "FULLY_CONNECTED" or plane.is_vector)
    pixels = -(-_plane_of_sums(graph, op).tile_pixels // times)
    working = _working_words(graph, op, block, pixels, dense)
    return Need(cached, streamed, words, block if dense else 0, working, times)


def _plane_of_sums(graph: Subgraph, op: Operator) -> Plane:
    """The plane of partial sums that are held at a time.

    The outputs of a transposed convolution fall into as many planes, of the size of its input, as
    a stride has pixels. They are taken to be made one after the other (inferred: a U-Net is too
    quick to have anything of it streamed).
    """
    image = graph.input_of(op, 2) if op.type == "TRANSPOSE_CONV" else None
    if image is not None:
        return plane_of(image.shape)
    return plane_of(graph.tensors[op.outputs[0]].shape if op.outputs else ())


def reserved_words(needs: Iterable[Need]) -> int:
    """The memory of every tile that is kept free of cached parameters.

    Args:
        needs: What each of the mapped operators needs.

    Returns:
        Words of 256 bytes, at most what a tile has.
    """
    return min(TILE_WORDS, max((need.working_words for need in needs), default=0))


def _words(op: Operator, size: int, outputs: int | None) -> int:
    """The words that parameters take: one a row, however few lanes it has."""
    if op.type == "SOFTMAX":
        return -(-size // ROW)
    if outputs is None or outputs > LANES:
        return -(-size // WORD)
    row = padded(outputs) * GROUP
    return -(-size // (row if outputs <= GROUP else -(-row // ROW) * ROW))


def _working_words(graph: Subgraph, op: Operator, block: int, pixels: int, dense: bool) -> int:
    """What an operator needs of every tile while it runs.

    Args:
        graph: The subgraph it is of.
        op: An operator with parameters.
        block: The words of a block of 64 outputs.
        pixels: Pixels of a tile in one pass.
        dense: Whether tiles share out the outputs.

    Returns:
        Words of 256 bytes.
    """
    if op.type == "FULLY_CONNECTED":
        return _DENSE_RING_WORDS
    weights = _weights(graph, op)
    if weights is None:
        return 0
    heads = heads_of(weights, graph.input_of(op, WEIGHTED[op.type].bias)).count
    if op.type == "DEPTHWISE_CONV_2D":
        return 2 * (weights.shape[1] * weights.shape[2] + heads)
    whole = block - heads
    if dense:
        # What one tile cannot hold passes through it in equal parts: issue 572's 7,056 rows in 4.
        return _largest_divisor(whole, TILE_WORDS) + heads if block > TILE_WORDS else 0
    groups = max(1, padded(weights.shape[3]) // GROUP)
    taps = max(1, whole // groups)
    piece = taps * _largest_divisor(groups, (_RING_WORDS // 2 - heads) // taps)
    sums = pixels if pixels > _SUMS_IN_CELLS else 0
    in_pieces = 2 * (piece + heads) + sums
    return min(_whole_block(whole, heads), in_pieces) if piece < whole else 2 * (whole + heads)


def _whole_block(rows: int, heads: int) -> int:
    if rows <= _LARGEST_PAIRED_BLOCK:
        return 2 * (rows + heads)
    return _LARGE_BLOCK_COPIES * (rows + heads) + _LARGE_BLOCK_WORDS


def _largest_divisor(number: int, limit: int) -> int:
    """The largest divisor of a number up to a limit; 1 where there is no other."""
    return next((d for d in range(min(number, limit), 1, -1) if number % d == 0), 1)


def _outputs(graph: Subgraph, op: Operator) -> int | None:
    """The outputs of an operator whose parameters come in blocks of 64 of them; None of others."""
    weights = _weights(graph, op)
    if weights is None:
        return None
    channels = weights.shape[WEIGHTED[op.type].channel_axis]
    if op.type == "DEPTHWISE_CONV_2D" and not takes_one_channel(graph.input_of(op, 0), channels):
        return None
    return channels


def _weights(graph: Subgraph, op: Operator) -> Tensor | None:
    """The weights of an operator that has some, of the rank that it wants."""
    row = WEIGHTED.get(op.type)
    if row is None:
        return None
    weights = graph.input_of(op, row.weights)
    return weights if weights is not None and len(weights.shape) == row.rank else None
