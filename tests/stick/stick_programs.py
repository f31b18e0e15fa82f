"""Running the client with virtual sticks, and what came of it."""

from __future__ import annotations

import json
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

CLIENT = Path(__file__).with_name("stick_client.py")
_LIVES = Path(__file__).with_name("stick_lives.py")
# How long a program may take that does not hang, and after how long one is taken to hang.
PATIENCE_S = 60
HANG_S = 0.7

# Of each life in stick_lives.py: calls, and the runs and cachings of each stick.
LIVES = {
    "opened_again": (3, [(3, 3)]),
    # A model that is opened twice brings its parameters twice, under one token.
    "delegates_of_one_stick": (6, [(6, 2)]),
    "two_sticks": (4, [(2, 1), (2, 1)]),
    "many_interpreters": (4, [(4, 4)]),
    "threads": (12, [(12, 3)]),
    "left_open": (1, [(1, 1)]),
    "forked": (4, [(4, 1)]),
    "opened_in_a_fork": (2, [(2, 2)]),
}
# A device, and options of the driver's for it.
OPTIONS = [
    "usb:0,Usb.MaxBulkInQueueLength=1",
    "usb:0,Usb.MaxBulkInQueueLength=256",
    # Outputs are then read when they are due, each in one piece.
    "usb:0,Usb.MaxBulkInQueueLength=0",
    "usb:0,Usb.AlwaysDfu=True",
    *(f"usb:0,Performance={each}" for each in ("Low", "Medium", "High", "Max")),
]


class Program:
    """A client that is running. A context manager: at its end the client is no more."""

    def __init__(self, environment, driver, pairs, *, calls=3, device="usb:0"):
        words = [str(path) for pair in pairs for path in pair]
        command = [sys.executable, str(CLIENT), str(driver), device, str(calls), *words]
        self.process = subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._lines: queue.Queue = queue.Queue()
        self.errors = ""
        threading.Thread(target=self._read, daemon=True).start()
        self._stderr = threading.Thread(target=self._read_errors, daemon=True)
        self._stderr.start()

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def line(self, timeout=PATIENCE_S):
        """The next line that it prints; None where it ended, or printed none in time."""
        try:
            return self._lines.get(timeout=timeout)
        except queue.Empty:
            return None

    def until(self, key):
        """Lines up to one with a key, that one included."""
        lines = []
        while (line := self.line()) is not None:
            lines.append(line)
            if key in line:
                return lines
        raise AssertionError(f"{self.errors}: {lines}")

    def rest(self, timeout=PATIENCE_S):
        """All further lines, up to its end or to silence."""
        lines = []
        while (line := self.line(timeout)) is not None:
            lines.append(line)
        return lines

    def ended(self):
        """Its exit status; negative for a signal."""
        status = self.process.wait(PATIENCE_S)
        self._stderr.join(PATIENCE_S)
        return status

    def _read(self):
        for line in self.process.stdout:
            if line.startswith("{"):
                self._lines.put(json.loads(line))
        self._lines.put(None)

    def _read_errors(self):
        self.errors = self.process.stderr.read()


def run(environment, driver, pairs, **how):
    """Runs the client to its end: what it printed, its exit status, its errors."""
    with Program(environment, driver, pairs, **how) as program:
        lines = program.rest()
        return lines, program.ended(), program.errors


def equal_calls(lines):
    """Of each call whether its outputs were right."""
    return [line["equal"] for line in lines if "equal" in line]


def wait_for(condition):
    """Waits until something holds that must, soon."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def lived(environment, life, driver, pair):
    """Of each call of a life whether its outputs were right."""
    done = subprocess.run(
        [sys.executable, _LIVES, life, driver, *pair],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert lines[-1] == {"closed": True}
    return equal_calls(lines)
