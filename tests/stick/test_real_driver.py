"""The real libedgetpu on virtual sticks, where ATOLL_LIBEDGETPU names one.

What can be tried with a stand-in of the same old struct is tried with it too.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from published_pairs import needs_other_kernels, published_pairs
from stand_in_drivers import stick_driver
from stick_programs import LIVES, OPTIONS, lived

from atoll.stick import plugged

CODE = """
import json, sys
import numpy as np
from atoll import Interpreter
library, *paths = sys.argv[1:]
rng = np.random.default_rng(0)
for compiled, twin in zip(paths[::2], paths[1::2], strict=True):
    with (
        Interpreter(compiled, "usb:0", library=library) as chip,
        Interpreter(twin, "cpu") as cpu,
    ):
        for _ in range(2):
            arrays = [
                rng.integers(0, 256, info.shape).astype(np.uint8).view(info.dtype)
                if info.dtype.itemsize == 1 else rng.random(info.shape).astype(info.dtype)
                for info in cpu.inputs
            ]
            pairs = zip(chip.invoke(*arrays), cpu.invoke(*arrays), strict=True)
            equal = all(np.array_equal(one, two) for one, two in pairs)
            print(json.dumps({"model": compiled, "equal": equal}), flush=True)
"""


@pytest.fixture(scope="module")
def real_driver():
    """The library to try."""
    name = os.environ.get("ATOLL_LIBEDGETPU")
    if not name:
        pytest.skip("ATOLL_LIBEDGETPU names no libedgetpu")
    return Path(name)


@pytest.mark.parametrize("how", [{}, {"firmware": True, "usb2": True}], ids=["usb3", "firmware"])
def test_published_models_run_as_their_twins(real_driver, shared, how):
    """That a stand-in driver and a stand-in stick agree proves less than this."""
    pairs = [pair for pair in published_pairs(shared) if not needs_other_kernels(pair[0])]
    words = [str(path) for pair in pairs for path in pair]
    with plugged([made for made, _ in pairs], fast=True, **how) as sticks:
        done = subprocess.run(
            [sys.executable, "-c", CODE, real_driver, *words],
            env=sticks,
            capture_output=True,
            text=True,
            timeout=300,
        )
    report = sticks.sticks[0].report
    assert done.returncode == 0, done.stderr
    assert report.violations == []
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["model"] for line in lines if not line["equal"]] == []
    assert len(lines) == 2 * len(pairs) == report.runs
    assert report.firmware == int(how.get("firmware", False))


@pytest.fixture(params=["stand-in", "real"])
def old_driver(request):
    """Drivers that need the adapter for their older struct."""
    if request.param == "real":
        return request.getfixturevalue("real_driver")
    return stick_driver("old")


@pytest.mark.parametrize("life", LIVES)
def test_programs_live_with_it_as_they_like(old_driver, signed_pair, life):
    """Opened again, shared, in threads, left open, forked: in direct mode, with nothing between."""
    calls, seen = LIVES[life]
    with plugged(signed_pair[0], fast=True, count=len(seen)) as sticks:
        assert lived(sticks | {"SHIMMED": "1"}, life, old_driver, signed_pair) == [True] * calls
    reports = [stick.report for stick in sticks.sticks]
    assert [each.runs for each in reports] == [runs for runs, _ in seen]
    assert [each.violations for each in reports] == [[]] * len(reports)


@pytest.mark.parametrize("usb2", [False, True], ids=["usb3", "usb2"])
@pytest.mark.parametrize("device", OPTIONS)
def test_its_options_make_no_difference_to_results(old_driver, signed_pair, device, usb2):
    """Each sets up the stick in another way."""
    with plugged(signed_pair[0], fast=True, usb2=usb2) as sticks:
        environment = sticks | {"SHIMMED": "1", "DEVICE": device}
        assert lived(environment, "once", old_driver, signed_pair) == [True]
    assert sticks.sticks[0].report.violations == []
