"""How what is missing is installed, distribution by distribution: one table."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from atoll.host.place import Place

_GOOGLE = "https://packages.cloud.google.com/apt"
_KEY = "/usr/share/keyrings/coral.gpg"
_LIST = "/etc/apt/sources.list.d/coral-edgetpu.list"
# What builds Google's Debian package has, for those who have no apt.
_BUILDS = "https://github.com/feranick/libedgetpu/releases"
GASKET = "https://github.com/feranick/gasket-driver/releases"

# The steps of each, by the distribution's family; "" is for any other.
_STEPS: dict[str, dict[str, tuple[str, ...]]] = {
    "libedgetpu": {
        "debian": (
            f"Run: curl -fsSL {_GOOGLE}/doc/apt-key.gpg | sudo gpg --dearmor -o {_KEY}",
            f"Run: echo 'deb [signed-by={_KEY}] {_GOOGLE} coral-edgetpu-stable main' "
            f"| sudo tee {_LIST}",
            "Run: sudo apt update && sudo apt install libedgetpu1-std",
        ),
        "": (
            f"Take libedgetpu.so.1 out of a package of your processor ({_GOOGLE}, or the newer "
            f"builds at {_BUILDS})",
            "Put it into /usr/local/lib and run: sudo ldconfig",
            "Or name it: export ATOLL_LIBEDGETPU=/path/to/libedgetpu.so.1",
        ),
        "darwin": (
            "Run the install.sh in edgetpu_runtime_20221024.zip of "
            "https://github.com/google-coral/libedgetpu/releases/tag/release-grouper",
            "Or name one: export ATOLL_LIBEDGETPU=/path/to/libedgetpu.1.dylib",
        ),
        "win32": (
            "Run the install.bat in edgetpu_runtime_20221024.zip of "
            "https://github.com/google-coral/libedgetpu/releases/tag/release-grouper",
        ),
    },
    "libusb": {
        "debian": ("Run: sudo apt install libusb-1.0-0",),
        "fedora": ("Run: sudo dnf install libusb1",),
        "arch": ("Run: sudo pacman -S libusb",),
        "suse": ("Run: sudo zypper install libusb-1_0-0",),
        "alpine": ("Run: sudo apk add libusb",),
        "": ("Install libusb 1.0 with your package manager",),
        "darwin": ("Run: brew install libusb",),
        "win32": ("Run the install.bat that comes with the runtime: it brings libusb and UsbDk",),
    },
    "compiler": {
        "debian": ("Run: sudo apt install gcc libc6-dev",),
        "fedora": ("Run: sudo dnf install gcc",),
        "arch": ("Run: sudo pacman -S gcc",),
        "suse": ("Run: sudo zypper install gcc",),
        "alpine": ("Run: sudo apk add gcc musl-dev",),
        "": (),
        "darwin": ("Run: xcode-select --install",),
        "win32": (),
    },
    "gasket": {
        "debian": (
            f"Install the newest gasket-dkms package of {GASKET}, with your kernel's headers "
            "(sudo apt install dkms linux-headers-$(uname -r))",
            "Run: sudo modprobe apex",
        ),
        "": (
            "Install your kernel's headers and dkms, and build the module from "
            "https://github.com/feranick/gasket-driver",
            "Run: sudo modprobe apex",
        ),
    },
}


def steps(what: str, place: Place) -> tuple[str, ...]:
    """How something is installed on a system.

    Args:
        what: A name in the table: "libedgetpu", "libusb", "compiler", "gasket".
        place: The system.
    """
    rows = _STEPS[what]
    family = place.family if sys.platform == "linux" else sys.platform
    return rows.get(family, rows[""])
