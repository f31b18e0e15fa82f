"""Coral sticks on USB, as Linux tells of them in /sys/bus/usb/devices."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from atoll.host.sysfs import can_access, read_entries, read_int, read_text

State = Literal["firmware", "ready"]

# A stick's USB ids: before its firmware is loaded, which the driver does at the first use, and
# after.
IDS: dict[tuple[str, str], State] = {
    ("1a6e", "089a"): "firmware",
    ("18d1", "9302"): "ready",
}
_FOLDER = "sys/bus/usb/devices"


@dataclass(frozen=True)
class UsbStick:
    """An Edge TPU on USB.

    Attributes:
        index: Its number in libusb's order: it is called `usb:index`.
        state: "firmware" before its first use since it got power, "ready" after it.
        bus: Number of the bus.
        address: Number of the device on that bus, which changes whenever it is plugged in.
        port: Where it is plugged in: bus, then the port of each hub on the way, such as "2-1.4".
        speed: Of its link, in Mbit/s: 480 is USB 2, 5000 is USB 3. None where it is not told.
        max_power_ma: The current it asks for, in milliampere. None where it is not told.
        serial: Its serial number; empty where it tells none.
        node: The device file that the driver opens.
        present: Whether that file is there.
        readable: Whether this process may read it.
        writable: Whether this process may write to it.
        sysfs: The kernel's folder about it.
    """

    index: int
    state: State
    bus: int
    address: int
    port: str
    speed: int | None
    max_power_ma: int | None
    serial: str
    node: Path
    present: bool
    readable: bool
    writable: bool
    sysfs: Path

    @property
    def name(self) -> str:
        """As users and the driver call it."""
        return f"usb:{self.index}"

    @property
    def usable(self) -> bool:
        """Whether this process may open it."""
        return self.present and self.readable and self.writable


def usb_sticks(root: Path = Path("/")) -> list[UsbStick]:
    """The sticks that are plugged in, in libusb's order.

    libusb puts every device that it finds in front of those it has (core.c), and finds them sorted
    by their path in sysfs where it was built with udev (linux_udev.c), as distributions do: so the
    last path comes first. Measured with Debian's libusb 1.0.26 on 40 made-up trees of sysfs; not
    tried with real sticks. libedgetpu lists those that wait for firmware before the others, each in
    this order (beagle_usb_driver_provider.cc); as its numbers change with the first use of a stick,
    they are not taken for names (atoll.runtime.driver.choosing).

    Args:
        root: Where the file system begins.
    """
    found = [stick for entry in read_entries(root / _FOLDER) if (stick := _stick(root, entry))]
    found.sort(key=lambda stick: Path(os.path.realpath(stick.sysfs)).parts, reverse=True)
    return [replace(stick, index=index) for index, stick in enumerate(found)]


def node_of(bus: int, address: int, root: Path = Path("/")) -> Path:
    """The file by which a device on USB is opened."""
    return root / f"dev/bus/usb/{bus:03}/{address:03}"


def is_stick(sysfs: Path) -> bool:
    """Whether the kernel's folder of a device on USB is that of a stick."""
    ids = read_text(sysfs / "idVendor") or "", read_text(sysfs / "idProduct") or ""
    return ids in IDS


def is_claimed(sysfs: Path) -> bool:
    """Whether a program has claimed an interface of a device: the kernel calls its driver usbfs.

    This tells of programs of other users, and in other containers, too.

    Args:
        sysfs: The kernel's folder about the device.
    """
    return any(
        (sysfs / entry.name / "driver").resolve().name == "usbfs"
        for entry in read_entries(sysfs)
        if entry.name.startswith(f"{sysfs.name}:")
    )


def _stick(root: Path, entry: os.DirEntry[str]) -> UsbStick | None:
    # Interfaces ("1-1:1.0") and root hubs ("usb1") lie in the same folder.
    if ":" in entry.name or not entry.name[:1].isdigit():
        return None
    vendor = read_text(f"{entry.path}/idVendor")
    if vendor not in {ids[0] for ids in IDS}:
        return None
    state = IDS.get((vendor, read_text(f"{entry.path}/idProduct") or ""))
    bus, address = read_int(f"{entry.path}/busnum"), read_int(f"{entry.path}/devnum")
    # Unplugged while it was read.
    if state is None or bus is None or address is None:
        return None
    node = node_of(bus, address, root)
    return UsbStick(
        index=0,
        state=state,
        bus=bus,
        address=address,
        port=entry.name,
        speed=read_int(f"{entry.path}/speed"),
        max_power_ma=read_int(f"{entry.path}/bMaxPower"),
        serial=read_text(f"{entry.path}/serial") or "",
        node=node,
        present=node.exists(),
        readable=can_access(node, os.R_OK),
        writable=can_access(node, os.W_OK),
        sysfs=Path(entry.path),
    )
