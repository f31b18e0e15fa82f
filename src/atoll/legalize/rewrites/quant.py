"""Which scale and zero point the tensors that rewrites add have: one place for the choice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from atoll.tflite.graph import Quantization

if TYPE_CHECKING:
    from atoll.legalize.draft import Draft

# The lowest integer of each 8-bit type; the highest is 255 above it.
LOWEST = {"INT8": -128, "UINT8": 0}
STEPS = 255
# A scale outside of these makes a multiplier that no kernel takes.
_SMALLEST, _LARGEST = 1e-12, 1e12


@dataclass(frozen=True)
class Grid:
    """The numbers that an 8-bit tensor can hold: scale * (integer - zero_point).

    Attributes:
        type: "INT8" or "UINT8".
        scale: The distance of two neighbours; a float32's value.
        zero_point: The integer that stands for 0.
    """

    type: str
    scale: float
    zero_point: int

    @property
    def lowest(self) -> int:
        """The smallest integer."""
        return LOWEST[self.type]

    @property
    def highest(self) -> int:
        """The largest integer."""
        return LOWEST[self.type] + STEPS

    @property
    def low(self) -> float:
        """The smallest real number."""
        return self.scale * (self.lowest - self.zero_point)

    @property
    def high(self) -> float:
        """The largest real number."""
        return self.scale * (self.highest - self.zero_point)

    def real(self) -> np.ndarray:
        """All real numbers, from the lowest integer's on: float64 [256]."""
        return self.scale * (np.arange(self.lowest, self.highest + 1) - self.zero_point)

    def steps(self, values: np.ndarray) -> np.ndarray:
        """Real numbers as integers of this grid: rounded, and within its limits."""
        integers = np.rint(np.asarray(values) / self.scale) + self.zero_point
        return np.asarray(np.clip(integers, self.lowest, self.highest).astype(np.int64))

    def quantization(self) -> Quantization:
        """The same, as a tensor holds it."""
        return Quantization(
            np.array([self.scale], np.float32), np.array([self.zero_point], np.int64)
        )


def grid_of(draft: Draft, index: int) -> Grid | None:
    """The grid of a tensor; None where it has none, or none that makes sense."""
    if not draft.is_quantized(index):
        return None
    tensor, scale, zero_point = draft.tensor(index), draft.scale(index), draft.zero_point(index)
    lowest = LOWEST[tensor.type]
    # Written so that a scale that is no number fails too.
    if not _SMALLEST < scale < _LARGEST or not lowest <= zero_point <= lowest + STEPS:
        return None
    return Grid(tensor.type, scale, zero_point)


def computed_grids(draft: Draft, *tensors: int) -> list[Grid] | None:
    """The grids of computed tensors of one type; None where they are something else."""
    grids = [grid for t in tensors if (grid := grid_of(draft, t)) is not None]
    if len(grids) < len(tensors) or any(draft.tensor(t).is_constant for t in tensors):
        return None
    return grids if len({grid.type for grid in grids}) == 1 else None


def grid_over(type: str, low: float, high: float) -> Grid:
    """The finest grid that reaches over a range of real numbers, with 0 exactly in it.

    Args:
        type: "INT8" or "UINT8".
        low: The smallest number.
        high: The largest.

    Returns:
        The grid.
    """
    low, high = min(low, 0.0), max(high, 0.0)
    scale = float(np.float32(max(high - low, 2 * _SMALLEST) / STEPS))
    zero_point = LOWEST[type] + int(np.clip(round(-low / scale), 0, STEPS))
    return Grid(type, scale, zero_point)


def grid_with(type: str, scale: float, low: int) -> Grid | None:
    """The grid of a given scale whose smallest number is `low` steps from 0; None if too far."""
    zero_point = LOWEST[type] - low
    if not LOWEST[type] <= zero_point <= LOWEST[type] + STEPS:
        return None
    return Grid(type, float(np.float32(scale)), zero_point)


def exact_constant(type: str, value: float) -> tuple[np.ndarray, Grid]:
    """A single number as an 8-bit constant without an error of rounding beyond float32's.

    Args:
        type: "INT8" or "UINT8".
        value: The number.

    Returns:
        The integer, of no dimensions, and its grid.
    """
    zero_point = 0 if type == "INT8" else 128
    integer = zero_point + (STEPS // 2 if value >= 0 else -(STEPS // 2))
    scale = float(np.float32(max(abs(value), _SMALLEST) / (STEPS // 2)))
    if value == 0:
        integer = zero_point
    return np.array(integer, np.dtype(type.lower())), Grid(type, scale, zero_point)
