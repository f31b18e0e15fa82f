"""What a device makes of a model: something that can be called."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

    from atoll.runtime.tensor_info import TensorInfo


class Session(Protocol):
    """A model on a device, ready. It is called by one thread at a time.

    Attributes:
        inputs: What it takes, in order.
        outputs: What it gives, in order.
    """

    inputs: list[TensorInfo]
    outputs: list[TensorInfo]

    @property
    def notes(self) -> list[str]:
        """What a user should know of how it runs, a sentence each."""
        ...

    def invoke(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Runs the model once.

        Args:
            arrays: One an input, of its shape and type.

        Returns:
            One an output, the caller's own.

        Raises:
            ModelError: The model cannot be run.
            DeviceError: The device failed.
        """
        ...

    def close(self) -> None:
        """Gives the device and the memory back."""
        ...


@dataclass
class Holding:
    """What a session holds beside its model.

    Attributes:
        noted: Lists of what a user should know of how it runs; they grow as things happen.
        closers: What gives its devices back.
    """

    noted: list[list[str]] = field(default_factory=list)
    closers: list[Callable[[], None]] = field(default_factory=list)

    @property
    def notes(self) -> list[str]:
        """What a user should know, each sentence once."""
        return list(dict.fromkeys(note for notes in self.noted for note in notes))

    def close(self) -> None:
        """Gives the devices back."""
        for close in self.closers:
            close()
        self.closers.clear()
