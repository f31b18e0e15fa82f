"""What a stick saw: counts, and a log of what happened."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import asdict, dataclass, field
from typing import Any

_LONGEST_LOG = 10_000


@dataclass(frozen=True)
class LogEntry:
    """One thing that happened.

    Attributes:
        seconds: When, since the stick was made.
        text: What.
    """

    seconds: float
    text: str


@dataclass
class Report:
    """What a stick saw.

    Attributes:
        stick: Its name: "usb:0".
        opened: How often it was opened.
        firmware: How often it was given firmware.
        unplugged: How often it was pulled out.
        cachings: How often parameters were loaded.
        runs: How often a model was run.
        sent: Bytes that came from the driver, headers included.
        received: Bytes of outputs that went back.
        faults: The faults that happened, in order, the first 100.
        violations: What the driver sent that it must not, in order.
    """

    stick: str
    opened: int = 0
    firmware: int = 0
    unplugged: int = 0
    cachings: int = 0
    runs: int = 0
    sent: int = 0
    received: int = 0
    faults: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """The same for JSON."""
        return asdict(self)

    def lines(self) -> list[str]:
        """The same for a person."""
        parts = [
            _times(self.runs, "run"),
            f"parameters loaded {_times(self.cachings, 'time')}",
            f"{self.sent:,} bytes in",
            f"{self.received:,} bytes out",
            f"opened {_times(self.opened, 'time')}",
        ]
        if self.firmware:
            parts.append(f"firmware loaded {_times(self.firmware, 'time')}")
        if self.unplugged:
            parts.append(f"unplugged {_times(self.unplugged, 'time')}")
        lines = [f"{self.stick}: {', '.join(parts)}"]
        lines += [f"{self.stick}: fault: {text}" for text in self.faults]
        lines += [f"{self.stick}: VIOLATION: {text}" for text in self.violations]
        return lines


class Log:
    """The last things that happened to a stick."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._entries: deque[LogEntry] = deque(maxlen=_LONGEST_LOG)

    def note(self, text: str) -> None:
        """Something happened."""
        self._entries.append(LogEntry(time.monotonic() - self._began, text))

    def entries(self) -> list[LogEntry]:
        """All of them, the oldest first."""
        return list(self._entries)


def _times(count: int, what: str) -> str:
    return f"{count:,} {what}" + ("" if count == 1 else "s")
