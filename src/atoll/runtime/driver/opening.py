"""Opening a device through its driver, in whatever process this runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from atoll.errors import DeviceError
from atoll.runtime.driver.library import DriverLibrary
from atoll.runtime.driver.shim import ShimmedDelegate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from atoll.runtime.driver.library import Attached

# From this level on, the driver says why it could not open a device.
_TELLS_WHY = 1


class NotOpenedError(DeviceError):
    """A device that the driver does not see, or does not open. It says seldom why."""


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
    named = _chosen(library.attached(), device)
    options = {**extra} if named == "edgetpu" else {"device": named, **extra}
    library.set_verbosity(max(verbosity, _TELLS_WHY))
    native = library.create(options)
    library.set_verbosity(verbosity)
    if native is None:
        raise NotOpenedError(
            named,
            "the driver must be able to open it",
            received=f"the driver says: {library.reason}" if library.reason else "",
            fix="Run: atoll doctor",
        )
    return library, ShimmedDelegate(library, native, named)


def _chosen(attached: list[Attached] | None, device: str) -> str:
    """The device's name with a number, as the driver's options count only with one."""
    if attached is None:
        return device
    kind, _, number = device.partition(":")
    usable = [each.kind for each in attached if each.kind in ("pci", "usb")]
    if kind == "edgetpu":
        if usable:
            # The driver's own choice: PCI Express first.
            return f"{min(usable)}:0"
    elif usable.count(kind) > int(number):
        return device
    raise NotOpenedError(
        device,
        "there must be such an Edge TPU",
        received=f"the driver sees {_counted(usable)}",
        fix="Run: atoll doctor",
    )


def _counted(kinds: list[str]) -> str:
    if not kinds:
        return "no device"
    names = {"usb": "on USB", "pci": "on PCI Express"}
    return " and ".join(f"{kinds.count(kind)} {names[kind]}" for kind in sorted(set(kinds)))
