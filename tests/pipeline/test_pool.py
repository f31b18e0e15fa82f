"""A pool of devices: each call has the answer that is its own, in its caller's order."""

import itertools
import threading
import time
from concurrent.futures import CancelledError

import numpy as np
import pytest
from small_models import (
    Devices,
    Held,
    asked_and_expected,
    once_held,
    small_model,
)

from atoll import Interpreter
from atoll.errors import DeviceError, ModelError, UsageError
from atoll.pipeline import Pool
from atoll.tflite.graph import Model, Subgraph, Tensor
from atoll.tflite.reader import parse_model
from atoll.tflite.writer import write_model

pytestmark = pytest.mark.timeout(60)
NAMES = ["sim:0", "sim:1"]


def one(value):
    return np.int64([value])


def in_thread(work, *args):
    thread = threading.Thread(target=work, args=args, daemon=True)
    thread.start()
    return thread


def until(condition):
    while not condition():
        time.sleep(0.001)


def test_the_answers_are_litert_s_and_come_in_order():
    """The wrong frame's answer, or one twice, is the worst that could happen."""
    asked, expected = asked_and_expected()
    with Pool(small_model(), NAMES, open_device=Devices()) as pool:
        for (answer,), wanted in zip(pool.map(asked), expected, strict=True):
            assert np.array_equal(answer, wanted)
        assert np.array_equal(pool.invoke(asked[7])[0], expected[7])
        assert [state.state for state in pool.states()] == ["ready", "ready"]
        assert sum(state.calls for state in pool.states()) == len(asked) + 1
        assert pool.inputs[0].shape == asked[0].shape
        assert pool.outputs[0].name
    assert [state.state for state in pool.states()] == ["closed", "closed"]


def test_both_devices_work_at_the_same_time():
    """A pool that uses one device at a time is no faster than one stick."""
    devices = Held(), Held()
    with Pool(b"", NAMES, open_device=once_held(*devices)) as pool:
        futures = [pool.submit(one(i)) for i in range(2)]
        for device in devices:
            assert device.begun.acquire(timeout=10)
        for device in devices:
            device.go.release()
        assert [int(f.result(10)[0][0]) for f in futures] == [0, 1]
    assert all(device.closed for device in devices)


def test_futures_of_a_thread_are_done_in_its_order():
    """A program that acts when futures are done would see frames jump back in time."""
    slow, quick = Held(), Held()
    with Pool(b"", NAMES, open_device=once_held(slow, quick)) as pool:
        done, others = [], []
        first = pool.submit(one(0))
        until(lambda: slow.begun.acquire(blocking=False) or quick.begun.acquire(blocking=False))
        holder, other = (slow, quick) if pool._lines[0]._runner is slow else (quick, slow)
        futures = [first, *(pool.submit(one(i)) for i in range(1, 5))]
        for future in futures:
            future.add_done_callback(lambda f: done.append(int(f.result()[0][0])))
        # Another caller's calls wait for none of these.
        stream = pool.stream()
        stream.submit(one(9)).add_done_callback(lambda f: others.append(int(f.result()[0][0])))
        for _ in range(5):
            other.go.release()
        until(lambda: others)
        assert done == []
        assert not any(future.done() for future in futures)
        holder.go.release()
        until(lambda: len(done) == 5)
        assert done == [0, 1, 2, 3, 4]
        assert others == [9]


def test_map_takes_no_more_than_it_can_queue():
    """A camera has no end, and a large folder does not fit into memory."""
    asked, expected = asked_and_expected()
    taken = itertools.count()

    def endless():
        while True:
            yield asked[next(taken) % len(asked)]

    with Pool(small_model(), NAMES, queue_size=3, open_device=Devices()) as pool:
        answers = itertools.islice(pool.map(endless()), 50)
        for (answer,), wanted in zip(answers, expected[:50], strict=True):
            assert np.array_equal(answer, wanted)
    assert next(taken) <= 50 + 3 + 2


