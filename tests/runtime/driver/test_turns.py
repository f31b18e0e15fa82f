"""One stick is opened at a time on a machine."""

import subprocess
import sys
import threading
import time

import pytest

from atoll.runtime.driver.turns import turn

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux alone has such names")


@pytest.fixture(autouse=True)
def own_name(monkeypatch, tmp_path):
    """Other tests at the same time open sticks too."""
    monkeypatch.setenv("ATOLL_STICK_SOCKET", str(tmp_path))


def test_one_waits_for_the_other():
    """While one is reset, the others are counted wrongly."""
    happened = []

    def other():
        with turn():
            happened.append("other")

    with turn():
        thread = threading.Thread(target=other)
        thread.start()
        time.sleep(0.1)
        happened.append("one")
    thread.join()
    assert happened == ["one", "other"]


HOLDING = """
import sys, time
from atoll.runtime.driver.turns import turn
with turn():
    print("mine", flush=True)
    time.sleep(60)
"""


def test_a_program_that_is_killed_keeps_nobody_waiting():
    """A lock that is a file would have to be removed by hand."""
    with subprocess.Popen([sys.executable, "-c", HOLDING], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline()
        began = time.monotonic()
        with turn(0.2):  # it goes on all the same, so that nobody can lock everybody out
            assert 0.2 <= time.monotonic() - began < 5
        process.kill()
        process.wait()
    began = time.monotonic()
    with turn():
        assert time.monotonic() - began < 5
