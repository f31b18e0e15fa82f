"""One stick is opened at a time: while the driver resets one, the others change their numbers.

A stick leaves the bus as it is reset, and comes back under another number, and with firmware as
another device. Whoever counts sticks at that moment counts wrongly.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import time
from typing import TYPE_CHECKING

from atoll.host.virtual import SOCKET_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAME = "atoll opens a stick"
_PATIENCE_S = 30.0
_PAUSE_S = 0.02
# Of what tells one `atoll stick` from another: a name has 107 bytes.
_MOST_CHARACTERS = 60


@contextlib.contextmanager
def turn(patience_s: float = _PATIENCE_S) -> Iterator[None]:
    """Waits until no other program of Atoll's opens a stick on this machine, and then is the one.

    A name of Linux's that no file stands for is taken: it is free again with its process, however
    that ends. On other systems nothing is waited for.

    Args:
        patience_s: How long to wait at most; then it goes on all the same.
    """
    if not sys.platform.startswith("linux"):
        yield
        return
    # Virtual sticks are those of one `atoll stick`, and nobody else's.
    name = f"\0{_NAME} {os.environ.get(SOCKET_VARIABLE, '')[-_MOST_CHARACTERS:]}"
    end = time.monotonic() + patience_s
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as taken:
        while not _bound(taken, name) and time.monotonic() < end:
            time.sleep(_PAUSE_S)
        yield


def _bound(taken: socket.socket, name: str) -> bool:
    try:
        taken.bind(name)
    except OSError:
        return False
    return True
