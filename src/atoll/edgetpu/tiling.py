"""How a tensor is cut over the chip's square grid of tiles: the sizes that one tile holds.

Rows and columns are cut into 4 each; boundary k of n is at ceil(n * k / 4), as in the
output maps of all compiled files looked at. Channels are padded to 4. A tensor without a plane lies
whole on every tile, and what is computed of it is cut by output channels instead.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from atoll.edgetpu.chip import BEAGLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atoll.tflite.graph import Operator, Subgraph

GRID = math.isqrt(BEAGLE.tiles)
"""Tiles in a row, and rows of them."""

_WINDOWED = ("CONV_2D", "DEPTHWISE_CONV_2D", "AVERAGE_POOL_2D", "MAX_POOL_2D")


@dataclass(frozen=True)
class Plane:
    """The three innermost sizes of a tensor.

    Attributes:
        height: Rows.
        width: Columns.
        channels: Channels.
    """

    height: int
    width: int
    channels: int

    @property
    def is_vector(self) -> bool:
        """Whether there is a single pixel, so that tiles share out channels."""
        return self.height <= 1 and self.width <= 1

    @property
    def tile_pixels(self) -> int:
        """Pixels of the tile that has most."""
        return -(-self.height // GRID) * -(-self.width // GRID)


def plane_of(shape: Sequence[int]) -> Plane:
    """The plane of a tensor.

    Args:
        shape: Its shape, batch first where there is one; any rank.

    Returns:
        The plane; sizes that the shape does not have are 1.
    """
    *_, height, width, channels = (1, 1, 1, *(max(size, 0) for size in shape))
    return Plane(height, width, channels)


def padded(channels: int) -> int:
    """Channels as they are stored: rounded up to what a cell multiplies together."""
    return -(-channels // BEAGLE.macs) * BEAGLE.macs


def window(graph: Subgraph, op: Operator) -> tuple[int, int]:
    """The rows and columns of the window that an operator slides over its first input.

    Args:
        graph: The subgraph it is of.
        op: Any operator.

    Returns:
        Rows and columns, dilation counted in; 1 and 1 for an operator without a window.
    """
    if op.type not in _WINDOWED:
        return 1, 1
    if op.type.endswith("POOL_2D"):
        return (
            max(1, getattr(op.options, "filterHeight", 1)),
            max(1, getattr(op.options, "filterWidth", 1)),
        )
    if len(op.inputs) < 2 or not 0 <= op.inputs[1] < len(graph.tensors):
        return 1, 1
    shape = graph.tensors[op.inputs[1]].shape
    if len(shape) != 4:
        return 1, 1
    rows = (max(shape[1], 1) - 1) * max(1, getattr(op.options, "dilationHFactor", 1)) + 1
    columns = (max(shape[2], 1) - 1) * max(1, getattr(op.options, "dilationWFactor", 1)) + 1
    return rows, columns


@lru_cache(maxsize=4096)
def span(size: int, outputs: int, taps: int, stride: int) -> int:
    """The most rows (or columns) that one tile holds of a tensor that a window slides over.

    A tile keeps its own part of the input and what its part of the output needs beside it.

    Args:
        size: Rows of the input.
        outputs: Rows of the output.
        taps: Rows of the window.
        stride: Rows between two windows.

    Returns:
        Rows, padding not counted.
    """
    pad = max(0, (outputs - 1) * stride + taps - size) // 2
    most = 0
    for k in range(GRID):
        first, last = bound(size, k), bound(size, k + 1)
        start, stop = bound(outputs, k), bound(outputs, k + 1)
        if stop > start:
            first = min(first, start * stride - pad)
            last = max(last, (stop - 1) * stride - pad + taps)
        most = max(most, last - first)
    return most


def bound(size: int, k: int) -> int:
    """Where part k of 4 begins."""
    return -(-size * k // GRID)
