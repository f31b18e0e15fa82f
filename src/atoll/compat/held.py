"""An Edge TPU that is open before a model is on it, as programs expect of a loaded driver."""

from __future__ import annotations

import time
import weakref
from functools import partial

from atoll.host.library import find_library
from atoll.runtime.driver.hosts import hold, release
from atoll.runtime.driver.keeper import KEEPER
from atoll.runtime.driver.options import DriverOptions


class HeldOpen:
    """A device that stays open as long as this is there. Models share it.

    Args:
        name: The device, such as "usb:0".

    Raises:
        DeviceError: It cannot be opened.
        OSError: There is no driver.
    """

    def __init__(self, name: str) -> None:
        if find_library() is None:
            raise OSError(
                "libedgetpu.so.1: cannot open shared object file: No such file or directory. "
                "Run: atoll doctor"
            )
        host = hold(name, DriverOptions(), time.monotonic)
        weakref.finalize(self, KEEPER.later, partial(release, host)).atexit = False
        host.open()
