"""Whether a device is there, may be opened, and is free: what the driver gives no reason for."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from atoll.host.findings import ok, problem, skipped, warning
from atoll.host.found import describe
from atoll.host.sysfs import read_int
from atoll.host.udev import (
    APEX_GROUP,
    apex_cure,
    container_cure,
    ids_named,
    names_apex,
    usb_cure,
)
from atoll.host.usb import IDS, UsbStick, is_claimed
from atoll.host.users import describe_mode, find_holders, group_of, own_groups, own_name
from atoll.host.virtual import virtual_sticks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from atoll.host.findings import Finding
    from atoll.host.found import Found
    from atoll.host.host import Host

_BOTH_IDS = " and ".join(":".join(ids) for ids in IDS)
_COMMANDS = "atoll doctor prints the commands"


def present(host: Host) -> Iterator[Finding]:
    """An Edge TPU must be plugged in."""
    if count := virtual_sticks(host.environ):
        yield ok(f"{count} virtual, of atoll stick, in the place of all real ones on USB")
        return
    if not host.has_sysfs:
        yield skipped("this system does not tell in files what is plugged in: only Linux does")
        return
    for device in host.devices:
        yield ok(f"{describe(device)}, {device.node or 'with no node'}", device.name)
    if not host.devices:
        where = host.root / "sys/bus/usb/devices"
        yield problem(
            f"no stick ({_BOTH_IDS}) in {where}, and no chip (1ac1:089a) on PCI Express"
            if where.is_dir()
            else "no USB bus in /sys, and no chip (1ac1:089a) on PCI Express",
            *_plugging(host),
            brief="Plug one in, or use the device sim",
        )


def _plugging(host: Host) -> tuple[str, ...]:
    place = host.place
    if place.is_wsl:
        return (
            "Attach it from Windows (usbipd-win): usbipd bind --hardware-id 1a6e:089a, and the "
            "same with 18d1:9302, then usbipd attach --wsl --auto-attach for each: it comes back "
            "as the second once it has its firmware",
        )
    if place.container:
        return container_cure(host)
    if place.guest:
        return (
            f"Pass it to this guest ({place.guest}): both USB ids, {_BOTH_IDS}, or the whole USB "
            "controller; for a card, its PCI device",
        )
    return (
        "Plug the stick in, into a USB 3 port and with its own cable: lsusb shows it as "
        "1a6e:089a Global Unichip, or 18d1:9302 Google once it was used",
        "For a card: lspci -nn | grep 089a must show it; turn the machine off, and seat it anew",
        "Without one, use the device sim",
    )


def permitted(host: Host) -> Iterator[Finding]:
    """This user must be allowed to read and write the device's node."""
    for device in host.devices:
        if found := permission(host, device):
            yield found


def permission(host: Host, device: Found) -> Finding | None:
    """Whether this user may open a device; None where the kernel gave it no node."""
    node = device.node
    if node is None:
        return None
    if not device.present:
        return _absent(host, device, node)
    if device.usable:
        how = "as root" if own_name() == "root" else f"as {own_name()}"
        return ok(f"{node} may be opened {how}", device.name)
    evidence = f"{node} is {describe_mode(node)}, and this is {own_name()}"
    if isinstance(device, UsbStick):
        ids = next(ids for ids, state in IDS.items() if state == device.state)
        rules = ids_named(host.udev_rules)[ids]
        named = f"; {rules[0]} names it" if rules else "; no udev rule names it"
        return problem(
            evidence + ("" if host.place.container else named),
            *usb_cure(host, rules_are_there=bool(rules)),
            device=device.name,
            brief=f"Add a udev rule for {_BOTH_IDS}, and plug it in again: {_COMMANDS}",
        )
    return problem(
        evidence,
        *apex_cure(host),
        device=device.name,
        brief=f"Add the user to the group {group_of(node) or APEX_GROUP}: {_COMMANDS}",
    )


