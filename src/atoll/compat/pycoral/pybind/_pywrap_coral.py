"""The module `pycoral.pybind._pywrap_coral`, which was native code: what programs call of it."""

from __future__ import annotations

import ctypes
import mmap
import os
from typing import TYPE_CHECKING

import numpy as np

from atoll.compat.handles import fill, input_view, interpreter_of, is_ready, run
from atoll.compat.hardware import seen_devices, tell_once
from atoll.compat.names import missing
from atoll.compat.version import runtime_version

if TYPE_CHECKING:
    from typing import NoReturn

_MOST_VERBOSE = 10


def InvokeWithMemBuffer(interpreter_handle: int, buffer: int, size: int) -> None:  # noqa: N802
    """Copies an input from memory and invokes an interpreter.

    Args:
        interpreter_handle: Its `_native_handle()`.
        buffer: The address of as many bytes as the input has.
        size: How many numbers are there.

    Raises:
        RuntimeError: It is not ready, there are too few numbers, or it failed.
    """
    _invoke("InvokeWithMemBuffer", interpreter_handle, buffer, size)


def InvokeWithBytes(interpreter_handle: int, input_data: bytes) -> None:  # noqa: N802
    """The same with the input in a bytes object, which may be longer than the input."""
    interpreter = interpreter_of(interpreter_handle)
    if is_ready(interpreter) and len(input_data) < (needed := input_view(interpreter).nbytes):
        raise RuntimeError(_too_few(len(input_data), needed))
    address = ctypes.cast(ctypes.c_char_p(input_data), ctypes.c_void_p).value or 0
    _invoke("InvokeWithMemBuffer", interpreter_handle, address, len(input_data))


def InvokeWithDmaBuffer(interpreter_handle: int, dma_fd: int, size: int) -> None:  # noqa: N802
    """The same with the input behind a file descriptor, such as a dma-buf: it is copied.

    Args:
        interpreter_handle: Its `_native_handle()`.
        dma_fd: The descriptor.
        size: How many numbers are there.

    Raises:
        RuntimeError: As above, or the descriptor cannot be read.
    """
    interpreter = interpreter_of(interpreter_handle)
    if not is_ready(interpreter):
        _invoke("InvokeWithDmaBuffer", interpreter_handle, 0, size)
    needed = input_view(interpreter).nbytes
    try:
        # Python maps memory of zeros where the descriptor is none.
        os.fstat(dma_fd)
        with mmap.mmap(dma_fd, needed, access=mmap.ACCESS_READ) as mapped:
            content = np.frombuffer(mapped[:needed], np.uint8)
    except (OSError, ValueError) as error:
        raise RuntimeError(f"InvokeWithDmaBuffer failed: {error}") from error
    _invoke("InvokeWithDmaBuffer", interpreter_handle, content.ctypes.data, size)


def SupportsDmabuf(interpreter_handle: int) -> bool:  # noqa: N802
    """Whether frames reach the device without a copy: they never do here."""
    interpreter_of(interpreter_handle)
    return False


def GetRuntimeVersion() -> str:  # noqa: N802
    """What the driver says of its version; the simulator's, where there is none."""
    return runtime_version()


def ListEdgeTpus() -> list[dict[str, str]]:  # noqa: N802
    """The Edge TPUs there are, in the driver's order.

    Returns:
        A dictionary each: "type" is "usb" or "pci", "path" where it is.
    """
    seen = seen_devices()
    if any(device.simulated for device in seen):
        tell_once()
    return [{"type": each.kind, "path": each.path} for each in seen]


def SetVerbosity(verbosity: int) -> bool:  # noqa: N802
    """Takes how much the driver shall tell, 0 to 10. Atoll's tells all that there is in its errors.

    Returns:
        Whether the number is one of these.
    """
    return 0 <= verbosity <= _MOST_VERBOSE


def _invoke(what: str, handle: int, address: int, size: int) -> None:
    interpreter = interpreter_of(handle)
    if is_ready(interpreter):
        view = input_view(interpreter)
        if size < view.size:
            raise RuntimeError(_too_few(size, view.size))
        fill(view, address)
        del view
    try:
        run(interpreter)
    except RuntimeError as error:
        raise RuntimeError(f"{what} failed: {error}") from error


def _too_few(size: int, needed: int) -> str:
    return f"Input buffer ({size}) has fewer entries than model input tensor ({needed})."


def __getattr__(name: str) -> NoReturn:
    raise missing(__name__, name)
