"""What the machine is: its system, and whether a container or a guest stands between."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

from atoll.host.findings import ok, warning
from atoll.host.udev import container_cure
from atoll.host.usb import UsbStick

if TYPE_CHECKING:
    from collections.abc import Iterator

    from atoll.host.findings import Finding
    from atoll.host.host import Host


def system(host: Host) -> Iterator[Finding]:
    """The cures are made for this system."""
    place = host.place
    name = place.distribution or platform.system()
    parts = (name, f"kernel {place.kernel}" if place.kernel else "", platform.machine())
    told = ", ".join(part for part in (*parts, place.board) if part)
    yield ok(told if place.family else f"{told}; the cures here are those for any distribution")


def container(host: Host) -> Iterator[Finding]:
    """A container must be given the devices, and what they turn into."""
    kind = host.place.container
    if not kind:
        return
    lost = [device.name for device in host.devices if not device.present]
    if lost:
        yield warning(
            f"this is a {kind} container, and /dev has no node for {', '.join(lost)}",
            *container_cure(host),
        )
    elif not host.devices:
        yield ok(f"this is a {kind} container")
    elif any(isinstance(device, UsbStick) for device in host.devices):
        yield ok(
            f"this is a {kind} container; pass all of /dev/bus/usb to it: a stick's node has "
            "another number after its firmware, and whenever it is plugged in"
        )
    else:
        yield ok(f"this is a {kind} container, and has the nodes")


def guest(host: Host) -> Iterator[Finding]:
    """A virtual machine must be given the devices, and what they turn into."""
    kind = host.place.guest
    if not kind:
        return
    if host.sticks:
        yield warning(
            f"this is a guest ({kind}): sticks are known to stall where single USB devices are "
            "passed (blakeblackshear/frigate issue 2607)",
            "Pass the whole USB controller to the guest, as a PCI device",
        )
    else:
        yield ok(f"this is a guest ({kind})")
