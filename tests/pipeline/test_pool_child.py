"""A pool over devices in processes of their own: one is killed, and no call is lost."""

import os
import signal
import threading
import time

import numpy as np
import pytest
from small_models import asked_and_expected, small_model

from atoll.pipeline import Backoff, Pool
from atoll.runtime.driver.child import ChildDevice
from atoll.runtime.driver.options import DriverOptions

pytestmark = pytest.mark.timeout(120)


def pool_of(*devices, **how):
    return Pool(small_model(), list(devices), isolated=True, threads=1, **how)


def process_of(device):
    """The process that hosts a device, which is open."""
    with ChildDevice.shared(device, DriverOptions(threads=1)) as holder:
        assert holder.pid is not None
        return holder.pid


def kill(device):
    os.kill(process_of(device), signal.SIGKILL)


def until(condition):
    while not condition():
        time.sleep(0.002)


def ask(pool, seed, calls, wrong):
    asked, expected = asked_and_expected()
    for place in np.random.default_rng(seed).integers(0, len(asked), calls):
        try:
            if not np.array_equal(pool.invoke(asked[place])[0], expected[place]):
                wrong.append(f"another answer for {place}")
        except Exception as error:
            wrong.append(str(error))


def asking(pools, calls):
    """Threads that ask, and what goes wrong."""
    wrong = []
    threads = [threading.Thread(target=ask, args=(p, n, calls, wrong)) for n, p in enumerate(pools)]
    for thread in threads:
        thread.start()
    return threads, wrong


def test_a_killed_process_loses_no_call():
    """A driver that ends with its stick: its calls are answered by the other, and it comes back."""
    with pool_of("sim:0", "sim:1", backoff=Backoff(0.01, 0.1)) as pool:
        before = process_of("sim:0")
        threads, wrong = asking([pool] * 4, 400)
        until(lambda: pool.states()[0].calls > 100)
        kill("sim:0")
        for thread in threads:
            thread.join()
        assert not wrong
        # It is noticed with the next call, which may be one of these.
        until(lambda: ask(pool, 9, 10, wrong) or pool.states()[0].losses)
        until(lambda: pool.states()[0].state == "ready")
        ask(pool, 9, 100, wrong)
        assert not wrong
        first, second = pool.states()
        assert (first.losses, second.losses) == (1, 0)
        assert process_of("sim:0") != before


def test_with_all_processes_killed_at_once_the_calls_are_answered_when_they_are_back():
    """A hub that is switched off and on."""
    wrong = []
    with pool_of("sim:0", "sim:1", patience_s=30) as pool:
        ask(pool, 0, 20, wrong)
        kill("sim:0")
        kill("sim:1")
        ask(pool, 1, 50, wrong)
    assert not wrong


def test_the_only_process_is_killed_while_it_is_asked():
    """With nobody else there, it is opened again at once, and its call repeated."""
    wrong = []
    with pool_of("sim:0") as pool:
        threading.Timer(0.05, kill, ["sim:0"]).start()
        until(lambda: ask(pool, 3, 10, wrong) or pool.states()[0].losses)
        ask(pool, 4, 10, wrong)
    assert not wrong


def test_two_models_on_one_device_that_is_killed():
    """The device is shared, and tried again only after a moment: neither model's calls fail."""
    with pool_of("sim:0") as one, pool_of("sim:0") as two:
        threads, wrong = asking([one, two], 2000)
        until(lambda: one.states()[0].calls > 100)
        kill("sim:0")
        for thread in threads:
            thread.join()
        assert not wrong
        assert one.states()[0].losses + two.states()[0].losses >= 1
