"""A time limit for work in this process."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from typing import TYPE_CHECKING, NoReturn

from atoll.errors import CompilerError

if TYPE_CHECKING:
    from collections.abc import Iterator

# In so many seconds a timer ends that should have ended meanwhile.
_SOON_S = 0.001


@contextlib.contextmanager
def time_limit(seconds: int, thing: object) -> Iterator[None]:
    """Ends what is done within it when it takes too long.

    Python can interrupt its main thread alone, and only where the system has timer signals:
    elsewhere there is no limit.

    Args:
        seconds: How long it may take.
        thing: What the message is about.

    Raises:
        CompilerError: The time is up.
    """

    def stop(*_: object) -> NoReturn:
        raise CompilerError(
            thing,
            f"compiling must end within {seconds} s",
            received="more",
            fix="Allow more with --timeout_sec",
        )

    if threading.current_thread() is not threading.main_thread() or not hasattr(
        signal, "setitimer"
    ):
        yield
        return
    handler = signal.signal(signal.SIGALRM, stop)
    start = time.monotonic()
    waiting, interval = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        # A timer that somebody else had set goes on.
        left = max(waiting - (time.monotonic() - start), _SOON_S) if waiting else 0
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, left, interval)
