"""One thread that starts the children of this process, and ends those that nobody holds any more.

Linux ends a child with its parent where the child asks for that (PR_SET_PDEATHSIG); but what counts
as its parent is the thread that started it. So one thread that lives as long as the process starts
them all. It also does what a finalizer must not: wait for locks and for processes.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Keeper:
    """The thread. It is started when it is first needed."""

    def __init__(self) -> None:
        self._actions: queue.SimpleQueue[Callable[[], Any]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def run(self, action: Callable[[], T]) -> T:
        """Runs something on the thread, and waits for what comes of it."""
        if threading.current_thread() is self._thread:
            return action()
        done: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()

        def reported() -> None:
            try:
                done.put((action(), None))
            except BaseException as error:
                done.put((None, error))

        self._started()
        self._actions.put(reported)
        result, error = done.get()
        if error is not None:
            raise error
        return result  # type: ignore[return-value]  # no error, so there is one

    def later(self, action: Callable[[], Any]) -> None:
        """Has something done some time. It may be called from a finalizer."""
        self._actions.put(action)

    def _started(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._work, args=(self._actions,), name="atoll-keeper", daemon=True
                )
                self._thread.start()

    def _renew(self) -> None:
        """A fork has no threads but its own."""
        self._actions = queue.SimpleQueue()
        self._thread = None
        self._lock = threading.Lock()

    @staticmethod
    def _work(actions: queue.SimpleQueue[Callable[[], Any]]) -> None:
        while True:
            action = actions.get()
            # One that fails tells whoever waits for it; nobody waits for a later one.
            with contextlib.suppress(Exception):
                action()
            del action  # it may hold what is to be free


KEEPER = Keeper()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=KEEPER._renew)
