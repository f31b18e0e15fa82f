"""Runs the real `atoll` command, as a person does."""

import subprocess
import sys
from pathlib import Path

ATOLL = Path(sys.executable).with_name("atoll")


def atoll(*words, **kwargs) -> subprocess.CompletedProcess:
    """The finished process, its output as text."""
    command = [str(ATOLL), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, **kwargs)


def refused(process: subprocess.CompletedProcess) -> str:
    """The one line that a refusal prints, after checking that it is one."""
    assert process.returncode == 2, process.stderr
    assert "Traceback" not in process.stderr
    lines = [line for line in process.stderr.splitlines() if line.startswith("atoll: ")]
    assert len(lines) == 1, process.stderr
    assert "Received: " in lines[0]
    return lines[0]
