"""How a driver is to be opened."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from atoll.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# The slowest published model takes some 0.1 s a call on a stick (Inception ResNet v2).
_CALL_S = 10.0
# The driver itself tries up to 25 times, a second apart, to find a stick again that it has reset
# (usb_driver.cc, kMaxNumOfRetryAfterReset).
_START_S = 60.0
_MOST_VERBOSE = 10


@dataclass(frozen=True)
class DriverOptions:
    """How a driver is to be opened, and how long it may take.

    Attributes:
        library: The libedgetpu; None takes what $ATOLL_LIBEDGETPU names, else the system's.
        verbosity: What the driver tells on standard error: 0, nothing but faults, to 10, all.
        timeout_s: Seconds that a call may take; None for 10.
        start_timeout_s: Seconds that opening a device, loading a model and the first call of a
            model may take each, as firmware and parameters are sent then; None for 60, or more
            where `timeout_s` is more.
        extra: Options of the driver's own, such as {"Performance": "Low"}.
        threads: CPU threads of a simulator; None for LiteRT's own choice.
    """

    library: str | Path | None = None
    verbosity: int = 0
    timeout_s: float | None = None
    start_timeout_s: float | None = None
    extra: Mapping[str, str] = field(default_factory=dict)
    threads: int | None = None

    def __post_init__(self) -> None:
        for name in ("timeout_s", "start_timeout_s"):
            seconds = getattr(self, name)
            if seconds is not None and not 0 < seconds < float("inf"):
                raise UsageError(
                    name, "it must be above 0 seconds", received=seconds, fix="Leave it out"
                )
        if not 0 <= self.verbosity <= _MOST_VERBOSE:
            raise UsageError(
                "verbosity",
                f"it must be 0 to {_MOST_VERBOSE}",
                received=self.verbosity,
                fix="Leave it out",
            )

    @property
    def call_s(self) -> float:
        """Seconds that a call may take."""
        return _CALL_S if self.timeout_s is None else self.timeout_s

    @property
    def start_s(self) -> float:
        """Seconds that opening, loading and a first call may take each."""
        if self.start_timeout_s is not None:
            return self.start_timeout_s
        return max(_START_S, self.call_s)

    def same_driver(self, other: DriverOptions) -> bool:
        """Whether two may share one open driver."""
        mine = (self.library and str(self.library), self.verbosity, dict(self.extra))
        theirs = (other.library and str(other.library), other.verbosity, dict(other.extra))
        return mine == theirs
