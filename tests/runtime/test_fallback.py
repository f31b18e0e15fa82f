"""An Edge TPU that is lost, with something else to answer: no call is dropped, none is wrong.

The whole way: LiteRT, the child process, a driver, a virtual stick with a fault. The driver is a
stand-in, or the real one where ATOLL_LIBEDGETPU names it.
"""

import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from compiled_files import compiled_pair
from stand_in_drivers import stick_driver

from atoll import Interpreter
from atoll.errors import DeviceError, DeviceLostError, ModelError
from atoll.runtime.driver import host
from atoll.stick.faults import FAULTS
from atoll.stick.plugged import plugged
from atoll.tflite.build import GraphBuilder


@pytest.fixture(scope="module")
def library():
    return Path(os.environ.get("ATOLL_LIBEDGETPU") or stick_driver("old"))


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    b = GraphBuilder("int8", seed=1)
    x = b.conv2d(b.input((1, 24, 20, 3)), 8, 3, 2)
    return compiled_pair(tmp_path_factory.mktemp("pair"), b.model([x, b.dense(b.mean(x), 10)]))


@pytest.fixture
def stick(pair, monkeypatch):
    """Plugs a virtual stick in with a fault, for the children of this process."""
    contexts = []

    def plug(*fault, **how):
        context = plugged(pair[0], fault=fault, fast=True, **how)
        environment = context.__enter__()
        contexts.append(context)
        for name, value in environment.changes.items():
            monkeypatch.setenv(name, value)
        return environment

    yield plug
    for context in contexts:
        context.__exit__(None, None, None)


def check(interpreter, pair, seeds):
    """Calls, and compares with the model that was compiled."""
    with Interpreter(pair[1], "cpu") as cpu:
        for seed in seeds:
            rng = np.random.default_rng(seed)
            arrays = [rng.integers(-128, 128, i.shape).astype(i.dtype) for i in cpu.inputs]
            for one, two in zip(interpreter.invoke(*arrays), cpu.invoke(*arrays), strict=True):
                assert np.array_equal(one, two), seed


@pytest.mark.parametrize("fault", ["unplug", "silent", "surplus", "stall"])
def test_no_call_is_dropped_when_the_stick_fails(pair, library, stick, fault):
    """A camera would miss what happened while somebody pulled the stick."""
    stick(f"{fault}@{FAULTS[fault].at}:3")
    with Interpreter(
        pair[0], "usb:0", fallback="sim", timeout_s=1.0, library=library
    ) as interpreter:
        assert interpreter.device == "usb:0"
        check(interpreter, pair, range(2))
        assert interpreter.notes == []
        check(interpreter, pair, range(2, 8))
        assert len(interpreter.notes) == 1
        assert "Until then sim answers" in interpreter.notes[0]


def test_the_stick_answers_again_when_it_is_back(pair, library, stick):
    """Otherwise one shake of the plug would leave the stick unused until the next restart."""
    environment = stick()
    with Interpreter(
        pair[0], "usb:0", fallback="cpu", timeout_s=1.0, library=library
    ) as interpreter:
        check(interpreter, pair, range(2))
        environment.sticks[0].unplug()
        check(interpreter, pair, range(2, 4))
        ran = environment.sticks[0].report.runs
        environment.sticks[0].plug()
        end = time.monotonic() + 20
        while environment.sticks[0].report.runs == ran and time.monotonic() < end:
            check(interpreter, pair, [4])
            time.sleep(0.1)
        assert environment.sticks[0].report.runs > ran


def test_without_a_fallback_the_loss_is_an_error(pair, library, stick):
    """Whoever did not ask for another device must know that this one is gone."""
    stick("unplug@input:2")
    with Interpreter(pair[0], "usb:0", timeout_s=1.0, library=library) as interpreter:
        check(interpreter, pair, [0])
        with pytest.raises(DeviceLostError):
            check(interpreter, pair, [1])
        with pytest.raises(DeviceLostError, match="tried again"):
            check(interpreter, pair, [2])


def test_a_stick_that_is_not_there_at_first_does_not_matter_either(pair, library, stick):
    """A program that is started before the stick is plugged in must not end."""
    environment = stick()
    environment.sticks[0].unplug()
    with Interpreter(
        pair[0], "usb:0", fallback="sim", timeout_s=1.0, library=library
    ) as interpreter:
        check(interpreter, pair, range(2))
        assert len(interpreter.notes) == 1
    with pytest.raises(DeviceError):
        Interpreter(pair[0], "usb:0", timeout_s=1.0, library=library)


def test_a_fallback_without_a_twin_is_refused_at_once(pair, library, tmp_path):
    """It would come out when the stick is pulled: too late."""
    alone = tmp_path / "alone_edgetpu.tflite"
    alone.write_bytes(pair[0].read_bytes())
    with pytest.raises(ModelError, match="its twin"):
        Interpreter(alone, "usb:0", fallback="sim", library=library)


def test_the_simulator_in_its_own_process_is_lost_and_found_like_a_stick(tmp_path):
    """Pools are tested with it: it must fail as a device does, and come back."""
    b = GraphBuilder("int8", seed=1)
    pair = compiled_pair(tmp_path, b.model(b.conv2d(b.input((1, 8, 8, 3)), 8, 3)))
    from atoll.runtime.driver.child import ChildDevice

    for source in pair:
        with Interpreter(source, "sim:5", isolated=True) as interpreter:
            check(interpreter, pair, range(3))
            with ChildDevice.shared("sim:5") as child:
                child.kill()
                with pytest.raises(DeviceLostError):
                    check(interpreter, pair, [3])
            time.sleep(0.6)
            check(interpreter, pair, range(4, 6))


def test_two_interpreters_share_a_stick(pair, library, stick):
    """A second model on the same stick is usual; a stick can be opened once only."""
    stick()
    with (
        Interpreter(pair[0], "usb:0", timeout_s=2.0, library=library) as one,
        Interpreter(pair[0], "usb:0", timeout_s=2.0, library=library) as two,
    ):
        failures = []

        def call(interpreter, seeds):
            try:
                check(interpreter, pair, seeds)
            except BaseException as error:
                failures.append(error)

        threads = [
            threading.Thread(target=call, args=(each, range(k, k + 10)))
            for k, each in enumerate((one, two))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert not failures


def test_a_stick_that_is_not_there_is_not_looked_for_at_every_call(
    pair, library, stick, monkeypatch
):
    """Each look takes a process, and with a stick that does not open half a minute."""
    stick()
    attempts = []

    def counted(*args, real=host.Connection):
        attempts.append(args)
        return real(*args)

    monkeypatch.setattr(host, "Connection", counted)
    with Interpreter(pair[0], "usb:7", fallback="sim", library=library) as interpreter:
        began = time.monotonic()
        check(interpreter, pair, range(20))
        if time.monotonic() - began < 0.4:
            assert len(attempts) == 1
        time.sleep(0.6)
        check(interpreter, pair, range(2))
        assert len(attempts) <= 4
        assert len(interpreter.notes) == 1
