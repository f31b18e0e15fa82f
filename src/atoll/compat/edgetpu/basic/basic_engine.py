"""The module `edgetpu.basic.basic_engine`: a model, called with raw memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from atoll.compat import gstreamer
from atoll.compat.edgetpu.swig.edgetpu_cpp_wrapper import BasicEnginePythonWrapper
from atoll.compat.edgetpu.utils.warning import deprecated
from atoll.compat.handles import is_pointer_and_size

if TYPE_CHECKING:
    import numpy as np

__all__ = ["BasicEngine"]


class BasicEngine:
    """A model on an Edge TPU.

    Args:
        model_path: A .tflite file. What is not compiled runs on the processor.
        device_path: The Edge TPU's path, as `ListEdgeTpuPaths` tells it; None for any.

    Raises:
        RuntimeError: There is no such file or Edge TPU, or the model cannot be run.
    """

    def __init__(self, model_path: str, device_path: str | None = None) -> None:
        self._engine = BasicEnginePythonWrapper.CreateFromFile(model_path, device_path or "")

    def run_inference(
        self,
        input: Any,
        size: int | None = None,
    ) -> tuple[float, np.ndarray]:
        """Runs the model.

        Args:
            input: The input in one row: numbers, bytes, a Gst.Buffer, or a pointer
                (ctypes.c_void_p) and how many numbers are there. More than the input takes is left
                aside.
            size: How many numbers the caller thinks that the model takes; None for no check.

        Returns:
            How long it took, in milliseconds, and all outputs in one row of float32, 8-bit ones as
            real numbers. The row is the caller's own.

        Raises:
            AssertionError: There are too few numbers, or the size is another.
            RuntimeError: It failed.
        """
        expected = self.required_input_array_size()
        if size and size != expected:
            raise AssertionError(f"Wrong input size={size}, expected={expected}.")
        if isinstance(input, bytes):
            _check(len(input), expected)
            result = self._engine.RunInferenceBytes(input)
        elif is_pointer_and_size(input):
            pointer, there = input
            _check(there, expected)
            result = self._engine.RunInferenceRaw(pointer.value, expected)
        elif gstreamer.is_buffer(input):
            with gstreamer.mapped(input) as array:
                _check(array.size, expected)
                result = self._engine.RunInferenceRaw(array.ctypes.data, expected)
        else:
            _check(len(input), expected)
            result = self._engine.RunInference(input)
        return self._engine.get_inference_time(), result

    def get_input_tensor_shape(self) -> np.ndarray:
        """The input's shape, such as [1, height, width, channels]."""
        return self._engine.get_input_tensor_shape()

    def get_all_output_tensors_sizes(self) -> np.ndarray:
        """How many numbers each output has."""
        return self._engine.get_all_output_tensors_sizes()

    def get_num_of_output_tensors(self) -> int:
        """How many outputs there are."""
        return self._engine.get_num_of_output_tensors()

    def get_output_tensor_size(self, index: int) -> int:
        """How many numbers one output has.

        Raises:
            RuntimeError: There is no such output.
        """
        return self._engine.get_output_tensor_size(index)

    def total_output_array_size(self) -> int:
        """How many numbers all outputs have."""
        return self._engine.total_output_array_size()

    def get_inference_time(self) -> float:
        """How long the last call took, in milliseconds."""
        return self._engine.get_inference_time()

    def model_path(self) -> str:
        """The model's file."""
        return self._engine.model_path()

    def device_path(self) -> str:
        """The Edge TPU's path."""
        return self._engine.device_path()

    def required_input_array_size(self) -> int:
        """How many numbers the input has."""
        return self._engine.required_input_array_size()

    def get_raw_output(self) -> np.ndarray:
        """All outputs of the last call in one row, as `run_inference` gave them."""
        return self._engine.get_raw_output()

    @deprecated
    def RunInference(self, input: Any) -> tuple[float, np.ndarray]:  # noqa: N802
        """The older name of `run_inference`."""
        return self.run_inference(input)


def _check(there: int, expected: int) -> None:
    if there < expected:
        raise AssertionError(f"Wrong input size={there}, expected={expected}.")
