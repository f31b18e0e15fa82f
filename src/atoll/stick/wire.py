"""What the stand-in libusb and the brain say to each other: the Python side of usb/wire.h."""

from __future__ import annotations

import struct
import threading
from enum import IntEnum
from typing import TYPE_CHECKING

from atoll.errors import DeviceError

if TYPE_CHECKING:
    import socket

VERSION = 1
# More than any driver sends at once; a longer message is not one of ours.
_MOST_BYTES = 16 << 20
_START = struct.Struct("=II")


class ToBrain(IntEnum):
    """From the program that uses the stick."""

    HELLO = 1
    OPEN = 2
    CLOSE = 3
    CLAIM = 4
    RELEASE = 5
    RESET = 6
    REGISTER = 7
    OUT = 8


class FromBrain(IntEnum):
    """From the stick."""

    STATE = 1
    ANSWER = 2
    DONE = 3
    IN = 4
    REGISTER = 5


class ResetWhy(IntEnum):
    """What a bus reset comes after."""

    PLAIN = 0
    AFTER_DOWNLOAD = 1
    AFTER_DETACH = 2


class UsbError(IntEnum):
    """libusb's errors, as far as a stick gives them."""

    SUCCESS = 0
    IO = -1
    ACCESS = -3
    NO_DEVICE = -4
    NOT_FOUND = -5
    BUSY = -6


class Status(IntEnum):
    """How a transfer ended: libusb_transfer_status."""

    COMPLETED = 0
    ERROR = 1
    TIMED_OUT = 2
    CANCELLED = 3
    STALL = 4
    NO_DEVICE = 5
    OVERFLOW = 6


class Speed(IntEnum):
    """How fast a stick's link is: libusb_speed."""

    HIGH = 3
    SUPER = 4


class Channel:
    """One connection, which several threads may send on. One thread receives."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._sending = threading.Lock()
        self._buffer = bytearray(1 << 20)

    def receive(self) -> tuple[int, memoryview] | None:
        """The next message.

        Returns:
            Its kind and its body, which is valid until the next call; None where the other side
            has closed.

        Raises:
            DeviceError: What came is no message.
        """
        start = self._read(_START.size)
        if start is None:
            return None
        kind, length = _START.unpack(start)
        if length > _MOST_BYTES:
            raise malformed(f"a message of {length} bytes")
        body = self._read(length)
        return None if body is None else (kind, body)

    def send(self, kind: FromBrain, *parts: bytes | memoryview) -> None:
        """Sends a message. Where nobody receives it any more, nothing happens.

        Args:
            kind: Its kind.
            parts: Its body, in pieces.
        """
        start = _START.pack(kind, sum(len(part) for part in parts))
        try:
            with self._sending:
                self._connection.sendall(b"".join((start, *parts)))
        except OSError:
            return

    def close(self) -> None:
        """Ends the connection; whoever receives finds that it is closed."""
        try:
            self._connection.shutdown(2)
        except OSError:
            return
        finally:
            self._connection.close()

    def _read(self, length: int) -> memoryview | None:
        if length > len(self._buffer):
            self._buffer = bytearray(length)
        view = memoryview(self._buffer)[:length]
        got = 0
        while got < length:
            try:
                count = self._connection.recv_into(view[got:])
            except OSError:
                return None
            if count == 0:
                return None
            got += count
        return view


def numbers(layout: str, body: memoryview) -> tuple[int, ...]:
    """A message's body, as numbers.

    Args:
        layout: Their types, for `struct`, in the machine's byte order.
        body: The body.

    Returns:
        The numbers.

    Raises:
        DeviceError: It is not as long as that.
    """
    if len(body) != struct.calcsize("=" + layout):
        raise malformed(f"a message of {len(body)} bytes for {struct.calcsize('=' + layout)}")
    return struct.unpack("=" + layout, body)


def malformed(received: str) -> DeviceError:
    """The error for what no stand-in of this version sends."""
    return DeviceError(
        "virtual stick",
        "whoever connects to it must be Atoll's own stand-in for libusb, of the same version",
        received=received,
        fix="Start programs with the environment that atoll stick gives, and no other",
    )
