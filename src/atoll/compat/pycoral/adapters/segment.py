"""The module `pycoral.adapters.segment`: the classes of pixels."""

from __future__ import annotations

from typing import Any

import numpy as np


def get_output(interpreter: Any) -> np.ndarray:
    """What a segmentation model says of the first image.

    Args:
        interpreter: The interpreter, after a call.

    Returns:
        uint8 of the output's shape without its batch: (height, width) with a class a pixel, or
        (height, width, classes) where the model gives a score a class. A copy.
    """
    index = interpreter.get_output_details()[0]["index"]
    pixels: np.ndarray = interpreter.tensor(index)()[0].astype(np.uint8)
    return pixels
