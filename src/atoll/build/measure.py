"""The three forms of the model on the held-out photos: float, 8-bit, and cut for the Edge TPU."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from atoll.evaluate.metrics import classification, disagreement
from atoll.evaluate.predict import predict
from atoll.quiet import quiet
from atoll.runtime.interpreter import Interpreter

if TYPE_CHECKING:
    from pathlib import Path

    from atoll.data.dataset import Dataset
    from atoll.data.preprocessing import Preprocessing
    from atoll.progress import Progress
    from atoll.runtime.interpreter import TensorInfo

_BATCH = 32
_QUANTIZED = (("int8", "model_quant.tflite", "cpu"), ("sim", "model_quant_sim.tflite", "sim"))


@dataclass
class Measured:
    """What was counted.

    Attributes:
        models: One entry a form, as in report.json.
        quantization_cost: Float against 8-bit.
        simulator_cost: 8-bit against its cut form.
        scores: float32 (photos, classes): the 8-bit model's, dequantised.
        photos: Positions in the data set that were measured on.
        faces: Type, scale and zero point of the 8-bit model's "input" and "output".
    """

    models: list[dict[str, Any]]
    quantization_cost: dict[str, Any]
    simulator_cost: dict[str, Any]
    scores: np.ndarray
    photos: np.ndarray
    faces: dict[str, dict[str, Any]]


def measure(
    model: Any, preprocessing: Preprocessing, data: Dataset, run: Path, progress: Progress
) -> Measured:
    """Measures the three forms on the held-out split.

    Args:
        model: The float keras.Model.
        preprocessing: What all three want of a photo.
        data: The data set.
        run: The folder that holds the .tflite files.
        progress: Who is told.

    Returns:
        Their figures.
    """
    photos = data.indices("test")
    pixels, labels = data.pixels[photos], data.labels[photos]
    progress.start("Measuring the float model")
    scores = {"float": _float_scores(model, preprocessing, pixels, progress)}
    models = [_entry("model.keras", "tensorflow", "float", scores["float"], labels, data, None)]
    for kind, name, device in _QUANTIZED:
        progress.start(f"Measuring the {kind} model")
        with quiet():
            opened = Interpreter(run / name, device=device)
        with opened as interpreter:
            faces = {"input": interpreter.inputs[0], "output": interpreter.outputs[0]}
            began = time.perf_counter()
            scores[kind] = predict(interpreter, preprocessing, pixels, progress.update)
            mean_ms = (time.perf_counter() - began) * 1000 / len(pixels)
        models.append(_entry(name, device, kind, scores[kind], labels, data, mean_ms))
    return Measured(
        models,
        disagreement(scores["float"], scores["int8"], labels),
        disagreement(scores["int8"], scores["sim"], labels),
        scores["int8"],
        photos,
        {side: _face(info) for side, info in faces.items()},
    )


def _face(info: TensorInfo) -> dict[str, Any]:
    return {
        "dtype": np.dtype(info.dtype).name,
        "scale": info.scale,
        "zero_point": info.zero_point,
    }


def _entry(
    name: str, device: str, kind: str, scores: np.ndarray, labels: np.ndarray, data: Dataset,
    mean_ms: float | None,
) -> dict[str, Any]:  # fmt: skip
    figures = classification(scores, labels, data.classes)
    rounded = None if mean_ms is None else round(mean_ms, 3)
    return {"model": name, "device": device, "kind": kind, **figures, "mean_ms": rounded}


def _float_scores(
    model: Any, preprocessing: Preprocessing, pixels: np.ndarray, progress: Progress
) -> np.ndarray:
    parts = []
    for start in range(0, len(pixels), _BATCH):
        batch = preprocessing.normalize(pixels[start : start + _BATCH])
        parts.append(np.asarray(model(batch, training=False), np.float32))
        progress.update(min(start + _BATCH, len(pixels)), len(pixels))
    return np.concatenate(parts)
