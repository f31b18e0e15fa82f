"""What a device is given to host, and the kernels that call it."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

import numpy as np

from atoll.errors import DeviceError
from atoll.runtime.process_lock import ProcessLock
from atoll.tflite.types import BY_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from atoll.runtime.driver.connection import Hosted
    from atoll.tflite.graph import Tensor


def faces(tensors: Sequence[Tensor], source: str) -> list[tuple[np.dtype, tuple[int, ...]]]:
    """The numpy types and shapes of a model's tensors.

    Args:
        tensors: What it takes or gives.
        source: What to call it in a message.

    Raises:
        DeviceError: One is of a type that numpy has not.
    """
    found = []
    for tensor in tensors:
        dtype = BY_NAME[tensor.type].dtype
        if dtype is None:
            raise DeviceError(
                source,
                "a device takes and gives numbers",
                received=f"{tensor.name!r} of {tensor.type}",
                fix="Run the model on the CPU",
            )
        found.append((dtype, tensor.shape))
    return found


class ChildKernel:
    """A model that a device hosts: it fills the outputs from the inputs.

    It may be called by several threads; they take turns.

    Args:
        hosted: The model.
        call: Runs it once, on a device.
        drop: Has the device forget it. It may be called from a finalizer.
    """

    def __init__(
        self, hosted: Hosted, call: Callable[[Hosted], None], drop: Callable[[int], None]
    ) -> None:
        self._hosted = hosted
        self._call = call
        self._lock = ProcessLock()
        self._finalizer = weakref.finalize(self, drop, hosted.number)
        self._finalizer.atexit = False

    def __call__(self, taken: Sequence[np.ndarray], made: Sequence[np.ndarray]) -> None:
        """Runs the model once.

        Args:
            taken: Its inputs.
            made: Its outputs, which are filled. They stay as they are where the call fails.

        Raises:
            DeviceError: This is a fork, and there is no memory for tensors of its own.
            DeviceLostError: The device was lost, or is not there yet again.
            ModelError: A model that runs in software cannot be run.
        """
        hosted = self._hosted
        with self._lock:
            hosted.own()
            for place, array in zip(hosted.taken, taken, strict=True):
                _copy(place, array)
            self._call(hosted)
            for array, place in zip(made, hosted.made, strict=True):
                _copy(array, place)

    def close(self) -> None:
        """Has the device forget the model."""
        self._finalizer()


def _copy(to: np.ndarray, source: np.ndarray) -> None:
    # numpy would repeat a smaller one.
    if to.shape != source.shape:
        raise ValueError(f"{list(source.shape)} was given for {list(to.shape)}")
    np.copyto(to, source, casting="no")
