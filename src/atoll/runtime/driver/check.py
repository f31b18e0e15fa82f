"""Files are checked before the driver sees them: it accepts damaged ones, and ends over others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from atoll.edgetpu.package_check import check_package
from atoll.errors import ModelError

if TYPE_CHECKING:
    from atoll.runtime.parts import CompiledPart


def check_for_driver(part: CompiledPart, source: object, *, usb: bool = True) -> None:
    """Refuses a compiled part that the driver would crash over, or run wrongly.

    Args:
        part: The part.
        source: What to call it in a message.
        usb: Whether it is to run on a USB stick; some parts run on PCI Express alone.

    Raises:
        ModelError: The part is damaged, or not for such a device.
    """
    check_package(part.package, part.inputs, part.outputs, source, usb=usb)


def check_runtime(part: CompiledPart, source: object, runtime: int | None) -> None:
    """Refuses a compiled part that is newer than the driver.

    Args:
        part: The part.
        source: What to call it in a message.
        runtime: The driver's runtime version; None where it does not say.

    Raises:
        ModelError: The part needs a newer one.
    """
    needed = part.package.min_runtime_version
    if runtime is not None and needed > runtime:
        raise ModelError(
            source,
            f"it needs an Edge TPU runtime of version {needed} or newer",
            received=f"version {runtime}",
            fix=f"Install a newer libedgetpu, or compile it with --min_runtime_version {runtime}",
        )
