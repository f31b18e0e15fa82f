"""Opening a device through its driver, in whatever process this runs."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from atoll.errors import DeviceError
from atoll.runtime.driver.choosing import NotOpenedError, chosen
from atoll.runtime.driver.library import DriverLibrary
from atoll.runtime.driver.shim import ShimmedDelegate
from atoll.runtime.driver.turns import turn

if TYPE_CHECKING:
    from collections.abc import Mapping

# From this level on, the driver says why it could not open a device.
_TELLS_WHY = 1


def explained(error: NotOpenedError, words: str = "") -> DeviceError:
    """The error with what this machine's facts say of the reason.

    Args:
        error: What is known from the driver.
        words: What the driver said last on standard error; empty for nothing.

    Returns:
        The error to raise.
    """
    from atoll.host.explain import explain_no_device

    why = explain_no_device(error.thing)
    said = [error.received, f"the driver says: {words}" if words else ""]
    return DeviceError(
        why.thing, why.rule, received="; ".join(filter(None, [why.received, *said])), fix=why.fix
    )


def open_driver(
    path: str, device: str, extra: Mapping[str, str], verbosity: int
) -> tuple[DriverLibrary, ShimmedDelegate]:
    """Loads the driver and opens a device.

    Args:
        path: The driver's library.
        device: "edgetpu", "usb:N" or "pci:N".
        extra: Options of the driver's own.
        verbosity: What the driver tells on standard error, 0 to 10.

    Returns:
        The driver, and its delegate for LiteRT, which names the device that was opened: with
        "edgetpu" asked for, that is the first one.

    Raises:
        DeviceError: The driver cannot be loaded or is too old.
        NotOpenedError: The device is not there, or cannot be opened.
    """
    library = DriverLibrary(path)
    with contextlib.nullcontext() if device.startswith("pci") else turn():
        choice = chosen(library.attached(), device)
        # The driver's options count only with a number.
        options = {"device": choice.option, **extra} if choice.option else {**extra}
        library.set_verbosity(max(verbosity, _TELLS_WHY))
        native = library.create(options)
        library.set_verbosity(verbosity)
    if native is None:
        raise NotOpenedError(
            choice.name,
            "the driver must be able to open it",
            received=f"the driver says: {library.reason}" if library.reason else "",
            fix="Run: atoll doctor",
        )
    return library, ShimmedDelegate(library, native, choice.name)
