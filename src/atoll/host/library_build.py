"""What a libedgetpu says of itself: asked in a child process, as loading one may crash."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_PATIENCE_S = 20
_SCRIPT = """
import ctypes, sys
library = ctypes.CDLL(sys.argv[1])
library.edgetpu_version.restype = ctypes.c_char_p
sys.stdout.write(library.edgetpu_version().decode(errors="replace"))
"""
_RUNTIME = re.compile(r"RuntimeVersion\((\d+)\)")
# Google's own builds, up to the one of June 2020, carry the number of a change in its own source;
# those from GitHub, from November 2020 on, do not. Runtime 12 is of 2019.
_INTERNAL = re.compile(r"CL_NUMBER=\d+")
_OLDEST_RUNTIME = 13
_DATE = re.compile(r"DATE=([^,)]+)")


@dataclass(frozen=True)
class LibraryBuild:
    """What came of loading a library and asking for its version.

    Attributes:
        version: Its own words, such as "BuildLabel(COMPILER=6.3.0 20170516,DATE=redacted,
            TIME=redacted), RuntimeVersion(14)"; empty where it could not be asked.
        runtime: The runtime's number in them; None where there is none.
        date: When it was built, in its own words; empty where it does not tell.
        error: Why it could not be asked, in the loader's words; empty where it could.
    """

    version: str
    runtime: int | None
    date: str
    error: str

    @property
    def too_old(self) -> bool:
        """Whether it takes LiteRT's tensors for shorter than they are.

        TfLiteTensor had 104 bytes or less until the spring of 2020, and has 112 since.
        """
        if _INTERNAL.search(self.version):
            return True
        return self.runtime is not None and self.runtime < _OLDEST_RUNTIME


def ask_build(path: Path, patience_s: float = _PATIENCE_S) -> LibraryBuild:
    """Loads a library in a child process and asks it what it is.

    Args:
        path: The libedgetpu.
        patience_s: How long that may take.
    """
    if getattr(sys, "frozen", False):  # its program is the application, which would start anew
        return LibraryBuild("", None, "", "this program carries its Python within itself")
    command = [sys.executable, "-I", "-S", "-c", _SCRIPT, os.fspath(path)]
    try:
        child = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=patience_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return LibraryBuild("", None, "", f"no answer in {patience_s:g} seconds")
    except OSError as error:
        return LibraryBuild("", None, "", str(error))
    if child.returncode < 0:
        name = signal.Signals(-child.returncode).name
        return LibraryBuild("", None, "", f"the process ended with {name} when it was loaded")
    if child.returncode:
        return LibraryBuild("", None, "", _last_line(child.stderr))
    return read_version(child.stdout)


def read_version(version: str) -> LibraryBuild:
    """Takes apart what a library says of its version."""
    version = " ".join(version.split())
    runtime = _RUNTIME.search(version)
    date = _DATE.search(version)
    told = date.group(1).strip() if date else ""
    return LibraryBuild(
        version=version,
        runtime=int(runtime.group(1)) if runtime else None,
        date="" if told == "redacted" else told,
        error="",
    )


def _last_line(text: str) -> str:
    """The reason, of a traceback."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].partition(": ")[2] or lines[-1] if lines else "no reason was given"