def test_an_error_of_one_call_is_its_caller_s_alone():
    """One frame of the wrong size must not stop the others, nor take a device out."""
    asked, expected = asked_and_expected()
    with Pool(small_model(), NAMES, open_device=Devices()) as pool:
        wrong = pool.submit(asked[0][0])
        right = pool.submit(asked[1])
        with pytest.raises(UsageError, match="takes uint8 of shape"):
            wrong.result()
        assert np.array_equal(right.result()[0], expected[1])
        with pytest.raises(UsageError, match="takes uint8"):
            list(pool.map([asked[0], asked[0][0], asked[0]]))
        assert [state.losses for state in pool.states()] == [0, 0]


def test_a_full_queue_makes_the_caller_wait():
    """Frames that come faster than they are answered would fill the memory."""
    device = Held()
    with Pool(b"", ["sim:0"], queue_size=2, open_device=once_held(device)) as pool:
        sent = []
        producer = in_thread(lambda: [sent.append(pool.submit(one(i))) for i in range(9)])
        until(lambda: pool.waiting == 2)
        time.sleep(0.05)
        assert len(sent) == 3
        assert producer.is_alive()
        for _ in range(9):
            device.go.release()
        producer.join(10)
        assert [int(f.result(10)[0][0]) for f in sent] == list(range(9))


@pytest.mark.parametrize("drop", [False, True])
def test_closing_under_load_ends_every_call(drop):
    """A program that cannot be stopped is killed, and its devices with it."""
    asked, expected = asked_and_expected()
    pool = Pool(small_model(), NAMES, queue_size=4, open_device=Devices())
    ends, wrong = [], []

    def work():
        try:
            for number in itertools.count():
                place = number % len(asked)
                if not np.array_equal(pool.invoke(asked[place])[0], expected[place]):
                    wrong.append(place)
        except UsageError as error:
            ends.append(str(error))

    threads = [in_thread(work) for _ in range(8)]
    time.sleep(0.1)
    pool.close(drop=drop)
    for thread in threads:
        thread.join(10)
    assert len(ends) == 8
    assert not wrong
    assert all("must be open" in end for end in ends)
    with pytest.raises(UsageError, match="must be open"):
        pool.submit(asked[0])
    pool.close()


def test_closing_finishes_what_was_taken_unless_it_shall_drop_it():
    """Leaving a with block must not lose the answers that were asked for in it."""
    device = Held()
    with Pool(b"", ["sim:0"], open_device=once_held(device)) as pool:
        kept = [pool.submit(one(i)) for i in range(3)]
        device.go.release(3)
    assert [int(f.result(0)[0][0]) for f in kept] == [0, 1, 2]
    device = Held()
    pool = Pool(b"", ["sim:0"], open_device=once_held(device))
    running, waiting = pool.submit(one(0)), pool.submit(one(1))
    device.begun.acquire()
    closer = in_thread(lambda: pool.close(drop=True))
    until(lambda: pool.waiting == 0)
    device.go.release()
    closer.join(10)
    assert int(running.result(0)[0][0]) == 0
    with pytest.raises(UsageError, match="must be open"):
        waiting.result(0)


def test_a_blocked_producer_is_let_go_by_closing():
    """A thread that waits for room would wait for ever."""
    device = Held()
    pool = Pool(b"", ["sim:0"], queue_size=1, open_device=once_held(device))
    ended = []

    def produce():
        try:
            while True:
                pool.submit(one(0))
        except UsageError:
            ended.append(True)

    producer = in_thread(produce)
    until(lambda: pool.waiting == 1)
    closer = in_thread(lambda: pool.close(drop=True))
    producer.join(10)
    assert ended
    device.go.release(10)
    closer.join(10)
    assert not closer.is_alive()


def test_a_device_that_never_comes_back_does_not_hang_close():
    """Where a driver waits for ever, the program must still be able to say so."""
    device = Held()
    pool = Pool(b"", ["sim:0"], open_device=once_held(device))
    future = pool.submit(one(0))
    with pytest.raises(DeviceError, match="sim:0: it must come back"):
        pool.close(timeout_s=0.05)
    device.go.release()
    assert int(future.result(10)[0][0]) == 0
    pool.close()


