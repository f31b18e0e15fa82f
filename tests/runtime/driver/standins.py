"""What the tests of the driver share: what the stand-in computes, and whether processes live."""

import os
import time
from pathlib import Path

import numpy as np
from compiled_files.faults import part_of, sound
from compiled_files.programs import Layer


class Clock:
    """A clock that goes on when it is told to."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def expected(array, count, output=0):
    """What the stand-in driver computes."""
    flat = np.resize(array.ravel().view(np.uint8), count)
    return flat ^ np.uint8(17 * (output + 1))


def alive(pid) -> bool:
    """Whether there is such a process that has not ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()


def gone(pid, within_s=5.0) -> bool:
    """Whether a process ends in time."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        if not alive(pid):
            return True
        time.sleep(0.01)
    return False


# What the small models of the tests take and give, in bytes.
SIZES = [(24, 10), (100, 1001), (3, 7)]


def called(kernel, array, *counts):
    outputs = [np.zeros((1, count), np.uint8) for count in counts]
    kernel([array], outputs)
    return outputs


def right(kernel, count, seed=0):
    """Whether an answer of the small model is what it must be."""
    array = np.random.default_rng(seed).integers(0, 256, (1, count[0]), np.uint8)
    (out,) = called(kernel, array, count[1])
    return np.array_equal(out[0], expected(array, count[1]))


def kernel_of(device, taken=24, made=10):
    return device.load(part_of(sound([Layer("in", taken)], [Layer("out", made)])))
