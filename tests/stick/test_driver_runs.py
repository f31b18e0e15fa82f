"""A driver's whole life on virtual sticks: opened, given firmware, run, pulled out, run again.

The driver is a stand-in in C that does over libusb what libedgetpu does, in its order.
"""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from compiled_files import Wrapping, compiled_pair, image_model
from published_pairs import needs_other_kernels, published_pairs
from stick_programs import HANG_S, Program, equal_calls, run, wait_for

from atoll.stick import plugged
from atoll.stick.faults import FAULTS


def test_results_are_the_twins_byte_for_byte(new_driver, pair, signed_pair):
    """What a program is told would be wrong: by tiles, padding, or signed numbers."""
    pairs = [pair, signed_pair]
    with plugged([made for made, _ in pairs], fast=True) as sticks:
        lines, status, errors = run(sticks, new_driver, pairs)
    assert status == 0, errors
    assert equal_calls(lines) == [True] * 6
    report = sticks.sticks[0].report
    # Two models with tokens of their own take turns, so that each call loads parameters.
    assert (report.runs, report.cachings, report.violations) == (6, 6, [])
    assert report.sent > 10_000
    assert report.received > 4_000


def test_parameters_are_loaded_once_for_each_model_of_a_token(new_driver, tmp_path):
    """Models that are compiled together share the chip; a driver that forgot it would be slow."""
    pairs = [
        compiled_pair(tmp_path, image_model(seed=seed), Wrapping(seed=seed, token=9), f"m{seed}")
        for seed in (1, 2)
    ]
    with plugged([made for made, _ in pairs], fast=True) as sticks:
        lines, status, errors = run(sticks, new_driver, pairs)
    assert status == 0, errors
    assert equal_calls(lines) == [True] * 6
    assert sticks.sticks[0].report.cachings == 2


def test_parameters_that_are_not_cached_are_sent_with_each_run(new_driver, tmp_path):
    """Files made with --min_runtime_version 10, and models larger than the chip, do that."""
    pairs = [compiled_pair(tmp_path, image_model(), Wrapping(cached=False, chunks=3))]
    with plugged(pairs[0][0], fast=True) as sticks:
        lines, status, errors = run(sticks, new_driver, pairs)
    assert status == 0, errors
    assert equal_calls(lines) == [True] * 3
    assert sticks.sticks[0].report.cachings == 0


def test_a_driver_loads_firmware_and_works_at_usb_2(new_driver, pair):
    """A stick that was just plugged in, at an old port: the most common first use."""
    with plugged(pair[0], fast=True, firmware=True, usb2=True) as sticks:
        lines, status, errors = run(sticks, new_driver, [pair])
        assert status == 0, errors
        assert equal_calls(lines) == [True] * 3
        assert sticks.sticks[0].report.firmware == 1
        # It keeps its firmware while it is plugged in, whoever comes next.
        run(sticks, new_driver, [pair], calls=1)
        assert sticks.sticks[0].report.firmware == 1


def test_eight_sticks_work_side_by_side(new_driver, pair):
    """A driver that took one stick for another would answer with the other's numbers, or hang."""
    with plugged(pair[0], count=8, fast=True) as sticks:
        programs = [Program(sticks, new_driver, [pair], device=f"usb:{k}") for k in (0, 3, 7)]
        for program in programs:
            with program:
                assert equal_calls(program.rest()) == [True] * 3
                assert program.ended() == 0, program.errors
    assert [stick.report.runs for stick in sticks.sticks] == [3, 0, 0, 3, 0, 0, 0, 3]


def test_a_second_program_takes_the_stick_away(new_driver, pair):
    """It resets the stick, and Linux then ends the first one's transfers."""
    with (
        plugged(pair[0], fast=True) as sticks,
        Program(sticks, new_driver, [pair], calls=100_000) as first,
    ):
        first.until("equal")
        lines, status, errors = run(sticks, new_driver, [pair])
        assert status == 0, errors
        assert equal_calls(lines) == [True] * 3
        assert first.ended() == ABORTS
        assert "USB transfer error 5" in first.errors or "USB error -4" in first.errors
    assert sticks.sticks[0].report.violations == []