def _absent(host: Host, device: Found, node: Path) -> Finding:
    """The kernel has the device, and /dev has no node for it."""
    if node.exists() and not stat.S_ISCHR(node.stat().st_mode):
        # Docker makes a folder for a path that is not there when a container is started.
        kind = "a folder" if node.is_dir() else "a file"
        evidence = f"{node} is {kind} and no device"
    else:
        evidence = f"the kernel has it, and there is no {node}"
    if host.place.container:
        cure = container_cure(host)
        brief = "Pass all of /dev/bus/usb, or /dev/apex_0, to the container"
    else:
        cure = ("Run: sudo udevadm trigger", "Unplug it and plug it in again, or restart")
        brief = "Run: sudo udevadm trigger"
    return problem(evidence, *cure, device=device.name, brief=brief)


def free(host: Host) -> Iterator[Finding]:
    """No other program may have it open."""
    for device in host.devices:
        if device.present:
            yield in_use(host, device)


def in_use(host: Host, device: Found) -> Finding:
    """Whether somebody has a device open: the kernel tells that it is so, and /proc tells who."""
    held, claimed = find_holders(host.root, device.node) if device.node else None, False
    found = held.found if held else ()
    if isinstance(device, UsbStick):
        claimed = is_claimed(device.sysfs)
    elif device.apex is not None:
        claimed = read_int(device.apex / "is_device_owned") == 1
        owner = read_int(device.apex / "device_owner")
        if claimed and owner and not found:
            return _busy(f"process {owner}", device, f"Stop it: kill {owner}")
    if found:
        who = " and ".join(map(str, found))
        order = f"Stop it: kill {' '.join(str(holder.pid) for holder in found)}"
        return _busy(who, device, order)
    if claimed:
        return _busy(
            "a process of another user",
            device,
            "Find it: sudo lsof " + str(device.node),
            "Stop it: Frigate, a notebook or a container may be it",
        )
    return ok("nobody has it open", device.name)


def _busy(who: str, device: Found, *cure: str) -> Finding:
    return problem(f"{who} has it open", *cure, device=device.name)


def udev_named(host: Host) -> Iterator[Finding]:
    """A udev rule should name the stick before and after its firmware, so that it may be opened."""
    if not host.sticks or host.place.container:
        return
    named = ids_named(host.udev_rules)
    missing = [":".join(ids) for ids, paths in named.items() if not paths]
    if not missing:
        paths = sorted({str(path) for found in named.values() for path in found})
        yield ok(f"{' and '.join(paths)} name {_BOTH_IDS}")
        return
    cure = usb_cure(host, rules_are_there=False)
    if len(missing) == len(IDS):
        if own_name() == "root":
            yield ok("none does, and root needs none")
        elif all(stick.usable for stick in host.sticks):
            yield warning(f"none does; {own_name()} may open it all the same, as it is now", *cure)
        # Else the check of the permission has told so, with the same cure.
        return
    yield warning(
        f"none names {missing[0]}, which the same stick is called "
        f"{'after' if missing[0].startswith('18d1') else 'before'} its firmware is loaded",
        *cure,
    )


def apex_group(host: Host) -> Iterator[Finding]:
    """A udev rule should give the nodes of chips to the group apex, and this user be in it."""
    nodes = [chip for chip in host.chips if chip.present]
    # A chip that may not be opened is told by the check of the permission, with the same cure.
    if not nodes or host.place.container or not all(chip.usable for chip in nodes):
        return
    if own_name() == "root":
        yield ok("root needs no group")
    elif not names_apex(host.udev_rules):
        yield warning('no udev rule has SUBSYSTEM=="apex"', *apex_cure(host))
    elif APEX_GROUP in own_groups():
        yield ok(f"{own_name()} is in the group {APEX_GROUP}")
    else:
        yield warning(f"{own_name()} is not in the group {APEX_GROUP}", *apex_cure(host))
