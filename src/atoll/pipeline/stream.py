"""Calls of one caller, whose answers are given in the order in which they were asked."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any, TypeAlias

    import numpy as np

    Answer: TypeAlias = Future[list[np.ndarray]]


class Call:
    """One call on its way to an answer.

    Attributes:
        arrays: What the model is called with.
        future: Where its answer goes.
        losses: How many devices were lost with it.
    """

    __slots__ = ("_error", "_result", "_stream", "arrays", "finished", "future", "losses")

    def __init__(self, arrays: tuple[Any, ...], stream: Stream) -> None:
        self.arrays = arrays
        self.future: Answer = Future()
        self.losses = 0
        self.finished = False
        self._stream = stream
        self._result: Any = None
        self._error: BaseException | None = None

    def start(self) -> bool:
        """Whether it shall be run: its caller may have cancelled it."""
        return self.losses > 0 or self.future.set_running_or_notify_cancel()

    def finish(self, result: Any = None, error: BaseException | None = None) -> None:
        """Ends it, once: with an answer, an error, or neither where it was cancelled."""
        self._result, self._error = result, error
        self._stream.deliver(self)

    def answer(self) -> None:
        """Tells the caller."""
        if self.future.cancelled():
            return
        if not self.future.running() and not self.future.set_running_or_notify_cancel():
            return
        if self._error is not None:
            self.future.set_exception(self._error)
        else:
            self.future.set_result(self._result)


class Stream:
    """An ordered line of calls: its futures are done in the order in which they were submitted.

    Calls of one stream run on several devices at once; an answer that is ready before an earlier
    one waits for it. Several threads may submit to one stream; the order is that of their calls.

    Args:
        submit: Hands a call to the devices, and waits while too many are queued.
        ahead: How many calls `map` has under way at most.
    """

    def __init__(self, submit: Callable[[Call], None], ahead: int) -> None:
        self._submit = submit
        self._ahead = ahead
        self._lock = threading.Lock()
        self._pending: deque[Call] = deque()
        self._delivering = False

    def submit(self, *arrays: np.ndarray) -> Answer:
        """Asks for one call.

        Args:
            *arrays: As `atoll.Interpreter.invoke` takes them. They must stay as they are until
                the answer is there.

        Returns:
            A future of the outputs.

        Raises:
            DeviceError: There is no device left.
            UsageError: The pool is closed.
        """
        call = Call(arrays, self)
        with self._lock:
            self._pending.append(call)
        try:
            self._submit(call)
        except BaseException:
            with self._lock:
                self._pending.remove(call)
            # What waited behind it may be ready.
            self._drain()
            raise
        return call.future

    def map(self, items: Iterable[Any]) -> Iterator[Any]:
        """Runs the model over a series of inputs, a few of them ahead of what is taken.

        Args:
            items: What a call takes: one thing, or a tuple of one an input.

        Yields:
            The outputs of each, in order.

        Raises:
            DeviceError: There is no device left.
            UsageError: The pool is closed, or arrays do not fit the inputs.
        """
        waiting: deque[Answer] = deque()
        try:
            for item in items:
                arrays = item if isinstance(item, tuple) else (item,)
                waiting.append(self.submit(*arrays))
                while waiting and (len(waiting) >= self._ahead or waiting[0].done()):
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

    def deliver(self, call: Call) -> None:
        """Notes that a call has ended, and tells the caller of all that are next in order."""
        with self._lock:
            call.finished = True
        self._drain()

    def _drain(self) -> None:
        """Answers from the front on. One thread at a time, or two answers could change places."""
        with self._lock:
            if self._delivering:
                return
            self._delivering = True
        while True:
            with self._lock:
                if not (self._pending and self._pending[0].finished):
                    self._delivering = False
                    return
                call = self._pending.popleft()
            call.answer()
