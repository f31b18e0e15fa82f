"""What the frozen part of a network sees in each photo: computed once, then read at every epoch."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter as LiteRT

from atoll.files import create_array
from atoll.quantize.conversion import converter
from atoll.train.augment import view_of

if TYPE_CHECKING:
    from pathlib import Path

    from atoll.data.preprocessing import Preprocessing
    from atoll.progress import Progress
    from atoll.train.augment import Augmentation

BATCH = 8


class Extractor:
    """The frozen part of a network, as a float TFLite model with one output or more.

    On a CPU, LiteRT runs a float network faster than TensorFlow does (docs/training.md gives the
    measurement); the conversion takes a few seconds, once.
    """

    def __init__(self, model: Any, preprocessing: Preprocessing) -> None:
        """Converts the network.

        Args:
            model: A keras.Model from a normalised image to a list of feature maps or vectors.
            preprocessing: What its input wants of a photo.
        """
        self._preprocessing = preprocessing
        shape = (BATCH, preprocessing.height, preprocessing.width, 3)
        with converter(model, shape) as converting:
            content = converting.convert()
            interpreter = LiteRT(model_content=content, num_threads=os.cpu_count() or 1)
        self._run = interpreter.get_signature_runner()
        self._outputs = [f"output_{i}" for i in range(len(model.outputs))]
        details = self._run.get_output_details()
        self.shapes = [tuple(int(n) for n in details[name]["shape"][1:]) for name in self._outputs]

    def __call__(self, pixels: np.ndarray) -> list[np.ndarray]:
        """Features of up to BATCH photos.

        Args:
            pixels: uint8 (n, height, width, 3).

        Returns:
            float32 (n, *shape) for each output.
        """
        count = len(pixels)
        batch = np.zeros((BATCH, *pixels.shape[1:]), np.float32)
        batch[:count] = self._preprocessing.normalize(pixels)
        results = self._run(image=batch)
        return [results[name][:count] for name in self._outputs]


def extract(
    extractor: Extractor,
    pixels: np.ndarray,
    indices: np.ndarray,
    *,
    views: int,
    augmentation: Augmentation | None,
    seed: int,
    destinations: list[Path],
    progress: Progress,
) -> list[np.ndarray]:
    """Features of photos in several views, into files that training reads page by page.

    Files of the right shape that are there already are taken as they are: they are written under
    another name first, so they are whole.

    Args:
        extractor: The frozen part of the network.
        pixels: uint8 (all photos, height, width, 3).
        indices: Which photos.
        views: How many views of each; the first is the photo itself.
        augmentation: How the other views differ.
        seed: The run's seed.
        destinations: An .npy file for each of the extractor's outputs.
        progress: Who is told.

    Returns:
        For each output, float16 (views, len(indices), *shape), memory-mapped. Half precision
        halves the file; its step, a two-thousandth, is far below that of an 8-bit model.

    Raises:
        OutputError: There is no room for them.
    """
    shapes = [(views, len(indices), *shape) for shape in extractor.shapes]
    cached = [array for path in destinations if (array := _opened(path)) is not None]
    if [array.shape for array in cached] == shapes:
        return cached
    partial = [path.with_suffix(".part.npy") for path in destinations]
    arrays = [
        create_array(path, np.float16, shape) for path, shape in zip(partial, shapes, strict=True)
    ]
    total, done = views * len(indices), 0
    for number in range(views):
        for start in range(0, len(indices), BATCH):
            some = indices[start : start + BATCH]
            batch = np.stack([view_of(pixels[i], augmentation, seed, number, int(i)) for i in some])
            for array, features in zip(arrays, extractor(batch), strict=True):
                array[number, start : start + len(some)] = features
            done += len(some)
            progress.update(done, total)
    for array, temporary, path in zip(arrays, partial, destinations, strict=True):
        array.flush()
        temporary.replace(path)
    return [np.load(path, mmap_mode="r") for path in destinations]


def _opened(path: Path) -> np.ndarray | None:
    """The array in a file; None where there is none, or a damaged one."""
    try:
        return np.lib.format.open_memmap(path, "r")
    except (OSError, ValueError):
        return None