def test_a_future_can_be_cancelled_while_it_waits():
    """A viewer who has left wants no more frames."""
    device = Held()
    with Pool(b"", ["sim:0"], open_device=once_held(device)) as pool:
        futures = [pool.submit(one(i)) for i in range(3)]
        device.begun.acquire()
        assert futures[1].cancel()
        assert not futures[0].cancel()
        device.go.release(2)
        assert int(futures[2].result(10)[0][0]) == 2
        with pytest.raises(CancelledError):
            futures[1].result()
    assert pool.states()[0].calls == 2


def test_what_a_future_calls_may_submit_but_not_wait():
    """A device's thread that waits for its own device would wait for ever."""
    asked, expected = asked_and_expected()
    seen = []
    with Pool(small_model(), ["sim:0"], queue_size=1, open_device=Devices()) as pool:

        def again(future):
            try:
                pool.invoke(asked[1])
            except UsageError as error:
                seen.append(str(error))
            for place in (1, 2, 3):
                pool.submit(asked[place]).add_done_callback(
                    lambda f, p=place: seen.append(np.array_equal(f.result()[0], expected[p]))
                )

        pool.submit(asked[0]).add_done_callback(again)
        until(lambda: len(seen) == 4)
    assert "must not wait" in seen[0]
    assert seen[1:] == [True, True, True]


@pytest.mark.parametrize(
    "devices", [[], "sim:0", ["sim:0", "sim:0"]], ids=["none", "no list", "twice"]
)
def test_devices_that_mean_nothing_are_refused(devices):
    """A string would be taken for a list of letters, a device named twice is not two devices."""
    with pytest.raises(UsageError, match="each named once"):
        Pool(small_model(), devices)


def test_a_device_that_is_not_there_is_an_error_at_once():
    """A typing error must not look like a device that will come."""
    with pytest.raises(DeviceError, match="nonsense:0"):
        Pool(small_model(), ["cpu", "nonsense:0"])
    with pytest.raises(ModelError):
        Pool(b"no model", ["cpu"])
    with pytest.raises(ModelError, match=r"missing\.tflite"):
        Pool("missing.tflite", ["cpu"], missing_ok=True)


def test_a_model_with_a_state_is_refused():
    """Each device would remember other calls than the last ones, and give other words."""
    model = parse_model(small_model(), "model")
    model.main.tensors.append(Tensor("state", "FLOAT32", (1, 2), is_variable=True))
    content = write_model(Model([Subgraph(**vars(model.main))]))
    with Interpreter(content, "cpu"):
        pass
    with pytest.raises(ModelError, match=r"keeps a state.*'state'"):
        Pool(content, ["cpu", "sim"])


def test_the_simulator_s_own_devices(tmp_path):
    """By their names, with nothing put in their place."""
    asked, expected = asked_and_expected()
    path = tmp_path / "small.tflite"
    path.write_bytes(small_model())
    with Pool(path, NAMES, fallback="cpu", threads=1) as pool:
        results = pool.run(np.concatenate(asked[:40]), quantized=True)
        assert np.array_equal(*results.values(), np.concatenate(expected[:40]))
        assert sum(state.calls for state in pool.states()[:2]) == 40
        (real,) = pool.run(asked[0]).values()
        info = pool.outputs[0]
        assert np.allclose(real, (expected[0] - float(info.zero_point)) * info.scale)


def test_a_compiled_file_has_the_simulator_for_a_fallback(shared):
    """The processor alone cannot run the chip's code: its twin can, and that is what is meant."""
    path = shared / "models/v10/mobilenet_v1_0.25_128_quant_edgetpu.tflite"
    image = np.full((1, 128, 128, 3), 77, np.uint8)
    with Pool(path, ["sim:0"], fallback="cpu") as pool, Interpreter(path, "sim") as alone:
        assert [state.device for state in pool.states()] == ["sim:0", "sim"]
        assert np.array_equal(pool.invoke(image)[0], alone.invoke(image)[0])
