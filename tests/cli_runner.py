"""Runs the real `atoll` command, as a person does."""

import contextlib
import io
import subprocess
import sys
from pathlib import Path
from unittest import mock

ATOLL = Path(sys.executable).with_name("atoll")


def atoll(*words, **kwargs) -> subprocess.CompletedProcess:
    """The finished process, its output as text."""
    command = [str(ATOLL), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, **kwargs)


def atoll_inside(*words, cwd=".") -> subprocess.CompletedProcess:
    """The same in this process, which is quicker: its status, and its output as text."""
    from atoll.cli import main

    command = ["atoll", *map(str, words)]
    out, err, status = io.StringIO(), io.StringIO(), 0
    with (
        contextlib.chdir(cwd),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        mock.patch.object(sys, "argv", command),
    ):
        try:
            main()
        except SystemExit as ended:
            status = ended.code or 0
    return subprocess.CompletedProcess(command, status, out.getvalue(), err.getvalue())


def done(process: subprocess.CompletedProcess) -> subprocess.CompletedProcess:
    """The same process, after checking that it did its work."""
    assert process.returncode == 0, process.stderr
    return process


def refused(process: subprocess.CompletedProcess) -> str:
    """The one line that a refusal prints, after checking that it is one."""
    assert process.returncode == 2, process.stderr
    assert "Traceback" not in process.stderr
    lines = [line for line in process.stderr.splitlines() if line.startswith("atoll: ")]
    assert len(lines) == 1, process.stderr
    assert "Received: " in lines[0]
    return lines[0]
