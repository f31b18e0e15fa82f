"""Coral chips on PCI Express, as Linux and the apex driver tell of them."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from atoll.host.sysfs import can_access, read_entries, read_int, read_text

IDS = ("0x1ac1", "0x089a")
_BUS = "sys/bus/pci/devices"
_CLASS = "sys/class/apex"
# How often 1,000 goes into a degree: sysfs tells temperatures in thousandths.
_MILLI = 1000


@dataclass(frozen=True)
class PcieChip:
    """An Edge TPU on PCI Express: an M.2 or Mini PCIe card, or a Dev Board's own.

    Attributes:
        index: Its number in the driver's order: it is called `pci:index`. None where the kernel
            module has not taken it, so that nothing can open it.
        address: On the PCI bus, such as "0000:01:00.0"; empty where it is not told.
        kernel_driver: The kernel driver that has it, "apex" as it should be; empty for none.
        node: The device file that the driver opens; None where the kernel module has not taken it.
        present: Whether that file is there, and a device.
        readable: Whether this process may read it.
        writable: Whether this process may write to it.
        temperature: In degrees Celsius; None where it is not told.
        sysfs: The PCI bus's folder about it; None where it is not told.
        apex: The apex driver's folder about it; None where the driver has not taken it.
    """

    index: int | None
    address: str
    kernel_driver: str
    node: Path | None
    present: bool
    readable: bool
    writable: bool
    temperature: float | None
    sysfs: Path | None
    apex: Path | None

    @property
    def name(self) -> str:
        """As users and the driver call it."""
        return "pci" if self.index is None else f"pci:{self.index}"

    @property
    def usable(self) -> bool:
        """Whether this process may open it."""
        return self.present and self.readable and self.writable


def pcie_chips(root: Path = Path("/")) -> list[PcieChip]:
    """The chips there are, in the driver's order; those that nothing can open come last.

    libedgetpu takes the entries of /sys/class/apex in the order in which the system lists them,
    as here, and of these the ones with a character device of the same name in /dev
    (driver_factory_linux.cc).

    Args:
        root: Where the file system begins.
    """
    taken: list[PcieChip] = []
    lost: list[PcieChip] = []
    for entry in read_entries(root / _CLASS):
        if entry.name.startswith("apex"):
            chip = _taken_chip(root, Path(entry.path), len(taken))
            (taken if chip.present else lost).append(chip)
    known = {chip.address for chip in (*taken, *lost)}
    free = (_free_chip(entry) for entry in read_entries(root / _BUS) if entry.name not in known)
    return [*taken, *lost, *(chip for chip in free if chip)]


def _taken_chip(root: Path, apex: Path, index: int) -> PcieChip:
    node = root / "dev" / apex.name
    present = _is_character_device(node)
    bus = Path(os.path.realpath(apex / "device"))
    on_bus = (bus / "vendor").exists()
    millidegrees = read_int(apex / "temp")
    return PcieChip(
        index=index if present else None,
        address=bus.name if on_bus else read_text(apex / "pci_address") or "",
        kernel_driver=_kernel_driver(bus) or "apex",
        node=node,
        present=present,
        readable=can_access(node, os.R_OK),
        writable=can_access(node, os.W_OK),
        temperature=None if millidegrees is None else millidegrees / _MILLI,
        sysfs=bus if on_bus else None,
        apex=apex,
    )


def _free_chip(entry: os.DirEntry[str]) -> PcieChip | None:
    """A chip on the bus that the apex driver does not have."""
    ids = (read_text(f"{entry.path}/vendor"), read_text(f"{entry.path}/device"))
    if ids != IDS:
        return None
    return PcieChip(
        index=None,
        address=entry.name,
        kernel_driver=_kernel_driver(Path(entry.path)),
        node=None,
        present=False,
        readable=False,
        writable=False,
        temperature=None,
        sysfs=Path(entry.path),
        apex=None,
    )


def _kernel_driver(bus: Path) -> str:
    link = bus / "driver"
    return Path(os.path.realpath(link)).name if link.is_symlink() or link.exists() else ""


def _is_character_device(path: Path) -> bool:
    try:
        return stat.S_ISCHR(path.stat().st_mode)
    except OSError:
        return False
