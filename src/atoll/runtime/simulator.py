"""The Edge TPU in software: what a compiled model maps to it, run by LiteRT itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from atoll.edgetpu.simfile import SIM_OP
from atoll.errors import ModelError
from atoll.runtime.delegate import Kernel, PythonDelegate
from atoll.runtime.litert import open_litert
from atoll.runtime.soundness import check_sound
from atoll.tflite.graph import Subgraph
from atoll.tflite.reader import parse_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atoll.runtime.twin import TwinPart


# Makes the kernel of a TFLite model, given its file, its main subgraph and what to call it in a
# message. Its inputs and outputs are the kernel's, in order.
Software = Callable[[bytes, Subgraph, str], Kernel]


def in_process(threads: int | None, *kernels: str) -> Software:
    """Kernels that compute in this process.

    Args:
        threads: CPU threads; None for LiteRT's own choice.
        kernels: Names in `atoll.runtime.litert.KERNELS`, tried in this order. A mapped part runs on
            the same kernels as the CPU operators around it, so that both equal the model uncut.
    """
    return lambda content, _graph, source: litert_kernel(content, source, threads, kernels)


def simulator(software: Software) -> PythonDelegate:
    """A delegate that runs the operators of `atoll.edgetpu.simfile`.

    Args:
        software: What they compute with.

    Returns:
        The delegate. It must outlive the interpreter.
    """
    return PythonDelegate(SIM_OP, lambda _index, payload: _kernel(payload, software))


def twin_kernel(part: TwinPart, software: Software) -> Kernel:
    """A kernel that computes what one compiled part does.

    Args:
        part: What it does.
        software: What it computes with.

    Returns:
        The kernel, for the operator's own inputs and outputs.
    """
    source = f"the twin's part {part.part.index}"
    run = software(part.content, part.graph, source)

    def run_part(taken: Sequence[np.ndarray], made: Sequence[np.ndarray]) -> None:
        run([taken[place] for place in part.takes], made)

    return run_part


def litert_kernel(
    content: bytes, source: object, threads: int | None, kernels: Sequence[str]
) -> Kernel:
    """A kernel that runs a TFLite model.

    Args:
        content: The model's file; its inputs and outputs are the kernel's, in order.
        source: What to call it in a message.
        threads: CPU threads; None for LiteRT's own choice.
        kernels: Names in `atoll.runtime.litert.KERNELS`, tried in this order.

    Returns:
        The kernel.

    Raises:
        ModelError: LiteRT cannot run it.
    """
    interpreter = open_litert(content, source, threads=threads, kernels=kernels).litert
    inputs = [detail["index"] for detail in interpreter.get_input_details()]
    outputs = [detail["index"] for detail in interpreter.get_output_details()]

    def run(taken: Sequence[np.ndarray], made: Sequence[np.ndarray]) -> None:
        for index, array in zip(inputs, taken, strict=True):
            interpreter.set_tensor(index, array)
        interpreter.invoke()
        for index, array in zip(outputs, made, strict=True):
            value = interpreter.get_tensor(index)
            if value.shape != array.shape:
                raise ValueError(f"{list(value.shape)} was computed for {list(array.shape)}")
            np.copyto(array, value, casting="no")

    return run


def _kernel(payload: bytes, software: Software) -> Kernel:
    """A kernel from a payload, which is a whole TFLite file. Raises ModelError."""
    source = f"{SIM_OP}'s payload"
    model = parse_model(payload, source)
    check_sound(model, source)
    if any(op.custom_name == SIM_OP for op in model.main.operators):
        raise ModelError(
            source,
            "it must not be compiled itself",
            received=f"an operator {SIM_OP}",
            fix="Compile the model again",
        )
    return software(payload, model.main, source)
