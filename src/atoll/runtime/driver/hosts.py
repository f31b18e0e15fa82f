"""The devices of this process: one of each, held by whoever uses it."""

from __future__ import annotations

import atexit
import os
import threading
import time
from typing import TYPE_CHECKING

from atoll.errors import DeviceError
from atoll.runtime.driver.host import DeviceHost

if TYPE_CHECKING:
    from collections.abc import Callable

    from atoll.runtime.driver.options import DriverOptions

_HOSTS: dict[str, DeviceHost] = {}
# Those that are being given back, and what each is: of "edgetpu", the stick that it was.
_ENDING: dict[DeviceHost, str] = {}
_LOCK = threading.Lock()
_ANY = "edgetpu"
# How long calls of other threads may still take when the program ends, all together.
_LAST_CALLS_S = 2.0


def hold(device: str, options: DriverOptions, clock: Callable[[], float]) -> DeviceHost:
    """A device, for one holder more. Nothing is opened.

    Args:
        device: Its name; "edgetpu" is any that is open, or else whatever the driver finds first.
        options: How it is to be opened.
        clock: Seconds that only grow.

    Returns:
        The device.

    Raises:
        DeviceError: It is open with other options.
    """
    with _LOCK:
        host = _known(device)
        if host is None:
            before = [each for each, name in _ENDING.items() if device in (name, _ANY)]
            host = _HOSTS[device] = DeviceHost(device, options, clock, before)
        elif not host.takes(options):
            raise DeviceError(
                device,
                "a device has one driver in a process, with the options that it was opened with",
                received="other options",
                fix="Close the models on it first",
            )
        host.holders += 1
        return host


def release(host: DeviceHost) -> None:
    """Lets go of a device; with its last holder it is given back."""
    with _LOCK:
        host.holders -= 1
        if host.holders > 0 or _HOSTS.get(host.device) is not host:
            return
        # Whoever opens it again must wait until it is free; nobody else must.
        _ENDING[host] = host.opened_as
        del _HOSTS[host.device]
    host.close()
    with _LOCK:
        _ENDING.pop(host, None)


def _known(device: str) -> DeviceHost | None:
    """The device where it is held already, by this name or another."""
    if device in _HOSTS:
        return _HOSTS[device]
    open_as = {host.opened_as: host for host in _HOSTS.values() if host.opened_as}
    if device == _ANY:
        numbered = sorted(name for name in open_as if name.startswith(("pci:", "usb:")))
        return open_as[numbered[0]] if numbered else None
    return open_as.get(device)


def _close_all() -> None:
    end = time.monotonic() + _LAST_CALLS_S
    for host in (*_HOSTS.values(), *_ENDING):
        host.end(max(0.0, end - time.monotonic()))


def _after_fork() -> None:
    """A fork has no devices: they, and the processes that host them, are its parent's."""
    global _LOCK
    _LOCK = threading.Lock()
    _ENDING.clear()
    for host in _HOSTS.values():
        host.forget()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
