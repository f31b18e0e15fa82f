"""A model that can be called, on any device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from atoll.errors import UsageError
from atoll.runtime.devices import ModelFile, open_on
from atoll.runtime.litert import LITERT_ERRORS, failure_of
from atoll.runtime.soundness import check_sound
from atoll.tflite.reader import parse_model, read_content

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from atoll.runtime.litert import Session
    from atoll.tflite.graph import Model


@dataclass(frozen=True)
class TensorInfo:
    """One input or output.

    Attributes:
        name: As in the file.
        shape: The shape.
        dtype: The numpy type.
        scale: real = scale * (stored - zero_point); 0.0 where it is not quantised.
        zero_point: As above; 0 where it is not quantised.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    scale: float
    zero_point: int


class Interpreter:
    """A model, loaded and ready.

    Args:
        source: A .tflite file's path or content.
        device: "cpu"; "sim", the Edge TPU in software, which a plain model is compiled for in
            memory; "auto" takes what the file is made for.
        threads: CPU threads; None for LiteRT's own choice.

    Attributes:
        model: The graph and metadata of the file.
        inputs: What it takes, in order.
        outputs: What it gives, in order.
        name: The file, or "model" where bytes were given: what messages speak of.
        device: The name of the device it runs on.

    Raises:
        ModelError: The file is no TFLite model, is damaged, or LiteRT cannot run it.
        DeviceError: There is no such device, or it cannot run such a file.

    Example:
        >>> with Interpreter("model_quant.tflite") as interpreter:
        ...     (scores,) = interpreter.invoke(pixels)
    """

    model: Model
    inputs: list[TensorInfo]
    outputs: list[TensorInfo]
    device: str

    def __init__(
        self, source: str | Path | bytes, device: str = "auto", threads: int | None = None
    ) -> None:
        if threads is not None and threads < 1:
            raise UsageError(
                "threads", "there must be at least 1", received=threads, fix="Leave it out"
            )
        self.name: object = "model" if isinstance(source, bytes) else source
        content = source if isinstance(source, bytes) else read_content(source)
        self.model = parse_model(content, self.name)
        check_sound(self.model, self.name)
        file = ModelFile(content, self.model, self.name)
        chosen, session = open_on(device, file, threads)
        self._session: Session | None = session
        self.device = chosen.name
        litert = session.litert
        takes, gives = litert.get_input_details(), litert.get_output_details()
        self.inputs = [_info(detail) for detail in takes]
        self.outputs = [_info(detail) for detail in gives]
        self._input_indices = [int(detail["index"]) for detail in takes]
        self._output_indices = [int(detail["index"]) for detail in gives]

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
            DeviceError: The device failed.
        """
        session = self._open_session()
        litert = session.litert
        self._check(arrays)
        try:
            for index, array in zip(self._input_indices, arrays, strict=True):
                litert.set_tensor(index, array)
            litert.invoke()
            return [litert.get_tensor(index) for index in self._output_indices]
        except LITERT_ERRORS as error:
            raise failure_of(session.delegate, self.name, error) from None

    def close(self) -> None:
        """Gives its memory back; it cannot be called after that."""
        self._session = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

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
            if array.dtype != info.dtype or array.shape != info.shape:
                raise UsageError(
                    self.name,
                    f"input {info.name!r} takes {info.dtype} of shape {list(info.shape)}",
                    received=f"{array.dtype} of shape {list(array.shape)}",
                    fix="Resize and quantise it first",
                )


def _info(detail: dict[str, Any]) -> TensorInfo:
    scale, zero_point = detail["quantization"]
    return TensorInfo(
        name=detail["name"],
        shape=tuple(int(size) for size in detail["shape"]),
        dtype=np.dtype(detail["dtype"]),
        scale=float(scale),
        zero_point=int(zero_point),
    )
