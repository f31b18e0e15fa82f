"""Which Edge TPUs are plugged in, and what each is called."""

from __future__ import annotations

from pathlib import Path

from atoll.host.pcie import PcieChip, pcie_chips
from atoll.host.usb import IDS, UsbStick, usb_sticks

Found = UsbStick | PcieChip


def found_devices(root: Path = Path("/")) -> list[Found]:
    """Every Edge TPU that the system sees, whether it can be opened or not.

    Nothing is opened and no library is loaded: this takes a millisecond or two. Chips on PCI
    Express come first, as the driver takes these first where no device is named.

    Args:
        root: Where the file system begins.

    Returns:
        The devices in the driver's order; `usable` tells which of them this process may open. Empty
        where there are none, and on systems without sysfs.
    """
    return [*pcie_chips(root), *usb_sticks(root)]


def describe(device: Found) -> str:
    """Where a device is plugged in, and how, in a few words."""
    if isinstance(device, PcieChip):
        heat = "" if device.temperature is None else f", {device.temperature:.0f} C"
        return f"PCI Express {device.address}{heat}"
    vendor, product = next(ids for ids, state in IDS.items() if state == device.state)
    link = f"{device.speed} Mbit/s" if device.speed else "speed unknown"
    return f"USB {device.port} ({vendor}:{product}), {link}"
