"""The compiled models that a stick knows: their programs, and what computes their results."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from atoll.edgetpu.analysis import analyse
from atoll.edgetpu.latency.links import LINKS
from atoll.errors import ModelError
from atoll.runtime.litert import KERNELS
from atoll.runtime.parts import compiled_parts
from atoll.runtime.simulator import in_process, twin_kernel
from atoll.runtime.twin import open_twin
from atoll.stick.program import Program
from atoll.tflite.reader import parse_model, read_content
from atoll.tflite.types import BY_NAME

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from atoll.runtime.delegate import Kernel
    from atoll.runtime.twin import TwinPart
    from atoll.tflite.graph import Tensor


class KnownPart:
    """One compiled part of a model.

    Args:
        part: The part, with what it computes.
        name: What to call it in a message.
        kernels: A name in `atoll.runtime.litert.KERNELS`; None takes the first that runs it.

    Attributes:
        name: As above.
        programs: Its programs.

    Raises:
        ModelError: It is damaged, or its layers are not its tensors.
    """

    def __init__(self, part: TwinPart, name: str, kernels: str | None) -> None:
        self.name = name
        self.programs = [Program(each, name) for each in part.part.package.executables]
        self._part = part
        self._kernels = KERNELS if kernels is None else (kernels,)
        for program in self.programs:
            if not program.is_caching:
                self._check_layers(program)

    def computer(self) -> Computer:
        """What computes its results, for one stick."""
        return Computer(self._part, self._kernels)

    def predicted_ms(self, link: str, clock: str) -> float:
        """The predicted time of a run.

        Args:
            link: A row of `atoll.edgetpu.latency.links.LINKS`.
            clock: The chip's clock: "max" or "std".
        """
        graph = parse_model(self._part.content, self.name).main
        return analyse(graph, clock=clock).latency[link].ms

    def _check_layers(self, program: Program) -> None:
        """That layers and tensors, which belong together by their place, agree."""
        pairs = (
            (list(program.inputs.values()), self._part.part.inputs),
            (list(program.outputs.values()), self._part.part.outputs),
        )
        for layouts, tensors in pairs:
            sizes = [layout.tensor_bytes for layout in layouts]
            wanted = [_bytes_of(tensor) for tensor in tensors]
            if sizes != wanted:
                raise ModelError(
                    self.name,
                    "the layers of a compiled part must be its operator's tensors",
                    received=f"layers of {sizes} bytes for tensors of {wanted}",
                    fix="Compile the model again",
                )


class Computer:
    """Computes what a part does, by its twin. It is made ready at its first use."""

    def __init__(self, part: TwinPart, kernels: Sequence[str]) -> None:
        self._part = part
        self._kernels = kernels
        self._kernel: Kernel | None = None
        self._lock = threading.Lock()

    def __call__(
        self, program: Program, buffers: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Runs a program.

        Args:
            program: One of the part's, not the one that caches.
            buffers: uint8, what was sent for each input, by the layer's name.

        Returns:
            uint8, what the chip sends for each output, by the layer's name.
        """
        part = self._part.part
        given = [
            layout.from_chip(buffers[name]).view(_dtype(tensor)).reshape(tensor.shape)
            for (name, layout), tensor in zip(program.inputs.items(), part.inputs, strict=True)
        ]
        made = [np.empty(tensor.shape, _dtype(tensor)) for tensor in part.outputs]
        with self._lock:
            if self._kernel is None:
                self._kernel = twin_kernel(self._part, in_process(1, *self._kernels))
            self._kernel(given, made)
        layouts = zip(program.outputs.items(), made, strict=True)
        return {name: layout.to_chip(array) for (name, layout), array in layouts}


def know(
    compiled: str | Path, twin: str | Path | None = None, kernels: str | None = None
) -> list[KnownPart]:
    """Reads a compiled model and its twin.

    Args:
        compiled: The compiled file.
        twin: The model that it was made of; None takes the one beside it.
        kernels: A name in `atoll.runtime.litert.KERNELS`; None takes the first that works.

    Returns:
        Its compiled parts.

    Raises:
        ModelError: A file cannot be read, the model is not compiled, or the twin is another's.
    """
    model = parse_model(read_content(compiled), compiled)
    if not compiled_parts(model, compiled):
        raise ModelError(
            compiled,
            "a stick runs what is compiled for it",
            received="a model with no compiled part",
            fix="Name the compiled file: X_edgetpu.tflite",
        )
    found = open_twin(model, compiled, twin)
    stem = Path(compiled).stem
    many = len(found.parts) > 1
    return [
        KnownPart(part, f"{stem} part {k}" if many else stem, kernels)
        for k, part in enumerate(found.parts)
    ]


def sending_ms(size: int, link: str) -> float:
    """The predicted time of sending so many bytes."""
    return LINKS[link].send_ms(size)


def _dtype(tensor: Tensor) -> np.dtype:
    dtype = BY_NAME[tensor.type].dtype
    if dtype is None:
        raise ModelError(
            tensor.name,
            "a stick's tensors are numbers",
            received=tensor.type,
            fix="Compile the model again",
        )
    return np.dtype(dtype)


def _bytes_of(tensor: Tensor) -> int:
    return int(np.prod(tensor.shape, dtype=np.int64)) * _dtype(tensor).itemsize
