"""Which Edge TPUs a program sees: the real ones, or simulated ones."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from atoll.errors import DeviceError
from atoll.runtime.device_names import parse_device

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal["pci", "usb"]

# What `atoll compat` sets for the programs that it runs, and their children.
DEVICE_VARIABLE = "ATOLL_DEVICE"
COUNT_VARIABLE = "ATOLL_SIM_COUNT"
TOLD_VARIABLE = "ATOLL_COMPAT_TOLD"

# Pipelines that were published have up to four segments, one a device.
USUAL_COUNT = 4
MOST_SIMULATED = 8

# What the driver takes: "" for any, "usb", "pci:1", ":0".
_WANTED = re.compile(r"(?P<kind>usb|pci)?(?::(?P<index>\d+))?")
_WORDS = "usb, usb:N, pci, pci:N and :N"


@dataclass(frozen=True)
class SeenDevice:
    """One Edge TPU, as a program sees it.

    Attributes:
        kind: How it is connected. Simulated ones say "usb".
        path: What the old libraries tell programs about it.
        name: As `atoll.runtime` calls it, such as "usb:0" or "sim:0".
    """

    kind: Kind
    path: str
    name: str

    @property
    def simulated(self) -> bool:
        """Whether it is in software."""
        return self.name.startswith("sim")


class NoEdgeTpuError(ValueError):
    """No Edge TPU answers to what a program asks for; the text is the reason, in a sentence."""


def seen_devices(environ: Mapping[str, str] = os.environ) -> list[SeenDevice]:
    """The Edge TPUs that a program sees, in the driver's order: PCI Express first.

    Args:
        environ: The environment. $ATOLL_DEVICE is "auto" (the real ones, else simulated ones),
            "sim", "edgetpu" (real ones alone), or the name of the one that is to be seen.

    Raises:
        DeviceError: $ATOLL_DEVICE or $ATOLL_SIM_COUNT says something else.
    """
    wanted = environ.get(DEVICE_VARIABLE) or "auto"
    device = parse_device(wanted)
    if device.kind not in ("auto", "sim", "edgetpu", "usb", "pci"):
        raise DeviceError(
            "device",
            "programs for the Edge TPU run on auto, sim, sim:N, edgetpu, usb:N or pci:N",
            received=wanted,
            fix=f"Name one of these with --device or ${DEVICE_VARIABLE}",
        )
    if device.kind == "sim":
        only = range(int(device.which), int(device.which) + 1) if device.which else None
        return _simulated(only or range(_count(environ)))
    found = _real()
    if device.kind == "auto":
        return found or _simulated(range(_count(environ)))
    if device.kind == "edgetpu":
        return found
    return [each for each in found if each.name == wanted]


def choose(wanted: str, environ: Mapping[str, str] = os.environ) -> SeenDevice:
    """The device that a program asks for, in the words of `load_delegate`'s option "device".

    Args:
        wanted: "" for any, "usb", "usb:0", "pci", "pci:0" or ":0". Simulated devices answer to
            both kinds.
        environ: The environment.

    Raises:
        NoEdgeTpuError: There is none.
        DeviceError: As `seen_devices`.
    """
    asked = _WANTED.fullmatch(wanted)
    if asked is None:
        raise NoEdgeTpuError(f"{wanted!r} names no Edge TPU: {_WORDS} do.")
    seen = seen_devices(environ)
    kind = asked["kind"]
    matching = [each for each in seen if kind is None or each.simulated or each.kind == kind]
    index = int(asked["index"] or 0)
    if index >= len(matching):
        raise NoEdgeTpuError(_absence(wanted, seen, environ))
    chosen = matching[index]
    if chosen.simulated:
        tell_once(environ)
    return chosen


def tell_once(environ: Mapping[str, str] = os.environ) -> None:
    """Says on standard error that the program runs in software: once, its children included."""
    if environ.get(TOLD_VARIABLE):
        return
    os.environ[TOLD_VARIABLE] = "1"
    why = "" if _named_sim(environ) else "no Edge TPU is plugged in: "
    sys.stderr.write(f"atoll: {why}the simulator stands for the Edge TPU, in software.\n")
    sys.stderr.flush()


def _named_sim(environ: Mapping[str, str]) -> bool:
    return (environ.get(DEVICE_VARIABLE) or "auto").startswith("sim")


def _absence(wanted: str, seen: list[SeenDevice], environ: Mapping[str, str]) -> str:
    if not seen:
        named = environ.get(DEVICE_VARIABLE, "")
        return (
            f"No {named if ':' in named else 'Edge TPU'} is plugged in. Run: atoll doctor. "
            "To run in software instead: atoll compat --device sim"
        )
    # By the names that the program may use, which simulated ones do not have themselves.
    names = (f"usb:{i} (simulated)" if d.simulated else d.name for i, d in enumerate(seen))
    return f"There is no Edge TPU {wanted!r}; there are: {', '.join(names)}."


def _count(environ: Mapping[str, str]) -> int:
    text = environ.get(COUNT_VARIABLE) or str(USUAL_COUNT)
    if not text.isdecimal() or not 1 <= int(text) <= MOST_SIMULATED:
        raise DeviceError(
            "device sim",
            f"it stands for 1 to {MOST_SIMULATED} Edge TPUs",
            received=text,
            fix=f"Name a number of these with --count or ${COUNT_VARIABLE}",
        )
    return int(text)


def _simulated(numbers: range) -> list[SeenDevice]:
    return [SeenDevice("usb", f"/simulated/usb/{n}", f"sim:{n}") for n in numbers]


def _real() -> list[SeenDevice]:
    from atoll.host.found import found_devices
    from atoll.host.pcie import PcieChip
    from atoll.host.virtual import virtual_sticks

    if count := virtual_sticks():
        return [SeenDevice("usb", f"/virtual/usb/{n}", f"usb:{n}") for n in range(count)]
    return [
        SeenDevice(
            "pci" if isinstance(each, PcieChip) else "usb",
            str(each.node if isinstance(each, PcieChip) else each.sysfs),
            each.name,
        )
        for each in found_devices()
        if not (isinstance(each, PcieChip) and each.index is None)
    ]
