"""Which of the devices that the driver sees is meant, and whether it is free.

The driver's own numbers cannot be names: it lists sticks that wait for their firmware before the
others, so that the first stick changes places with the second as soon as it is opened. Nor does the
driver ask whether a stick is free: it resets it first, which takes it from whoever has it, and ends
a process that drives it (google-coral/edgetpu issue 237). Where it may not open one, it tries for
25 seconds (usb_driver.cc, kMaxNumOfRetryAfterReset). All this is seen to here.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from atoll.errors import DeviceError
from atoll.host.sysfs import can_access, read_int
from atoll.host.usb import is_claimed, is_stick, node_of
from atoll.host.virtual import sticks_plugged_in
from atoll.runtime.driver.libusb_order import ports_in_order

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from atoll.runtime.driver.library import Attached


_UDEV_S = 1.0


class NotOpenedError(DeviceError):
    """A device that the driver does not see, or does not open. It says seldom why."""


@dataclass(frozen=True)
class Choice:
    """The device that is to be opened.

    Attributes:
        name: As users call it: "usb:0", "pci:0"; "edgetpu" where the driver is to choose.
        option: As the driver calls it now; empty where it is to choose.
    """

    name: str
    option: str


def chosen(
    attached: Sequence[Attached] | None,
    device: str,
    ports: Callable[[], list[str]] = ports_in_order,
    hindrance: Callable[[str], str] | None = None,
) -> Choice:
    """The device that is meant by a name.

    Args:
        attached: What the driver sees, in its order; None where it cannot be asked.
        device: "edgetpu", which is the first that is free, "usb:N" or "pci:N".
        ports: Where sticks are plugged in, in an order that stays.
        hindrance: Why the stick at a path must not or cannot be opened, empty for nothing; None
            looks at the system.

    Raises:
        NotOpenedError: There is no such device, or something is in the way.
    """
    if attached is None:
        return Choice(device, "" if device == "edgetpu" else device)
    hindrance = hindrance or _hindrance
    kind, _, number = device.partition(":")
    seen = _numbered([each for each in attached if each.kind in ("pci", "usb")], ports)
    meant = [
        (choice, path)
        for choice, path in seen
        if kind == "edgetpu" or (choice.name == f"{kind}:{int(number)}")
    ]
    if not meant:
        raise NotOpenedError(
            device,
            "there must be such an Edge TPU",
            received=f"the driver sees {_counted([choice for choice, _ in seen])}",
            fix="Run: atoll doctor",
        )
    reasons = []
    for choice, path in meant:
        reasons.append(hindrance(path))
        if not reasons[-1]:
            return choice
    raise NotOpenedError(
        meant[0][0].name,
        "it must be free, and this user must be allowed to open it",
        received=reasons[0],
        fix="Run: atoll doctor",
    )


def _numbered(attached: list[Attached], ports: Callable[[], list[str]]) -> list[tuple[Choice, str]]:
    """Each device's name, with its path: those on PCI Express first, as the driver takes them."""
    chips = [each.path for each in attached if each.kind == "pci"]
    sticks = [each.path for each in attached if each.kind == "usb"]
    named = [(Choice(f"pci:{n}", f"pci:{n}"), path) for n, path in enumerate(chips)]
    lasting = _in_lasting_order(sticks, ports) if len(sticks) > 1 else sticks
    return named + [
        (Choice(f"usb:{n}", f"usb:{sticks.index(path)}"), path) for n, path in enumerate(lasting)
    ]


def _in_lasting_order(paths: list[str], ports: Callable[[], list[str]]) -> list[str]:
    """Sticks in libusb's order; in the driver's where libusb does not know them all."""
    order = {port: place for place, port in enumerate(ports())}
    if not all(Path(path).name in order for path in paths):
        return paths
    return sorted(paths, key=lambda path: order[Path(path).name])


def _hindrance(path: str) -> str:
    """What is in the way of opening a stick.

    Args:
        path: The kernel's folder about it, which is how the driver calls sticks on every system.

    Returns:
        The reason, in words; empty where nothing is, as far as the system tells.
    """
    sysfs = Path(path)
    if sticks_plugged_in() or not is_stick(sysfs):
        return ""
    bus, address = read_int(sysfs / "busnum"), read_int(sysfs / "devnum")
    if bus is None or address is None:  # pulled out meanwhile
        return ""
    node = node_of(bus, address)
    if not _may_open(node):
        return f"this user may not open {node}"
    # Delegates of one process share its driver, and so its devices.
    if is_claimed(sysfs) and str(node) not in _own_files():
        return "another program has claimed it"
    return ""


def _may_open(node: Path) -> bool:
    """Whether this user may open a file; of a stick just plugged in, udev may not have said yet."""
    end = time.monotonic() + _UDEV_S
    while not (allowed := can_access(node, os.R_OK | os.W_OK)) and time.monotonic() < end:
        time.sleep(_UDEV_S / 10)
    return allowed


def _own_files() -> set[str]:
    files = set()
    for entry in os.scandir("/proc/self/fd"):
        try:
            files.add(os.readlink(entry.path))  # noqa: PTH115
        except OSError:  # that of the folder itself
            continue
    return files


def _counted(seen: list[Choice]) -> str:
    kinds = [choice.name.partition(":")[0] for choice in seen]
    if not kinds:
        return "no device"
    names = {"usb": "on USB", "pci": "on PCI Express"}
    return " and ".join(f"{kinds.count(kind)} {names[kind]}" for kind in sorted(set(kinds)))
