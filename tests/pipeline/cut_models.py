"""Models in segments: cut by Atoll, and steps that are told when to fail or wait."""

import threading
import time

import numpy as np

from atoll.compiler.job import compile_models
from atoll.compiler.request import Request
from atoll.errors import DeviceError
from atoll.runtime.tensor_info import TensorInfo
from atoll.tflite.build import GraphBuilder
from atoll.tflite.writer import write_model


def until(condition):
    while not condition():
        time.sleep(0.001)


def in_thread(work, *args):
    thread = threading.Thread(target=work, args=args, daemon=True)
    thread.start()
    return thread


def chain():
    """One after the other: the cut is through one tensor."""
    b = GraphBuilder("uint8", seed=2)
    x = b.input((1, 8, 8, 3))
    for filters in (4, 8, 8, 4):
        x = b.conv2d(x, filters, 3, activation="RELU6")
    return b.model(b.dense(b.mean(x), 5))


def cut(path, count, folder):
    """The files that `atoll compile --num_segments` writes of a model."""
    made = compile_models([path], folder, Request(backend="sim", segments=count, legalize="off"))
    return [one.output for one in made]


def written_model(model, folder):
    path = folder / "model.tflite"
    path.write_bytes(write_model(model))
    return path


class Step:
    """A segment that adds one, holds its call while it is told to, and may fail."""

    def __init__(self, number, hold=False, fail_at=None):
        self.name = f"step {number}"
        self.inputs = [TensorInfo(f"t{number}", (1,), np.dtype("int64"), 0.0, 0)]
        self.outputs = [TensorInfo(f"t{number + 1}", (1,), np.dtype("int64"), 0.0, 0)]
        self.go = threading.Semaphore(0) if hold else None
        self.begun = threading.Event()
        self.closed = False
        self._fail_at = fail_at

    def invoke(self, array):
        self.begun.set()
        if self.go is not None:
            self.go.acquire()
        if self._fail_at is not None and array[0] >= self._fail_at:
            raise DeviceError(self.name, "it broke", received="x", fix="Mend it")
        return [array + 1]

    def close(self):
        self.closed = True


def one(value):
    return np.int64([value])
