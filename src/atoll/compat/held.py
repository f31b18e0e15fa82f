"""An Edge TPU that is open before a model is on it, as programs expect of a loaded driver."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from atoll.host.library import find_library
from atoll.runtime.driver.child import ChildDevice, DriverOptions

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Driver:
    """The driver that a program means.

    Attributes:
        library: Its path; None for the one that is found.
        options: The options that go to it.
    """

    library: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)


USUAL_DRIVER = Driver()


class HeldOpen:
    """A device that stays open as long as this is there. Models share it.

    Args:
        name: The device, such as "usb:0".
        driver: The driver.

    Raises:
        DeviceError: It cannot be opened.
        OSError: There is no driver.
    """

    def __init__(self, name: str, driver: Driver = USUAL_DRIVER) -> None:
        if driver.library is None and find_library() is None:
            raise OSError(
                "libedgetpu.so.1: cannot open shared object file: No such file or directory. "
                "Run: atoll doctor"
            )
        options = DriverOptions(library=driver.library, extra=driver.options)
        self._child = ChildDevice.shared(name, options)
        self._child.open()
