"""Messages between a program and the process that hosts a driver: 16 bytes, and rarely more.

Each request has a number, and its reply carries the same. Whatever arrives is checked before it is
used: the driver is code of somebody else's, and may have written over its process's memory.
"""

from __future__ import annotations

import contextlib
import json
import socket
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from atoll import errors
from atoll.runtime.driver.choosing import NotOpenedError

_HEADER = struct.Struct("<IIII")
_TIMEOUT = struct.Struct("ll")
_MOST_BODY = 1 << 20
_MOST_FILES = 2
_MOST_NUMBER = 1 << 32
# Of what a driver says, as much is shown.
_MOST_SHOWN = 400
# A program that was interrupted leaves replies behind that nobody read.
_MOST_STALE = 64
_MOST_SECONDS = 1 << 30


class Kind(IntEnum):
    """What a message is for: requests, and from DONE on replies."""

    OPEN = 1
    LOAD = 2
    CALL = 3
    DROP = 4
    DONE = 16
    FAILED = 17


# The bits of a reply's value.
BLIND = 1


class ConnectionLost(Exception):  # noqa: N818  (it is no fault of the program)
    """The other side is gone, silent, or talks nonsense."""


class NoAnswer(ConnectionLost):
    """The other side is silent."""


@dataclass(frozen=True)
class Message:
    """One message.

    Attributes:
        kind: What it is for.
        number: The request's number.
        value: A model's number, or the bits of a reply.
        body: What else it says.
        files: Open files that came with it. They are the receiver's.
    """

    kind: Kind
    number: int
    value: int
    body: dict[str, Any]
    files: tuple[int, ...] = ()


class Channel:
    """One end of a connection.

    Args:
        end: A connected socket. It is this object's from now on.
    """

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._timeout_s: float | None = None
        self._number = 0

    def fileno(self) -> int:
        """The socket's number."""
        return self._end.fileno()

    def close(self) -> None:
        """Ends the connection, whoever else holds it: a fork of this process may."""
        with contextlib.suppress(OSError):
            self._end.shutdown(socket.SHUT_RDWR)
        self._end.close()

    def forget(self) -> None:
        """Lets go of the connection, which goes on without this process."""
        self._end.close()

    def request(
        self,
        kind: Kind,
        value: int = 0,
        body: dict[str, Any] | None = None,
        files: tuple[int, ...] = (),
        *,
        timeout_s: float,
    ) -> Message:
        """Sends a request and waits for its reply.

        Args:
            kind: What is asked.
            value: Of which model.
            body: What else there is to say.
            files: Open files that go with it.
            timeout_s: Seconds that the reply may take.

        Returns:
            The reply.

        Raises:
            ConnectionLost: There is none, or it is nonsense.
            AtollError: The other side says that it failed.
        """
        self._number = (self._number + 1) % _MOST_NUMBER
        self._wait_at_most(timeout_s)
        self.send(Message(kind, self._number, value, body or {}, files))
        for _ in range(_MOST_STALE):
            reply = self.receive()
            if reply is None:
                raise ConnectionLost("its process has ended")
            if reply.number != self._number:
                continue
            if reply.kind == Kind.FAILED:
                raise to_error(reply.body)
            if reply.kind != Kind.DONE:
                break
            return reply
        raise ConnectionLost("its process gives answers that make no sense")

    def send(self, message: Message) -> None:
        """Sends a message. Raises ConnectionLost."""
        body = json.dumps(message.body).encode() if message.body else b""
        header = _HEADER.pack(message.kind, message.number, message.value, len(body))
        try:
            if message.files:
                socket.send_fds(self._end, [header], message.files)
            else:
                self._end.sendall(header)
            if body:
                self._end.sendall(body)
        except BlockingIOError:
            raise NoAnswer("its process takes no message") from None
        except OSError as error:
            raise ConnectionLost(f"its process has ended ({error.strerror})") from None

    def receive(self) -> Message | None:
        """Waits for a message; None where the other side has gone. Raises ConnectionLost."""
        try:
            header, files = self._header()
            if not header:
                return None
            kind, number, value, size = _HEADER.unpack(header)
            body = self._body(size)
            return Message(Kind(kind), number, value, body, tuple(files))
        except BlockingIOError:
            raise NoAnswer(f"no answer in {self._timeout_s:g} s") from None
        except OSError as error:
            raise ConnectionLost(f"its process has ended ({error.strerror})") from None
        except (ValueError, struct.error):
            raise ConnectionLost("its process gives answers that make no sense") from None

    def _header(self) -> tuple[bytes, list[int]]:
        if self._timeout_s is not None:
            # No files ever come this way, and this is quicker.
            return self._end.recv(_HEADER.size, socket.MSG_WAITALL), []
        header, files, _, _ = socket.recv_fds(
            self._end, _HEADER.size, _MOST_FILES, socket.MSG_WAITALL
        )
        return header, files

    def _body(self, size: int) -> dict[str, Any]:
        if not size:
            return {}
        if size > _MOST_BODY:
            raise ValueError(size)
        body = json.loads(self._end.recv(size, socket.MSG_WAITALL))
        if not isinstance(body, dict):
            raise ValueError(body)
        return body

    def _wait_at_most(self, seconds: float) -> None:
        """Has the system itself end a wait: asking it first (poll) takes 0.04 ms more."""
        if seconds != self._timeout_s:
            whole = int(min(seconds, _MOST_SECONDS))
            packed = _TIMEOUT.pack(whole, max(1, int(seconds % 1 * 1e6)))
            self._end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, packed)
            self._end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, packed)
            self._timeout_s = seconds


_ERRORS: dict[str, type[errors.AtollError]] = {
    kind.__name__: kind
    for kind in (errors.DeviceError, errors.DeviceLostError, errors.ModelError, NotOpenedError)
}


def from_error(error: errors.AtollError) -> dict[str, str]:
    """An error as a message's body."""
    kind = type(error).__name__
    return {
        "kind": kind if kind in _ERRORS else "DeviceError",
        "thing": error.thing,
        "rule": error.rule,
        "received": error.received,
        "fix": error.fix,
    }


def to_error(body: dict[str, Any]) -> errors.AtollError:
    """An error from a message's body."""
    words = {key: shown(str(body.get(key, ""))) for key in ("thing", "rule", "received", "fix")}
    kind = _ERRORS.get(str(body.get("kind")), errors.DeviceError)
    return kind(words["thing"], words["rule"], received=words["received"], fix=words["fix"])


def shown(text: str) -> str:
    """A text from outside as part of a message: one line, printable, not too long."""
    line = " ".join(text.split())
    line = "".join(mark if mark.isprintable() else "?" for mark in line)
    return line if len(line) <= _MOST_SHOWN else f"{line[:_MOST_SHOWN]}..."
