"""Programs in surroundings that nobody thinks of: services, containers, limits, signals."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest
from compiled_files.faults import content_of, sound
from standins import SIZES, alive, gone, kernel_of, right

from atoll.errors import DeviceError
from atoll.runtime.driver import process

BEGIN = """
import os, resource, signal, sys, threading, time
import numpy as np
from atoll import Interpreter
model, library, said = sys.argv[1:]
interpreter = Interpreter(model, "usb:0", library=library)
zeros = np.zeros((1, 24), np.uint8)
def say(text):
    with open(said, "a") as file:
        file.write(f"{text}\\n")
def call():
    say(int(interpreter.invoke(zeros)[0][0, 0]))
"""


@pytest.fixture
def run(tmp_path, old_driver, faulty):
    """Runs a program with a device in a shell. Gives what it said, and its standard error."""
    model, said = tmp_path / "model_edgetpu.tflite", tmp_path / "said"
    model.write_bytes(content_of(sound()))

    def start(code, redirected="", status=0):
        program = tmp_path / "program.py"
        program.write_text(BEGIN + textwrap.dedent(code))
        said.write_text("")
        words = [sys.executable, program, model, old_driver, said]
        command = f"exec {' '.join(map(str, words))} {redirected}"
        done = subprocess.run(
            ["sh", "-c", command], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == status, done.stderr
        return said.read_text().split(), done.stderr

    return start


@pytest.mark.parametrize("closed", ["<&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_service_that_has_closed_its_standard_streams(run, closed):
    """The connection or the tensors would take their place: a log line would end in a tensor."""
    said, _ = run(
        """
        call()
        standard = [f"/proc/self/fd/{n}" for n in range(3)]
        held = [os.readlink(name) for name in standard if os.path.lexists(name)]
        say(any("socket" in name or "memfd" in name for name in held))
        """,
        closed,
    )
    assert said == ["17", "False"]


def test_too_many_open_files_are_told(run):
    """A server with a camera for each of a hundred sockets reaches its limit."""
    said, _ = run(
        """
        used = len(os.listdir("/proc/self/fd"))
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + 3, used + 3))
        kept = []
        for _ in range(8):
            try:
                kept.append(Interpreter(model, "usb:0", library=library))
            except Exception as error:
                say(type(error).__name__ + ("_in_one_line" if "ulimit -n" in str(error) else ""))
                break
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + 3, used + 3))
        call()
        """
    )
    assert said == ["DeviceError_in_one_line", "17"]


def test_a_program_ends_though_a_thread_waits_for_a_silent_stick(run, faulty):
    """Whoever closes the window would wait for the watchdog, up to a minute."""
    faulty("hang=2")
    began = time.monotonic()
    said, errors = run(
        """
        call()
        threading.Thread(target=call, daemon=True).start()
        time.sleep(0.2)
        """
    )
    assert said == ["17"]
    assert "Traceback" not in errors
    assert time.monotonic() - began < 15


@pytest.mark.parametrize(
    ("end", "status"),
    [
        ("threading.Thread(target=lambda: sys.exit(3)).start()", 0),
        ("os._exit(4)", 4),
        ("os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM),
        ("import atexit; atexit.register(call)", 0),
        ("interpreter.self = interpreter; sys.unraisablehook = lambda _: say('unraisable')", 0),
    ],
)
def test_however_a_program_ends_nothing_is_left(run, end, status):
    """Each way out of a program has an order of its own, in which things are taken down."""
    said, errors = run(
        f"""
        from atoll.runtime.driver.hosts import _HOSTS
        call()
        say(_HOSTS["usb:0"].pid)
        {end}
        """,
        status=status,
    )
    assert "Traceback" not in errors
    assert "unraisable" not in said
    assert gone(int(said[1]))


def test_a_service_manager_that_ends_all_processes_ends_the_program_first(device):
    """systemd sends SIGTERM to each at once: the program's last calls would find no device."""
    holder = device()
    kernel = kernel_of(holder)
    os.kill(holder.pid, signal.SIGTERM)
    time.sleep(0.05)
    assert right(kernel, SIZES[0])
    assert alive(holder.pid)


def test_a_device_is_given_back_though_a_fork_holds_its_connection(device, monkeypatch, tmp_path):
    """A pool that was forked at the wrong moment: the driver must close the stick all the same."""
    closed = tmp_path / "closed"
    monkeypatch.setenv("STANDIN_CLOSED", str(closed))
    holder = device()
    kernel_of(holder)
    copy = os.dup(holder._host._connection._process.channel.fileno())
    holder.close()
    os.close(copy)
    assert closed.read_text() == "closed\n"


@pytest.mark.parametrize("lack", ["frozen", "nameless"])
def test_a_python_without_a_program_of_its_own(device, monkeypatch, lack):
    """An application made with PyInstaller would start itself, and again, and again."""
    if lack == "frozen":
        monkeypatch.setattr(process.sys, "frozen", True, raising=False)
    else:
        monkeypatch.setattr(process.sys, "executable", "")
    with pytest.raises(DeviceError, match="direct mode"):
        kernel_of(device())
