"""One device of a pool: the thread that runs calls on it, and opens it again when it was lost."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from atoll.errors import DeviceLostError, UsageError

if TYPE_CHECKING:
    from atoll.pipeline.desk import Desk
    from atoll.pipeline.runner import OpenDevice, Runner
    from atoll.pipeline.stream import Call


@dataclass(frozen=True)
class Backoff:
    """How long to wait before a lost device is opened again.

    The first time it is opened at once: a driver that ended is back by then. From the second on,
    without an answer in between, there is a wait, which doubles each time.

    Attributes:
        first_s: The first wait, in seconds.
        most_s: The longest.
    """

    first_s: float = 0.1
    most_s: float = 30.0

    def __post_init__(self) -> None:
        if not 0 < self.first_s <= self.most_s:
            raise UsageError(
                "backoff",
                "the first wait must be above 0 and no longer than the longest",
                received=f"{self.first_s} s, {self.most_s} s",
                fix="Choose other waits",
            )

    def seconds(self, failures: int) -> float:
        """The wait after so many failures in a row."""
        # A power beyond any float would be no use: the longest wait is reached long before.
        return min(self.first_s * 2.0 ** min(failures - 2, 64), self.most_s) if failures > 1 else 0


@dataclass(frozen=True)
class DeviceState:
    """What became of one device of a pool so far.

    Attributes:
        device: Its name; for "auto", that of the device that was chosen.
        state: "ready"; "opening"; "out", waiting to be opened again; "closed".
        calls: How many calls it answered.
        mean_ms: How long these took on it, on average; 0 without calls.
        losses: How often it was lost.
        reason: The last thing that went wrong with it; empty where nothing did.
    """

    device: str
    state: Literal["ready", "opening", "out", "closed"]
    calls: int
    mean_ms: float
    losses: int
    reason: str


class Line:
    """A device and its thread.

    Args:
        device: The device's name.
        open_device: Puts the model on it.
        desk: Where it takes calls.
        backoff: How long it waits before it is opened again.
        attempts: A call with which so many devices were lost ends with an error.
        reserve: Whether it takes calls only while no other device is there.

    Attributes:
        device: The device's name.
        thread: Its thread.
        reason: The last thing that went wrong with it.
    """

    def __init__(
        self,
        device: str,
        open_device: OpenDevice,
        desk: Desk,
        *,
        backoff: Backoff,
        attempts: int,
        reserve: bool = False,
    ) -> None:
        self.device = device
        self.reason = ""
        self.thread = threading.Thread(target=self._run, name=f"atoll {device}", daemon=True)
        self._tried = threading.Event()
        self._error: BaseException | None = None
        self._shown = device
        self._open_device = open_device
        self._desk = desk
        self._backoff = backoff
        self._attempts = attempts
        self._reserve = reserve
        self._runner: Runner | None = None
        # Until it could not be opened, it counts as there: calls wait for it.
        self._in = True
        self._ended = False
        self._failures = 0
        self._calls = 0
        self._losses = 0
        self._seconds = 0.0

    def first_error(self) -> BaseException | None:
        """Waits until it was opened for the first time: None, or why it could not be. Once only."""
        self._tried.wait()
        error, self._error = self._error, None
        return error

    def state(self) -> DeviceState:
        """What became of it so far."""
        if self._ended:
            state: Literal["ready", "opening", "out", "closed"] = "closed"
        elif self._runner is not None:
            state = "ready"
        else:
            state = "opening" if self._failures < 2 else "out"
        mean = 1000 * self._seconds / self._calls if self._calls else 0.0
        return DeviceState(self._shown, state, self._calls, mean, self._losses, self.reason)

    def _run(self) -> None:
        try:
            self._error = self._try_open()
            self._tried.set()
            self._come_back()
            while self._runner is not None and (call := self._desk.take(reserve=self._reserve)):
                self._serve(call)
                self._come_back()
        finally:
            self._ended = True
            self._let_go()
            self._leave()

    def _serve(self, call: Call) -> None:
        if not call.start():
            self._desk.done()
            call.finish()
            return
        assert self._runner is not None
        began = time.perf_counter()
        result, error = _ask(self._runner, call.arrays)
        if isinstance(error, DeviceLostError):
            self._losses += 1
            self._failed(error)
            self._pass_on(call, error)
            self._let_go()
            return
        self._seconds += time.perf_counter() - began
        self._calls += 1
        self._failures = 0
        self._desk.done()
        call.finish(result, error)

    def _pass_on(self, call: Call, error: DeviceLostError) -> None:
        """Has a call without an answer repeated, unless it is the call that devices are lost by."""
        call.losses += 1
        if call.losses >= self._attempts:
            self._desk.done()
            call.finish(error=error)
        elif not self._desk.give_back(call):
            call.finish(error=self._desk.refusal())

    def _come_back(self) -> None:
        """Opens the device again, where it was lost, until that works or the pool is closed."""
        while self._runner is None:
            if self._failures > 1:
                self._leave()
                self._desk.pause(self._backoff.seconds(self._failures))
                if self._desk.closed:
                    return
            self._try_open()

    def _try_open(self) -> BaseException | None:
        try:
            self._runner = self._open_device(self.device)
        except Exception as error:
            self._failed(error)
            return error
        self._shown = getattr(self._runner, "device", self.device)
        if not self._in:
            self._in = True
            self._desk.come_in(reserve=self._reserve)
        return None

    def _failed(self, error: BaseException) -> None:
        self._failures += 1
        # The text alone: an error holds on to all that was in use where it was raised.
        self.reason = str(error) or type(error).__name__

    def _leave(self) -> None:
        if self._in:
            self._in = False
            self._desk.go_out(reserve=self._reserve)

    def _let_go(self) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            # A device that is gone may well fail to be closed.
            with contextlib.suppress(Exception):
                runner.close()


def _ask(runner: Runner, arrays: tuple[Any, ...]) -> tuple[Any, BaseException | None]:
    """An answer, or the error. In a frame that knows no call: an error holds on to its frames."""
    try:
        return runner.invoke(*arrays), None
    except BaseException as error:
        return None, error
