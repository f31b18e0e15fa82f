"""Why a device cannot be opened: the driver gives no reason, so the facts are looked at."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from atoll.errors import DeviceError
from atoll.host.checks import access, driver, module, pcie
from atoll.host.findings import State
from atoll.host.host import Host
from atoll.host.pcie import PcieChip
from atoll.host.virtual import sticks_plugged_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from atoll.host.findings import Finding
    from atoll.host.found import Found

_UNKNOWN = "Unplug it, wait, and plug it in again; if that does not help, run atoll doctor"


def explain_no_device(device: str, root: Path = Path("/"), host: Host | None = None) -> DeviceError:
    """The error to raise where libedgetpu refuses a device with an empty reason.

    Args:
        device: As the user named it: "edgetpu", "usb", "usb:0", "pci", "pci:0".
        root: Where the file system begins.
        host: The machine, where its facts were gathered before.

    Returns:
        An error that tells what is wrong, so far as it can be seen, and the cure.
    """
    host = host or Host(root)
    if sticks_plugged_in():
        return DeviceError(
            device,
            "the driver must be able to open the virtual stick",
            received="a refusal with no reason",
            fix="See that atoll stick still runs, and knows the model",
        )
    if not host.has_sysfs:
        return DeviceError(
            device,
            "the driver must be able to open it",
            received="a refusal with no reason, and this system does not tell what is plugged in",
            fix="See that it is plugged in, that libusb is installed, and that nobody else uses it",
        )
    asked = [found for found in host.devices if _is_meant(found, device)]
    if not asked:
        return _none(host, device)
    reasons = [reason for found in asked for reason in _reasons(host, found)]
    if reasons:
        rule, finding = reasons[0]
        return DeviceError(
            finding.device or device, rule, received=finding.evidence, fix=finding.order
        )
    names = ", ".join(found.name for found in asked)
    return DeviceError(
        device,
        "the driver must be able to open it",
        received=f"a refusal with no reason; {names} is plugged in, may be opened, and nobody has "
        "it open",
        fix=_UNKNOWN,
    )


def explain_library(host: Host | None = None) -> DeviceError | None:
    """The error to raise where libedgetpu cannot be loaded; None where nothing is wrong with it.

    Args:
        host: The machine; None for this one.
    """
    host = host or Host()
    for check in (driver.found, driver.fits, driver.loads, driver.new_enough):
        for finding in check(host):
            if finding.state is State.PROBLEM:
                thing = host.library.path if host.library else "libedgetpu"
                return DeviceError(
                    thing, _rule(check.__doc__), received=finding.evidence, fix=finding.order
                )
    return None


def _is_meant(found: Found, device: str) -> bool:
    kind = "pci" if isinstance(found, PcieChip) else "usb"
    return device in ("edgetpu", "", kind, found.name)


def _none(host: Host, device: str) -> DeviceError:
    if host.devices:
        return DeviceError(
            device,
            "there must be such a device",
            received=", ".join(found.name for found in host.devices),
            fix="Name one of these, or edgetpu for the first that is free",
        )
    (finding,) = access.present(host)
    return DeviceError(
        device, _rule(access.present.__doc__), received=finding.evidence, fix=finding.order
    )


def _reasons(host: Host, found: Found) -> Iterator[tuple[str, Finding]]:
    """What is wrong with a device, with the rule that it breaks, the surest first."""
    looks = [(access.permitted, access.permission(host, found))]
    if isinstance(found, PcieChip):
        if found.apex is None:
            looks.append((module.taken, module.not_taken(host, found)))
        else:
            looks.append((pcie.answers, pcie.alive(found)))
            interrupts = (each for each in pcie.interrupts(host) if each.device == found.name)
            looks += [(pcie.interrupts, finding) for finding in interrupts]
    looks.append((access.free, access.in_use(host, found)))
    for check, finding in looks:
        if finding is not None and finding.state not in (State.OK, State.SKIPPED):
            yield _rule(check.__doc__), finding


def _rule(docstring: str | None) -> str:
    text = " ".join((docstring or "").split()).removesuffix(".")
    # Names stay as they are: "Atoll", "USB".
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]
