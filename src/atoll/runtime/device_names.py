"""Devices as users write them: `cpu`, `sim:1`, `usb:0`, `openvino:GPU`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from atoll.errors import DeviceError


@dataclass(frozen=True)
class DeviceName:
    """A device's name, taken apart.

    Attributes:
        kind: A row of `atoll.runtime.devices.DEVICES`, or "auto".
        which: What stands behind the colon: a number, or OpenVINO's name of a device; "" for none.
    """

    kind: str
    which: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.which}" if self.which else self.kind


_NUMBER = re.compile(r"\d{1,3}")
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_.,:]*")

# What may, or must, stand behind the colon.
_SHAPES = {
    "cpu": (None, False),
    "sim": (_NUMBER, False),
    "edgetpu": (None, False),
    "usb": (_NUMBER, True),
    "pci": (_NUMBER, True),
    "openvino": (_WORD, True),
    "auto": (None, False),
}
NAMES = "cpu, sim, sim:N, edgetpu, usb:N, pci:N, openvino:CPU (GPU, NPU) and auto"


def parse_device(name: str) -> DeviceName:
    """Takes a device's name apart.

    Args:
        name: As a user writes it.

    Returns:
        The name; its kind is known, whether there is such a device or not.

    Raises:
        DeviceError: It is no device's name.
    """
    kind, colon, which = str(name).partition(":")  # callers without types give None
    pattern, needed = _SHAPES.get(kind, (None, True))
    fits = pattern.fullmatch(which) is not None if colon and pattern is not None else not colon
    if kind not in _SHAPES or not fits or (needed and not colon):
        raise DeviceError(
            "device",
            f"the devices are {NAMES}",
            received=name or repr(name),
            fix="Name one of these",
        )
    return DeviceName(kind, which)
