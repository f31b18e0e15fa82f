"""Surplus bytes shift every answer that follows: no such answer may reach the caller."""

from pathlib import Path

import numpy as np
import pytest
from compiled_files.faults import part_of, sound
from standins import expected

from atoll.errors import DeviceLostError
from atoll.runtime.driver import guard
from atoll.runtime.driver.guard import preloading

ARRAY = np.arange(24, dtype=np.uint8)[None]


def answer(kernel):
    made = np.zeros((1, 10), np.uint8)
    kernel([ARRAY], [made])
    assert np.array_equal(made[0], expected(ARRAY, 10))
    return made


@pytest.fixture
def usb(device, usb_driver, clock):
    """A device whose 16 output bytes come through a stand-in libusb."""
    return device(library=usb_driver, clock=clock)


def test_answers_of_the_right_size_pass(usb, faulty):
    """The guard must not take a sound stick for a faulty one."""
    faulty("due=16")
    kernel = usb.load(part_of(sound()))
    for _ in range(50):
        answer(kernel)
    assert usb.notes == []


@pytest.mark.parametrize(
    ("fault", "call", "received"),
    [
        ("surplus=3", 3, "64 bytes of answers where 48 were due"),
        ("surplus-before=3", 3, "112 bytes of answers where 48 were due"),
        ("surplus-after=3", 3, "64 bytes of answers where 48 were due"),
    ],
)
def test_surplus_is_a_lost_device_and_no_answer(usb, faulty, clock, fault, call, received):
    """The driver says nothing: the answer would look like any other."""
    faulty(f"due=16,{fault}")
    kernel = usb.load(part_of(sound()))
    for _ in range(call - 1):
        answer(kernel)
    made = np.zeros((1, 10), np.uint8)
    with pytest.raises(DeviceLostError, match=received):
        kernel([ARRAY], [made])
    assert not made.any()
    clock.now += 1
    answer(kernel)


def test_a_driver_that_goes_past_the_guard_is_told(device, old_driver):
    """A libusb that is part of the driver's own file cannot be watched: its user must know."""
    holder = device()
    kernel = holder.load(part_of(sound()))
    assert holder.notes == []
    answer(kernel)
    answer(kernel)
    assert len(holder.notes) == 1
    assert "do not come to it" in holder.notes[0]


def test_without_a_compiler_all_runs_and_a_note_says_so(device, faulty, usb_driver, monkeypatch):
    """A Raspberry Pi without gcc must run its stick."""
    monkeypatch.setenv("CC", "no-such-compiler")
    faulty("due=16")
    holder = device("usb:1", library=usb_driver)
    answer(holder.load(part_of(sound())))
    assert len(holder.notes) == 1
    assert "surplus bytes" in holder.notes[0]
    assert "no-such-compiler" in holder.notes[0]


def test_what_was_preloaded_before_still_is(tmp_path):
    """The virtual stick is a libusb that is preloaded: the guard comes before it, not instead."""
    environ = {"LD_PRELOAD": "/some/libusb-1.0.so.0"}
    assert preloading(environ) == ""
    first, second = environ["LD_PRELOAD"].split()
    assert first.endswith("libatoll-guard.so")
    assert second == "/some/libusb-1.0.so.0"
    assert Path(first).is_file()


def test_a_folder_that_the_loader_cannot_name_is_said(tmp_path, monkeypatch):
    """The loader splits its list at blanks: half a path would be loaded, or nothing."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "a b"))
    environ = {}
    assert "no blank" in preloading(environ)
    assert environ == {}


def test_other_systems_are_told(monkeypatch):
    monkeypatch.setattr(guard.sys, "platform", "darwin")
    assert "on Linux only" in preloading({})
