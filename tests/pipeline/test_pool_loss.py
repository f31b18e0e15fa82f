"""Devices that are lost: no call is, and the devices come back."""

import contextlib
import gc
import threading
import time
import tracemalloc

import numpy as np
import pytest
from small_models import Devices, Held, asked_and_expected, lost, small_model

from atoll.errors import DeviceError, DeviceLostError, UsageError
from atoll.pipeline import Backoff, Pool

pytestmark = pytest.mark.timeout(60)
NAMES = ["sim:0", "sim:1"]
AT_ONCE = Backoff(0.001, 0.01)


def until(condition):
    while not condition():
        time.sleep(0.001)


def check(pool, calls):
    asked, expected = asked_and_expected()
    for number in range(calls):
        place = number % len(asked)
        assert np.array_equal(pool.invoke(asked[place])[0], expected[place])


def callers(pool, threads, calls):
    """Asks from many threads, each with several calls under way; what went wrong."""
    asked, expected = asked_and_expected()
    wrong = []

    def work(seed):
        places = np.random.default_rng(seed).integers(0, len(asked), calls)
        order = []
        try:
            futures = [pool.submit(asked[place]) for place in places]
            for number, future in enumerate(futures):
                future.add_done_callback(lambda _, n=number: order.append(n))
            for place, future in zip(places, futures, strict=True):
                if not np.array_equal(future.result(30)[0], expected[place]):
                    wrong.append(f"{seed}: another call's answer")
            if order != sorted(order) or len(order) != calls:
                wrong.append(f"{seed}: out of order")
        except Exception as error:
            wrong.append(f"{seed}: {error}")

    workers = [threading.Thread(target=work, args=(seed,)) for seed in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return wrong


def test_no_call_is_lost_with_a_device():
    """Eight threads, two devices, one of which is lost in the middle and comes back."""
    devices = Devices(sim_0=[400])
    with Pool(small_model(), NAMES, backoff=AT_ONCE, open_device=devices) as pool:
        assert callers(pool, threads=8, calls=250) == []
        first, second = pool.states()
        assert first.calls + second.calls == 2000
        assert (first.losses, second.losses) == (1, 0)
        assert first.calls > 400  # it was taken in again
    assert devices.opened.count("sim:0") == 2


def test_memory_does_not_grow():
    """A service runs for months."""
    with Pool(small_model(), NAMES, backoff=AT_ONCE, open_device=Devices(sim_0=[100])) as pool:
        callers(pool, threads=4, calls=200)
        gc.collect()
        tracemalloc.start()
        # Without the collector's help: what goes in circles is not free when it is done with.
        gc.disable()
        try:
            callers(pool, threads=4, calls=50)
            before = tracemalloc.get_traced_memory()[0]
            for _ in range(4):
                callers(pool, threads=4, calls=150)
            after = tracemalloc.get_traced_memory()[0]
        finally:
            gc.enable()
            tracemalloc.stop()
        assert pool.states()[0].losses == 1
    # 2,400 calls: a number kept of each would be 60,000 bytes.
    assert after - before < 20_000


def test_a_lost_device_is_opened_again_later_and_later():
    """A stick that is unplugged for an hour must be tried, but not a thousand times a second."""
    refusals = [lost() for _ in range(5)]
    devices = Devices(sim_0=[3, *refusals])
    times = []

    def timed(name):
        if name == "sim:0":
            times.append(time.monotonic())
        return devices(name)

    with Pool(small_model(), NAMES, backoff=Backoff(0.02, 0.1), open_device=timed) as pool:
        until(lambda: check(pool, 5) or pool.states()[0].losses)
        until(lambda: pool.states()[0].state == "out")
        assert "must stay plugged in" in pool.states()[0].reason
        until(lambda: pool.states()[0].state == "ready")
        before = pool.states()[0].calls
        until(lambda: check(pool, 5) or pool.states()[0].calls > before)
    assert len(times) == 7
    waits = np.diff(times[1:])
    assert waits[0] < 10  # at once, but for what the machine is busy with
    assert all(
        waited >= wanted for waited, wanted in zip(waits, (0.02, 0.04, 0.08, 0.1, 0.1), strict=True)
    )


def test_waits_double_up_to_the_longest():
    """A wait that overflowed, or began at nothing, would be no wait."""
    backoff = Backoff(0.1, 30.0)
    assert [backoff.seconds(n) for n in (0, 1, 2, 3, 4, 11, 10_000)] == [
        0, 0, 0.1, 0.2, 0.4, 30.0, 30.0,
    ]  # fmt: skip
    with pytest.raises(UsageError, match="no longer than the longest"):
        Backoff(2.0, 1.0)


def test_a_device_that_is_lost_at_every_call_is_waited_for_too():
    """It opens, and ends with the first frame: opening it again at once would go on for ever."""
    devices = Devices(sim_0=[0] * 50)
    with Pool(small_model(), NAMES, backoff=Backoff(0.05, 10), open_device=devices) as pool:
        end = time.monotonic() + 0.3
        while time.monotonic() < end:
            check(pool, 10)
    # The first, at once, and after 0.05, 0.1 and 0.2 seconds.
    assert 2 <= devices.opened.count("sim:0") <= 5


def test_the_only_device_that_comes_back_at_once_loses_no_call():
    """A driver that ended, and is there again as soon as it is opened: nobody should notice."""
    with Pool(small_model(), ["sim:0"], open_device=Devices(sim_0=[5, 5, 5])) as pool:
        check(pool, 40)
        assert pool.states()[0].losses == 3


def test_where_no_device_is_left_each_call_gets_one_clear_error():
    """A caller that waited for a stick in a drawer would wait for ever."""
    gone = [lost(name) for name in NAMES for _ in range(500)]
    devices = Devices(sim_0=[10, *gone[:500]], sim_1=[10, *gone[500:]])
    with Pool(small_model(), NAMES, backoff=AT_ONCE, patience_s=0, open_device=devices) as pool:
        check(pool, 10)
        errors = callers(pool, threads=4, calls=20)
        assert len(errors) == 4
        for error in errors:
            assert "a device must be left to run on" in error
            assert "sim:0: " in error
            assert "sim:1: " in error
            assert "\n" not in error
        with pytest.raises(DeviceError, match="must be left"):
            pool.invoke(asked_and_expected()[0][0])
        # And when they are back, it goes on.
        devices._plan.clear()
        until(lambda: all(state.state == "ready" for state in pool.states()))
        assert callers(pool, threads=4, calls=20) == []


def test_calls_wait_for_a_device_as_long_as_they_are_told_to():
    """A hub that is reset takes its sticks away for two seconds."""
    gone = [lost() for _ in range(3)]
    slow = Backoff(0.03, 0.03)
    devices = Devices(sim_0=[5, *gone])
    with Pool(small_model(), ["sim:0"], backoff=slow, patience_s=30, open_device=devices) as pool:
        check(pool, 20)
    devices = Devices(sim_0=[5, *(lost() for _ in range(1000))])
    with Pool(small_model(), ["sim:0"], backoff=slow, patience_s=0.1, open_device=devices) as pool:
        began = time.monotonic()
        with pytest.raises(DeviceError, match="must be left"):
            check(pool, 20)
        assert time.monotonic() - began >= 0.1


def test_the_fallback_answers_only_while_the_others_are_out():
    """Software is slower: it must help, and then stand back."""
    gone = [lost() for _ in range(60)]
    devices = Devices(sim_0=[10, *gone], sim_1=[20, *gone])
    with Pool(small_model(), NAMES, fallback="cpu", backoff=AT_ONCE, open_device=devices) as pool:
        check(pool, 10)
        assert pool.states()[2].calls == 0
        assert callers(pool, threads=4, calls=50) == []
        until(lambda: all(state.state == "ready" for state in pool.states()))
        helped = pool.states()[2].calls
        assert helped > 0
        assert callers(pool, threads=4, calls=50) == []
        assert pool.states()[2].calls == helped


def test_a_call_that_devices_are_lost_by_ends_itself():
    """An input on which the driver ends would take out one device after the other, for ever."""

    class Picky:
        def invoke(self, array):
            if array[0] == 13:
                raise lost()
            return [array]

        def close(self):
            pass

    with Pool(b"", NAMES, backoff=AT_ONCE, open_device=lambda _: Picky()) as pool:
        futures = [pool.submit(np.int64([n])) for n in range(20)]
        for number, future in enumerate(futures):
            if number == 13:
                with pytest.raises(DeviceLostError):
                    future.result(10)
            else:
                assert future.result(10)[0][0] == number
        assert sum(state.losses for state in pool.states()) == 3


def test_a_failure_that_is_no_loss_is_the_caller_s():
    """A kernel that fails on one input fails on every device: repeating it helps nobody."""
    failure = DeviceError("sim", "its kernel failed", received="x", fix="Compile the model again")

    class Failing(Held):
        def invoke(self, *arrays):
            raise failure

    with Pool(b"", ["sim:0"], open_device=lambda _: Failing()) as pool:
        with pytest.raises(DeviceError, match="kernel failed"):
            pool.invoke(np.int64([1]))
        assert pool.states()[0].losses == 0


def test_a_device_that_is_not_there_yet_is_waited_for_if_asked():
    """A service starts with the sticks that are plugged in."""
    devices = Devices(sim_1=[lost("sim:1")] * 4)
    with pytest.raises(DeviceLostError):
        Pool(small_model(), NAMES, open_device=devices)
    devices = Devices(sim_1=[lost("sim:1")] * 4)
    with Pool(small_model(), NAMES, missing_ok=True, backoff=AT_ONCE, open_device=devices) as pool:
        check(pool, 10)
        until(lambda: pool.states()[1].state == "ready")
    # None at all is not a wait without an end.
    never = Devices(sim_0=[lost()] * 1000, sim_1=[lost()] * 1000)
    with (
        Pool(small_model(), NAMES, missing_ok=True, backoff=AT_ONCE, open_device=never) as pool,
        pytest.raises(DeviceError, match="must be left"),
    ):
        pool.invoke(asked_and_expected()[0][0])


@pytest.mark.parametrize("drop", [False, True])
@pytest.mark.parametrize("patience", [0, 30])
def test_closing_while_devices_are_being_lost_does_not_hang(drop, patience):
    """The moment at which everything goes wrong is when a program is stopped."""
    for seed in range(10):
        rng = np.random.default_rng(seed)
        plans = [[int(n) for n in rng.integers(0, 30, 40)] for _ in NAMES]
        for plan in plans:
            plan[3::2] = [lost()] * len(plan[3::2])
        pool = Pool(
            small_model(),
            NAMES,
            backoff=AT_ONCE,
            patience_s=patience,
            open_device=Devices(sim_0=plans[0], sim_1=plans[1]),
        )
        asked, expected = asked_and_expected()
        ended = []

        def work(pool=pool, asked=asked, expected=expected, ended=ended):
            for place in range(len(asked)):
                with contextlib.suppress(DeviceError, UsageError):
                    assert np.array_equal(pool.invoke(asked[place])[0], expected[place])
            ended.append(True)

        threads = [threading.Thread(target=work, daemon=True) for _ in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(float(rng.uniform(0, 0.02)))
        pool.close(drop=drop, timeout_s=10)
        for thread in threads:
            thread.join(10)
        assert len(ended) == 4
