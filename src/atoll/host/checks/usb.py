"""How a stick is plugged in: its firmware, the speed of its link, its power."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from atoll.edgetpu.latency.links import LINKS
from atoll.host.findings import ok, problem, skipped, warning
from atoll.host.sysfs import read_entries, read_int, read_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from atoll.host.findings import Finding
    from atoll.host.host import Host
    from atoll.host.usb import UsbStick

_USB2, _USB3 = 480, 5000
_SELF_POWERED = 0x40
# What a stick may draw (Frigate's docs, troubleshooting/edgetpu; google-coral/edgetpu issues).
_DRAWN_MA = 900
_MEGABYTE = 1_000_000


@dataclass(frozen=True)
class _Hub:
    """A hub between a stick and the machine."""

    port: str
    name: str
    speed: int | None
    self_powered: bool | None


def firmware(host: Host) -> Iterator[Finding]:
    """Each stick must get its firmware at its first use."""
    for stick in host.sticks:
        if stick.state == "ready":
            yield ok("it has its firmware (18d1:9302)", stick.name)
            continue
        waits = "it waits for its firmware (1a6e:089a), as every stick does until its first use"
        if not (host.place.container or host.place.guest):
            yield ok(f"{waits}; then it comes back as 18d1:9302", stick.name)
            continue
        where = host.place.container or host.place.guest
        yield warning(
            f"{waits}; then it comes back as another device, 18d1:9302, which this {where} must "
            "be given too",
            "Pass both ids, 1a6e:089a and 18d1:9302, or the whole USB controller",
            "If it stays as it is after a use, use it once on the host first",
            device=stick.name,
        )


def speed(host: Host) -> Iterator[Finding]:
    """Each stick should have a USB 3 link."""
    for stick in host.sticks:
        if stick.speed is None:
            yield skipped("the kernel does not tell its speed", stick.name)
        elif stick.speed >= _USB3:
            yield ok(f"{stick.speed} Mbit/s", stick.name)
        else:
            state = warning if stick.speed >= _USB2 else problem
            yield state(
                f"{stick.speed} Mbit/s{_slow_hub(host, stick)}: {_cost()}",
                *_faster(host, stick),
                device=stick.name,
            )


def _cost() -> str:
    """What USB 2 costs: the rates at which the prediction's constants send parameters."""
    usb3, usb2 = (_MEGABYTE / LINKS[name].send_ms(_MEGABYTE) / 1000 for name in ("usb3", "usb2"))
    return (
        "what is sent to it, inputs and the parameters that do not fit on the chip, takes about "
        f"{usb3 / usb2:.0f} times as long ({usb2:.0f} instead of {usb3:.0f} MB/s, fitted to "
        "published times)"
    )


def _slow_hub(host: Host, stick: UsbStick) -> str:
    slow = next((hub for hub in _hubs(host, stick) if (hub.speed or _USB3) < _USB3), None)
    return f" (the hub at {slow.port}, {slow.name}, has {slow.speed})" if slow else ""


def _faster(host: Host, stick: UsbStick) -> tuple[str, ...]:
    if not _has_usb3(host):
        return ("This machine shows no USB 3 bus: use another machine, or add a USB 3 card",)
    if _slow_hub(host, stick):
        return ("Plug it into the machine itself, or into a USB 3 hub",)
    return (
        "Use a USB 3 port (blue, or marked SS) and a USB 3 cable: a cable for charging has no "
        "wires for it",
        "Push the plug all the way in, and turn it over at the stick's end",
    )


def _has_usb3(host: Host) -> bool:
    buses = (e for e in read_entries(host.root / "sys/bus/usb/devices") if e.name[:3] == "usb")
    return any((read_int(f"{bus.path}/speed") or 0) >= _USB3 for bus in buses)


def power(host: Host) -> Iterator[Finding]:
    """Each stick must get the current that it may draw."""
    for stick in host.sticks:
        asked = f"it asks for {stick.max_power_ma or 'an unknown number of'} mA"
        hubs = list(_hubs(host, stick))
        weak = next((hub for hub in hubs if hub.self_powered is False), None)
        if weak is not None:
            yield warning(
                f"{asked}, and the hub at {weak.port} ({weak.name}) says that it has no power of "
                f"its own; a stick may draw {_DRAWN_MA} mA, and drops out where it gets less",
                "Use a hub with a power supply, or a port of the machine",
                device=stick.name,
            )
        elif hubs:
            yield ok(f"{asked}; its hub says that it has power of its own", stick.name)
        else:
            yield ok(f"{asked}, at a port of the machine", stick.name)
    if host.sticks and _undervoltage(host.root):
        yield problem(
            "the board's supply voltage is or was too low (rpi_volt)",
            "Use the board's own power supply, with a short cable",
            "Give the stick a hub with a power supply",
        )


def _undervoltage(root: Path) -> bool:
    """Whether a Raspberry Pi tells of too low a voltage."""
    return any(
        read_text(f"{entry.path}/name") == "rpi_volt"
        and read_int(f"{entry.path}/in0_lcrit_alarm") == 1
        for entry in read_entries(root / "sys/class/hwmon")
    )


def awake(host: Host) -> Iterator[Finding]:
    """The kernel should not put a stick to sleep."""
    for stick in host.sticks:
        control = read_text(stick.sysfs / "power/control")
        if control is None:
            yield skipped("the kernel does not tell (power/control)", stick.name)
        elif control == "on":
            yield ok("power/control is on", stick.name)
        else:
            delay = read_int(stick.sysfs / "power/autosuspend_delay_ms")
            after = f" after {delay} ms" if delay is not None else ""
            path = stick.sysfs / "power/control"
            yield warning(
                f"power/control is {control}: the kernel may put it to sleep{after} while no "
                "program has it open, and some do not wake",
                f"Run: echo on | sudo tee {path}",
                "For good, add to the kernel's command line: usbcore.autosuspend=-1",
                device=stick.name,
            )


def _hubs(host: Host, stick: UsbStick) -> Iterator[_Hub]:
    """The hubs between a stick and its bus, the nearest first."""
    folder = host.root / "sys/bus/usb/devices"
    port = stick.port
    while "." in port:
        port = port.rpartition(".")[0]
        hub = folder / port
        attributes = read_int(hub / "bmAttributes", 16)
        yield _Hub(
            port=port,
            name=read_text(hub / "product") or "a hub",
            speed=read_int(hub / "speed"),
            self_powered=None if attributes is None else bool(attributes & _SELF_POWERED),
        )
