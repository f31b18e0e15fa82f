"""Each fault of a driver: an error in one line, in time, and a device that comes back."""

import gc
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from compiled_files.faults import part_of, sound
from standins import alive, expected, gone

from atoll.errors import DeviceError, DeviceLostError, ModelError

ARRAY = np.arange(24, dtype=np.uint8)[None]


def kernel_of(device):
    return device.load(part_of(sound()))


def answer(kernel):
    made = np.zeros((1, 10), np.uint8)
    kernel([ARRAY], [made])
    assert np.array_equal(made[0], expected(ARRAY, 10))


def lost(action):
    """The message of a lost device, and the seconds until it came."""
    began = time.monotonic()
    with pytest.raises(DeviceLostError) as caught:
        action()
    text = str(caught.value)
    assert "\n" not in text
    return text, time.monotonic() - began


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (
            "abort=2",
            "SIGABRT (it gave up, as it does when a stick is pulled out or a transfer fails); "
            'its last words: "F :1115] transfer in failed. Not found: USB transfer error 5"',
        ),
        ("crash=2", "SIGSEGV (it crashed)"),
        ("exit=2", "its process ended with status 7"),
        ("fail=2", "the driver says: Failed to execute request. Deadline exceeded."),
    ],
)
def test_a_call_that_ends_the_driver_is_an_error_at_once(device, clock, faulty, fault, message):
    """The stick is pulled out in the midst of a call: the program must live, and be told."""
    faulty(fault)
    holder = device(clock=clock)
    kernel = kernel_of(holder)
    answer(kernel)
    pid = holder.pid
    text, seconds = lost(lambda: answer(kernel))
    assert text.startswith("usb:0: the device was lost. Received: ")
    assert message in text
    assert text.endswith("it is opened again at the first call after 0.5 s.")
    assert seconds < 1
    assert not alive(pid)
    text, seconds = lost(lambda: answer(kernel))
    assert "not yet tried again" in text
    assert message.partition(";")[0] in text
    assert seconds < 0.1
    clock.now += 0.5
    faulty("")
    answer(kernel)
    assert holder.pid != pid


def test_a_driver_that_waits_for_ever_is_ended_in_time(device, clock, faulty):
    """A silent stick: libedgetpu has no time-out of its own."""
    faulty("hang=2")
    holder = device(timeout_s=0.3, clock=clock)
    kernel = kernel_of(holder)
    answer(kernel)
    pid = holder.pid
    text, seconds = lost(lambda: answer(kernel))
    assert "no answer in 0.3 s; its process was ended" in text
    assert 0.3 <= seconds < 1
    assert gone(pid)
    clock.now += 1
    faulty("")
    answer(kernel)


def test_a_slow_driver_is_waited_for(device, faulty):
    """Slow is not lost, and a first call may take longer than the others."""
    faulty("slow=300")
    kernel = kernel_of(device(timeout_s=0.1))
    answer(kernel)
    text, _ = lost(lambda: answer(kernel))
    assert "no answer in 0.1 s" in text
    faulty("slow=100")
    kernel = kernel_of(device("usb:1", timeout_s=2))
    for _ in range(3):
        answer(kernel)


@pytest.mark.parametrize("fault", ["abort-create", "abort-prepare", "hang-create"])
def test_a_driver_that_fails_as_it_opens_is_an_error(device, clock, faulty, fault):
    """A bad cable shows when firmware is sent, long before the first call."""
    faulty(fault)
    holder = device(start_timeout_s=0.6 if fault == "hang-create" else 20, clock=clock)
    text, _ = lost(lambda: kernel_of(holder))
    assert ("no answer in 0.6 s" if fault == "hang-create" else "SIGABRT") in text
    assert holder.pid is None
    clock.now += 1
    faulty("")
    if fault != "hang-create":
        answer(kernel_of(holder))


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("busy", "the driver says: I :1 Permission denied: USB error -3 [OpenDevice]"),
        ("reason", "the driver says: a reason of two lines"),
        ("none", "the driver sees no device"),
        ("old", "too old for today's LiteRT"),
    ],
)
def test_a_device_that_cannot_be_opened_is_no_lost_one(device, faulty, fault, message):
    """Not there, busy, not permitted: the driver's reason is empty, and its words are elsewhere."""
    faulty(fault)
    holder = device()
    with pytest.raises(DeviceError) as caught:
        kernel_of(holder)
    assert not isinstance(caught.value, DeviceLostError)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    faulty("")  # plugged in: it is tried again at once
    answer(kernel_of(holder))


