"""The element types of TFLite tensors: one table."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class TensorType:
    """One element type.

    Attributes:
        name: TFLite's own name, as in the schema's enum TensorType.
        code: Its number in the file.
        dtype: The numpy type that holds it, little-endian; None where numpy has none, or where
            several elements share a byte. Such tensors are kept as raw bytes.
        bits: Bits an element in the file; 0 where that varies (strings, handles).
    """

    name: str
    code: int
    dtype: np.dtype | None
    bits: int

    def storage_bytes(self, shape: Sequence[int]) -> int | None:
        """Bytes that a dense tensor of this type takes in the file; None where that varies."""
        return (math.prod(shape) * self.bits + 7) // 8 if self.bits else None


def _row(name: str, code: int, dtype: str | None, bits: int) -> TensorType:
    return TensorType(name, code, None if dtype is None else np.dtype(dtype), bits)


# Source: enum TensorType of the TFLite schema, and the packing rule of its 4-bit types: the low
# bits of a byte come first, the last byte is padded.
TYPES = (
    _row("FLOAT32", 0, "<f4", 32),
    _row("FLOAT16", 1, "<f2", 16),
    _row("INT32", 2, "<i4", 32),
    _row("UINT8", 3, "|u1", 8),
    _row("INT64", 4, "<i8", 64),
    _row("STRING", 5, None, 0),
    _row("BOOL", 6, "|b1", 8),
    _row("INT16", 7, "<i2", 16),
    _row("COMPLEX64", 8, "<c8", 64),
    _row("INT8", 9, "|i1", 8),
    _row("FLOAT64", 10, "<f8", 64),
    _row("COMPLEX128", 11, "<c16", 128),
    _row("UINT64", 12, "<u8", 64),
    _row("RESOURCE", 13, None, 0),
    _row("VARIANT", 14, None, 0),
    _row("UINT32", 15, "<u4", 32),
    _row("UINT16", 16, "<u2", 16),
    _row("INT4", 17, None, 4),
    _row("BFLOAT16", 18, None, 16),
    _row("INT2", 19, None, 2),
    _row("UINT4", 20, None, 4),
    _row("FLOAT8_E4M3FN", 21, None, 8),
    _row("FLOAT8_E5M2", 22, None, 8),
)
BY_CODE = {row.code: row for row in TYPES}
BY_NAME = {row.name: row for row in TYPES}
