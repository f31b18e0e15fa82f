"""Stand-in drivers, compiled once, and the devices that run on them."""

import time
from pathlib import Path

import pytest
from stand_in_drivers import echo_driver, echo_usb
from standins import Clock

from atoll.runtime.driver.child import ChildDevice
from atoll.runtime.driver.options import DriverOptions


@pytest.fixture(scope="session")
def old_driver() -> Path:
    """A driver with the registration of TensorFlow 2.5: 64 bytes, and poison behind it."""
    return echo_driver("old")


@pytest.fixture(scope="session")
def new_driver() -> Path:
    """A driver with today's registration."""
    return echo_driver("new")


@pytest.fixture(scope="session")
def usb_driver() -> Path:
    """A driver whose output bytes come through a stand-in libusb."""
    return echo_driver("old", usb=echo_usb())


@pytest.fixture
def faulty(monkeypatch):
    """Sets what goes wrong in the stand-in driver, for processes that start from now on."""

    def set_fault(text):
        monkeypatch.setenv("STANDIN", f"{text},")

    set_fault("")
    return set_fault


@pytest.fixture
def device(old_driver, faulty):
    """Makes devices on the stand-in driver, with short times, and closes them."""
    opened = []

    def make(name="usb:0", *, library=old_driver, clock=time.monotonic, **how):
        times = {"timeout_s": 5.0, "start_timeout_s": 20.0} | how
        options = DriverOptions(library=library, **times)
        opened.append(ChildDevice.shared(name, options, clock=clock))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


@pytest.fixture
def clock():
    return Clock()
