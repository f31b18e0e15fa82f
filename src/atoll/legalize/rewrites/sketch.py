"""Operators that are being put together to stand for others."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from atoll.legalize.options import NO_ACTIVATION, RELU, VALID
from atoll.legalize.rewrites.layout import Chain
from atoll.legalize.rewrites.quant import Grid, exact_constant, grid_of
from atoll.tflite.graph import Quantization

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atoll.tflite.graph import Tensor

# Where a result goes: into a new tensor with this grid, or into one that is there.
Target = Grid | int
# The largest weight that has both signs: the finer its scale is, the finer is the bias's.
LARGEST_WEIGHT = 127
# Weights of so many channels are still small; more is a damaged file.
_MOST_CHANNELS = 1 << 16
# No tensor has more, as it is larger than any memory that it could be in.
_MOST_ELEMENTS = 1 << 31
_INT32 = (1 << 31) - 1


class Sketch(Chain):
    """A chain of operators on 8-bit numbers."""

    def put(
        self,
        kind: str,
        inputs: Sequence[int],
        out: Target,
        shape: Sequence[int] | None = None,
        **options: Any,
    ) -> int:
        """Adds an operator.

        Args:
            kind: TFLite's name.
            inputs: Tensor indices; the first is a computed one.
            out: Where the result goes.
            shape: A new output's shape; None for the first input's.
            **options: The operator's options.

        Returns:
            The index of the output.
        """
        sizes = self.shape(inputs[0]) if shape is None else tuple(shape)
        if isinstance(out, Grid):
            return self.op(kind, inputs, sizes, quantization=out.quantization(), **options)
        return self.op(kind, inputs, sizes, into=out, **options)

    def pairwise(self, kind: str, one: int, other: int, out: Target) -> int:
        """Adds ADD, SUB or MUL; the first decides the shape."""
        return self.put(kind, [one, other], out, fusedActivationFunction=NO_ACTIVATION)

    def constant(self, data: np.ndarray, grid: Grid) -> int:
        """Adds an 8-bit constant."""
        name = f"{self.name}/constant_{len(self.operators)}"
        return self.draft.add_constant(name, data, grid.quantization())

    def number(self, type: str, value: float) -> int:
        """Adds a single real number as an 8-bit constant of no dimensions."""
        return self.constant(*exact_constant(type, value))

    def scaled(self, x: int, factor: float, out: Target) -> int:
        """A multiple of a tensor of any shape."""
        number = self.number(self.draft.tensor(x).type, factor)
        return self.pairwise("MUL", x, number, out)

    def weighted(
        self,
        x: int,
        gain: float,
        bias: float,
        out: Target,
        *,
        rectified: bool = False,
        weight: int = LARGEST_WEIGHT,
    ) -> int:
        """A line, gain * x + bias, by a depthwise convolution of 1 x 1.

        Args:
            x: A tensor of four dimensions.
            gain: The factor.
            bias: What is added, a real number. It is rounded to what one step of x adds, divided
                by the weight.
            out: Where the result goes.
            rectified: Whether what is below 0 becomes 0.
            weight: The gain as an integer, 1 to 127.

        Returns:
            The index of the output.
        """
        grid = grid_of(self.draft, x)
        assert grid is not None, "what is convolved is quantised"
        channels = self.draft.tensor(x).shape[3]
        weight_scale = float(np.float32(abs(gain) / weight))
        zero_point = 0 if grid.type == "INT8" else 128
        value = zero_point + (weight if gain >= 0 else -weight)
        weights = self.constant(
            np.full((1, 1, 1, channels), value, np.dtype(grid.type.lower())),
            Grid(grid.type, weight_scale, zero_point),
        )
        bias_scale = np.float32(np.float32(grid.scale) * np.float32(weight_scale))
        integer = int(np.clip(round(bias / float(bias_scale)), -_INT32, _INT32))
        biases = self.draft.add_constant(
            f"{self.name}/bias_{len(self.operators)}",
            np.full(channels, integer, np.int32),
            Quantization(np.array([bias_scale]), np.zeros(1, np.int64)),
        )
        return self.put(
            "DEPTHWISE_CONV_2D",
            [x, weights, biases],
            out,
            padding=VALID,
            depthMultiplier=1,
            fusedActivationFunction=RELU if rectified else NO_ACTIVATION,
        )


def plane(tensor: Tensor) -> tuple[int, int, int, int] | None:
    """The four sizes that a tensor has as an image; a tensor of four dimensions keeps its own.

    Returns:
        The sizes; None where it has none, has too many channels, or is to be reshaped and does
        not know its own sizes.
    """
    shape = tensor.shape
    channels = shape[-1] if shape else 1
    if any(size < 1 for size in shape) or math.prod(shape) > _MOST_ELEMENTS:
        return None
    if channels > _MOST_CHANNELS:
        return None
    if len(shape) == 4:
        return (shape[0], shape[1], shape[2], shape[3])
    if -1 in (tensor.shape_signature or ()):
        return None
    if len(shape) > 4 and math.prod(shape[:-3]) == 1:
        return (1, shape[-3], shape[-2], shape[-1])
    return (1, 1, math.prod(shape[:-1]), channels)
