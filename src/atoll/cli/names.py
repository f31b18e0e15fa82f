"""Names that several commands take as a value."""

from __future__ import annotations

from enum import StrEnum


class LinkName(StrEnum):
    """How the chip is connected."""

    USB3 = "usb3"
    USB2 = "usb2"
    PCIE = "pcie"


class Clock(StrEnum):
    """The chip's clock."""

    MAX = "max"
    STD = "std"