def test_the_build_of_june_2020_is_known_by_what_it_does(device, faulty, old_driver):
    """A version may not tell: a driver that finds no tensor at its place is refused by name."""
    faulty("june")
    with pytest.raises(DeviceError) as caught:
        kernel_of(device())
    text = str(caught.value)
    assert text.startswith(f"{old_driver}: this libedgetpu is too old")
    assert "-476681008" in text


def test_a_model_that_the_driver_refuses_leaves_the_device_alone(device, faulty, monkeypatch):
    """Its reason reaches the user, without LiteRT's additions; other models go on."""
    holder = device()
    kernel = kernel_of(holder)
    faulty("refuse")
    with pytest.raises(ModelError) as caught:
        kernel_of(device("usb:1"))
    assert "Received: Failed to prepare for TPU. Failed precondition: no such thing." in str(
        caught.value
    )
    answer(kernel)


def test_attempts_become_more_seldom_and_start_anew_after_an_answer(device, clock, faulty):
    """A stick that is gone for good costs an attempt every half a minute, not every call."""
    holder = device(clock=clock)
    kernel = kernel_of(holder)
    answer(kernel)
    faulty("none")
    holder.kill()
    delays = []
    for _ in range(4):
        text, _ = lost(lambda: answer(kernel))
        delays.append(float(text.rsplit("after ", 1)[1].split()[0]))
        lost(lambda: answer(kernel))
        clock.now += delays[-1]
    assert delays == [0.5, 1, 2, 4]
    assert "there must be" in text or "must be plugged in" in text
    faulty("")
    answer(kernel)
    holder.kill()
    assert "after 0.5 s" in lost(lambda: answer(kernel))[0]


def test_all_models_of_a_lost_device_come_back(device, clock, faulty):
    """What was loaded is loaded again, each when it is next called."""
    holder = device(clock=clock)
    kernels = [kernel_of(holder) for _ in range(3)]
    for _ in range(2):
        os.kill(holder.pid, signal.SIGKILL)
        text, _ = lost(lambda: answer(kernels[0]))
        assert "SIGKILL (it was killed: by hand, or because memory ran out)" in text
        clock.now += 60
        for kernel in kernels:
            answer(kernel)


def test_losses_leave_nothing_open(device, clock):
    """A camera that runs for months with a loose plug."""
    holder = device(clock=clock)
    kernel = kernel_of(holder)
    counts = []
    gc.collect()  # what other tests have left
    for _ in range(5):
        answer(kernel)
        counts.append((len(list(Path("/proc/self/fd").iterdir())), threading.active_count()))
        holder.kill()
        lost(lambda: answer(kernel))
        clock.now += 60
    assert len(set(counts)) == 1


def test_a_loss_in_many_threads_is_one_loss(device, faulty):
    """Each waiting thread gets an error or an answer; none waits for ever."""
    faulty("abort=40")
    holder = device()
    kernel = kernel_of(holder)
    outcomes = []

    def work():
        for _ in range(10):
            try:
                answer(kernel)
                outcomes.append("answer")
            except DeviceLostError:
                outcomes.append("lost")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(outcomes) == 80
    assert outcomes.count("answer") == 39


def test_an_interrupted_call_leaves_no_answer_behind(device, faulty):
    """Ctrl-C in a notebook: the next call must not get the answer of the last."""
    faulty("slow=300")
    kernel = kernel_of(device())
    timer = threading.Timer(0.1, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    made = np.zeros((1, 10), np.uint8)
    with pytest.raises(KeyboardInterrupt):
        kernel([ARRAY + 100], [made])
    timer.join()
    answer(kernel)
