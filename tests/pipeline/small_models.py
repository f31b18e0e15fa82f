"""A model of a few microseconds with answers that differ, and devices that can be lost."""

import functools
import threading

import numpy as np
from litert_files import run, runnable

from atoll import Interpreter
from atoll.errors import DeviceLostError
from atoll.tflite.build import GraphBuilder
from atoll.tflite.writer import write_model

SHAPE = (1, 4, 4, 3)


@functools.cache
def small_model() -> bytes:
    """A convolution, a mean and a dense layer."""
    b = GraphBuilder("uint8", seed=3)
    x = b.conv2d(b.input(SHAPE), 8, 3, activation="RELU6")
    return write_model(b.model(b.dense(b.mean(x), 4)))


@functools.cache
def asked_and_expected(count=256) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Inputs, and what LiteRT itself answers to them: nothing of Atoll takes part."""
    rng = np.random.default_rng(0)
    asked = [rng.integers(0, 256, SHAPE, np.uint8) for _ in range(count)]
    litert = runnable(small_model())
    expected = [run(litert, [array])[0] for array in asked]
    # Answers that were alike would hide a mix-up.
    assert len({array.tobytes() for array in expected}) > 0.95 * count
    return asked, expected


def lost(name="sim:0"):
    """What the runtime raises for a device that is gone."""
    return DeviceLostError(
        name, "it must stay plugged in", received="nothing", fix="Plug it in again"
    )


class Losing:
    """The model on the simulator, lost for good after so many calls."""

    def __init__(self, name, after):
        self._name, self._left = name, after
        self._inner = Interpreter(small_model(), "sim", 1)
        self.inputs, self.outputs, self.model = (
            self._inner.inputs,
            self._inner.outputs,
            self._inner.model,
        )
        self.closed = False

    def invoke(self, *arrays):
        self._left -= 1
        if self._left < 0:
            raise lost(self._name)
        return self._inner.invoke(*arrays)

    def close(self):
        self.closed = True
        self._inner.close()


class Devices:
    """Opens the model on simulators that are lost as planned.

    Args:
        plan: For each name what becomes of it each time that it is opened: an int is the number of
            calls after which it is lost, an error is raised instead of opening it. Beyond its plan
            a device works.
    """

    def __init__(self, **plan):
        self._plan = {name.replace("_", ":"): list(steps) for name, steps in plan.items()}
        self._lock = threading.Lock()
        self.opened = []

    def __call__(self, name):
        with self._lock:
            self.opened.append(name)
            steps = self._plan.get(name, [])
            step = steps.pop(0) if steps else None
        if isinstance(step, Exception):
            raise step
        return Interpreter(small_model(), "sim", 1) if step is None else Losing(name, step)


class Held:
    """A device that answers with its input, once it is let to."""

    def __init__(self):
        self.begun = threading.Semaphore(0)
        self.go = threading.Semaphore(0)
        self.closed = False

    def invoke(self, *arrays):
        self.begun.release()
        self.go.acquire()
        return list(arrays)

    def close(self):
        self.closed = True


def once_held(*devices):
    """Opens these, by the number at the end of the name."""
    return lambda name: devices[int(name.rpartition(":")[2])]