def test_predicted_speed_is_no_faster_than_predicted(new_driver, pair):
    """A program that keeps up with a virtual stick must keep up with a real one."""
    with plugged(pair[0], fast=True, speed="predicted", usb2=True) as sticks:
        lines, _, errors = run(sticks, new_driver, [pair], calls=5)
    from atoll.stick.known import know

    (part,) = know(*pair)
    predicted = part.predicted_ms("usb2", "max")
    assert predicted > 0.5
    times = [line["ms"] for line in lines if "ms" in line]
    assert len(times) == 5, errors
    assert min(times) >= predicted


def test_sleeps_of_the_driver_are_cut_short_and_no_others(new_driver, pair):
    """--fast must not make the program's own waiting wrong."""
    code = "import time; began = time.monotonic(); time.sleep(0.3); print(time.monotonic() - began)"
    with plugged(pair[0], fast=True) as sticks:
        done = subprocess.run([sys.executable, "-c", code], env=sticks, capture_output=True)
        assert float(done.stdout) >= 0.3
        began = time.monotonic()
        run(sticks, new_driver, [pair], calls=1)
        # Opening waits twice for a second.
        assert time.monotonic() - began < 2


def test_the_driver_sleeps_as_ever_without_that(new_driver, pair):
    """What is tested by default is the driver as it is."""
    with plugged(pair[0]) as sticks:
        began = time.monotonic()
        lines, _, errors = run(sticks, new_driver, [pair], calls=1)
        assert equal_calls(lines) == [True], errors
        assert time.monotonic() - began > 2


# What a program sees of each fault: how the driver's process ends, and which of its three calls
# are right. A negative status is a signal; "hangs" is no end at all.
ABORTS = -signal.SIGABRT
SEEN = {
    "unplug@caching": (ABORTS, []),
    "unplug@parameters": (ABORTS, []),
    "unplug@program": (ABORTS, []),
    "unplug@input:2": (ABORTS, []),
    "unplug@output:2": (ABORTS, [True]),
    "unplug@event": (ABORTS, []),
    "unplug@open": (1, []),
    "unplug@claim": (1, []),
    "unplug@4": (ABORTS, []),
    "stall": (ABORTS, []),
    "stall@parameters": (ABORTS, []),
    "io-error@program:3": (ABORTS, [True]),
    "timeout": (ABORTS, []),
    "overflow": (ABORTS, []),
    "silent": ("hangs", []),
    "silent@caching": ("hangs", []),
    "short": ("hangs", []),
    "surplus": ("hangs", [True, False, False]),
    "garbage": ("hangs", [False, False, False]),
    "slow=0.3@output:2": (0, [True] * 3),
    "short-event": (ABORTS, []),
    "unknown-event@event:2": (ABORTS, []),
    "fatal": (ABORTS, []),
    "alarm": (0, [True] * 3),
    "hot": (0, [True] * 3),
    "too-hot": ("hangs", []),
    "access": (1, []),
    "busy": (1, []),
    "replug=0.1@input:2": (ABORTS, []),
}


@pytest.mark.parametrize("fault", SEEN)
def test_faults_are_what_a_program_sees(new_driver, pair, fault):
    """A test of how a program survives a fault is worth nothing if the fault does not happen."""
    status, calls = SEEN[fault]
    with plugged(pair[0], fast=True, fault=fault) as sticks:
        with Program(sticks, new_driver, [pair]) as program:
            if status == "hangs":
                program.until("ready")
                assert equal_calls(program.rest(HANG_S)) == calls
                assert program.process.poll() is None, program.errors
            else:
                assert equal_calls(program.rest()) == calls
                assert program.ended() == status, program.errors
        report = sticks.sticks[0].report
        assert report.faults[0].startswith(fault.partition("@")[0].partition("=")[0])
        assert report.violations == []


def test_every_fault_is_tried():
    """A row of the table that nothing tries may do nothing."""
    assert {text.partition("@")[0].partition("=")[0] for text in SEEN} == set(FAULTS)


def test_a_stick_comes_back_and_works_again(new_driver, pair):
    """Programs that open the device anew after it was lost must find it, without its firmware."""
    with plugged(pair[0], fast=True, fault="replug=0.2@input:2") as sticks:
        _, status, _ = run(sticks, new_driver, [pair])
        assert status == ABORTS
        wait_for(lambda: sticks.sticks[0].plugged)
        lines, status, errors = run(sticks, new_driver, [pair])
        assert status == 0, errors
        assert equal_calls(lines) == [True] * 3
        report = sticks.sticks[0].report
        assert (report.unplugged, report.firmware) == (1, 1)


