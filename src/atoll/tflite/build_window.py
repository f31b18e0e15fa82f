"""Windows over images: what a convolution or pooling is told, and the size of what it gives."""

from __future__ import annotations

from typing import Any, Literal

from atoll.tflite.build_core import option
from atoll.tflite.schema import schema

Padding = Literal["SAME", "VALID"]
Pair = int | tuple[int, int]


def extent(
    size: int, kernel: int, stride: int = 1, padding: str = "SAME", dilation: int = 1
) -> int:
    """The size of one dimension after a window has passed over it.

    Args:
        size: Before.
        kernel: The window's size.
        stride: Its step.
        padding: "SAME" or "VALID".
        dilation: The distance between the window's points.

    Returns:
        ceil(size / stride) where padded, else ceil((size - reach) / stride) with the reach of the
        window beyond its first point.
    """
    reach = 0 if padding == "SAME" else (kernel - 1) * dilation
    return -((reach - size) // stride)


def pair(value: Pair) -> tuple[int, int]:
    """A number as a pair of the same, a pair as it is."""
    return (value, value) if isinstance(value, int) else value


def padding_code(name: str) -> int:
    """The schema's number of "SAME" or "VALID"."""
    return int(getattr(schema().Padding, name))


def activation_code(name: str | None) -> int:
    """The schema's number of a fused activation, None for none."""
    return int(getattr(schema().ActivationFunctionType, name or "NONE"))


def window_options(name: str, stride: Pair, padding: str, dilation: Pair) -> Any:
    """The options of a convolution: `name` is "Conv2D" or "DepthwiseConv2D"."""
    (sh, sw), (dh, dw) = pair(stride), pair(dilation)
    return option(
        name,
        padding=padding_code(padding),
        strideH=sh,
        strideW=sw,
        dilationHFactor=dh,
        dilationWFactor=dw,
    )
