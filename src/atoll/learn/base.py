"""The model to learn on: opened, its embedding found, photos turned into embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from atoll.edgetpu.simfile import EDGETPU_OP, SIM_OP, uncut
from atoll.edgetpu.twins import find_twin
from atoll.errors import ModelError
from atoll.learn.place import Place, find_embedding
from atoll.quiet import quiet
from atoll.runtime.interpreter import Interpreter
from atoll.runtime.model_input import preprocessing_of
from atoll.runtime.soundness import check_sound
from atoll.tflite.reader import read_model
from atoll.tflite.writer import write_model

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from atoll.data.preprocessing import Preprocessing
    from atoll.tflite.graph import Model


@dataclass(frozen=True)
class Base:
    """A model to learn on.

    Attributes:
        path: Its file.
        model: What was read from it; a simulator's file as the model that it was made of.
        twin: Of a compiled file, the model that it was made of, where that lies beside it or was
            named.
        preprocessing: How a photo becomes its input.
    """

    path: Path
    model: Model
    twin: Path | None
    preprocessing: Preprocessing

    @property
    def compiled(self) -> bool:
        """Whether a part of it is the Edge TPU's code."""
        return any(op.custom_name == EDGETPU_OP for op in self.model.main.operators)


def open_base(path: Path, twin: Path | None = None) -> Base:
    """Opens a model to learn on.

    Args:
        path: A .tflite file: plain, compiled, or for the simulator.
        twin: The model that a compiled file was made of; None takes the one beside it.

    Returns:
        The model.

    Raises:
        ModelError: It cannot be read, or takes no photo.
    """
    model = read_model(path)
    check_sound(model, path)
    if any(op.custom_name == SIM_OP for op in model.main.operators):
        model = uncut(model, path)
    if twin is None and any(op.custom_name == EDGETPU_OP for op in model.main.operators):
        twin = find_twin(path)
    return Base(path, model, twin, preprocessing_of(model, path))


def place_of(base: Base, name: str | None = None) -> Place:
    """Where a model's embedding is; of a compiled one, its twin is asked too.

    A compiled part that gives scores is not taken for an embedding extractor.

    Args:
        base: The model.
        name: The name of the tensor to take; None finds it.

    Raises:
        ModelError: It cannot be found, or lies inside a compiled part.
        UsageError: There is no such tensor.
    """
    place = find_embedding(base.model, base.path, name)
    graph = base.model.main
    maker = graph.producers().get(place.tensor)
    if name is not None or maker is None or graph.operators[maker].custom_name != EDGETPU_OP:
        return place
    inside = _inside(base, place)
    if inside is not None:
        raise ModelError(
            base.path,
            "the last layers must not be in the compiled part",
            received=f"{place.name!r}, which are scores",
            fix=f"Compile the model with the flag --intermediate_tensors {inside}, so that they "
            "stay on the CPU",
        )
    return place


def twin_model(base: Base, place: Place) -> Model | None:
    """What a compiled model was made of, to be given the same last layers.

    Returns:
        The model; None where there is none, or it has no tensor of the embedding's name.
    """
    if base.twin is None:
        return None
    model = read_model(base.twin)
    known = any(tensor.name == place.name for tensor in model.main.tensors)
    return model if known else None


def _inside(base: Base, place: Place) -> str | None:
    """The tensor at which a compiled part should have ended; None where it ends well."""
    if place.dense is not None:
        return None
    if base.twin is not None:
        twin = read_model(base.twin)
        try:
            wanted = find_embedding(twin, base.twin)
        except ModelError:
            return None
        return None if wanted.name == place.name else wanted.name
    tensor = base.model.main.tensors[place.tensor]
    held = tensor.quantization
    # What a softmax gives in 8 bits, and nothing else does.
    scores = held is not None and held.scale[0] == np.float32(1 / 256)
    least = 0 if tensor.type == "UINT8" else -128
    return "TENSOR" if scores and held is not None and held.zero_point[0] == least else None


class Extractor:
    """A model up to its embedding, ready to look at photos.

    Args:
        base: The model.
        cut: The model up to its embedding.
        device: Where it runs.

    Attributes:
        device: The name of the device that was chosen.
        size: How many numbers an embedding has.

    Raises:
        ModelError, DeviceError: It cannot be run there.
    """

    def __init__(self, base: Base, cut: Model, device: str = "auto") -> None:
        whole = len(cut.main.operators) == len(base.model.main.operators)
        # By its path, a message can name it.
        source = base.path if whole and base.compiled else write_model(cut)
        with quiet():  # LiteRT announces its kernels on standard error
            self._interpreter = Interpreter(source, device, twin=base.twin)
        self._preprocessing = base.preprocessing
        self.device = self._interpreter.device
        self._output = self._interpreter.outputs[0]
        self.size = self._output.shape[-1]

    def embed(
        self, pixels: np.ndarray, progress: Callable[[int], None] | None = None
    ) -> np.ndarray:
        """The embeddings of photos, as the model stores them.

        Args:
            pixels: uint8 (n, height, width, 3), RGB, at the model's input size.
            progress: Called after each with how many are done.

        Returns:
            (n, *shape without the batch), of the embedding's type.
        """
        image = self._interpreter.inputs[0]
        quantized = image.dtype.kind in "iu"
        made = np.empty((len(pixels), *self._output.shape[1:]), self._output.dtype)
        for i, photo in enumerate(pixels):
            if quantized:
                # Integers without a scale stand for themselves.
                scale = image.scale or 1.0
                value = self._preprocessing.quantize(photo, scale, image.zero_point, image.dtype)
            else:
                value = self._preprocessing.normalize(photo).astype(image.dtype)
            made[i] = self._interpreter.invoke(value[None])[0][0]
            if progress is not None:
                progress(i + 1)
        return made

    def real(self, stored: np.ndarray) -> np.ndarray:
        """Embeddings in real numbers.

        Args:
            stored: What `embed` gave.

        Returns:
            float64 (n, size).
        """
        real = self._output.dequantize(stored).astype(np.float64)
        return np.asarray(real.reshape(len(real), self.size))

    def close(self) -> None:
        """Gives its memory back."""
        self._interpreter.close()


def run_head(head: Model, stored: np.ndarray) -> np.ndarray:
    """Runs last layers on embeddings that were made before.

    Args:
        head: `Headed.head`.
        stored: What `Extractor.embed` gave.

    Returns:
        (n, classes): what the whole model would give, as it is stored.
    """
    with quiet(), Interpreter(write_model(head), "cpu") as interpreter:
        rows = [interpreter.invoke(each[None])[0].reshape(-1) for each in stored]
    classes = int(np.prod(interpreter.outputs[0].shape))
    return np.array(rows).reshape(len(rows), classes)
