"""The module `pycoral.adapters.common`: any model's input and output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

_Picture = TypeVar("_Picture")


def output_tensor(interpreter: Any, i: int) -> np.ndarray:
    """An output as it lies in the interpreter's memory: let go of it before the next call.

    Args:
        interpreter: The interpreter.
        i: Which output.

    Returns:
        A view, of the output's own shape and type.
    """
    view: np.ndarray = interpreter.tensor(interpreter.get_output_details()[i]["index"])()
    return view


def input_details(interpreter: Any, key: str) -> Any:
    """What the interpreter says of its first input under a key, such as "shape"."""
    return interpreter.get_input_details()[0][key]


def input_size(interpreter: Any) -> tuple[int, int]:
    """The first input's (width, height), in pixels."""
    _, height, width, _ = input_details(interpreter, "shape")
    return width, height


def input_tensor(interpreter: Any) -> np.ndarray:
    """The first image of the first input, in the interpreter's memory.

    Returns:
        A view of shape (height, width, channels): let go of it before the next call.
    """
    view: np.ndarray = interpreter.tensor(input_details(interpreter, "index"))()[0]
    return view


def set_input(interpreter: Any, data: Any) -> None:
    """Copies an image into the first input.

    Args:
        interpreter: The interpreter.
        data: A picture or an array that has the input's shape, or broadcasts to it.
    """
    input_tensor(interpreter)[:, :] = data


def set_resized_input(
    interpreter: Any, size: tuple[int, int], resize: Callable[[tuple[int, int]], _Picture]
) -> tuple[_Picture, tuple[float, float]]:
    """Copies an image into the first input: as large as it fits, at the top left, zeros around.

    Args:
        interpreter: The interpreter.
        size: The image's (width, height).
        resize: Gives the image in a size of (width, height).

    Returns:
        What `resize` gave, and the factor by which the image was scaled, twice.
    """
    width, height = input_size(interpreter)
    factor = min(width / size[0], height / size[1])
    fitted = (int(size[0] * factor), int(size[1] * factor))
    view = input_tensor(interpreter)
    view.fill(0)
    resized = resize(fitted)
    view[: fitted[1], : fitted[0]] = np.reshape(
        np.asarray(resized), (fitted[1], fitted[0], view.shape[2])
    )
    return resized, (factor, factor)
