"""The operators with weights: where these stand among the inputs, and which axis is the output's.

Source: the operators' definitions in TensorFlow Lite.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class WeightedOp(NamedTuple):
    """One row.

    Attributes:
        weights: Which input holds the weights.
        bias: Which input holds the bias; it may be left out.
        channel_axis: The axis of the weights that is the output's channels.
        rank: The rank of the weights.
    """

    weights: int
    bias: int
    channel_axis: int
    rank: int


WEIGHTED: Mapping[str, WeightedOp] = MappingProxyType(
    {
        "CONV_2D": WeightedOp(weights=1, bias=2, channel_axis=0, rank=4),
        "DEPTHWISE_CONV_2D": WeightedOp(weights=1, bias=2, channel_axis=3, rank=4),
        "FULLY_CONNECTED": WeightedOp(weights=1, bias=2, channel_axis=0, rank=2),
        "TRANSPOSE_CONV": WeightedOp(weights=1, bias=3, channel_axis=0, rank=4),
    }
)
