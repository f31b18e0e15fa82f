"""Typical inputs, from a folder of photos or from arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from atoll.data.arrays import read_pixels
from atoll.data.decode import UnreadablePhoto
from atoll.data.names import PHOTO_SUFFIXES
from atoll.errors import DatasetError
from atoll.runtime.model_input import preprocessing_of
from atoll.tflite.types import BY_NAME

if TYPE_CHECKING:
    from pathlib import Path

    from atoll.data.preprocessing import Preprocessing
    from atoll.tflite.graph import Model, Tensor

MOST_SAMPLES = 64
"""Inputs that are taken, spread evenly over what there is."""


def read_samples(path: Path, model: Model, source: object) -> list[list[np.ndarray]]:
    """Reads inputs for a model with one input.

    Args:
        path: A .npy file of inputs as the model takes them, one behind the other along its first
            axis; or a folder with photos, searched through.
        model: The model.
        source: What to call it in a message.

    Returns:
        At most `MOST_SAMPLES` inputs, each a list with one array.

    Raises:
        DatasetError: There is nothing to read, or it does not fit the model.
        ModelError: The model takes no photos.
    """
    graph = model.main
    if len(graph.inputs) != 1:
        raise _bad(path, "samples are for models with one input", f"{len(graph.inputs)} inputs")
    tensor = graph.tensors[graph.inputs[0]]
    if path.suffix == ".npy":
        return _from_array(path, tensor)
    try:
        photos = sorted(p for p in path.rglob("*") if p.suffix.lower() in PHOTO_SUFFIXES)
    except OSError as error:
        raise _bad(path, "it must be readable", error.strerror or error) from error
    if not photos:
        raise _bad(path, "it must be a folder with photos, or a .npy file", "no photos")
    preprocessing = preprocessing_of(model, source)
    return [[_photo(photos[i], preprocessing, tensor)] for i in _spread(len(photos))]


def _from_array(path: Path, tensor: Tensor) -> list[list[np.ndarray]]:
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise _bad(path, "it must be a NumPy array", error) from error
    dtype = BY_NAME[tensor.type].dtype
    if not isinstance(found, np.ndarray) or found.dtype != dtype or not found.size:
        raise _bad(path, f"the model takes {tensor.type}", getattr(found, "dtype", "no array"))
    shapes = (tensor.shape, tensor.shape[1:])
    if found.shape == tensor.shape:
        found = found[None]
    if found.shape[1:] not in shapes:
        rule = f"it must hold inputs of shape {list(tensor.shape)}"
        raise _bad(path, rule, list(found.shape))
    return [[np.array(found[i]).reshape(tensor.shape)] for i in _spread(len(found))]


def _photo(path: Path, preprocessing: Preprocessing, tensor: Tensor) -> np.ndarray:
    try:
        pixels = read_pixels(path, preprocessing)
    except UnreadablePhoto as error:
        raise _bad(path, "it must be a photo", error) from error
    dtype = BY_NAME[tensor.type].dtype
    if tensor.type == "FLOAT32":
        return preprocessing.normalize(pixels)[None].astype(np.float32)
    held = tensor.quantization
    scale = 1.0 if held is None else float(held.scale.flat[0])
    zero_point = 0 if held is None else int(held.zero_point.flat[0])
    return preprocessing.quantize(pixels, scale, zero_point, np.dtype(dtype))[None]


def _spread(count: int) -> list[int]:
    taken = min(count, MOST_SAMPLES)
    return [i * count // taken for i in range(taken)]


def _bad(path: Path, rule: str, received: object) -> DatasetError:
    return DatasetError(path, rule, received=received, fix="Name other samples, or leave them out")
