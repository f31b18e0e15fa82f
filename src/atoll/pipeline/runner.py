"""What is asked of a device: something on it that can be called and closed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    import numpy as np

    from atoll.runtime.tensor_info import TensorInfo


class Runner(Protocol):
    """Something on a device. What a call takes and gives is its own: nobody here looks at it."""

    def invoke(self, *arrays: Any) -> Any:
        """Runs it once.

        Raises:
            DeviceLostError: The device is gone; the same call may be asked of another.
        """

    def close(self) -> None:
        """Lets go of the device."""


class OpenModel(Protocol):
    """A model on a device, as `atoll.Interpreter` is one."""

    @property
    def inputs(self) -> Sequence[TensorInfo]:
        """What it takes, in order."""

    @property
    def outputs(self) -> Sequence[TensorInfo]:
        """What it gives, in order."""

    def invoke(self, *arrays: np.ndarray) -> list[np.ndarray]:
        """Runs it once: one array an input, one array an output."""

    def close(self) -> None:
        """Lets go of the device."""


# Puts what is to be run on the device of this name.
OpenDevice: TypeAlias = "Callable[[str], Runner]"
