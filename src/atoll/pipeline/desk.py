"""Where calls wait for a free device, and where it is known whether any device is left."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from atoll.errors import DeviceError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from atoll.pipeline.stream import Call


class Desk:
    """A bounded queue of calls, and a count of the devices that are there to take them.

    Devices are "in" or "out". The reserve, a device that helps where no other is left, takes calls
    only while all others are out. While everything is out, for longer than the patience, calls end
    with an error instead of waiting.

    Args:
        name: What to call it in a message.
        devices: How many devices there are beside the reserve; all are in at first.
        reserve: Whether there is a reserve.
        size: The most calls that wait.
        patience_s: How long calls wait while everything is out, in seconds.
        reasons: Tells of each device why it is out.
    """

    def __init__(
        self,
        name: str,
        *,
        devices: int,
        reserve: bool,
        size: int,
        patience_s: float,
        reasons: Callable[[], str],
    ) -> None:
        self._name = name
        self._size = size
        self._patience = patience_s
        self._reasons = reasons
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)
        self._work = threading.Condition(self._lock)
        self._reserve_work = threading.Condition(self._lock)
        self._outside = threading.Condition(self._lock)
        self._calls: deque[Call] = deque()
        self._in = {False: devices, True: int(reserve)}
        self._running = 0
        self._left_at: float | None = None
        self._closed = False
        self._dropping = False

    @property
    def waiting(self) -> int:
        """How many calls wait for a device."""
        return len(self._calls)

    def submit(self, call: Call, *, bounded: bool = True) -> None:
        """Queues a call.

        Args:
            call: The call.
            bounded: Whether to wait for room. The devices' own threads must not: they make it.

        Raises:
            UsageError: It is closed.
            DeviceError: No device is left.
        """
        with self._lock:
            while bounded and self._open_for_calls() and len(self._calls) >= self._size:
                self._room.wait(self._until_given_up())
            if self._closed:
                raise self._closed_error()
            if self._given_up():
                raise self.no_device()
            self._calls.append(call)
            self._wake_one()

    def take(self, *, reserve: bool) -> Call | None:
        """Waits for a call to run. It must be ended with `done` or `give_back`.

        Args:
            reserve: Whether the one that asks is the reserve.

        Returns:
            The oldest call; None where it is closed and all is done.
        """
        with self._lock:
            while True:
                if self._calls and not (reserve and self._in[False]):
                    self._running += 1
                    self._room.notify()
                    return self._calls.popleft()
                # One that runs may be given back yet.
                if self._closed and not (self._calls or self._running):
                    return None
                (self._reserve_work if reserve else self._work).wait()

    def done(self) -> None:
        """A call that was taken has its answer."""
        with self._lock:
            self._running -= 1
            if self._closed and not self._running:
                self._wake_all()

    def give_back(self, call: Call) -> bool:
        """A call that was taken has none: it is the next again. False where all are dropped."""
        with self._lock:
            self._running -= 1
            if self._dropping or self._given_up():
                self._wake_all()
                return False
            self._calls.appendleft(call)
            self._wake_one()
            return True

    def come_in(self, *, reserve: bool) -> None:
        """A device is there to take calls."""
        with self._lock:
            self._in[reserve] += 1
            self._left_at = None

    def go_out(self, *, reserve: bool) -> None:
        """A device is not there any longer."""
        with self._lock:
            self._in[reserve] -= 1
            if not any(self._in.values()):
                self._left_at = time.monotonic()
            self._wake_all()
        self._end_given_up()

    def pause(self, seconds: float) -> None:
        """Waits outside, less long where it is closed; calls end where the patience does."""
        end = time.monotonic() + seconds
        while True:
            self._end_given_up()
            with self._lock:
                left = end - time.monotonic()
                if left <= 0 or self._closed:
                    return
                patience = self._until_given_up()
                self._outside.wait(left if not patience else min(left, patience))

    @property
    def closed(self) -> bool:
        """Whether no call is taken any longer."""
        return self._closed

    def close(self, *, drop: bool) -> None:
        """Takes no calls any longer.

        Args:
            drop: Whether those that wait end with an error, instead of being run.
        """
        with self._lock:
            self._closed = True
            self._dropping = self._dropping or drop
            dropped = self._emptied() if self._dropping else []
            self._wake_all()
        for call in dropped:
            call.finish(error=self._closed_error())

    def refusal(self) -> Exception:
        """Why a call that was not taken back has no answer."""
        return self._closed_error() if self._dropping else self.no_device()

    def no_device(self) -> DeviceError:
        """The error of a call for which no device is left."""
        return DeviceError(
            self._name,
            "a device must be left to run on",
            received=self._reasons(),
            fix="Plug one in, or name a fallback device",
        )

    def _end_given_up(self) -> None:
        """Ends all that waits, where nothing is left to wait for."""
        with self._lock:
            dropped = self._emptied() if self._given_up() else []
        for call in dropped:
            call.finish(error=self.no_device())

    def _emptied(self) -> list[Call]:
        calls = list(self._calls)
        self._calls.clear()
        self._room.notify_all()
        return calls

    def _open_for_calls(self) -> bool:
        return not (self._closed or self._given_up())

    def _given_up(self) -> bool:
        return self._left_at is not None and self._until_given_up() == 0

    def _until_given_up(self) -> float | None:
        if self._left_at is None:
            return None
        if self._closed:
            return 0.0
        return max(0.0, self._left_at + self._patience - time.monotonic())

    def _wake_one(self) -> None:
        if self._in[False]:
            self._work.notify()
        else:
            self._reserve_work.notify()

    def _wake_all(self) -> None:
        for condition in (self._room, self._work, self._reserve_work, self._outside):
            condition.notify_all()

    def _closed_error(self) -> UsageError:
        return UsageError(self._name, "it must be open", received="closed", fix="Open a new one")
