"""The zip archive behind a FlatBuffer: found, cut off, and put behind another one.

The TFLite tools append an archive to the model file, with offsets that count from the start of
the whole file. A model that is written again has another length, and a reader that trusts the
offsets (LiteRT's own, in C++) would miss the files: so they are counted anew. Here an archive's
offsets count from its own first byte, in the file from the file's.

Source of the layout: PKWARE, APPNOTE.TXT, sections 4.3.12 (central directory) and 4.3.16 (end).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

_END = struct.Struct("<4s4H2LH")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_END_MARK, _ENTRY_MARK, _FILE_MARK = b"PK\x05\x06", b"PK\x01\x02", b"PK\x03\x04"
_LONGEST_COMMENT = 0xFFFF
# A value of zip64 archives, whose true one stands elsewhere; TFLite's tools write none.
_ELSEWHERE = 0xFFFFFFFF


@dataclass(frozen=True)
class _Archive:
    """Where an archive lies, and where in it offsets stand.

    Attributes:
        start: The position of its first byte.
        fields: The position of every 32-bit offset, with its value.
        base: What the offsets count from.
    """

    start: int
    fields: list[tuple[int, int]]
    base: int


def split(data: bytes, end_of_model: int) -> bytes:
    """The archive at the end of a file.

    Args:
        data: The whole file.
        end_of_model: A position that the archive cannot start before.

    Returns:
        The archive, its offsets counted from its own first byte; empty where there is none.
    """
    archive = _find(data)
    if archive is None or archive.start < end_of_model:
        return b""
    return join(b"", data[archive.start :])


def join(model: bytes, trailer: bytes) -> bytes:
    """A FlatBuffer with an archive behind it.

    Args:
        model: The FlatBuffer.
        trailer: An archive, wherever its offsets count from, or nothing.

    Returns:
        Both, the archive's offsets counted from the start of the whole.
    """
    archive = _find(trailer)
    if archive is None:
        return model + trailer
    moved = bytearray(trailer)
    for position, value in archive.fields:
        struct.pack_into("<L", moved, position, value + archive.base + len(model))
    return model + bytes(moved)


def _find(data: bytes) -> _Archive | None:
    """The archive that ends where the data end, or None: nothing else is taken for one."""
    end = data.rfind(_END_MARK, max(0, len(data) - _END.size - _LONGEST_COMMENT))
    if end < 0 or end + _END.size > len(data):
        return None
    _, _, _, _, entries, size, recorded, comment = _END.unpack_from(data, end)
    directory = end - size
    if end + _END.size + comment != len(data) or directory < 0 or recorded == _ELSEWHERE:
        return None
    base = directory - recorded
    fields = [(end + 16, recorded)]
    start, position = directory, directory
    for _ in range(entries):
        if position + _ENTRY.size > end:
            return None
        row = _ENTRY.unpack_from(data, position)
        name, extra, note, header = row[10], row[11], row[12], row[16]
        place = header + base
        if row[0] != _ENTRY_MARK or header == _ELSEWHERE or not 0 <= place < directory:
            return None
        if data[place : place + 4] != _FILE_MARK:
            return None
        fields.append((position + 42, header))
        start = min(start, place)
        position += _ENTRY.size + name + extra + note
    return _Archive(start, fields, base) if position == end else None
