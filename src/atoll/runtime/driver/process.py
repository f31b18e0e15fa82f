"""The process that hosts a driver, from outside: started, heard, ended, never left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import atoll
from atoll.errors import DeviceError
from atoll.runtime.driver.descriptors import keep_standard_numbers
from atoll.runtime.driver.keeper import KEEPER
from atoll.runtime.driver.wire import Channel, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

WORKER = "atoll.runtime.driver.worker"
_MOST_WORDS = 8192
_END_S = 5.0
_WORDS_S = 0.5

# What ended a process, by its signal.
_MEANINGS = {
    "SIGABRT": "it gave up, as it does when a stick is pulled out or a transfer fails",
    "SIGSEGV": "it crashed",
    "SIGBUS": "it crashed",
    "SIGILL": "it crashed",
    "SIGFPE": "it crashed",
    "SIGKILL": "it was killed: by hand, or because memory ran out",
    "SIGTERM": "it was ended by hand",
}


class WorkerProcess:
    """A process that hosts a driver.

    Args:
        name: The device's name, as it is shown in the list of processes.
        environ: What its environment has besides this one's.
        heard: Whether what it says is passed on to standard error.

    Attributes:
        channel: The connection to it.
        pid: Its process id.

    Raises:
        DeviceError: It cannot be started.
    """

    def __init__(self, name: str, environ: Mapping[str, str], *, heard: bool) -> None:
        if (lack := _lack()) is not None:
            raise DeviceError(
                name,
                "a driver runs in a process of its own, on Linux and macOS",
                received=lack,
                fix="Use Linux and a Python of its own, or the direct mode",
            )
        try:
            ours, self._process = _started(name, environ)
        except OSError as error:
            raise DeviceError(
                name,
                "a driver runs in a process of its own, which must start",
                received=error.strerror or str(error),
                fix="Free some memory, end other processes, or raise the limits (ulimit -a)",
            ) from error
        self.channel = Channel(ours)
        self.pid = self._process.pid
        assert self._process.stderr is not None
        self._words = _LastWords(self._process.stderr.fileno(), heard=heard)

    def kill(self) -> None:
        """Ends it at once."""
        self._process.kill()

    def ended(self, patience_s: float) -> str:
        """Makes sure that it has ended.

        Args:
            patience_s: How long it may take to end by itself.

        Returns:
            How it ended by itself, in words; empty where it did not.
        """
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(patience_s)
        by_itself = self._process.poll()
        self.kill()
        self._close()
        if by_itself is None:
            return ""
        words = self._words.last()
        return _how(by_itself) + (f'; its last words: "{words}"' if words else "")

    def stop(self, patience_s: float) -> str:
        """Has it end in its own time, and at once where that is too long.

        Returns:
            Its last words.
        """
        self.channel.close()  # which it sees
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(patience_s)
        self.kill()
        self._close()
        return self._words.last()

    def forget(self) -> None:
        """For a fork of this process, whose child it is not: lets go of it."""
        self.channel.forget()
        self._process.returncode = 0  # nobody to wait for

    def _close(self) -> None:
        self.channel.close()
        # A process that hangs in the kernel does not end at once; Python reaps it later.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_S)
        self._words.close()
        if self._process.stderr is not None:
            self._process.stderr.close()


class _LastWords:
    """Reads what a process says on standard error, and keeps the end of it.

    Args:
        file: The open pipe.
        heard: Whether it is passed on to this process's standard error.
    """

    def __init__(self, file: int, *, heard: bool) -> None:
        self._file = file
        self._heard = heard
        self._kept = b""
        self._thread = threading.Thread(target=self._read, name="atoll-last-words", daemon=True)
        self._thread.start()

    def last(self) -> str:
        """The line that says most: the driver's first fatal one, else the last."""
        self._thread.join(_WORDS_S)
        lines = [line.strip() for line in self._kept.decode(errors="replace").splitlines()]
        # LiteRT's own chatter says nothing of a driver's end.
        lines = [line for line in lines if line and not line.startswith("INFO: ")]
        fatal = [line for line in lines if line.startswith("F ") or "Check failed" in line]
        return shown(fatal[0] if fatal else lines[-1] if lines else "")

    def close(self) -> None:
        self._thread.join(_WORDS_S)

    def _read(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            while data := os.read(self._file, 1 << 16):
                self._kept = (self._kept + data)[-_MOST_WORDS:]
                if self._heard and sys.stderr is not None:
                    os.write(2, data)


def _started(
    name: str, environ: Mapping[str, str]
) -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """Starts the process. Returns our end of the connection, and the process. Raises OSError."""
    keep_standard_numbers()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    # -P: a file of the current folder must not stand for a module.
    command = [sys.executable, "-P", "-m", WORKER, name, str(theirs.fileno())]
    with theirs:
        try:
            return ours, KEEPER.run(
                lambda: subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    pass_fds=(theirs.fileno(),),
                    env={**os.environ, **environ, "PYTHONPATH": _python_path()},
                    # Ctrl-C is for the program, which then tells its children.
                    start_new_session=True,
                )
            )
        except BaseException:
            ours.close()
            raise


def _lack() -> str | None:
    """What is missing for a process of one's own; None for nothing."""
    if not hasattr(socket, "send_fds"):
        return sys.platform
    if getattr(sys, "frozen", False):
        # Its program is the application: started once more, it would do all again.
        return "a program that carries its Python within itself"
    return None if sys.executable else "a Python that does not know its own program"


def _how(status: int) -> str:
    if status >= 0:
        return f"its process ended with status {status}"
    try:
        name = signal.Signals(-status)
    except ValueError:
        return f"its process ended with signal {-status}"
    meaning = _MEANINGS.get(name.name)
    return f"its process ended with {name.name}" + (f" ({meaning})" if meaning else "")


def _python_path() -> str:
    """The folders that this process imports from, so that the child finds the same modules."""
    own = str(Path(atoll.__file__).parent.parent)
    folders = [folder for folder in sys.path if os.path.isabs(folder)]  # noqa: PTH117
    return os.pathsep.join(dict.fromkeys([*folders, own]))
