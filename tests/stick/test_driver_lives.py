"""A driver opened in all the ways in which programs open it.

The driver is a stand-in in C (tests/stick/driver), which makes libedgetpu's calls in its order.
"""

import pytest
from compiled_files import Wrapping, compiled_pair, image_model
from stick_programs import LIVES, Program, equal_calls, lived, run

from atoll.stick import plugged
from atoll.stick.pace import Pace


@pytest.mark.parametrize("life", LIVES)
def test_programs_live_with_sticks_as_they_like(new_driver, pair, life):
    """Each of these is how some program out there does it."""
    calls, seen = LIVES[life]
    with plugged(pair[0], fast=True, count=len(seen)) as sticks:
        assert lived(sticks, life, new_driver, pair) == [True] * calls
    reports = [stick.report for stick in sticks.sticks]
    assert [(each.runs, each.cachings) for each in reports] == seen
    assert [each.violations for each in reports] == [[]] * len(reports)


@pytest.mark.parametrize("device", ["", "usb", ":0"])
def test_a_stick_is_found_under_all_its_names(new_driver, pair, device):
    """Any, any on USB, and the first of all."""
    with plugged(pair[0], fast=True) as sticks:
        lines, status, errors = run(sticks, new_driver, [pair], device=device, calls=1)
    assert status == 0, errors
    assert equal_calls(lines) == [True]


@pytest.mark.parametrize(("clock", "divider"), [("Max", 0), ("High", 1), ("Medium", 2), ("Low", 3)])
def test_the_stick_goes_by_the_clock_that_is_set(new_driver, pair, monkeypatch, clock, divider):
    """Who compares the settings on a virtual stick at its predicted speed wants to see it."""
    seen = []

    def predict(_pace, _part, _program, _speed, clock_divider):
        seen.append(clock_divider)
        return 0.0

    monkeypatch.setattr(Pace, "__call__", predict)
    with plugged(pair[0], fast=True, speed="predicted") as sticks:
        run(sticks, new_driver, [pair], device=f"usb:0,Performance={clock}", calls=1)
    assert seen == [divider] * 2


ODD = {
    # What follows a fence must not be there before the driver has passed it.
    "fences": Wrapping(fences=True, chunks=2),
    # For no bytes the driver sends nothing at all.
    "transfers of no bytes": Wrapping(empty=True),
    "fences and scratch memory": Wrapping(fences=True, scratch=48, cached=False),
}


@pytest.mark.parametrize("wrapping", ODD.values(), ids=ODD)
def test_files_that_the_compiler_may_write_and_seldom_does(new_driver, tmp_path, wrapping):
    """None of the published files at hand has these hints; the driver knows them."""
    pair = compiled_pair(tmp_path, image_model(), wrapping)
    with plugged(pair[0], fast=True) as sticks:
        lines, status, errors = run(sticks, new_driver, [pair], calls=20)
    assert status == 0, errors
    assert equal_calls(lines) == [True] * 20
    assert sticks.sticks[0].report.violations == []


def test_a_slow_stick_is_waited_for(new_driver, pair):
    """Reads end with a time-out and begin anew; what is on its way to the stick does not."""
    with plugged(pair[0], fast=True, fault="slow=0.6@input:every") as sticks:
        sticks["DRIVER_TIMEOUT_MS"] = "150"
        lines, status, errors = run(sticks, new_driver, [pair], calls=1)
    assert status == 0, errors
    assert equal_calls(lines) == [True]


def test_a_driver_that_does_nothing_stays_well(new_driver, pair):
    """All its reads time out, again and again, and are given anew."""
    with (
        plugged(pair[0], fast=True) as sticks,
        Program(
            sticks | {"DRIVER_TIMEOUT_MS": "20"},
            new_driver,
            [pair],
            device="usb:0,Usb.MaxBulkInQueueLength=32",
            calls=500,
        ) as program,
    ):
        assert equal_calls(program.rest()) == [True] * 500
        assert program.ended() == 0, program.errors


def test_a_stick_without_its_firmware_is_listed_first(new_driver, pair):
    """So it is with libedgetpu: usb:0 may be another stick once the first has its firmware."""
    with plugged(pair[0], fast=True, count=2, firmware=True) as sticks:
        run(sticks, new_driver, [pair], device="usb:0", calls=1)
        run(sticks, new_driver, [pair], device="usb:0", calls=1)
    assert [(each.report.firmware, each.report.runs) for each in sticks.sticks] == [(1, 1)] * 2
