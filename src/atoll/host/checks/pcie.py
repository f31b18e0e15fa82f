"""Whether a card on PCI Express works: its interrupts, its link, the size of pages, its heat."""

from __future__ import annotations

from typing import TYPE_CHECKING

from atoll.host.findings import ok, problem, skipped, warning
from atoll.host.sysfs import read_entries, read_int, read_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from atoll.host.findings import Finding
    from atoll.host.host import Host
    from atoll.host.pcie import PcieChip

# The driver asks for so many (apex_driver.c, APEX_INTERRUPT_COUNT).
_INTERRUPTS = 13
# The module's tables are made for it (raspberrypi/linux pull request 6126).
_PAGE_SIZE = 4096
# What the sensor's formula gives for a register of ones, which is what a bus reads from a device
# that does not answer: (662 - 1023) * 250 + 550 thousandths (apex_driver.c, adc_to_millic).
_NO_ANSWER_C = -89.7
_TRIPS = ("trip_point0_temp", "trip_point1_temp", "trip_point2_temp")


def answers(host: Host) -> Iterator[Finding]:
    """Each chip on PCI Express must answer."""
    for chip in host.chips:
        if chip.apex is not None:
            yield alive(chip)


def alive(chip: PcieChip) -> Finding:
    """Whether a chip that the kernel has answers at all."""
    status = read_text(chip.apex / "status") if chip.apex else None
    if chip.temperature is not None and chip.temperature <= _NO_ANSWER_C:
        return problem(
            f"its sensor reads {chip.temperature:.1f} C, which is what a register of ones gives: "
            "the bus gets no answer",
            "Turn the power off and on: a restart does not reset it",
            "Seat the card anew; start the kernel with pcie_aspm=off",
            device=chip.name,
        )
    if status not in (None, "ALIVE"):
        return problem(
            f"the module calls it {status}",
            "Run: sudo rmmod apex gasket && sudo modprobe apex",
            "Read why: sudo dmesg | grep -i apex",
            device=chip.name,
        )
    return ok(f"the module calls it {status or 'nothing'}", chip.name)


def interrupts(host: Host) -> Iterator[Finding]:
    """Each chip on PCI Express must have its 13 MSI-X interrupts."""
    for chip in host.chips:
        if chip.apex is None:
            continue
        if chip.sysfs is None or not (chip.sysfs / "vendor").exists():
            yield skipped("the kernel does not tell", chip.name)
            continue
        count = sum(1 for _ in read_entries(chip.sysfs / "msi_irqs"))
        if count >= _INTERRUPTS:
            yield ok(f"{count} are set up", chip.name)
        else:
            yield problem(
                f"{count} of {_INTERRUPTS} are set up (the log says: Couldn't initialize "
                "interrupts; google-coral/edgetpu issues 122 and 852)",
                *_more_interrupts(host),
                device=chip.name,
            )


def _more_interrupts(host: Host) -> tuple[str, ...]:
    if "Raspberry Pi 5" in host.place.board:
        return (
            "Add to /boot/firmware/config.txt: dtoverlay=pciex1-compat-pi5,no-mip (older systems: "
            "dtoverlay=pineboards-hat-ai)",
            "Restart",
        )
    if host.place.guest:
        return (f"Pass the card to this guest ({host.place.guest}) as PCI Express, with MSI-X",)
    return (
        "Use a slot whose bridge has MSI-X: not every single-board computer has it",
        "Update the board's firmware; see that the kernel is not started with pci=nomsi",
    )


def power_saving(host: Host) -> Iterator[Finding]:
    """The link to a chip on PCI Express should not go to sleep (ASPM)."""
    for chip in host.chips:
        if chip.apex is None or chip.sysfs is None:
            continue
        state = read_int(chip.sysfs / "link/l1_aspm")
        if "pcie_aspm=off" in host.command_line or state == 0:
            yield ok("it is off", chip.name)
        elif state is None:
            yield skipped("the kernel does not tell (link/l1_aspm)", chip.name)
        elif host.place.board:
            yield warning(
                f"L1 is on, and with some boards ({host.place.board}) the chip then stops "
                "to answer (geerlingguy/raspberry-pi-pcie-devices issue 44)",
                "Add to the kernel's command line: pcie_aspm=off",
                device=chip.name,
            )
        else:
            yield ok("L1 is on: if the chip stops to answer, try pcie_aspm=off", chip.name)


def pages(host: Host) -> Iterator[Finding]:
    """The kernel's pages must have 4096 bytes, as the module apex wants them."""
    if not host.chips:
        return
    if host.page_size in (0, _PAGE_SIZE):
        yield ok(f"{host.page_size or 'an unknown number of'} bytes")
        return
    pi = "Raspberry Pi" in host.place.board
    yield problem(
        f"{host.page_size} bytes: the driver then says Could not partition page table "
        "(google-coral/edgetpu issue 817)",
        "Add to /boot/firmware/config.txt: kernel=kernel8.img"
        if pi
        else "Start a kernel with pages of 4 KiB",
        "Restart, and build the module again: sudo dkms autoinstall",
    )


def heat(host: Host) -> Iterator[Finding]:
    """Each chip should be cool enough to run at its full clock."""
    for chip in host.chips:
        if chip.apex is None:
            continue
        if chip.temperature is None:
            yield skipped(
                "the module tells no temperature: the kernel's own, of version 1.0, does not "
                "(google-coral/edgetpu issue 498)",
                chip.name,
            )
        elif chip.temperature > _NO_ANSWER_C:
            yield _heat(chip, chip.apex, chip.temperature)
    for stick in host.sticks:
        yield skipped("a stick tells no temperature (google-coral/edgetpu issue 102)", stick.name)


def _heat(chip: PcieChip, apex: Path, now: float) -> Finding:
    trips = [trip / 1000 for name in _TRIPS if (trip := read_int(apex / name)) is not None]
    passed = [trip for trip in trips if now >= trip]
    told = f"{now:.1f} C"
    if not trips:
        return ok(told, chip.name)
    polled = (read_int(apex / "temp_poll_interval") or 0) > 0
    limits = ", ".join(f"{trip:.0f}" for trip in trips)
    if not passed:
        return ok(f"{told}; its clock is halved at each of {limits} C", chip.name)
    slower = f"its clock is divided by {2 ** len(passed)}" if polled else "nothing slows it down"
    return warning(
        f"{told}, above {passed[-1]:.0f} C: {slower}",
        "Give it a heat sink and moving air, or load it less",
        device=chip.name,
    )
