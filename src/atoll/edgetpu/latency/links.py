"""The ways to the chip: one table of what each costs, the host at its other end included."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from atoll.edgetpu.chip import BEAGLE
from atoll.edgetpu.latency.constants import value_of
from atoll.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from atoll.edgetpu.latency.host import HostWork


@dataclass(frozen=True)
class Link:
    """One row; times are in milliseconds.

    Attributes:
        name: What `--link` calls it.
        host: Whose CPU runs what is not mapped: "desktop" or "arm".
        what: The hosts that its figures were measured on.
    """

    name: str
    host: str
    what: str

    @property
    def call_ms(self) -> float:
        """The fixed cost of a call of a mapped part."""
        return value_of(f"{self.name}.call")

    def send_ms(self, size: float) -> float:
        """Sending so many bytes: instructions, parameters or inputs."""
        return value_of(f"{self.name}.send") * size * 1e-6

    def output_ms(self, size: float) -> float:
        """Fetching so many bytes of outputs."""
        return value_of(f"{self.name}.output") * size * 1e-6

    def host_ms(self, work: HostWork) -> float:
        """What an operator takes on the host's CPU."""
        return value_of(f"{self.host}.{work.price}") * work.todo * 1e-6


LINKS = {
    link.name: link
    for link in (
        Link("usb3", "desktop", "the USB Accelerator at a desktop's USB 3 port"),
        Link("usb2", "arm", "the USB Accelerator at a Raspberry Pi 3's USB 2 port"),
        Link("pcie", "arm", "the Dev Board; the M.2 card in a PC has a faster CPU behind it"),
    )
}


def check_link(link: str) -> None:
    """Refuses a link that there is no row for.

    Args:
        link: What `--link` was given.

    Raises:
        UsageError: There is no such link.
    """
    _check("--link", link, LINKS)


def check_clock(clock: str) -> None:
    """Refuses a clock that the chip does not have.

    Args:
        clock: What `--clock` was given.

    Raises:
        UsageError: There is no such clock.
    """
    _check("--clock", clock, BEAGLE.clocks)


def _check(flag: str, name: str, table: Mapping[str, object]) -> None:
    if name not in table:
        raise UsageError(
            flag,
            f"it must be one of {', '.join(table)}",
            received=name,
            fix=f"Leave it out for {next(iter(table))}",
        )
