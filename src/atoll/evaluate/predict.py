"""Scores of a classifier on photos: what every figure in a report is counted from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from atoll.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable

    from atoll.data.preprocessing import Preprocessing
    from atoll.runtime.interpreter import Interpreter


def predict(
    interpreter: Interpreter,
    preprocessing: Preprocessing,
    pixels: np.ndarray,
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Runs a classifier over photos, one at a time, as a device does.

    Args:
        interpreter: A model with one image input and one output of scores.
        preprocessing: What its input wants of a photo.
        pixels: uint8 (n, height, width, 3), RGB, at the model's input size.
        progress: Called with (done, n).

    Returns:
        float32 (n, classes): the output, dequantised where it has a scale.

    Raises:
        ModelError: It has more than one output, or one that is no list of scores.
    """
    image, scores = interpreter.inputs[0], interpreter.outputs[0]
    classes = int(np.prod(scores.shape))
    if len(interpreter.outputs) != 1 or max(scores.shape, default=0) != classes:
        raise ModelError(
            interpreter.name,
            "a classifier has one output with a score a class",
            received=", ".join(f"{list(o.shape)}" for o in interpreter.outputs),
            fix="Choose a classification model",
        )
    raw = np.empty((len(pixels), classes), scores.dtype)
    quantized = np.dtype(image.dtype).kind in "iu"
    # Integers without a scale stand for themselves.
    input_scale, output_scale = image.scale or 1.0, scores.scale or 1.0
    for i, photo in enumerate(pixels):
        if quantized:
            value = preprocessing.quantize(photo, input_scale, image.zero_point, image.dtype)
        else:
            value = preprocessing.normalize(photo).astype(image.dtype)
        raw[i] = interpreter.invoke(value[None])[0].reshape(-1)
        if progress is not None:
            progress(i + 1, len(pixels))
    if raw.dtype.kind == "f":
        return raw.astype(np.float32)
    return (raw.astype(np.float32) - np.float32(scores.zero_point)) * np.float32(output_scale)
