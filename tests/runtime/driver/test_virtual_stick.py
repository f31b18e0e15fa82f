"""The whole way with a stick that speaks the chip's protocol: every fault of it is survived.

LiteRT, Atoll's delegate, the child, the shim, a driver, libusb's interface and a virtual stick. The
driver is a stand-in, or the real libedgetpu where ATOLL_LIBEDGETPU names one.
"""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from compiled_files import Wrapping, compiled_pair, image_model
from stand_in_drivers import stick_driver

from atoll import Interpreter
from atoll.errors import DeviceError, DeviceLostError
from atoll.runtime.driver.child import ChildDevice
from atoll.runtime.driver.options import DriverOptions
from atoll.runtime.parts import compiled_parts
from atoll.stick.faults import FAULTS
from atoll.stick.plugged import plugged
from atoll.tflite.reader import read_model

CALLS = 6
# What a stick may do and still answer rightly, and what it must not be believed after.
HARMLESS = {"slow", "hot", "alarm"}


@pytest.fixture(scope="module")
def libraries():
    """The drivers to try: both structs of the stand-in, and the real one where there is one."""
    found = {"old": stick_driver("old"), "new": stick_driver("new")}
    real = os.environ.get("ATOLL_LIBEDGETPU")
    return {**found, "real": Path(real)} if real else found


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    return compiled_pair(tmp_path_factory.mktemp("pair"), image_model("int8"), Wrapping(overlap=8))


class Bench:
    """A model on a virtual stick, and what it must answer."""

    def __init__(self, pair, library, environment, clock):
        self.environment = environment
        model = read_model(pair[0])
        (self.part,) = compiled_parts(model, pair[0])
        options = DriverOptions(library=library, timeout_s=1.0, start_timeout_s=10.0)
        self.device = ChildDevice.shared("usb:0", options, clock=clock)
        self.twin = Interpreter(pair[1], "cpu")
        self.kernel = None

    def load(self):
        self.kernel = self.device.load(self.part)

    def call(self, seed):
        """Calls once; fails where the answer is not the twin's."""
        info = self.twin.inputs[0]
        array = np.random.default_rng(seed).integers(-128, 128, info.shape).astype(info.dtype)
        made = [np.zeros(each.shape, each.dtype) for each in self.twin.outputs]
        self.kernel([array], made)
        for one, two in zip(made, self.twin.invoke(array), strict=True):
            assert np.array_equal(one, two), f"call {seed} has a wrong answer"


@pytest.fixture
def bench(pair, libraries, monkeypatch):
    """Puts the model on a virtual stick with a fault."""
    opened = []

    def make(fault=(), library="", *, clock=time.monotonic, **how):
        library = library or ("real" if "real" in libraries else "old")
        context = plugged(pair[0], fault=fault, fast=True, **how)
        environment = context.__enter__()
        opened.append((context, None))
        for name, value in environment.changes.items():
            monkeypatch.setenv(name, value)
        made = Bench(pair, libraries[library], environment, clock)
        opened.append((None, made))
        return made

    yield make
    for context, made in reversed(opened):
        if made is not None:
            made.device.close()
            made.twin.close()
        else:
            context.__exit__(None, None, None)


@pytest.mark.parametrize("library", ["old", "new", "real"])
def test_a_sound_stick_gives_the_twins_answers(bench, libraries, library):
    """The answers come through tiles, padding and int8, and are those of the model."""
    if library not in libraries:
        pytest.skip("ATOLL_LIBEDGETPU names no real driver")
    stick = bench(library=library, firmware=True)
    stick.load()
    for seed in range(CALLS):
        stick.call(seed)
    assert stick.device.notes == []


def test_sticks_that_wait_for_their_firmware_are_told_apart(bench):
    """Just plugged in, and opened at once: each must be one of its own, at the first try."""
    stick = bench(firmware=True, count=3)
    options = stick.device._options
    devices = [ChildDevice.shared(f"usb:{n}", options) for n in range(3)]
    with ThreadPoolExecutor() as pool:
        kernels = list(pool.map(lambda device: device.load(stick.part), devices))
    for seed in range(CALLS):
        for stick.kernel in kernels:
            stick.call(seed)
    for device in devices:
        device.close()
    assert [each.report.runs for each in stick.environment.sticks] == [CALLS] * 3


@pytest.mark.parametrize("fault", sorted(set(FAULTS) - {"access", "busy"}))
def test_every_fault_is_an_error_and_never_a_wrong_answer(bench, clock, fault):
    """An error in time, no wrong result, no hang, and the device comes back when it can."""
    value = {"slow": "slow=0.1", "replug": "replug=0.1"}.get(fault, fault)
    stick = bench(f"{value}@{FAULTS[fault].at}:3", clock=clock)
    stick.load()
    errors, answers = [], 0
    began = time.monotonic()
    for seed in range(CALLS):
        try:
            stick.call(seed)
            answers += 1
        except DeviceLostError as error:
            errors.append(str(error))
            time.sleep(0.15)
            clock.now += 60
    assert time.monotonic() - began < 15
    assert all("\n" not in text for text in errors)
    # A stick that is pulled out for good never comes back; every other one does.
    lost = 0 if fault in HARMLESS else CALLS - 1 if fault == "unplug" else 1
    assert (len(errors), answers) == (lost, CALLS - lost), errors


@pytest.mark.parametrize("size", [1, 16, 64, 1024])
@pytest.mark.parametrize("fault", ["surplus", "garbage"])
def test_answers_with_surplus_bytes_never_reach_the_caller(bench, clock, fault, size):
    """The driver hands them out, shifted, as if they were right."""
    stick = bench(f"{fault}={size}@{FAULTS[fault].at}:2", clock=clock)
    stick.load()
    stick.call(0)
    caught = []
    for seed in range(1, CALLS):
        try:
            stick.call(seed)
        except DeviceLostError as error:
            caught.append(str(error))
            clock.now += 60
    assert len(caught) == 1
    assert "not to be believed" in caught[0]


def test_without_the_guard_they_would(bench, monkeypatch):
    """Were this not so, the test above would prove nothing."""
    monkeypatch.setattr("atoll.runtime.driver.connection.preloading", lambda _environ: "no guard")
    stick = bench("surplus@output:2")
    stick.load()
    stick.call(0)
    with pytest.raises(AssertionError, match="has a wrong answer"):
        for seed in range(1, CALLS):
            stick.call(seed)
    assert stick.device.notes == ["no guard"]


@pytest.mark.parametrize("fault", ["access", "busy"])
def test_a_stick_that_cannot_be_opened_is_no_lost_one(bench, fault):
    """No udev rule, or another program has it: the real driver's reason is empty."""
    stick = bench(f"{fault}@{FAULTS[fault].at}:every")
    with pytest.raises(DeviceError) as caught:
        stick.load()
    assert not isinstance(caught.value, DeviceLostError)
    assert "\n" not in str(caught.value)


def test_a_stick_pulled_out_between_two_calls(bench, clock):
    """The driver ends while nobody looks: the next call must say so, and not hang."""
    stick = bench(clock=clock)
    stick.load()
    stick.call(0)
    stick.environment.sticks[0].unplug()
    with pytest.raises(DeviceLostError):
        for seed in range(1, CALLS):
            time.sleep(0.05)
            stick.call(seed)
    for _ in range(3):
        clock.now += 60
        with pytest.raises(DeviceLostError, match=r"must be (such|plugged|able)"):
            stick.call(1)
    stick.environment.sticks[0].plug()
    clock.now += 60
    stick.call(2)
