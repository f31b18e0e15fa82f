"""The slots of FlatBuffer tables, declared on dataclasses: what a field is, and how it is read.

A field's type is annotated with its slot: `batch: Annotated[int, Number("i")]`. The order of a
dataclass's fields is the order of the table's slots. Nothing in the file is trusted: every offset
is checked before it is followed, and all that is turned into objects is counted.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, get_type_hints

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from enum import IntEnum

    from atoll.tflite.bounded import Bounded

T = TypeVar("T")

_TABLE_BYTES = 16
_HEADER = 4  # of a vtable, in bytes: its own size and the table's


class Slot(Protocol):
    """What one field of a table is; called, it reads it."""

    @property
    def width(self) -> int:
        """How many places in the vtable it takes."""

    def __call__(self, table: Table, place: int) -> Any:
        """The field's value; its default where the table leaves it out."""


def read_root(kind: type[T], bounded: Bounded) -> T:
    """Reads the table that a FlatBuffer begins with.

    Args:
        kind: The dataclass.
        bounded: The FlatBuffer.

    Returns:
        The table.

    Raises:
        ModelError: The FlatBuffer is damaged.
    """
    return _read(kind, Table(bounded, _follow(bounded, 0)))


class Table:
    """One table in a FlatBuffer."""

    def __init__(self, bounded: Bounded, position: int) -> None:
        bounded.spend(_TABLE_BYTES)
        self.bounded = bounded
        self.position = position
        self._vtable = position - _number(bounded, "<i", position)
        self._end = _number(bounded, "<H", self._vtable)

    def field(self, place: int) -> int | None:
        """Where in the file a field lies; None where the table leaves it out."""
        entry = _HEADER + 2 * place
        if entry + 2 > self._end:
            return None
        offset = _number(self.bounded, "<H", self._vtable + entry)
        return self.position + offset if offset else None

    def target(self, place: int) -> int | None:
        """Where what a field points at lies; None where the table leaves it out."""
        at = self.field(place)
        return None if at is None else _follow(self.bounded, at)

    def vector(self, place: int, size: int) -> tuple[int, int]:
        """Where a vector's elements lie, and how many there are.

        Args:
            place: The field's place in the vtable.
            size: The size of an element in bytes.
        """
        start = self.target(place)
        return (0, 0) if start is None else _vector(self.bounded, start, size)


@dataclass(frozen=True)
class Number:
    """A number, as struct formats it."""

    format: str
    default: float = 0
    width: int = 1

    def __call__(self, table: Table, place: int) -> Any:
        """The number."""
        at = table.field(place)
        return self.default if at is None else _number(table.bounded, f"<{self.format}", at)


@dataclass(frozen=True)
class Flag:
    """A truth value."""

    width: int = 1

    def __call__(self, table: Table, place: int) -> bool:
        """The value."""
        return bool(Number("B")(table, place))


@dataclass(frozen=True)
class Enumeration:
    """One of the values of an enum."""

    values: type[IntEnum]
    format: str = "h"
    width: int = 1

    def __call__(self, table: Table, place: int) -> IntEnum:
        """The member of the enum."""
        value = Number(self.format)(table, place)
        if value not in set(self.values):
            known = ", ".join(str(int(known)) for known in self.values)
            raise table.bounded.damaged(f"{self.values.__name__} must be one of {known}", value)
        return self.values(value)


@dataclass(frozen=True)
class Text:
    """A string; what is no UTF-8 is shown as escapes."""

    width: int = 1

    def __call__(self, table: Table, place: int) -> str:
        """The string."""
        start, count = table.vector(place, 1)
        return table.bounded.text(table.bounded.data[start : start + count])


@dataclass(frozen=True)
class Blob:
    """Bytes."""

    width: int = 1

    def __call__(self, table: Table, place: int) -> bytes:
        """A copy of the bytes."""
        start, count = table.vector(place, 1)
        return table.bounded.copied(table.bounded.outside(start, count))


