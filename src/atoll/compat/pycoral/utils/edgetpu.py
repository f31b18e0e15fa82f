"""The module `pycoral.utils.edgetpu`: interpreters on Edge TPUs, and calls with raw memory."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Any

import numpy as np

from atoll.compat import gstreamer
from atoll.compat.handles import is_pointer_and_size
from atoll.compat.pycoral.pybind import _pywrap_coral as native
from atoll.compat.tflite_runtime import interpreter as tflite

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "get_runtime_version",
    "invoke_with_bytes",
    "invoke_with_dmabuffer",
    "invoke_with_membuffer",
    "list_edge_tpus",
    "load_edgetpu_delegate",
    "make_interpreter",
    "run_inference",
    "set_verbosity",
    "supports_dmabuf",
]

get_runtime_version = native.GetRuntimeVersion
invoke_with_bytes = native.InvokeWithBytes
invoke_with_dmabuffer = native.InvokeWithDmaBuffer
invoke_with_membuffer = native.InvokeWithMemBuffer
list_edge_tpus = native.ListEdgeTpus
set_verbosity = native.SetVerbosity
supports_dmabuf = native.SupportsDmabuf

_EDGETPU_SHARED_LIB = {
    "Darwin": "libedgetpu.1.dylib",
    "Windows": "edgetpu.dll",
}.get(platform.system(), "libedgetpu.so.1")


def load_edgetpu_delegate(options: Mapping[str, object] | None = None) -> tflite.Delegate:
    """The delegate of an Edge TPU.

    Args:
        options: {"device": "usb:0"} and the like; see `make_interpreter`.

    Raises:
        ValueError: There is no such Edge TPU.
    """
    return tflite.load_delegate(_EDGETPU_SHARED_LIB, options or {})


def make_interpreter(
    model_path_or_content: str | bytes,
    device: str | None = None,
    delegate: tflite.Delegate | None = None,
) -> tflite.Interpreter:
    """An interpreter on an Edge TPU.

    Args:
        model_path_or_content: A .tflite file's path, or its bytes.
        device: None for any Edge TPU, ":N" for the Nth, "usb" or "pci" for any of these, "usb:N"
            or "pci:N" for the Nth of these.
        delegate: What `load_edgetpu_delegate` gave; the device is not looked at then.

    Raises:
        ValueError: There is no such Edge TPU, or the file is no model.
    """
    delegates = [delegate or load_edgetpu_delegate({"device": device} if device else {})]
    if isinstance(model_path_or_content, bytes):
        return tflite.Interpreter(
            model_content=model_path_or_content, experimental_delegates=delegates
        )
    return tflite.Interpreter(model_path=model_path_or_content, experimental_delegates=delegates)


def run_inference(interpreter: tflite.Interpreter, input_data: Any) -> None:
    """Invokes an interpreter with the first input given as raw memory.

    Args:
        interpreter: The interpreter, its tensors allocated.
        input_data: The input's bytes, in one row: bytes, an array, a Gst.Buffer, or a pointer
            (ctypes.c_void_p) and how many numbers are there. What is more than the input takes is
            left aside.

    Raises:
        ValueError: There are too few numbers.
        TypeError: It is something else.
        RuntimeError: The interpreter is not ready, or failed.
    """
    expected = np.prod(interpreter.get_input_details()[0]["shape"])
    handle = interpreter._native_handle()
    if isinstance(input_data, bytes):
        _check_input_size(len(input_data), expected)
        invoke_with_bytes(handle, input_data)
    elif is_pointer_and_size(input_data):
        pointer, size = input_data
        _check_input_size(size, expected)
        invoke_with_membuffer(handle, pointer.value, expected)
    elif gstreamer.is_buffer(input_data):
        with gstreamer.mapped(input_data) as array:
            _check_input_size(array.size, expected)
            invoke_with_membuffer(handle, array.ctypes.data, expected)
    elif isinstance(input_data, np.ndarray):
        _check_input_size(len(input_data), expected)
        array = np.ascontiguousarray(input_data)
        width = np.dtype(interpreter.get_input_details()[0]["dtype"]).itemsize
        _check_input_size(array.nbytes // width, expected)
        invoke_with_membuffer(handle, array.ctypes.data, expected)
    else:
        raise TypeError("input data type is not supported.")


def _check_input_size(size: int, expected: int) -> None:
    if size < expected:
        raise ValueError(f"input size={size}, expected={expected}.")
