"""The machine that Atoll runs on, as the checks see it: facts, gathered when first asked for."""

from __future__ import annotations

import os
import sys
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from atoll.host.found import found_devices
from atoll.host.library import find_libraries, find_library
from atoll.host.library_build import LibraryBuild, ask_build
from atoll.host.packages import Packages
from atoll.host.pcie import PcieChip
from atoll.host.place import Place, find_place
from atoll.host.sysfs import read_entries, read_text
from atoll.host.usb import UsbStick

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from atoll.host.found import Found
    from atoll.host.library import Library


class Host:
    """A machine.

    Args:
        root: Where its file system begins.
        environ: The environment.
        search_path: Where Python looks for packages.
        page_size: Of memory, in bytes; None for this machine's.

    Attributes:
        root: As above.
        environ: As above.
        page_size: Of memory, in bytes.
    """

    def __init__(
        self,
        root: Path = Path("/"),
        environ: Mapping[str, str] = os.environ,
        search_path: Sequence[str] | None = None,
        page_size: int | None = None,
    ) -> None:
        self.root = root
        self.environ = environ
        self.page_size = page_size or _page_size()
        self._search_path = sys.path if search_path is None else search_path

    @property
    def has_sysfs(self) -> bool:
        """Whether the system tells what is plugged in: only Linux does so in files."""
        return (self.root / "sys/bus").is_dir()

    @cached_property
    def devices(self) -> list[Found]:
        """Every Edge TPU that the system sees."""
        return found_devices(self.root)

    @property
    def sticks(self) -> list[UsbStick]:
        """Those on USB."""
        return [device for device in self.devices if isinstance(device, UsbStick)]

    @property
    def chips(self) -> list[PcieChip]:
        """Those on PCI Express."""
        return [device for device in self.devices if isinstance(device, PcieChip)]

    @cached_property
    def library(self) -> Library | None:
        """The driver that would be used."""
        return find_library(self.root, self.environ)

    @cached_property
    def libraries(self) -> list[Path]:
        """Every libedgetpu in the loader's folders."""
        return find_libraries(self.root, self.environ)

    @cached_property
    def build(self) -> LibraryBuild | None:
        """What the driver says of itself; None where there is none that could be loaded."""
        library = self.library
        return ask_build(library.path) if library is not None and library.fits else None

    @cached_property
    def place(self) -> Place:
        """What kind of system it is."""
        return find_place(self.root, self.environ)

    @cached_property
    def packages(self) -> Packages:
        """The Python packages that are installed."""
        return Packages(self._search_path)

    @cached_property
    def modules(self) -> dict[str, str]:
        """The kernel modules that are loaded, and the version of each that tells one."""
        lines = (read_text(self.root / "proc/modules") or "").splitlines()
        names = {line.split(" ")[0] for line in lines if line}
        # What is built into the kernel is listed here alone.
        names |= {n for n in ("apex", "gasket") if (self.root / "sys/module" / n).is_dir()}
        folder = self.root / "sys/module"
        return {name: read_text(folder / name / "version") or "" for name in sorted(names)}

    @cached_property
    def command_line(self) -> list[str]:
        """What the kernel was started with."""
        return (read_text(self.root / "proc/cmdline") or "").split()

    @cached_property
    def udev_rules(self) -> dict[Path, str]:
        """The files of udev's rules."""
        folders = ("etc/udev/rules.d", "run/udev/rules.d", "usr/lib/udev/rules.d")
        rules: dict[Path, str] = {}
        for folder in (*folders, "lib/udev/rules.d"):
            for entry in read_entries(self.root / folder):
                if entry.name.endswith(".rules"):
                    rules[Path(entry.path)] = read_text(entry.path) or ""
        return rules


def _page_size() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 0
