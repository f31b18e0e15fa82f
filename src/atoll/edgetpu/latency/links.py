"""The ways to the chip: one table of what each costs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Link:
    """One row; the latency room's owner completes it."""

    name: str


LINKS = {name: Link(name) for name in ("usb3", "usb2", "pcie")}
