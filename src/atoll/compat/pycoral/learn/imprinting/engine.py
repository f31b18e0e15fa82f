"""The module `pycoral.learn.imprinting.engine`: new classes, from embeddings, by adding them up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from atoll.compat.origins import saw
from atoll.errors import ModelError
from atoll.learn.coral_head import TAIL, CoralHead, coral_head
from atoll.learn.coral_model import CoralModel
from atoll.tflite.reader import read_model
from atoll.tflite.writer import write_model

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from atoll.tflite.graph import Model, Subgraph

_ARCHITECTURE = "Unsupported model architecture."


@dataclass
class _Class:
    """A class: the sum of its embeddings, or the weights that it came with."""

    weights: np.ndarray
    trainable: bool


class ImprintingEngine:
    """Learns classes by weight imprinting.

    Args:
        model_path: A model that ends in an L2 normalisation, a convolution, a multiplication, a
            reshape and a softmax, compiled or not.
        keep_classes: Whether the classes that it has stay, the new ones behind them.

    Raises:
        ValueError: There is no such file, or it ends in other layers.
    """

    def __init__(self, model_path: str, keep_classes: bool = False) -> None:
        try:
            model = read_model(model_path)
        except ModelError as error:
            raise ValueError(f"Failed to open file: {model_path}") from error
        saw(model_path)
        self._model = CoralModel(model, _checked(model))
        self._classes: list[_Class] = []
        if keep_classes:
            lengths = self._model.lengths
            self._classes = [
                _Class(weights * np.float32(lengths.get(number, 1.0)), number in lengths)
                for number, weights in enumerate(self._model.weights())
            ]

    @property
    def embedding_dim(self) -> int:
        """How many numbers an embedding has."""
        return self._model.size

    @property
    def num_classes(self) -> int:
        """How many classes it knows by now."""
        return len(self._classes)

    def serialize_extractor_model(self) -> bytes:
        """The model up to its embedding, as a .tflite file."""
        return write_model(self._model.extractor())

    def serialize_model(self) -> bytes:
        """The model with what was learned, as a .tflite file.

        Raises:
            RuntimeError: Nothing was learned.
        """
        if not self._classes:
            raise RuntimeError("Model is not trained.")
        weights = np.array([each.weights for each in self._classes], np.float32)
        lengths = {
            number: float(np.linalg.norm(each.weights))
            for number, each in enumerate(self._classes)
            if each.trainable
        }
        return write_model(self._model.with_classes(weights, lengths))

    def train(self, embedding: ArrayLike, class_id: int) -> None:
        """Learns a class, or more of it.

        Args:
            embedding: What the extractor gives for a photo, in real numbers: one row.
            class_id: The number of a class that was imprinted; for a new class, the number of
                classes that there are.

        Raises:
            RuntimeError: The embedding has another size, or the class is none of these.
            TypeError: It is no array of numbers.
        """
        try:
            row = np.asarray(embedding, np.float32)
        except (TypeError, ValueError) as error:
            raise TypeError(f"Train(): incompatible function arguments: {error}") from error
        if row.shape != (self.embedding_dim,):
            raise RuntimeError("Invalid weights array shape.")
        known = len(self._classes)
        if class_id < 0 or (class_id < known and not self._classes[class_id].trainable):
            raise RuntimeError(
                "Cannot change the base model classes not trained with imprinting method!"
            )
        if class_id > known:
            raise RuntimeError("The class index of a new category is too large!")
        if class_id == known:
            self._classes.append(_Class(np.zeros(self.embedding_dim, np.float32), True))
        self._classes[class_id].weights = self._classes[class_id].weights + row


def _checked(model: Model) -> CoralHead:
    """Where the last layers are. Raises ValueError, in the words of the original."""
    graph = model.main
    complaint = _complaint(graph)
    head = coral_head(graph)
    if complaint is None and head is not None:
        return head
    raise ValueError(complaint or f"{_ARCHITECTURE} The last operators must follow each other.")


def _complaint(graph: Subgraph) -> str | None:
    kinds = [op.type for op in graph.operators]
    norms = [index for index, kind in enumerate(kinds) if kind == "L2_NORMALIZATION"]
    if not norms:
        return f"{_ARCHITECTURE} Input model must have an L2Norm layer."
    if tuple(kinds[-len(TAIL) :]) != TAIL:
        return "The last 4 operators must be Conv2d, Mul, Reshape, Softmax"
    between = len(kinds) - len(TAIL) - norms[-1] - 1
    if len(norms) > 1 or between > 1 or (between == 1 and kinds[norms[0] + 1] != "QUANTIZE"):
        return f"{_ARCHITECTURE} L2Norm operator must be followed with the last Conv2d operator."
    embedding, scores = (
        graph.output_of(graph.operators[index]) for index in (norms[0], len(kinds) - 1)
    )
    if embedding is None or len(embedding.shape) != 4 or embedding.shape[:3] != (1, 1, 1):
        return "Embedding extractor's output tensor should be [1, 1, 1, x]"
    bias = graph.input_of(graph.operators[-len(TAIL)], 2)
    held = None if bias is None else bias.quantization
    if held is not None and held.zero_point.size and not 0 <= held.zero_point[0] <= 255:
        return "bias_zero_point is out of [0, 255] range!"
    if scores is None or len(scores.shape) != 2 or scores.shape[0] != 1:
        return "Logit output tensor should be [1, x]"
    if graph.outputs != graph.operators[-1].outputs:
        return "Graph must have output from Softmax"
    return None
