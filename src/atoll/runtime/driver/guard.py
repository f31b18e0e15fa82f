"""The guard against surplus answers: counts what a stick sends, and compares it with what is due.

The driver takes output bytes as they come. If a stick sends more than it should, the rest is the
beginning of the next answer, and every answer from then on is shifted, with no word of it. The
guard is a small C library in the driver's process that counts the bytes (`guard.c`).
"""

from __future__ import annotations

import ctypes as c
import os
import sys
import time
from pathlib import Path

from atoll.errors import AtollError
from atoll.native import shared_library

_NAME = "libatoll-guard.so"
_PRELOAD = "LD_PRELOAD"
# How long data that is on its way may take from the cable into the driver's process, where the
# driver had no transfer waiting for it.
_SETTLE_S = 0.001


class SurplusError(Exception):
    """A stick sent another number of bytes than its program says."""


def preloading(environ: dict[str, str]) -> str:
    """Has the guard loaded into a process before all else.

    Args:
        environ: The process's environment. It is changed.

    Returns:
        Why there is none, as a sentence; empty where there is.
    """
    if not sys.platform.startswith("linux"):
        return without_guard("it works on Linux only")
    try:
        library = shared_library(Path(__file__).with_name("guard.c"), _NAME, libraries=("dl",))
    except AtollError as error:
        return without_guard(str(error).rstrip("."))
    # The loader separates names by blanks and colons, and has no way to quote one.
    if any(mark in str(library) for mark in " :"):
        return without_guard(f"its path must have no blank or colon, and is {library}")
    environ[_PRELOAD] = f"{library} {environ.get(_PRELOAD, '')}".strip()
    return ""


class Guard:
    """The counters, in the process that the guard was loaded into."""

    def __init__(self) -> None:
        own = c.CDLL(None)
        self._received = c.c_uint64.in_dll(own, "atoll_guard_received")
        self._waiting = c.c_int64.in_dll(own, "atoll_guard_waiting")
        self._dry = c.c_uint64.in_dll(own, "atoll_guard_dry")
        self._due = 0
        self._before = 0

    @staticmethod
    def loaded() -> bool:
        """Whether the guard is in this process."""
        return _NAME in os.environ.get(_PRELOAD, "") and hasattr(c.CDLL(None), "atoll_guard_dry")

    @property
    def blind(self) -> bool:
        """Whether answers came and the guard saw none: the driver goes past it."""
        return self._due > 0 and self._received.value == 0

    def before_call(self) -> None:
        """Before every call. Raises SurplusError where bytes came since the last."""
        if not self.blind:
            self._compare()
        self._before = self._dry.value

    def after_call(self, due: int) -> None:
        """After every call that was answered.

        Args:
            due: The bytes of its answer.

        Raises:
            SurplusError: Other bytes came than were due: the answer is not to be believed.
        """
        self._due += due
        if self.blind:
            return
        if self._dry.value != self._before:
            # There was a moment with no transfer waiting: what the stick sent then has not been
            # counted yet.
            self._settle()
        self._compare()

    def _settle(self) -> None:
        end = time.monotonic() + _SETTLE_S
        while self._waiting.value <= 0 and time.monotonic() < end:
            time.sleep(_SETTLE_S / 10)
        time.sleep(_SETTLE_S)

    def _compare(self) -> None:
        received = self._received.value
        if received != self._due:
            raise SurplusError(
                f"{received} bytes of answers where {self._due} were due; what came of it is not "
                "to be believed"
            )


def without_guard(reason: str) -> str:
    """What a user should know where there is no guard, and why there is none."""
    return (
        "Answers with surplus bytes, which a faulty stick may send, are not noticed: the guard "
        f"against them could not be used ({reason})."
    )
