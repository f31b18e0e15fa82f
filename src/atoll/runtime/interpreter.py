"""A model that can be called, on any device."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from atoll.closing import Closing
from atoll.errors import UsageError
from atoll.runtime.devices import open_on
from atoll.runtime.feeding import collect, feed
from atoll.runtime.model_file import ModelFile, Options
from atoll.runtime.predicted import predicted_ms
from atoll.runtime.process_lock import ProcessLock
from atoll.runtime.soundness import check_sound
from atoll.runtime.tensor_info import TensorInfo
from atoll.tflite.reader import parse_model, read_content

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from atoll.runtime.session import Session
    from atoll.tflite.graph import Model

__all__ = ["Interpreter", "TensorInfo"]


class Interpreter(Closing):
    """A model, loaded and ready.

    It may be called from several threads: calls wait for each other. For calls at the same time,
    open one for each, or use `atoll.pipeline.Pool`.

    Args:
        source: A .tflite file's path or content.
        device: "cpu"; "sim" or "sim:N", the Edge TPU in software; "edgetpu", "usb:N" or "pci:N", a
            real one; "openvino:CPU" (GPU, NPU); "auto", by the file: an Edge TPU for a compiled
            one if there is one, else the simulator; the processor for any other.
        threads: CPU threads; None for the library's own choice.
        twin: The model that a compiled file was made of, for the simulator and for `fallback`: a
            path or content. None takes the one beside it: X.tflite beside X_edgetpu.tflite.
        fallback: "sim" or "cpu": what answers a call, and those after it, where an Edge TPU is
            lost; None raises DeviceLostError.
        direct: Run the driver in this process. It ends this process where a stick is pulled, and
            waits for ever where one is silent: without it, it runs in a process of its own.
        isolated: Run the simulator in a process of its own too.
        timeout_s: Seconds after which an Edge TPU that does not answer is given up; None for the
            usual.
        library: libedgetpu's path; None finds it.

    Attributes:
        model: The graph and metadata of the file.
        inputs: What it takes, in order.
        outputs: What it gives, in order.
        name: The file, or "model" where bytes were given: what messages speak of.
        device: The name of the device it runs on.

    Raises:
        ModelError: The file is no TFLite model, is damaged, or cannot be run; a compiled file's
            twin is missing, or is not what it was made of.
        DeviceError: There is no such device, or it cannot run such a file.
        UsageError: An argument has no meaning.

    Example:
        >>> with Interpreter("model_quant.tflite") as interpreter:
        ...     (scores,) = interpreter.invoke(pixels)
    """

    model: Model
    inputs: list[TensorInfo]
    outputs: list[TensorInfo]
    device: str

    def __init__(
        self,
        source: str | Path | bytes,
        device: str = "auto",
        threads: int | None = None,
        *,
        twin: str | Path | bytes | None = None,
        fallback: str | None = None,
        direct: bool = False,
        isolated: bool = False,
        timeout_s: float | None = None,
        library: str | Path | None = None,
    ) -> None:
        options = Options(threads, twin, fallback, direct, isolated, timeout_s, library)
        _check_options(options)
        self.name: object = "model" if isinstance(source, bytes) else source
        content = source if isinstance(source, bytes) else read_content(source)
        self.model = parse_model(content, self.name)
        check_sound(self.model, self.name)
        chosen, session = open_on(device, ModelFile(content, self.model, self.name), options)
        self._session: Session | None = session
        self._lock = ProcessLock()
        self._twin = twin
        self.device = str(chosen)
        self.inputs = session.inputs
        self.outputs = session.outputs

    def __reduce__(self) -> tuple[Any, ...]:
        """Refuses to be copied, or sent to another process: its memory and its device stay here."""
        raise UsageError(
            self.name,
            "an interpreter stays in the process that opened it",
            received="it was to be copied or pickled",
            fix="Open one where it is needed",
        )

    def __repr__(self) -> str:
        """What it runs, and where."""
        return f"<Interpreter {self.name} on {self.device}>"

    @property
    def notes(self) -> list[str]:
        """What a user should know of how it ran so far, a sentence each: a device that was lost."""
        session = self._session
        return [] if session is None else list(session.notes)

    @cached_property
    def latency_ms(self) -> float | None:
        """The milliseconds that a call should take on an Edge TPU at USB 3: a prediction.

        None where the device is not the simulator: there, a clock tells.
        """
        if self.device.partition(":")[0] != "sim":
            return None
        return predicted_ms(self.model, self.name, self._twin)

    def invoke(self, *arrays: np.ndarray) -> list[np.ndarray]:
        """Runs the model once.

        Args:
            *arrays: One a input, of its shape and type, as the model takes it: quantised numbers
                for a quantised model.

        Returns:
            One array an output, as the model gives it, the caller's own.

        Raises:
            UsageError: The arrays do not fit the inputs.
            ModelError: LiteRT failed.
            DeviceError: The device failed; DeviceLostError where it is gone.
        """
        self._check(arrays)
        with self._lock:
            return self._open_session().invoke(arrays)

    def run(
        self, inputs: np.ndarray | Mapping[str, np.ndarray], *, quantized: bool = False
    ) -> dict[str, np.ndarray]:
        """Runs the model on named arrays, real numbers or quantised ones, once or for a batch.

        Args:
            inputs: An array for each input by its name; for a model of one input, the array alone.
                Floats are quantised where the model wants quantised numbers; arrays of the input's
                own type are taken as they are. Shapes are those of the inputs, or without the
                leading 1, or with N in its place: then the model runs N times.
            quantized: Whether outputs are given as the model stores them, and not as the real
                numbers that they stand for.

        Returns:
            An array for each output, by its name; the leading dimension is that of the batch.

        Raises:
            UsageError: The arrays do not fit the inputs.
            ModelError, DeviceError: As `invoke` does.
        """
        results = [self.invoke(*arrays) for arrays in feed(self.name, self.inputs, inputs)]
        return collect(self.outputs, results, quantized)

    def close(self) -> None:
        """Gives its memory back; it cannot be called after that."""
        with self._lock:
            session, self._session = self._session, None
        if session is not None:
            session.close()

    def _open_session(self) -> Session:
        if self._session is None:
            raise UsageError(
                self.name, "the interpreter must be open", received="closed", fix="Open a new one"
            )
        return self._session

    def _check(self, arrays: tuple[np.ndarray, ...]) -> None:
        if len(arrays) != len(self.inputs):
            raise UsageError(
                self.name,
                f"the model takes {len(self.inputs)} input(s)",
                received=len(arrays),
                fix="Give one array for each",
            )
        for info, array in zip(self.inputs, arrays, strict=True):
            if not info.takes(array):
                raise UsageError(
                    self.name,
                    f"input {info.name!r} takes {info.dtype} of shape {list(info.shape)}",
                    received=f"{array.dtype} of shape {list(array.shape)}"
                    if isinstance(array, np.ndarray)
                    else f"a {type(array).__name__}",
                    fix="Resize and quantise it first",
                )


def _check_options(options: Options) -> None:
    if options.threads is not None and options.threads < 1:
        raise UsageError(
            "threads", "there must be at least 1", received=options.threads, fix="Leave it out"
        )
    if options.fallback not in (None, "sim", "cpu"):
        raise UsageError(
            "fallback", "it is sim or cpu", received=options.fallback, fix="Name one of these"
        )
    if options.timeout_s is not None and not options.timeout_s > 0:
        raise UsageError(
            "timeout_s", "it must be above 0", received=options.timeout_s, fix="Leave it out"
        )
