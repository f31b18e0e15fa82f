"""The kernel modules of a card on PCI Express, gasket and apex: loaded, built, or why not."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from atoll.host.findings import ok, problem, warning
from atoll.host.installing import steps
from atoll.host.sysfs import read_entries, read_text
from atoll.host.udev import container_cure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from atoll.host.findings import Finding
    from atoll.host.host import Host
    from atoll.host.pcie import PcieChip

# What of the kernel's interface changed since gasket-dkms 1.0-18 of Google's packages, with the
# report of it: the kernel's version, the compiler's complaint, the source.
BREAKS = (
    ((6, 4), "class_create takes one argument", "google/gasket-driver issue 12"),
    ((6, 8), "eventfd_signal takes one argument", "google/gasket-driver issue 24"),
    ((6, 12), "no_llseek is gone", "google/gasket-driver issue 36"),
    ((6, 13), "MODULE_IMPORT_NS takes a string", "google/gasket-driver pull request 40"),
)
_SECURE_BOOT = "SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
_NAMES = ("apex", "gasket")


def taken(host: Host) -> Iterator[Finding]:
    """The kernel module apex must have taken each chip on PCI Express."""
    for chip in host.chips:
        if chip.apex is not None:
            version = read_text(chip.apex / "driver_version") or "of an unknown version"
            yield ok(f"apex {version} has {chip.address or 'it'}", chip.name)
        else:
            yield not_taken(host, chip)


def not_taken(host: Host, chip: PcieChip) -> Finding:
    """Why nothing can open a chip that is on the bus."""
    evidence = f"{chip.address} is on the bus, and apex does not have it"
    if chip.kernel_driver.startswith("vfio"):
        return warning(
            f"{chip.address} is set aside for a virtual machine ({chip.kernel_driver})",
            "Use it in that machine, or give it back to this one",
            device=chip.name,
        )
    if chip.kernel_driver:
        return problem(
            f"{evidence}: {chip.kernel_driver} does",
            f"Run: echo {chip.address} | sudo tee /sys/bus/pci/drivers/{chip.kernel_driver}/unbind",
            "Run: sudo modprobe apex",
            device=chip.name,
        )
    if "apex" in host.modules:
        return problem(
            f"{evidence}, though the module is loaded: it failed when it started",
            "Read why: sudo dmesg | grep -i -e apex -e gasket",
            *_lost(host),
            device=chip.name,
        )
    if host.place.container:
        return problem(
            f"{evidence}: the module is not loaded on the host of this container",
            "Install and load it on the host, not in the container",
            *container_cure(host),
            device=chip.name,
        )
    return _not_loaded(host, chip, evidence)


def _lost(host: Host) -> tuple[str, ...]:
    if not host.place.guest:
        return ()
    return (f"In this guest ({host.place.guest}), pass the card with MSI-X, and as PCI Express",)


def _not_loaded(host: Host, chip: PcieChip, evidence: str) -> Finding:
    kernel = host.place.kernel
    if file := _module_file(host):
        return _not_started(host, chip, f"{evidence}: the module is built ({file}) and not loaded")
    built = _dkms(host)
    if built is None:
        return problem(
            f"{evidence}: no module apex is installed for the kernel {kernel or 'that runs'}",
            *steps("gasket", host.place),
            device=chip.name,
            brief="Install the module: atoll doctor prints the commands",
        )
    return problem(
        f"{evidence}: dkms has the module's source and built none for {kernel}{built}"
        f"{_known(host)}",
        *steps("gasket", host.place),
        device=chip.name,
        brief="Install a newer gasket-dkms: atoll doctor prints the commands",
    )


def _not_started(host: Host, chip: PcieChip, evidence: str) -> Finding:
    load = "Run: sudo modprobe apex"
    if not _has_secure_boot(host):
        return problem(evidence, load, device=chip.name)
    return problem(
        f"{evidence}, and Secure Boot is on, which refuses modules with no known key",
        load,
        "If it is refused, enrol dkms's key: sudo mokutil --import /var/lib/dkms/mok.pub",
        device=chip.name,
    )


def _known(host: Host) -> str:
    """What of this kernel Google's own package is known not to build with."""
    version = host.place.kernel_version
    known = [f"{what} ({source})" for since, what, source in BREAKS if version >= since]
    return f"; Google's gasket-dkms 1.0-18 is known not to build here: {known[-1]}" if known else ""


def _module_file(host: Host) -> Path | None:
    """The module's file for the kernel that runs."""
    folder = host.root / "lib/modules" / (host.place.kernel or "none")
    places = ("updates/dkms", "extra", "updates", "kernel/drivers/staging/gasket", "weak-updates")
    for place in places:
        for entry in read_entries(folder / place):
            if entry.name.split(".ko")[0] == "apex" and ".ko" in entry.name:
                return folder / place / entry.name
    return None


def _dkms(host: Host) -> str | None:
    """What dkms's log complains of; None where dkms does not know the module."""
    folder = host.root / "var/lib/dkms/gasket"
    if not folder.is_dir():
        return None
    for version in read_entries(folder):
        log = read_text(f"{version.path}/build/make.log") or ""
        if complaint := re.search(r"error: (.+)", log, re.IGNORECASE):
            return f": {' '.join(complaint.group(1).split())}"
    return ""


def _has_secure_boot(host: Host) -> bool:
    """Whether the firmware says so: the last byte of its variable."""
    path = host.root / "sys/firmware/efi/efivars" / _SECURE_BOOT
    try:
        return path.read_bytes()[-1:] == b"\x01"
    except OSError:
        return False


def loaded(host: Host) -> Iterator[Finding]:
    """The kernel modules gasket and apex must both be loaded."""
    versions = {name: host.modules[name] for name in _NAMES if name in host.modules}
    if not host.chips or not versions:
        return
    told = ", ".join(f"{name} {version or 'of no version'}" for name, version in versions.items())
    if versions.keys() != set(_NAMES):
        yield warning(f"only {told} is loaded", "Run: sudo modprobe gasket && sudo modprobe apex")
    else:
        yield ok(told)
