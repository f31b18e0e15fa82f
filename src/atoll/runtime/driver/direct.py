"""The driver in this very process, for those who want it: a fault of the stick's ends it."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from atoll.errors import DeviceError
from atoll.runtime.driver.choosing import NotOpenedError
from atoll.runtime.driver.descriptors import keep_standard_numbers
from atoll.runtime.driver.guard import without_guard
from atoll.runtime.driver.library import library_path
from atoll.runtime.driver.opening import explained, open_driver
from atoll.runtime.driver.options import DriverOptions

if TYPE_CHECKING:
    from atoll.runtime.driver.shim import ShimmedDelegate


def direct_delegate(device: str, options: DriverOptions | None = None) -> ShimmedDelegate:
    """The driver's delegate, adapted to LiteRT, in this process.

    There is no watchdog and no guard against surplus answers, what is run is not checked, and a
    stick that is pulled out ends the process. `atoll.runtime.driver.child` has all that.

    Args:
        device: "edgetpu", "usb:N" or "pci:N".
        options: How it is to be opened; times do not count.

    Returns:
        The delegate, for the `experimental_delegates` of LiteRT's Interpreters.

    Raises:
        DeviceError: The driver cannot be loaded or is too old, or the device cannot be opened.
    """
    options = options or DriverOptions()
    if struct.calcsize("P") != 8:
        raise DeviceError(
            device, "its driver needs a 64-bit Python", received="32 bits", fix="Use another Python"
        )
    keep_standard_numbers()
    path = library_path(options.library)
    try:
        _, delegate = open_driver(path, device, options.extra, options.verbosity)
    except NotOpenedError as error:
        raise explained(error) from None
    if delegate.device.startswith("usb"):
        delegate.notes.append(without_guard("it works in a process of the driver's own"))
    return delegate
