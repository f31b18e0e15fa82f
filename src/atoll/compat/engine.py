"""What was native in the old engines: a model on an Edge TPU, its outputs in one row of floats."""

from __future__ import annotations

import ctypes
import time
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from atoll.compat.assignment import assign, release
from atoll.compat.handles import fill, input_view, run, tensor_view
from atoll.compat.libraries import EngineLibrary
from atoll.compat.tflite_runtime.interpreter import Delegate, Interpreter

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class Engine:
    """A model, ready on an Edge TPU. Make one with `CreateFromFile`.

    Args:
        model_path: A .tflite file.
        device_path: The Edge TPU's path; "" for any.

    Raises:
        RuntimeError: There is no such file or Edge TPU, or the model cannot be run here.
    """

    def __init__(self, model_path: str, device_path: str = "") -> None:
        self._model_path = model_path
        _check_file(model_path)
        self._device = assign(device_path)
        weakref.finalize(self, release, self._device.path).atexit = False
        try:
            self._interpreter = Interpreter(
                model_path=model_path,
                experimental_delegates=[
                    Delegate._standing_for(self._device.name, EngineLibrary(self._device))
                ],
                num_threads=None,
            )
            self._interpreter.allocate_tensors()
        except ValueError as error:
            raise RuntimeError(str(error)) from error
        takes = self._interpreter.get_input_details()
        _require(bool(takes), "Invalid model, no input tensor!")
        _require(len(takes) == 1, "We don't support multiple input tensors yet!")
        self._shape = np.array(takes[0]["shape"], np.intc)
        _require(self._shape.size > 0, "Number of input tensor's dimensions must > 0!")
        self._size = int(np.prod(self._shape))
        _require(self._size > 0, "Size of input array(Model's input) must > 0!")
        self._outputs = [_Output(detail) for detail in self._interpreter.get_output_details()]
        self._result = np.zeros(self.total_output_array_size(), np.float32)
        self._milliseconds = -1.0

    @classmethod
    def CreateFromFile(cls, model_path: str, device_path: str = "") -> Engine:  # noqa: N802
        """Opens a model: see the class."""
        return cls(model_path, device_path)

    def RunInference(self, input: ArrayLike) -> np.ndarray:  # noqa: N802
        """Runs the model.

        Args:
            input: A row of numbers of the input's type, at least as many as it has.

        Returns:
            All outputs in one row, float32, the caller's own.

        Raises:
            TypeError: It is no row, or of another type.
            RuntimeError: There are too few, or it failed.
        """
        wanted = input_view(self._interpreter).dtype
        array = np.ascontiguousarray(_converted(input, wanted))
        if array.ndim != 1:
            raise TypeError(
                f"Array must have 1 dimensions.  Given array has {array.ndim} dimensions"
            )
        self._check(array.size)
        return self._run(array.ctypes.data)

    def RunInferenceBytes(self, input: bytes) -> np.ndarray:  # noqa: N802
        """The same with the input's bytes."""
        width = input_view(self._interpreter).itemsize
        self._check(len(input) // width)
        return self._run(ctypes.cast(ctypes.c_char_p(input), ctypes.c_void_p).value or 0)

    def RunInferenceRaw(self, input: int, size: int) -> np.ndarray:  # noqa: N802
        """The same with an address, and how many numbers are there."""
        self._check(size)
        return self._run(input)

    def get_input_tensor_shape(self) -> np.ndarray:
        """The input's shape."""
        return self._shape.copy()

    def get_all_output_tensors_sizes(self) -> np.ndarray:
        """How many numbers each output has."""
        return np.array([output.size for output in self._outputs], np.uintp)

    def get_num_of_output_tensors(self) -> int:
        """How many outputs there are."""
        return len(self._outputs)

    def get_output_tensor_size(self, tensor_index: int) -> int:
        """How many numbers one output has.

        Raises:
            RuntimeError: There is no such output.
        """
        _require(tensor_index >= 0, "tensor_index must >= 0!")
        _require(tensor_index < len(self._outputs), "tensor_index doesn't exist!")
        return self._outputs[tensor_index].size

    def required_input_array_size(self) -> int:
        """How many numbers the input has."""
        return self._size

    def total_output_array_size(self) -> int:
        """How many numbers all outputs have."""
        return sum(output.size for output in self._outputs)

    def get_raw_output(self) -> np.ndarray:
        """What the last call gave."""
        return self._result

    def get_inference_time(self) -> float:
        """How long the last call took, in milliseconds."""
        return self._milliseconds

    def model_path(self) -> str:
        """The model's file."""
        return self._model_path

    def device_path(self) -> str:
        """The Edge TPU's path."""
        return self._device.path

    def _check(self, size: int) -> None:
        _require(
            size >= self._size,
            f"Input buffer size {size} smaller than model input tensor size {self._size}.",
        )

    def _run(self, address: int) -> np.ndarray:
        start = time.perf_counter()
        fill(input_view(self._interpreter), address)
        run(self._interpreter)
        values = [output.values(self._interpreter) for output in self._outputs]
        self._result = np.concatenate(values) if values else np.zeros(0, np.float32)
        self._milliseconds = (time.perf_counter() - start) * 1000
        return self._result


class _Output:
    """An output, and how it becomes floats."""

    def __init__(self, detail: dict[str, Any]) -> None:
        self._index = int(detail["index"])
        self.size = int(np.prod(detail["shape"]))
        scale, zero_point = detail["quantization"]
        self._quantized = np.dtype(detail["dtype"]).itemsize == 1
        self._scale, self._zero_point = np.float32(scale), np.int32(zero_point)

    def values(self, interpreter: Interpreter) -> np.ndarray:
        """Its numbers in one row: 8-bit ones as real numbers, computed in float32."""
        view = tensor_view(interpreter, self._index).reshape(-1)
        if not self._quantized:
            return view.astype(np.float32)
        values: np.ndarray = (view.astype(np.int32) - self._zero_point).astype(np.float32)
        values *= self._scale
        return values


def _converted(values: ArrayLike, wanted: np.dtype) -> np.ndarray:
    """An array of a type, where nothing is lost by that."""
    if isinstance(values, np.ndarray):
        return values.astype(wanted, casting="safe", copy=False)
    return np.array(values, wanted)


def _check_file(path: str) -> None:
    try:
        with open(path, "rb"):  # noqa: PTH123
            pass
    except OSError:
        raise RuntimeError(f"Could not open '{path}'.") from None


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise RuntimeError(message)
