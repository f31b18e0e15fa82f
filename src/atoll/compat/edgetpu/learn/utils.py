"""The module `edgetpu.learn.utils`: a trained layer behind an embedding extractor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from atoll.compat.origins import saw
from atoll.errors import ModelError
from atoll.learn.coral_append import append_softmax_layer
from atoll.tflite.reader import read_model
from atoll.tflite.writer import write_model

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["AppendFullyConnectedAndSoftmaxLayerToModel"]


def AppendFullyConnectedAndSoftmaxLayerToModel(  # noqa: N802
    in_model_path: str,
    out_model_path: str,
    weights: ArrayLike,
    biases: ArrayLike,
    out_tensor_min: float,
    out_tensor_max: float,
) -> None:
    """Puts a dense layer and a softmax behind a model; weights and biases become 8-bit numbers.

    Args:
        in_model_path: An embedding extractor, compiled or not.
        out_model_path: Where the new model goes.
        weights: One row of numbers: all of the first class, then all of the second.
        biases: A number a class.
        out_tensor_min: The smallest score that the dense layer gives.
        out_tensor_max: The largest.

    Raises:
        RuntimeError: A file cannot be read or written, or the model is no extractor of such
            embeddings.
    """
    row, bias = np.asarray(weights, np.float32).ravel(), np.asarray(biases, np.float32).ravel()
    if not bias.size or row.size % bias.size:
        raise RuntimeError(f"{row.size} weights cannot be shared out to {bias.size} classes.")
    try:
        model = read_model(in_model_path)
    except ModelError as error:
        raise RuntimeError(f"Failed to open file: {in_model_path}") from error
    saw(in_model_path)
    table = row.reshape(bias.size, -1)
    made = append_softmax_layer(model, table, bias, float(out_tensor_min), float(out_tensor_max))
    write_file(out_model_path, write_model(made))


def write_file(path: str, content: bytes) -> None:
    """Writes a file. Raises RuntimeError, in the words of the original."""
    try:
        Path(path).write_bytes(content)
    except OSError as error:
        raise RuntimeError(f"Failed to open file: {path}") from error
