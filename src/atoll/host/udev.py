"""Who may open a stick's or a chip's node: udev's rules and groups, and how they are mended."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from atoll.host.usb import IDS
from atoll.host.users import members, own_groups, own_name

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from atoll.host.host import Host

RULES_FILE = "/etc/udev/rules.d/60-edgetpu.rules"
# A name below 73, so that udev still gives the device to whoever sits at the screen (uaccess).
_USB_RULE = (
    'SUBSYSTEM=="usb", ATTRS{{idVendor}}=="{vendor}", ATTRS{{idProduct}}=="{product}", '
    'MODE="0660", GROUP="plugdev", TAG+="uaccess"'
)
_APEX_RULE = 'SUBSYSTEM=="apex", MODE="0660", GROUP="apex"'
USB_GROUP, APEX_GROUP = "plugdev", "apex"


def usb_rules() -> list[str]:
    """The rules for a stick, before its firmware is loaded and after it."""
    return [_USB_RULE.format(vendor=vendor, product=product) for vendor, product in IDS]


def ids_named(rules: Mapping[Path, str]) -> dict[tuple[str, str], list[Path]]:
    """For each of a stick's ids, the files of rules that name it."""
    named: dict[tuple[str, str], list[Path]] = {ids: [] for ids in IDS}
    for path, text in rules.items():
        for line in text.lower().splitlines():
            if line.lstrip().startswith("#"):
                continue
            told = set(re.findall(r'"([0-9a-f]{4})"', line))
            for ids in IDS:
                if set(ids) <= told and path not in named[ids]:
                    named[ids].append(path)
    return named


def names_apex(rules: Mapping[Path, str]) -> bool:
    """Whether a rule speaks of the chips on PCI Express."""
    return any(re.search(r'^[^#]*SUBSYSTEM=="apex"', text, re.MULTILINE) for text in rules.values())


def usb_cure(host: Host, *, rules_are_there: bool) -> tuple[str, ...]:
    """How a user comes to be allowed to open a stick."""
    if host.place.container:
        return container_cure(host)
    steps = () if rules_are_there else (_write(*usb_rules()), *_join(host, USB_GROUP, make=True))
    return (
        *(steps or _join(host, USB_GROUP, make=False)),
        "Run: sudo udevadm control --reload-rules && sudo udevadm trigger",
        "Unplug the stick and plug it in again",
    )


def apex_cure(host: Host) -> tuple[str, ...]:
    """How a user comes to be allowed to open a chip on PCI Express."""
    if host.place.container:
        return container_cure(host)
    write = () if names_apex(host.udev_rules) else (_write(_APEX_RULE),)
    return (
        *write,
        *_join(host, APEX_GROUP, make=True),
        "Run: sudo udevadm control --reload-rules && sudo udevadm trigger",
    )


def container_cure(host: Host) -> tuple[str, ...]:
    """How a device is passed to a container, so that it is still there after its firmware."""
    if host.place.container == "lxc":
        return (
            "Give the container both device types, in its configuration on the host: "
            "lxc.cgroup2.devices.allow: c 189:* rwm (USB) and c 120:* rwm (PCIe), with "
            "lxc.mount.entry: /dev/bus/usb dev/bus/usb none bind,optional,create=dir",
            "Allow the container's user to write to the nodes, on the host",
        )
    return (
        "Start the container with: -v /dev/bus/usb:/dev/bus/usb "
        "--device-cgroup-rule='c 189:* rmw' (USB; the stick comes back as another device once it "
        "has its firmware) or --device /dev/apex_0 (PCIe)",
    )


def _write(*rules: str) -> str:
    lines = " ".join(f"'{rule}'" for rule in rules)
    return f"Run: printf '%s\\n' {lines} | sudo tee {RULES_FILE}"


def _join(host: Host, group: str, *, make: bool) -> tuple[str, ...]:
    user = own_name()
    listed = members(host.root, group)
    if group in own_groups():
        return ()
    if listed is not None and user in listed:
        return (f"Log out and in again: you are in the group {group}, and this login is older",)
    made = f"sudo groupadd -f {group} && " if make and listed is None else ""
    return (f"Run: {made}sudo usermod -aG {group} {user}, then log out and in again",)
