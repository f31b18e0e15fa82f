"""What goes into a model and comes out of it, and how real numbers become stored ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class TensorInfo:
    """One input or output.

    Attributes:
        name: As in the file.
        shape: The shape.
        dtype: The numpy type.
        scale: real = scale * (stored - zero_point); 0.0 where it is not quantised.
        zero_point: As above; 0 where it is not quantised.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    scale: float
    zero_point: int

    @property
    def is_quantized(self) -> bool:
        """Whether its stored numbers stand for real ones."""
        return self.scale != 0.0 and self.dtype.kind in "iu"

    def takes(self, array: object) -> bool:
        """Whether an array is of its shape and type; texts may be of any length."""
        if not isinstance(array, np.ndarray) or array.shape != self.shape:
            return False
        return bool(array.dtype == self.dtype) or array.dtype.kind == self.dtype.kind == "S"

    def quantize(self, real: np.ndarray) -> np.ndarray:
        """Real numbers as the model stores them, rounded to even and cut to what the type holds.

        Args:
            real: Real numbers, of any shape.

        Returns:
            An array of `dtype`; of a tensor that is not quantised, the same numbers.
        """
        if not self.is_quantized:
            return real.astype(self.dtype)
        limits = np.iinfo(self.dtype)
        # Numbers of 16 bits would lose some here.
        stored = real.astype(np.result_type(real, np.float32)) / self.scale
        stored = np.round(stored) + self.zero_point
        return np.clip(stored, limits.min, limits.max).astype(self.dtype)

    def dequantize(self, stored: np.ndarray) -> np.ndarray:
        """What stored numbers stand for.

        Args:
            stored: Numbers as the model gives them.

        Returns:
            float32 real numbers; of a tensor that is not quantised, the numbers themselves.
        """
        if not self.is_quantized:
            return stored
        return (stored.astype(np.float32) - self.zero_point) * np.float32(self.scale)


def info_of(detail: dict[str, Any]) -> TensorInfo:
    """What one of LiteRT's tensor details says."""
    scale, zero_point = detail["quantization"]
    return TensorInfo(
        name=detail["name"],
        shape=tuple(int(size) for size in detail["shape"]),
        dtype=np.dtype(detail["dtype"]),
        scale=float(scale),
        zero_point=int(zero_point),
    )