def test_a_test_pulls_the_stick_when_it_likes(new_driver, pair):
    """In the middle of nothing, as people do."""
    with (
        plugged(pair[0], fast=True) as sticks,
        Program(sticks, new_driver, [pair], calls=100_000) as program,
    ):
        program.until("equal")
        sticks.sticks[0].unplug()
        assert program.ended() == ABORTS
        assert "USB transfer error 5" in program.errors or "USB error -4" in program.errors
        assert not sticks.sticks[0].plugged
        lines, status, _ = run(sticks, new_driver, [pair], calls=1)
        assert (lines, status) == ([], 1)
        sticks.sticks[0].plug()
        lines, _, errors = run(sticks, new_driver, [pair], calls=1)
        assert equal_calls(lines) == [True], errors
        sticks.sticks[0].fault("stall")
        assert run(sticks, new_driver, [pair], calls=1)[1] == ABORTS
        texts = [entry.text for entry in sticks.sticks[0].log]
        assert {"opened", "claimed", "unplugged", "plugged in"} <= set(texts)


def test_a_stick_that_is_pulled_between_two_calls(new_driver, pair):
    """The published driver aborts its process even then."""
    with plugged(pair[0], fast=True, fault="unplug@idle:2") as sticks:
        with Program(sticks, new_driver, [pair], calls=2) as program:
            # The client may be quicker to end than the stick is pulled.
            assert equal_calls(program.rest()) == [True] * 2
            assert program.ended() in (0, ABORTS)
        wait_for(lambda: sticks.sticks[0].report.unplugged == 1)


def test_an_unknown_model_is_a_violation_and_no_answer(new_driver, pair, signed_pair):
    """A stick that answered something for a model that it does not know would hide mistakes."""
    told = []
    with plugged(pair[0], fast=True, say=told.append) as sticks:
        lines, status, _ = run(sticks, new_driver, [signed_pair])
    assert (equal_calls(lines), status) == ([], ABORTS)
    (violation,) = sticks.sticks[0].report.violations
    assert "due: " in violation
    assert "came: " in violation
    assert violation in told[0]


def test_a_driver_that_sends_other_parameters_is_found_out(new_driver, pair, tmp_path):
    """The file that the program opens is not the one that the stick was given."""
    other = compiled_pair(
        tmp_path, image_model(seed=5), Wrapping(chunks=2, overlap=16), "same instructions"
    )
    with plugged(pair[0], fast=True) as sticks:
        _, status, _ = run(sticks, new_driver, [other])
    assert status == ABORTS
    (violation,) = sticks.sticks[0].report.violations
    assert "parameters" in violation
    assert "other bytes" in violation


@pytest.fixture(scope="module")
def published(shared):
    """Compiled files of Google's, each with its twin."""
    return published_pairs(shared)


def test_published_models_run_as_their_twins(new_driver, published):
    """Real layouts, hints and sizes: up to 4 MB of parameters, five outputs, odd images."""
    usual = [each for each in published if not needs_other_kernels(each[0])]
    assert len(usual) >= 14
    with plugged([made for made, _ in usual], fast=True) as sticks:
        lines, status, errors = run(sticks, new_driver, usual, calls=1)
    assert status == 0, errors
    wrong = [Path(line["model"]).name for line in lines if line.get("equal") is False]
    assert wrong == []
    assert len(equal_calls(lines)) == len(usual)
    assert sticks.sticks[0].report.violations == []


def test_a_published_model_that_needs_other_kernels(new_driver, published):
    """Its program runs without XNNPACK, so the stick must compute without it too."""
    old = [each for each in published if needs_other_kernels(each[0])]
    kernels = "BUILTIN_WITHOUT_DEFAULT_DELEGATES"
    with plugged([made for made, _ in old], fast=True, kernels=kernels) as sticks:
        lines, status, errors = run(sticks, new_driver, old, calls=1)
    assert status == 0, errors
    assert equal_calls(lines) == [True]
