"""`atoll stick`: any program, started as ever, with its own output, signals and exit status."""

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from cli_runner import ATOLL, atoll, atoll_inside, refused
from stick_programs import CLIENT

from atoll.stick import plugged


def client(driver, pair, calls=2):
    """The words that run the client."""
    return [sys.executable, CLIENT, driver, "usb:0", calls, *pair]


def test_a_program_runs_and_what_the_sticks_saw_is_told(new_driver, pair, tmp_path):
    """Standard output is the program's, standard error ends with ours."""
    path = tmp_path / "seen.json"
    words = ["--model", pair[0], "--count", "2", "--fast", "--json", path]
    done = atoll("stick", *words, "--", *client(new_driver, pair))
    assert done.returncode == 0, done.stderr
    assert [json.loads(line).get("equal") for line in done.stdout.splitlines()] == [
        None,
        True,
        True,
        None,
    ]
    assert "atoll stick: usb:0: 2 runs, parameters loaded 1 time" in done.stderr
    assert "atoll stick: usb:1: 0 runs" in done.stderr
    assert "no program opened" not in done.stderr
    seen = json.loads(path.read_text())
    assert seen["exit_status"] == 0
    assert [(each["runs"], each["violations"]) for each in seen["sticks"]] == [(2, []), (0, [])]


def test_several_models_and_twins_follow_one_option(new_driver, pair, signed_pair, tmp_path):
    """As the help has it: --model A B."""
    moved = tmp_path / "elsewhere_edgetpu.tflite"
    moved.write_bytes(signed_pair[0].read_bytes())
    words = ["--model", pair[0], moved, "--twin", pair[1], signed_pair[1], "--fast"]
    done = atoll("stick", *words, "--", *client(new_driver, (*pair, moved, signed_pair[1])))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('"equal": true') == 4


def test_a_violation_is_told_loudly(new_driver, pair, signed_pair):
    """The program's own failure says little: it was aborted."""
    words = ["--model", pair[0], "--fast"]
    done = atoll("stick", *words, "--", *client(new_driver, signed_pair))
    assert done.returncode == 128 + signal.SIGABRT
    assert done.stderr.count("VIOLATION") == 2
    assert "1 times the driver sent what no stick understands" in done.stderr


def test_sticks_that_nobody_opened_are_told():
    """Most often there is no libedgetpu, and the program went on without."""
    assert "no program opened a stick" in atoll("stick", "--", "true").stderr


def test_a_model_that_is_not_compiled_is_told_so(pair):
    """Its owner would look for a twin, and there is none of it."""
    process = atoll_inside("stick", "--model", pair[1], "--", "true")
    assert "a model with no compiled part" in refused(process)


@pytest.mark.parametrize("status", [0, 1, 7])
def test_the_exit_status_is_the_programs(status):
    """A test runner's status must reach its caller. What looks like an option is the program's."""
    assert atoll("stick", "--", "sh", "-c", f"exit {status}", "--help").returncode == status


def test_what_ends_the_program_by_a_signal_is_told_as_a_shell_does():
    """128 and the signal's number."""
    assert atoll("stick", "--", "sh", "-c", "kill -9 $$").returncode == 128 + 9


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_signals_are_passed_on(number):
    """A container's stop, or a runner's time-out, is for the program."""
    code = (
        "import signal, sys, time\n"
        f"signal.signal({int(number)}, lambda *_: sys.exit(42))\n"
        "print('ready', flush=True)\n"
        "time.sleep(30)\n"
    )
    process = subprocess.Popen(
        [ATOLL, "stick", "--", sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    assert process.wait(20) == 42


def test_the_programs_environment_is_ours_and_more(monkeypatch):
    """What was preloaded before still is."""
    monkeypatch.setenv("LD_LIBRARY_PATH", "/some/where")
    monkeypatch.setenv("OWN", "kept")
    done = atoll("stick", "--count", "3", "--", "sh", "-c", "env")
    found = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    assert found["OWN"] == "kept"
    assert found["ATOLL_STICK_COUNT"] == "3"
    assert found["LD_PRELOAD"].endswith("/libusb-1.0.so.0")
    first, second = found["LD_LIBRARY_PATH"].split(":")
    assert found["LD_PRELOAD"].startswith(first)
    assert second == "/some/where"


WRONG = {
    "no command": (["--count", "2"], "behind --"),
    "nothing behind the line": (["--count", "2", "--"], "behind --"),
    "no such program": (["--", "no-such-program"], "no such program"),
    "too many sticks": (["--count", "9", "--", "true"], "1 to 8"),
    "no stick": (["--count", "0", "--", "true"], "1 to 8"),
    "a fault of a stick that is not there": (["--fault", "stall#3", "--", "true"], "--count"),
    "an unknown fault": (["--fault", "melt", "--", "true"], "melt"),
    "no such model": (["--model", "none_edgetpu.tflite", "--", "true"], "none_edgetpu.tflite"),
    "twins without models": (["--twin", "a.tflite", "--", "true"], "--twin"),
    "no folder for the JSON": (["--json", "/no/where/x.json", "--", "true"], "/no/where/x.json"),
}


@pytest.mark.parametrize("words", WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_one_line(words):
    """Before the program is started."""
    args, word = words
    assert word in refused(atoll_inside("stick", *args))


def test_faults_are_listed():
    """So that nobody needs the page."""
    done = atoll_inside("stick", "--faults")
    assert done.returncode == 0
    assert "unplug" in done.stdout
    assert "It is pulled out." in done.stdout


def test_help_says_how():
    """Also behind other options, and without a command."""
    for words in (["--help"], ["--count", "2", "-h"], []):
        done = atoll_inside("stick", *words)
        assert "COMMAND..." in done.stdout + done.stderr
        assert done.returncode in (0, 2)


def test_other_systems_are_refused(monkeypatch):
    """Nothing there takes a library's place."""
    monkeypatch.setattr(sys, "platform", "darwin")
    assert "Linux" in refused(atoll_inside("stick", "--", "true"))


def test_nothing_is_left_behind(pair):
    """A socket, a thread, a folder: tests plug sticks in thousands of times."""
    before = threading.active_count()
    folders = []
    for _ in range(5):
        with plugged(pair[0]) as environment:
            folders.append(environment["ATOLL_STICK_SOCKET"])
            subprocess.run(["true"], env=environment, check=True)
    end = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < end:
        time.sleep(0.01)
    assert threading.active_count() <= before
    assert not any(Path(each).parent.exists() for each in folders)
