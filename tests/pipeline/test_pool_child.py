"""A pool over devices in processes of their own: one is killed, and no call is lost."""

import threading

import numpy as np
import pytest
from small_models import asked_and_expected, small_model

from atoll.pipeline import Backoff, Pool
from atoll.runtime.driver.child import ChildDevice
from atoll.tflite.reader import parse_model

pytestmark = pytest.mark.timeout(120)


class Hosted:
    """The small model on a simulator in a child process."""

    def __init__(self, name):
        self.child = ChildDevice.shared(name)
        graph = parse_model(small_model(), "small").main
        inputs, outputs = ([graph.tensors[i] for i in s] for s in (graph.inputs, graph.outputs))
        try:
            self._kernel = self.child.load_model(small_model(), inputs, outputs, "small")
        except BaseException:
            self.child.close()
            raise
        self._shape = outputs[0].shape

    def invoke(self, *arrays):
        made = np.empty(self._shape, np.uint8)
        self._kernel(arrays, [made])
        return [made]

    def close(self):
        self.child.close()


class Hosts:
    """Opens them, and remembers the last one of each name."""

    def __init__(self):
        self.last = {}
        self.pids = []

    def __call__(self, name):
        self.last[name] = hosted = Hosted(name)
        self.pids.append(hosted.child.pid)
        return hosted


def ask(pool, seed, calls, wrong):
    asked, expected = asked_and_expected()
    for place in np.random.default_rng(seed).integers(0, len(asked), calls):
        try:
            if not np.array_equal(pool.invoke(asked[place])[0], expected[place]):
                wrong.append(f"another answer for {place}")
        except Exception as error:
            wrong.append(str(error))


def test_a_killed_process_loses_no_call():
    """A driver that ends with its stick: its calls are answered by the other, and it comes back."""
    hosts, wrong = Hosts(), []
    with Pool(b"", ["sim:0", "sim:1"], open_device=hosts, backoff=Backoff(0.01, 0.1)) as pool:
        threads = [threading.Thread(target=ask, args=(pool, n, 400, wrong)) for n in range(4)]
        for thread in threads:
            thread.start()
        while pool.states()[0].calls < 100:
            threading.Event().wait(0.001)
        hosts.last["sim:0"].child.kill()
        for thread in threads:
            thread.join()
        assert not wrong
        while pool.states()[0].state != "ready":
            threading.Event().wait(0.01)
        ask(pool, 9, 100, wrong)
        assert not wrong
        first, second = pool.states()
        assert (first.losses, second.losses) == (1, 0)
        assert first.calls + second.calls == 1700
    assert len(set(hosts.pids)) == 3


def test_with_all_processes_killed_at_once_the_calls_are_answered_when_they_are_back():
    """A hub that is switched off and on."""
    hosts, wrong = Hosts(), []
    with Pool(b"", ["sim:0", "sim:1"], open_device=hosts, patience_s=30) as pool:
        ask(pool, 0, 20, wrong)
        for hosted in list(hosts.last.values()):
            hosted.child.kill()
        ask(pool, 1, 50, wrong)
    assert not wrong


def test_the_only_process_is_killed_while_it_is_asked():
    """With nobody else there, it is opened again at once, and its call repeated."""
    hosts = Hosts()
    with Pool(b"", ["sim:0"], open_device=hosts, backoff=Backoff(0.01, 0.1)) as pool:
        asked, expected = asked_and_expected()
        threading.Timer(0.05, lambda: hosts.last["sim:0"].child.kill()).start()
        while not pool.states()[0].losses:
            assert np.array_equal(pool.invoke(asked[3])[0], expected[3])
        assert np.array_equal(pool.invoke(asked[4])[0], expected[4])


def test_two_models_on_one_device_that_is_killed():
    """The device is shared, and tried again only after a moment: neither model's calls fail."""
    hosts, wrong = Hosts(), []
    with (
        Pool(b"", ["sim:0"], open_device=hosts) as one,
        Pool(b"", ["sim:0"], open_device=hosts) as two,
    ):
        threads = [threading.Thread(target=ask, args=(p, 5, 3000, wrong)) for p in (one, two)]
        for thread in threads:
            thread.start()
        while one.states()[0].calls < 100:
            threading.Event().wait(0.001)
        hosts.last["sim:0"].child.kill()
        for thread in threads:
            thread.join()
        assert not wrong
        assert one.states()[0].losses + two.states()[0].losses >= 1
