"""Frames: what the driver sends on the one endpoint for everything, each behind a header."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEADER = struct.Struct("<IB3x")


class Tag(IntEnum):
    """What a frame or an event is about."""

    INSTRUCTIONS = 0
    INPUT = 1
    PARAMETERS = 2
    OUTPUT = 3
    INTERRUPT = 4  # and the three after it


# Only four bits of the byte count.
_TAG_BITS = 0x0F


@dataclass(frozen=True)
class Header:
    """The beginning of a frame.

    Attributes:
        tag: Its tag, 0 to 15.
        length: Bytes that follow.
    """

    tag: int
    length: int


@dataclass(frozen=True)
class Piece:
    """Some of a frame's bytes.

    Attributes:
        data: The bytes, valid until the parser is fed again.
        last: Whether they end the frame.
    """

    data: memoryview
    last: bool


class FrameParser:
    """Cuts what is sent into frames, wherever the transfers' borders lie."""

    def __init__(self) -> None:
        self._header = bytearray()
        self._left: int | None = None

    def feed(self, data: memoryview) -> Iterator[Header | Piece]:
        """Takes the bytes of a transfer.

        Args:
            data: The bytes.

        Yields:
            Headers, and each followed by its frame's bytes in pieces; the last piece says so. An
            empty frame has one empty piece.
        """
        while len(data) or self._left == 0:
            if self._left is None:
                missing = _HEADER.size - len(self._header)
                self._header += data[:missing]
                data = data[missing:]
                if len(self._header) < _HEADER.size:
                    return
                length, tag = _HEADER.unpack(self._header)
                self._header.clear()
                self._left = length
                yield Header(tag & _TAG_BITS, length)
                continue
            piece = data[: self._left]
            data = data[len(piece) :]
            left = self._left - len(piece)
            self._left = left or None
            yield Piece(piece, last=left == 0)


def header(tag: int, length: int) -> bytes:
    """A frame's header, as the driver sends it."""
    return _HEADER.pack(length, tag)


def event(tag: int) -> bytes:
    """An event, as the chip sends it: an offset, a length and a tag. Interrupts have only a tag."""
    return struct.pack("<QIB3x", 0, 0, tag)
