"""The time limit of a compile."""

import signal
import threading
import time

import pytest

from atoll.compiler.deadline import time_limit
from atoll.errors import CompilerError


@pytest.fixture(autouse=True)
def own_timer():
    """Those of the test runner are kept out of the way, and put back."""
    handler, timer = signal.getsignal(signal.SIGALRM), signal.setitimer(signal.ITIMER_REAL, 0)
    yield
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, *timer)


def test_work_that_takes_too_long_is_ended():
    """-t promises it; a build must not hang."""
    start = time.monotonic()
    message = r"m\.tflite.*within 1 s.*--timeout_sec"
    with pytest.raises(CompilerError, match=message), time_limit(1, "m.tflite"):
        while True:
            time.sleep(0.01)
    assert time.monotonic() - start < 5


def test_work_in_time_leaves_no_timer():
    """It would go off later, in somebody else's work."""
    before = signal.getsignal(signal.SIGALRM)
    with time_limit(60, "m.tflite"):
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 50
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
    assert signal.getsignal(signal.SIGALRM) == before


def test_another_timer_goes_on():
    """A program that calls the compiler may have set one of its own."""
    gone_off = []
    signal.signal(signal.SIGALRM, lambda *_: gone_off.append(True))
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    with time_limit(60, "m.tflite"):
        time.sleep(0.2)
        assert not gone_off
    time.sleep(0.05)
    assert gone_off


def test_elsewhere_than_in_the_main_thread_it_does_no_harm():
    """A server compiles in a thread, where Python allows no timer."""
    done = []

    def work():
        with time_limit(1, "m.tflite"):
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done
