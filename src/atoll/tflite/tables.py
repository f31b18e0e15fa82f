"""FlatBuffer tables by slot, for a schema whose classes no light package ships.

A table is described by its fields in the order of their slots. That is enough to write and to
read it; what is read is bounded, as everything from a file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import flatbuffers
import numpy as np
from flatbuffers import number_types
from flatbuffers.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# Field name to kind, in slot order. Kinds: string, table, tables, strings, floats, int8, uint8,
# uint32. A union is two fields, its tag first.
Fields = dict[str, str]

_MOST = 4096
_SCALARS = {
    "int8": (number_types.Int8Flags, "PrependInt8Slot"),
    "uint8": (number_types.Uint8Flags, "PrependUint8Slot"),
    "uint32": (number_types.Uint32Flags, "PrependUint32Slot"),
}


def write_table(builder: flatbuffers.Builder, fields: Fields, values: Mapping[str, Any]) -> int:
    """Writes one table.

    Args:
        builder: Where to.
        fields: The table's fields.
        values: Field name to value: text, numbers, and for tables what `write_table` returned.
            Empty values are left out.

    Returns:
        The table's place.
    """
    kept = {name: value for name, value in values.items() if value not in ("", None, [])}
    placed = {
        name: _WRITE[fields[name]](builder, value) if fields[name] in _WRITE else value
        for name, value in kept.items()
    }
    builder.StartObject(len(fields))
    for slot, (name, kind) in enumerate(fields.items()):
        if name in placed:
            prepend = _SCALARS[kind][1] if kind in _SCALARS else "PrependUOffsetTRelativeSlot"
            getattr(builder, prepend)(slot, placed[name], 0)
    return int(builder.EndObject())


def _write_offsets(builder: flatbuffers.Builder, offsets: list[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


_WRITE: dict[str, Callable[[flatbuffers.Builder, Any], int]] = {
    "string": lambda builder, text: int(builder.CreateString(text)),
    "floats": lambda builder, values: int(builder.CreateNumpyVector(np.array(values, "<f4"))),
    "tables": _write_offsets,
}


class TableView:
    """One table being read.

    What leads outside the data raises one of `atoll.tflite.bounded.ASTRAY`.
    """

    def __init__(self, table: Table, fields: Fields) -> None:
        self._table = table
        self._fields = fields

    @classmethod
    def root(cls, data: bytes, fields: Fields) -> TableView:
        """The table that the data start with."""
        position = flatbuffers.encode.Get(flatbuffers.packer.uoffset, data, 0)
        return cls(Table(data, position), fields)

    def text(self, name: str) -> str:
        """A string, empty where there is none."""
        place = self._place(name)
        raw = self._table.String(place) if place else b""
        return bytes(raw).decode("utf-8", "backslashreplace")

    def number(self, name: str) -> int:
        """An integer, 0 where there is none."""
        offset = self._offset(name)
        flags = _SCALARS[self._fields[name]][0]
        return int(self._table.Get(flags, self._table.Pos + offset)) if offset else 0

    def floats(self, name: str) -> list[float]:
        """A vector of float32."""
        offset = self._offset(name)
        if not offset:
            return []
        self._length(offset)
        view = self._table.GetVectorAsNumpy(number_types.Float32Flags, offset)
        return [float(value) for value in view]

    def table(self, name: str, fields: Fields) -> TableView | None:
        """A table within this one."""
        place = self._place(name)
        return (
            TableView(Table(self._table.Bytes, self._table.Indirect(place)), fields)
            if place
            else None
        )

    def tables(self, name: str, fields: Fields) -> list[TableView]:
        """A vector of tables."""
        offset = self._offset(name)
        if not offset:
            return []
        start = self._table.Vector(offset)
        return [self._at(start + 4 * i, fields) for i in range(self._length(offset))]

    def _at(self, place: int, fields: Fields) -> TableView:
        return TableView(Table(self._table.Bytes, self._table.Indirect(place)), fields)

    def _offset(self, name: str) -> int:
        return int(self._table.Offset(4 + 2 * list(self._fields).index(name)))

    def _place(self, name: str) -> int:
        offset = self._offset(name)
        return offset + int(self._table.Pos) if offset else 0

    def _length(self, offset: int) -> int:
        length = int(self._table.VectorLen(offset))
        if length > _MOST:
            raise ValueError(f"a list of {length} entries, more than {_MOST}")
        return length
