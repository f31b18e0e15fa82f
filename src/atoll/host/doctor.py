"""What is wrong with this set-up, and the cure: one table of checks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from atoll.host.checks import access, driver, module, pcie, software, surroundings, usb
from atoll.host.findings import Check, Finding, State

if TYPE_CHECKING:
    from collections.abc import Iterable

    from atoll.host.host import Host

# A row a check, in the order in which a person would look.
CHECKS = (
    Check("device", access.present),
    Check("pcie-module", module.taken),
    Check("pcie-module-version", module.loaded),
    Check("permission", access.permitted),
    Check("udev", access.udev_named),
    Check("pcie-group", access.apex_group),
    Check("busy", access.free),
    Check("firmware", usb.firmware),
    Check("usb-speed", usb.speed),
    Check("usb-power", usb.power),
    Check("usb-suspend", usb.awake),
    Check("pcie-answer", pcie.answers),
    Check("pcie-interrupts", pcie.interrupts),
    Check("pcie-aspm", pcie.power_saving),
    Check("pcie-pages", pcie.pages),
    Check("heat", pcie.heat),
    Check("driver", driver.found),
    Check("driver-machine", driver.fits),
    Check("driver-loads", driver.loads),
    Check("driver-version", driver.new_enough),
    Check("driver-clock", driver.clock),
    Check("driver-others", driver.one_only),
    Check("libusb", driver.libusb),
    Check("system", surroundings.system),
    Check("container", surroundings.container),
    Check("guest", surroundings.guest),
    Check("python", software.python),
    Check("litert", software.litert),
    Check("old-packages", software.old_packages),
    Check("tensorflow", software.two_tensorflows),
    Check("compiler", software.compiler),
    Check("openvino", software.openvino),
    Check("neural-stick", software.neural_stick),
)


@dataclass(frozen=True)
class Result:
    """What one check came to.

    Attributes:
        check: The check.
        findings: What it found, at least one thing.
    """

    check: Check
    findings: tuple[Finding, ...]

    @property
    def state(self) -> State:
        """The worst of its findings."""
        order = list(State)
        return max((finding.state for finding in self.findings), key=order.index)


def examine(host: Host, checks: Iterable[Check] = CHECKS) -> list[Result]:
    """Looks at everything, and touches nothing.

    A device is never opened. The driver is loaded in a process of its own, to ask its version.

    Args:
        host: The machine.
        checks: What to look at.

    Returns:
        A result for each check that there was something to look at for.
    """
    results = []
    for check in checks:
        if findings := tuple(check.examine(host)):
            results.append(Result(check, findings))
    return results
