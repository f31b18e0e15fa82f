"""File systems as Linux shows them to user space, built under a temporary folder.

Layouts and values are those of real systems: /sys/bus/usb/devices holds links into /sys/devices,
interfaces lie in their device's folder, /sys/class/apex links to a folder below the PCI device.
"""

import os
import struct
from pathlib import Path

BOTH_RULES = (
    'SUBSYSTEM=="usb",ATTRS{idVendor}=="1a6e",ATTRS{idProduct}=="089a",GROUP="plugdev"\n'
    'SUBSYSTEM=="usb",ATTRS{idVendor}=="18d1",ATTRS{idProduct}=="9302",GROUP="plugdev"\n'
)
APEX_RULE = 'SUBSYSTEM=="apex", MODE="0660", GROUP="apex"\n'
FIRMWARE, READY = ("1a6e", "089a"), ("18d1", "9302")
CONTROLLER = "sys/devices/pci0000:00/0000:00:14.0"


class Tree:
    """A file system's root, with what is plugged in."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "sys/bus/usb/devices").mkdir(parents=True)
        (root / "sys/bus/pci/devices").mkdir(parents=True)
        (root / "sys/bus/usb/drivers/usbfs").mkdir(parents=True)
        (root / "sys/bus/pci/drivers").mkdir(parents=True)

    def write(self, path: str, text: str | bytes) -> Path:
        """A file."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return file

    def bus(self, number: int, speed: int) -> None:
        """A root hub: `usb2`, 5000 Mbit/s."""
        product = "0003" if speed >= 5000 else "0002"
        self._usb(f"usb{number}", number, 1, ("1d6b", product), speed=speed, bmAttributes="e0")

    def hub(self, port: str, address: int, speed: int, *, self_powered: bool = True) -> None:
        """A hub at a port, such as "2-1"."""
        attributes = "e0" if self_powered else "a0"
        self._usb(
            port, int(port.split("-")[0]), address, ("2109", "0822"), speed=speed,
            bmAttributes=attributes, product="USB3.1 Hub",
        )  # fmt: skip

    def stick(self, port: str, address: int, ids=READY, *, speed=5000, mode=0o664, node=True):
        """A Coral stick, with its node and one interface."""
        bus = int(port.split("-")[0])
        folder = self._usb(
            port, bus, address, ids, speed=speed, bmAttributes="80",
            bMaxPower="896mA" if speed >= 5000 else "498mA", configuration="1",
        )  # fmt: skip
        self.write(f"{folder}/power/control", "on\n")
        self.write(f"{folder}/power/autosuspend_delay_ms", "2000\n")
        (self.root / folder / f"{port}:1.0").mkdir()
        if node:
            file = self.write(f"dev/bus/usb/{bus:03}/{address:03}", "")
            file.chmod(mode)
        return self.root / folder

    def claim(self, port: str) -> None:
        """A program has claimed the stick's interface."""
        device = (self.root / "sys/bus/usb/devices" / port).resolve()
        (device / f"{port}:1.0" / "driver").symlink_to(self.root / "sys/bus/usb/drivers/usbfs")

    def usb_device(self, port: str, address: int, ids) -> None:
        """Any other device."""
        self._usb(port, int(port.split("-")[0]), address, ids, speed=480)

    def _usb(self, name, bus, address, ids, **attributes) -> str:
        # Each level of hubs is a folder in the one above: usb2/2-1/2-1.4.
        base, folder = name.split("-")[0], f"{CONTROLLER}/usb{bus}"
        ports = name.split("-")[1].split(".") if "-" in name else []
        for depth in range(len(ports)):
            folder += f"/{base}-{'.'.join(ports[: depth + 1])}"
        values = {
            "idVendor": ids[0], "idProduct": ids[1], "busnum": bus, "devnum": address,
            "bMaxPower": "0mA", **attributes,
        }  # fmt: skip
        for key, value in values.items():
            self.write(f"{folder}/{key}", f"{value}\n")
        number = (bus - 1) * 128 + address - 1
        self.write(
            f"{folder}/uevent",
            f"MAJOR=189\nMINOR={number}\nDEVNAME=bus/usb/{bus:03}/{address:03}\n"
            f"DEVTYPE=usb_device\nDRIVER=usb\nBUSNUM={bus:03}\nDEVNUM={address:03}\n",
        )
        vendor, product = (int(each, 16) for each in ids)
        self.write(f"{folder}/descriptors", _descriptors(vendor, product))
        link = self.root / "sys/bus/usb/devices" / name
        link.symlink_to(os.path.relpath(self.root / folder, link.parent))
        subsystem = self.root / folder / "subsystem"
        subsystem.symlink_to(os.path.relpath(self.root / "sys/bus/usb", subsystem.parent))
        return folder

    def chip(self, address="0000:01:00.0", *, taken="apex_0", driver="apex", temp=45_300, **facts):
        """A card on PCI Express; `taken` names its node, None where the module is not loaded."""
        folder = f"sys/devices/pci0000:00/0000:00:1c.0/{address}"
        for key, value in {"vendor": "0x1ac1", "device": "0x089a", "class": "0x0880ff"}.items():
            self.write(f"{folder}/{key}", f"{value}\n")
        link = self.root / "sys/bus/pci/devices" / address
        link.symlink_to(os.path.relpath(self.root / folder, link.parent))
        if driver:
            home = self.root / "sys/bus/pci/drivers" / driver
            home.mkdir(exist_ok=True)
            (self.root / folder / "driver").symlink_to(home)
        if taken is None:
            return None
        apex = f"{folder}/apex/{taken}"
        values = {
            "driver_version": "1.2", "framework_version": "1.1.4", "status": "ALIVE",
            "is_device_owned": 0, "device_owner": 0, "write_open_count": 0, "temp": temp,
            "trip_point0_temp": 84_800, "trip_point1_temp": 89_800, "trip_point2_temp": 94_800,
            "temp_poll_interval": 5000, "pci_address": address, **facts,
        }  # fmt: skip
        for key, value in values.items():
            if value is not None:
                self.write(f"{apex}/{key}", f"{value}\n")
        (self.root / apex / "device").symlink_to(self.root / folder)
        (self.root / "sys/class/apex").mkdir(parents=True, exist_ok=True)
        (self.root / "sys/class/apex" / taken).symlink_to(self.root / apex)
        for number in range(13):
            self.write(f"{folder}/msi_irqs/{130 + number}", "msix\n")
        self.write(f"{folder}/link/l1_aspm", "0\n")
        (self.root / "dev").mkdir(exist_ok=True)
        # A character device that anybody may make: what is looked at is its type and mode.
        (self.root / "dev" / taken).symlink_to("/dev/null")
        return self.root / folder

    def process(self, pid: int, name: str, *opened: str) -> None:
        """A process that has files open."""
        self.write(f"proc/{pid}/comm", f"{name}\n")
        folder = self.root / f"proc/{pid}/fd"
        folder.mkdir(parents=True)
        for number, path in enumerate(opened, 3):
            (folder / str(number)).symlink_to(path)

    def rules(self, text: str = BOTH_RULES, name: str = "60-libedgetpu1-std.rules") -> None:
        """A file of udev's rules, where Debian's package puts it."""
        self.write(f"usr/lib/udev/rules.d/{name}", text)

    def system(self, **values: str) -> None:
        """Debian 12 with a kernel that the gasket package builds for, or something else."""
        release = values.get(
            "release", 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\n'
        )
        self.write("etc/os-release", release)
        self.write("proc/sys/kernel/osrelease", values.get("kernel", "6.1.0-21-amd64") + "\n")
        if board := values.get("board"):
            self.write("proc/device-tree/model", board + "\0")
        if vendor := values.get("vendor"):
            self.write("sys/class/dmi/id/sys_vendor", vendor + "\n")


def _descriptors(vendor: int, product: int) -> bytes:
    """A device's descriptor, and that of a configuration with one interface, as the kernel has."""
    device = struct.pack("<BBHBBBBHHH", 18, 1, 0x310, 0, 0, 0, 9, vendor, product, 0x100)
    device += bytes([0, 0, 0, 1])
    configuration = struct.pack("<BBHBBBBB", 9, 2, 18, 1, 1, 0, 0x80, 112)
    interface = struct.pack("<BBBBBBBBB", 9, 4, 0, 0, 0, 255, 255, 255, 0)
    return device + configuration + interface


def header(machine: int, bits: int = 64) -> bytes:
    """The first bytes of an ELF library; machines have numbers (elf.h)."""
    start = b"\x7fELF" + bytes([2 if bits == 64 else 1, 1, 1]) + bytes(9)
    return start + (3).to_bytes(2, "little") + machine.to_bytes(2, "little") + bytes(44)
