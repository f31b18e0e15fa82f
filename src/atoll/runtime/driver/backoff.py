"""When a lost device is tried again: half a second later, then after twice as long each time."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST_S = 0.5
LONGEST_S = 30.0


class Backoff:
    """Counts losses. It sleeps never: whoever asks is told how long is left.

    Args:
        clock: Seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._losses = 0
        self._next = 0.0

    def lost(self) -> float:
        """Notes a loss, or an attempt that failed. Returns the seconds until the next attempt."""
        delay = min(FIRST_S * 2.0 ** min(self._losses, 32), LONGEST_S)
        self._losses += 1
        self._next = self._clock() + delay
        return delay

    def worked(self) -> None:
        """Notes a call that was answered: the next loss is the first again."""
        self._losses = 0

    @property
    def left_s(self) -> float:
        """Seconds until the next attempt; 0 where it may be made now."""
        return max(0.0, self._next - self._clock()) if self._losses else 0.0
