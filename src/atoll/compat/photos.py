"""What the old engines make of a photo."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

    from atoll.compat.edgetpu.basic.basic_engine import BasicEngine

_MODES = {1: "L", 3: "RGB"}


def input_face(engine: BasicEngine) -> tuple[int, int, int]:
    """What photos an engine takes: (height, width, channels).

    Raises:
        RuntimeError: It takes no photos.
    """
    shape = engine.get_input_tensor_shape()
    if shape.size != 4 or shape[0] != 1:
        raise RuntimeError("Invalid input tensor shape! Expected: [1, height, width, channel]")
    return int(shape[1]), int(shape[2]), int(shape[3])


def to_row(img: Image.Image, channels: int) -> np.ndarray:
    """A photo's pixels in one row.

    Args:
        img: The photo, of the model's size.
        channels: How many numbers the model takes of each pixel.

    Raises:
        ValueError: Neither 1 nor 3.
    """
    if channels not in _MODES:
        raise ValueError(f"Invalid input tensor channel! Expected: 1 or 3. Actual: {channels}")
    return np.asarray(img.convert(_MODES[channels])).flatten()