@dataclass(frozen=True)
class Blobs:
    """A vector of strings that hold bytes."""

    width: int = 1

    def __call__(self, table: Table, place: int) -> tuple[bytes, ...]:
        """A copy of the bytes of each."""
        bounded = table.bounded
        return tuple(
            bounded.copied(bounded.outside(*_vector(bounded, start, 1)))
            for start in _targets(table, place)
        )


@dataclass(frozen=True)
class Numbers:
    """A vector of int32, or of structs of several int32."""

    each: int = 1
    width: int = 1

    def __call__(self, table: Table, place: int) -> tuple[Any, ...]:
        """The numbers, or a tuple of them for each struct."""
        size = 4 * self.each
        start, count = table.vector(place, size)
        table.bounded.spend(count * size)
        piece = table.bounded.data[start : start + count * size]
        found = struct.iter_unpack(f"<{self.each}i", piece)
        return tuple(value[0] if self.each == 1 else value for value in found)


@dataclass(frozen=True)
class Child:
    """Another table; None where it is left out."""

    kind: type
    width: int = 1

    def __call__(self, table: Table, place: int) -> Any:
        """The table as its dataclass."""
        start = table.target(place)
        return None if start is None else _read(self.kind, Table(table.bounded, start))


@dataclass(frozen=True)
class Children:
    """A vector of tables."""

    kind: type
    width: int = 1

    def __call__(self, table: Table, place: int) -> tuple[Any, ...]:
        """The tables as dataclasses."""
        starts = _targets(table, place)
        return tuple(_read(self.kind, Table(table.bounded, start)) for start in starts)


@dataclass(frozen=True)
class Union:
    """A table of one of several kinds, behind its code; None where it is left out."""

    kinds: Mapping[int, type]
    width: int = 2

    def __call__(self, table: Table, place: int) -> Any:
        """The table as the dataclass of its kind."""
        code = Number("B")(table, place)
        start = table.target(place + 1)
        if not code or start is None:
            return None
        if code not in self.kinds:
            raise table.bounded.damaged(
                f"the kind of a table must be 1 to {max(self.kinds)}", int(code)
            )
        return _read(self.kinds[code], Table(table.bounded, start))


# The slots of the dataclasses that were read so far.
_known: dict[type, tuple[tuple[str, Slot, int], ...]] = {}


def _slots(kind: type) -> tuple[tuple[str, Slot, int], ...]:
    """A dataclass's slots: each field's name, what it is, and its place in the vtable."""
    found: list[tuple[str, Slot, int]] = []
    place = 0
    for name, hint in get_type_hints(kind, include_extras=True).items():
        (what,) = hint.__metadata__
        found.append((name, what, place))
        place += what.width
    return tuple(found)


def _read(kind: type[T], table: Table) -> T:
    slots = _known.get(kind)
    if slots is None:
        slots = _known[kind] = _slots(kind)
    return kind(**{name: what(table, place) for name, what, place in slots})


def _number(bounded: Bounded, form: str, position: int) -> Any:
    if not 0 <= position <= len(bounded.data) - struct.calcsize(form):
        raise bounded.damaged("its structure must lie within the file", f"an offset of {position}")
    return struct.unpack_from(form, bounded.data, position)[0]


def _follow(bounded: Bounded, position: int) -> int:
    """Where the offset at a place points."""
    return position + int(_number(bounded, "<I", position))


def _vector(bounded: Bounded, start: int, size: int) -> tuple[int, int]:
    """Where the elements of a vector lie, and how many there are."""
    count = int(_number(bounded, "<I", start))
    if start + 4 + count * size > len(bounded.data):
        raise bounded.damaged("its structure must lie within the file", f"{count} elements")
    return start + 4, count


def _targets(table: Table, place: int) -> Iterator[int]:
    """What the offsets in a vector point at."""
    start, count = table.vector(place, 4)
    table.bounded.spend(4 * count)
    return (_follow(table.bounded, start + 4 * i) for i in range(count))
