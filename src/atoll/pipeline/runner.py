"""What is asked of a device: a model on it that can be called and closed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    import numpy as np


class Runner(Protocol):
    """A model on a device, as `atoll.Interpreter` is one."""

    def invoke(self, *arrays: np.ndarray) -> list[np.ndarray]:
        """Runs the model once: one array an input, one array an output.

        Raises:
            DeviceLostError: The device is gone; the same call may be asked of another.
        """

    def close(self) -> None:
        """Lets go of the device."""


# Puts the model on the device of this name.
OpenDevice: TypeAlias = "Callable[[str], Runner]"
