"""Interpreters by their native handle, and their memory: what the old native modules worked on."""

from __future__ import annotations

import ctypes
import weakref
from typing import TYPE_CHECKING, Any

from atoll.runtime.litert import invoke_all

if TYPE_CHECKING:
    import numpy as np

    from atoll.compat.tflite_runtime.interpreter import Interpreter

_interpreters: weakref.WeakValueDictionary[int, Interpreter] = weakref.WeakValueDictionary()


def remember(handle: int, interpreter: Interpreter) -> None:
    """Notes whose handle this is."""
    _interpreters[handle] = interpreter


def interpreter_of(handle: int) -> Interpreter:
    """The interpreter with a native handle.

    Args:
        handle: What its `_native_handle()` gave.

    Raises:
        RuntimeError: It is no handle, or its interpreter is gone.
    """
    interpreter = _interpreters.get(handle)
    if interpreter is None:
        raise RuntimeError(
            f"{handle!r} is not the handle of an Interpreter of tflite_runtime.interpreter."
        )
    return interpreter


def is_ready(interpreter: Interpreter) -> bool:
    """Whether its tensors have been allocated."""
    try:
        _view(interpreter, _first_input(interpreter))
    except ValueError:
        return False
    return True


def input_view(interpreter: Interpreter) -> np.ndarray:
    """The memory of the first input. It must be let go of before the next call."""
    return _view(interpreter, _first_input(interpreter))


def tensor_view(interpreter: Interpreter, index: int) -> np.ndarray:
    """The memory of a tensor. It must be let go of before the next call.

    Raises:
        ValueError: The tensors have not been allocated.
    """
    return _view(interpreter, index)


def fill(view: np.ndarray, address: int) -> None:
    """Copies as many bytes as a tensor has from an address.

    Raises:
        ValueError: It is a null pointer.
    """
    if not address:
        raise ValueError("The input must not be a null pointer.")
    ctypes.memmove(view.ctypes.data, address, view.nbytes)


def run(interpreter: Interpreter) -> None:
    """Invokes an interpreter, whether somebody holds a view of its memory or not.

    Raises:
        RuntimeError: It failed; a delegate's reason is told.
    """
    wrapper: Any = interpreter._interpreter
    try:
        invoke_all(wrapper.Invoke, interpreter._own)
    except RuntimeError as error:
        raise interpreter._explained(error) from None


def _first_input(interpreter: Interpreter) -> int:
    return int(interpreter._interpreter.InputIndices()[0])


def _view(interpreter: Interpreter, index: int) -> np.ndarray:
    wrapper: Any = interpreter._interpreter
    view: np.ndarray = wrapper.tensor(wrapper, index)
    return view


def is_pointer_and_size(value: object) -> bool:
    """Whether an input is a place in memory: a pointer and how many bytes lie there."""
    return (
        isinstance(value, tuple)
        and len(value) == 2
        and isinstance(value[0], ctypes.c_void_p)
        and isinstance(value[1], int)
    )
