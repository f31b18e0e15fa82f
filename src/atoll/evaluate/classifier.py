"""A classifier ready to look at photos: model, preprocessing and labels found together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from atoll.data.arrays import read_pixels
from atoll.data.labels import read_labels
from atoll.errors import ModelError
from atoll.evaluate.predict import predict
from atoll.quiet import quiet
from atoll.runtime.interpreter import Interpreter
from atoll.runtime.model_input import input_spec
from atoll.tflite.metadata import read_label_file
from atoll.tflite.reader import read_model

if TYPE_CHECKING:
    from pathlib import Path

# What a RUN holds, the best to run first.
_IN_RUN = ("model_quant_sim.tflite", "model_quant.tflite")


class Classifier:
    """A model with what it wants of a photo and what its scores mean."""

    def __init__(self, source: Path, *, device: str = "auto", labels: Path | None = None) -> None:
        """Opens a RUN folder or a .tflite file.

        Args:
            source: A folder that `atoll build` made, or a classification model.
            device: Where it runs.
            labels: A labels file; None takes the labels in the model, or in the RUN.

        Raises:
            ModelError: There is no such model, or it is no classifier of photos.
            DeviceError: The device is not there.
        """
        path = _model_in(source)
        model = read_model(path)
        self.preprocessing = input_spec(model, path).preprocessing
        self.labels = read_labels(labels) if labels else read_label_file(model) or []
        with quiet():  # LiteRT announces its kernels on standard error
            self._interpreter = Interpreter(path, device=device)
        self.device = self._interpreter.device

    def top(self, photo: Path, count: int) -> list[tuple[str, float]]:
        """The classes with the highest scores.

        Args:
            photo: A photo's file.
            count: How many.

        Returns:
            (label, score) pairs, best first; a class without a label is named by its number.

        Raises:
            UnreadablePhoto: The file is no photo.
        """
        pixels = read_pixels(photo, self.preprocessing)
        scores = predict(self._interpreter, self.preprocessing, pixels[None])[0]
        order = np.argsort(-scores, kind="stable")[:count]
        return [(self._name(int(i)), float(scores[i])) for i in order]

    def _name(self, index: int) -> str:
        known = index < len(self.labels) and self.labels[index]
        return self.labels[index] if known else f"class {index}"


def _model_in(source: Path) -> Path:
    if not source.is_dir():
        return source
    for name in _IN_RUN:
        if (source / name).is_file():
            return source / name
    raise ModelError(
        source,
        "a RUN folder holds model_quant.tflite",
        received="a folder without it",
        fix="Finish it with atoll build, or name a .tflite file",
    )
