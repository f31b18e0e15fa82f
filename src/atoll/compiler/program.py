"""Google's own compiler, where somebody has it: how it is found, and how it is run once.

It is closed, no longer developed, and runs on x86-64 Debian. Atoll does not ship it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from atoll.compiler.container import IMAGE_VARIABLE, find_container
from atoll.errors import CompilerError

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMAND = "edgetpu_compiler"
VARIABLE = "ATOLL_EDGETPU_COMPILER"

# Seconds that it may take to give up by itself, after its own timeout.
_GRACE_S = 30.0


class Program(Protocol):
    """A way to run it."""

    def command(self, arguments: Sequence[str], folder: Path) -> list[str]:
        """The command line that runs it in a folder."""

    def stop(self) -> None:
        """Ends what goes on although the command was ended."""


@dataclass(frozen=True)
class Installed:
    """The program itself, on this machine.

    Attributes:
        path: Where it is.
    """

    path: Path

    def command(self, arguments: Sequence[str], folder: Path) -> list[str]:
        """The command line that runs it in a folder."""
        return [str(self.path), *arguments]

    def stop(self) -> None:
        """Nothing goes on: it is ended with its whole group."""


@dataclass(frozen=True)
class Run:
    """One run.

    Attributes:
        status: Its exit status; negative for a signal.
        text: All that it printed.
        timed_out: Whether it had to be ended.
    """

    status: int
    text: str
    timed_out: bool = False


def find() -> Program | None:
    """Google's compiler: named by the environment, on the path, or in a container image.

    Raises:
        CompilerError: The environment names what is not there.
    """
    named = os.environ.get(VARIABLE)
    if named and shutil.which(named) is None:
        raise CompilerError(
            VARIABLE, "it must name a program", received=named, fix="Correct it, or unset it"
        )
    found = shutil.which(named or COMMAND)
    if found:
        return Installed(Path(found).absolute())
    return find_container(COMMAND)


def missing() -> CompilerError:
    """The error for a machine without it."""
    return CompilerError(
        COMMAND,
        "Google's compiler must be on the path, or named by the environment",
        received="neither",
        fix=f"Set {VARIABLE} to it or {IMAGE_VARIABLE} to a container image that holds it, "
        "or use the simulator's backend",
    )


def run_once(program: Program, arguments: Sequence[str], folder: Path, timeout_s: int) -> Run:
    """Runs it to its end.

    Args:
        program: Which.
        arguments: Its arguments; paths count from `folder`.
        folder: Where it works.
        timeout_s: Seconds that it was told it may take; a while later it is ended.

    Returns:
        How it ended.

    Raises:
        CompilerError: It cannot be started.
    """
    command = program.command(arguments, folder)
    try:
        # A group of its own: it works in a child process, which must end with it.
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        raise CompilerError(
            command[0],
            "Google's compiler cannot be started",
            received=error.strerror or error,
            fix=f"Correct {VARIABLE}, or use the simulator's backend",
        ) from error
    try:
        text, _ = process.communicate(timeout=timeout_s + _GRACE_S)
    except subprocess.TimeoutExpired as error:
        said = error.output or ""
        return Run(-signal.SIGKILL, said if isinstance(said, str) else "", timed_out=True)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            program.stop()
            process.communicate()
    return Run(process.returncode, text)
