"""Reading a FlatBuffer that may be damaged, or made to do harm.

The generated classes find everything lazily, and raise when they are led outside the file. What
they do not see is repetition: many places may point at one, so that a small file can stand for a
huge graph. Here everything that is turned into objects is counted against the file's size.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from flatbuffers.number_types import SOffsetTFlags, VOffsetTFlags
from flatbuffers.table import Table

from atoll.errors import ModelError

# What the generated classes raise when a file leads them astray.
ASTRAY = (struct.error, TypeError, ValueError, IndexError, OverflowError)

# A sound file's parts are all distinct; some tools let a few places share one.
_SHARING = 4
_SLACK = 1 << 16
# Structure costs many times its size as Python objects. The largest language models have some
# 20 MB of it beside their weights.
_STRUCTURE_BYTES = 64 << 20
_TABLE_BYTES = 16
# More than any table of the schema has; of a table that claims more, no more are looked at.
_MOST_FIELDS = 64


class Bounded:
    """A file's content, and how much of it may still be read.

    Attributes:
        data: The file's content.
        source: What to call it in a message.
        end: The end of the furthest piece of constant data that was referred to.
    """

    def __init__(self, data: bytes, source: object) -> None:
        self.data = data
        self.source = source
        self.end = 0
        self._weights = _SHARING * len(data) + _SLACK
        self._structure = min(self._weights, _STRUCTURE_BYTES)
        self._base = np.frombuffer(data, np.uint8).ctypes.data

    def damaged(self, rule: str, received: object) -> ModelError:
        """The error for a file that breaks a rule of the format."""
        return ModelError(
            self.source,
            f"the model is damaged: {rule}",
            received=received,
            fix="Get the file again",
        )

    def unknown(self, what: str, received: object) -> ModelError:
        """The error for a file that is newer than the schema."""
        return ModelError(
            self.source,
            f"it uses {what} that the installed LiteRT does not know",
            received=received,
            fix="Upgrade it: pip install --upgrade ai-edge-litert",
        )

    def index(self, index: int, count: int, what: str, lowest: int = 0) -> int:
        """An index, checked. Raises ModelError."""
        if not lowest <= index < count:
            raise self.damaged(
                f"a {what} index must be {lowest} to {count - 1}" if count else f"it has no {what}",
                index,
            )
        return index

    def indices(self, table: Any, field: str, count: int, lowest: int = 0) -> list[int]:
        """A vector of tensor indices, checked. Raises ModelError."""
        return [self.index(i, count, "tensor", lowest) for i in self.integers(table, field)]

    def tables(self, table: Any, field: str) -> list[Any]:
        """A vector of tables."""
        count = getattr(table, f"{field}Length")()
        self.spend(count * _TABLE_BYTES)
        read = getattr(table, field)
        return [self.quick(read(i)) for i in range(count)]

    def quick(self, table: Any) -> Any:
        """The same table; where its fields lie is read once, not at each of them."""
        if table is not None:
            table._tab = _QuickTable(self.data, table._tab.Pos)
        return table

    def integers(self, table: Any, field: str) -> list[int]:
        """A vector of integers, as a list."""
        view = self._view(table, field)
        self.spend(view.nbytes)
        numbers: list[int] = view.tolist()
        return numbers

    def numbers(self, table: Any, field: str) -> np.ndarray:
        """A vector of numbers, as a view into the file."""
        return self._noted(self._view(table, field))

    def text(self, value: bytes | None) -> str:
        """A string; what is no UTF-8 is shown as escapes."""
        self.spend(len(value or b""))
        return (value or b"").decode("utf-8", "backslashreplace")

    def unpacked(self, unpacked: Any) -> Any:
        """An object that the schema's own unpacking made of one table, counted."""
        for value in vars(unpacked).values():
            if isinstance(value, bytes | np.ndarray):
                self.spend(len(value))
        return unpacked

    def outside(self, offset: int, size: int) -> np.ndarray:
        """Data behind the FlatBuffer, as very large models have them, as a view."""
        if not 0 <= offset <= offset + size <= len(self.data):
            raise self.damaged("its data must lie within the file", f"{size} bytes at {offset}")
        return self._noted(np.frombuffer(self.data, np.uint8, size, offset))

    def copied(self, view: np.ndarray) -> bytes:
        """A copy of a piece of constant data, counted once more."""
        self._noted(view)
        return view.tobytes()

    def spend(self, count: int) -> None:
        """Counts structure that is turned into objects, in bytes of the file. Raises ModelError."""
        self._structure -= count
        if self._structure < 0:
            raise self.damaged("its parts must not repeat without end", "more parts than bytes")

    def _view(self, table: Any, field: str) -> np.ndarray:
        view: np.ndarray | int = getattr(table, f"{field}AsNumpy")()
        # The generated classes give 0 for a vector that is not there.
        return np.empty(0, np.int32) if isinstance(view, int) else view

    def _noted(self, view: np.ndarray) -> np.ndarray:
        self._weights -= view.nbytes
        if self._weights < 0:
            raise self.damaged("its data must not repeat without end", "more data than bytes")
        if view.size:
            self.end = max(self.end, view.ctypes.data - self._base + view.nbytes)
        return view


class _QuickTable(Table):  # type: ignore[misc]  # untyped library
    """What the generated classes read a table through, with the list of its fields kept."""

    def __init__(self, data: bytes, position: int) -> None:
        super().__init__(data, position)
        fields = position - self.Get(SOffsetTFlags, position)
        count = min(self.Get(VOffsetTFlags, fields) // 2, _MOST_FIELDS)
        self._places = struct.unpack_from(f"<{count}H", data, fields)

    def Offset(self, vtableOffset: int) -> int:  # noqa: N802, N803
        place = vtableOffset // 2
        return self._places[place] if place < len(self._places) else 0

    def Get(self, flags: Any, off: int) -> Any:  # noqa: N802
        if off < 0:
            raise IndexError(f"a place before the file's first byte: {off}")
        return flags.packer_type.unpack_from(self.Bytes, off)[0]
