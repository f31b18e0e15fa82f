"""The Edge TPU in software: a compiled model's mapped part, run by LiteRT itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from atoll.edgetpu.simfile import SIM_OP
from atoll.errors import ModelError
from atoll.runtime.delegate import PythonDelegate
from atoll.runtime.litert import open_litert
from atoll.runtime.soundness import check_sound
from atoll.tflite.reader import parse_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atoll.runtime.delegate import Kernel


def simulator(threads: int | None, kernels: str) -> PythonDelegate:
    """A delegate that runs the operators of `atoll.edgetpu.simfile`.

    Args:
        threads: CPU threads; None for LiteRT's own choice.
        kernels: A name in `atoll.runtime.litert.KERNELS`: the mapped part runs on the same
            kernels as the CPU operators around it, so that both equal the model uncut.

    Returns:
        The delegate. It must outlive the interpreter.
    """
    return PythonDelegate(SIM_OP, lambda payload: _kernel(payload, threads, kernels))


def _kernel(payload: bytes, threads: int | None, kernels: str) -> Kernel:
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
    interpreter = open_litert(payload, source, threads=threads, kernels=[kernels]).litert
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
