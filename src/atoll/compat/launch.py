"""Runs a Python program, unchanged, with the old libraries' names within its reach."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from atoll.compat.aliasing import FOLDER, install

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PATH_VARIABLE = "PYTHONPATH"
# Leaves no name behind in __main__, which becomes the module's.
_START_MODULE = "__import__('atoll.compat.launch', fromlist=['launch']).run_module()"


def run(command: Sequence[str], settings: Mapping[str, str]) -> NoReturn:
    """Becomes `python COMMAND...`: the same process, on Windows a child whose status is passed on.

    Args:
        command: What would follow `python`: SCRIPT ARGS..., -m MODULE ARGS..., -c CODE ARGS...
        settings: What to set in its environment, and in that of its children.
    """
    words = list(command)
    if words[0] == "-m":
        words = ["-c", _START_MODULE, *words[1:]]
    environment = {**os.environ, **settings, _PATH_VARIABLE: _python_path(os.environ)}
    arguments = [sys.executable, *words]
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name == "nt":
        sys.exit(subprocess.run(arguments, env=environment, check=False).returncode)
    os.execve(sys.executable, arguments, environment)


def run_module() -> None:
    """Does what `python -m MODULE ARGS...` does; the words are in sys.argv."""
    _, module, *words = sys.argv
    sys.argv = ["-m", *words]
    sys.path[0] = str(Path.cwd())
    # A checkout of the original in the current folder, from which its tests are run, would be
    # found first.
    install()
    start = getattr(runpy, "_run_module_as_main")  # noqa: B009  it is what python -m calls
    try:
        start(module)
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException as error:
        # Told from the module's first line on, as Python does it.
        told = error.__traceback__ and error.__traceback__.tb_next
        sys.excepthook(type(error), error.with_traceback(told), told)
        sys.exit(1)


def _python_path(environ: Mapping[str, str]) -> str:
    """The aliases before the current folder: there may be a checkout of the originals in it."""
    given = [entry for entry in environ.get(_PATH_VARIABLE, "").split(os.pathsep) if entry]
    ours = [str(FOLDER), str(Path.cwd())]
    return os.pathsep.join([*ours, *(entry for entry in given if entry not in ours)])
