"""The brain: it listens to programs that use sticks, and lets each stick answer."""

from __future__ import annotations

import contextlib
import socket
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from atoll.errors import AtollError
from atoll.stick.wire import VERSION, Channel, ResetWhy, ToBrain, malformed, numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from atoll.stick.stick import Stick

_BACKLOG = 64


class Brain:
    """Listens on a socket that only this user can reach. A context manager.

    Args:
        sticks: The sticks, by their index.
        say: Told what must not be missed, a line each.

    Attributes:
        path: Where it listens.
    """

    def __init__(self, sticks: Sequence[Stick], say: Callable[[str], None]) -> None:
        self._sticks = sticks
        self._say = say
        # An address of this kind has room for 107 characters, which TMPDIR may be longer than.
        self._folder = tempfile.TemporaryDirectory(prefix="atoll-stick-", dir=_short_folder())
        self.path = Path(self._folder.name) / "brain"
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._channels: set[Channel] = set()
        self._lock = threading.Lock()
        self._closed = False

    def __enter__(self) -> Brain:
        self._listener.bind(str(self.path))
        self._listener.listen(_BACKLOG)
        threading.Thread(target=self._accept, name="virtual sticks", daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        with self._lock:
            self._closed = True
            channels = list(self._channels)
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for channel in channels:
            channel.close()
        self._folder.cleanup()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            channel = Channel(connection)
            with self._lock:
                if self._closed:
                    channel.close()
                    return
                self._channels.add(channel)
            name = "a program with a virtual stick"
            threading.Thread(target=self._serve, args=(channel,), name=name, daemon=True).start()

    def _serve(self, channel: Channel) -> None:
        """One program and one stick, until either ends."""
        stick: Stick | None = None
        try:
            stick = self._greet(channel)
            while stick is not None and (message := channel.receive()) is not None:
                kind, body = message
                handle = _HANDLERS.get(kind)
                if handle is None:
                    raise malformed(f"a message of kind {kind}")
                handle(stick, channel, body)
        except AtollError as error:
            self._say(str(error))
        finally:
            if stick is not None:
                stick.leave(channel)
            with self._lock:
                self._channels.discard(channel)
            channel.close()

    def _greet(self, channel: Channel) -> Stick | None:
        """Learns which stick a program means; None where it ends before that."""
        message = channel.receive()
        if message is None:
            return None
        kind, body = message
        if kind != ToBrain.HELLO:
            raise malformed(f"a message of kind {kind} for a greeting")
        version, index, _process = numbers("III", body)
        if version != VERSION or index >= len(self._sticks):
            raise malformed(f"version {version}, stick {index}")
        self._sticks[index].join(channel)
        return self._sticks[index]


def _on_reset(stick: Stick, channel: Channel, body: memoryview) -> None:
    why, firmware = numbers("II", body)
    if why not in set(ResetWhy):
        raise malformed(f"a reset for reason {why}")
    stick.reset(channel, ResetWhy(why), firmware)


def _on_register(stick: Stick, _channel: Channel, body: memoryview) -> None:
    stick.write_register(*numbers("IQ", body))


def _on_out(stick: Stick, channel: Channel, body: memoryview) -> None:
    if not body:
        raise malformed("a transfer with no endpoint")
    stick.out(channel, body[0], body[1:])


_HANDLERS: dict[int, Callable[[Stick, Channel, memoryview], None]] = {
    ToBrain.OPEN: lambda stick, channel, _body: stick.open(channel),
    ToBrain.CLOSE: lambda _stick, _channel, _body: None,
    ToBrain.CLAIM: lambda stick, channel, _body: stick.claim(channel),
    ToBrain.RELEASE: lambda stick, channel, _body: stick.release(channel),
    ToBrain.RESET: _on_reset,
    ToBrain.REGISTER: _on_register,
    ToBrain.OUT: _on_out,
}


def _short_folder() -> str | None:
    """A folder for the socket, which LD_PRELOAD can name too; None for the usual one."""
    usual = tempfile.gettempdir()
    return "/tmp" if len(usual) > 60 or set(" :") & set(usual) else None
