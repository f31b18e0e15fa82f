"""The module `edgetpu.learn.imprinting.engine`: new classes from photos, by weight imprinting."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from atoll.compat.edgetpu.learn.utils import write_file
from atoll.compat.edgetpu.swig.edgetpu_cpp_wrapper import BasicEnginePythonWrapper
from atoll.compat.edgetpu.utils.warning import deprecated
from atoll.compat.origins import saw
from atoll.compat.ranking import best_scores
from atoll.errors import ModelError
from atoll.learn.coral_head import TAIL, CoralHead, coral_head
from atoll.learn.coral_model import CoralModel
from atoll.tflite.reader import parse_model
from atoll.tflite.writer import write_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike
    from PIL import Image

    from atoll.tflite.graph import Model, Subgraph

__all__ = ["ImprintingEngine"]

_MOST_PHOTOS = 200
_ARCHITECTURE = "Unsupported model architecture."


class ImprintingEngine:
    """Learns classes by weight imprinting.

    Args:
        model_path: A model that ends in an L2 normalisation, a convolution, a multiplication, a
            reshape and a softmax, compiled or not.
        keep_classes: Whether the classes that it has stay, the new ones behind them.

    Raises:
        RuntimeError: There is no such file, or it ends in other layers.
    """

    def __init__(self, model_path: str, keep_classes: bool = False) -> None:
        model = _read(model_path)
        saw(model_path)
        self._model = CoralModel(model, _checked(model))
        self._extractor = _engine(self._model.extractor())
        self._classifier: BasicEnginePythonWrapper | None = None
        self._weights = np.zeros((0, self._model.size), np.float32)
        self._lengths: dict[int, float] = {}
        if keep_classes:
            self._weights, self._lengths = self._model.weights(), dict(self._model.lengths)
        self._num_classes = len(self._weights)

    def save_model(self, output_path: str) -> None:
        """Writes the model with what was learned.

        Args:
            output_path: Where it goes.

        Raises:
            RuntimeError: Nothing was learned, or the file cannot be written.
        """
        if not len(self._weights):
            raise RuntimeError("Model without training won't be saved!")
        write_file(output_path, write_model(self._trained()))

    def train(self, input: ArrayLike, class_id: int) -> None:
        """Learns a class, or more of it.

        Args:
            input: Photos of the model's size, at most 200, each as one row of uint8.
            class_id: The number of a class that was imprinted; for a new class, the number of
                classes that there are.

        Raises:
            RuntimeError: The class is none of these, or there are no photos, or too many.
            TypeError: They are no rows of uint8.
        """
        photos = _rows(input)
        self._check(photos, class_id)
        total = np.zeros(self._model.size, np.float32)
        if class_id in self._lengths:
            total += np.float32(self._lengths[class_id]) * self._weights[class_id]
        for photo in photos:
            total += self._extractor.RunInference(photo)
        length = float(np.linalg.norm(total))
        row = self._model.stored(total / length if length else total)
        before, behind = self._weights[:class_id], self._weights[class_id + 1 :]
        self._weights = np.concatenate([before, row[None], behind])
        self._lengths[class_id] = length
        self._classifier = None

    def train_all(self, input_data: Sequence[ArrayLike]) -> None:
        """Learns several classes, each as `train` does.

        Args:
            input_data: The photos of each, in the order of their numbers, which follow those of
                the classes that were kept.
        """
        for number, photos in enumerate(input_data):
            self.train(photos, class_id=self._num_classes + number)

    def classify_with_resized_image(
        self, img: Image.Image, threshold: float = 0.1, top_k: int = 3
    ) -> list[tuple[int, float]]:
        """Names what is on a photo.

        Args:
            img: The photo, of the model's size.
            threshold: Scores must be above it.
            top_k: How many classes to name at most.

        Returns:
            Classes' numbers and scores, the highest first.

        Raises:
            ValueError: top_k is not positive.
            RuntimeError: Nothing was learned, or the photo is too small.
        """
        return self.classify_with_input_tensor(np.asarray(img).flatten(), threshold, top_k)

    def classify_with_input_tensor(
        self, input_tensor: ArrayLike, threshold: float = 0.0, top_k: int = 3
    ) -> list[tuple[int, float]]:
        """Names what is in an input.

        Args:
            input_tensor: The input in one row.
            threshold: Scores must be above it.
            top_k: How many classes to name at most.

        Returns:
            As above.

        Raises:
            ValueError, RuntimeError: As above.
        """
        if top_k <= 0:
            raise ValueError("top_k must be positive!")
        if not len(self._weights):
            raise RuntimeError("Model without training couldn't run inference!")
        if self._classifier is None:
            self._classifier = _engine(self._trained())
        return best_scores(self._classifier.RunInference(input_tensor), threshold, top_k)

    @deprecated
    def SaveModel(self, output_path: str) -> None:  # noqa: N802
        """The older name of `save_model`."""
        self.save_model(output_path)

    @deprecated
    def Train(self, input: ArrayLike, class_id: int) -> None:  # noqa: N802
        """The older name of `train`."""
        self.train(input, class_id)

    @deprecated
    def TrainAll(self, input_data: Sequence[ArrayLike]) -> None:  # noqa: N802
        """The older name of `train_all`."""
        self.train_all(input_data)

    @deprecated
    def ClassifyWithResizedImage(  # noqa: N802
        self, img: Image.Image, threshold: float = 0.1, top_k: int = 3
    ) -> list[tuple[int, float]]:
        """The older name of `classify_with_resized_image`."""
        return self.classify_with_resized_image(img, threshold, top_k)

    @deprecated
    def ClassifyWithInputTensor(  # noqa: N802
        self, input_tensor: ArrayLike, threshold: float = 0.0, top_k: int = 3
    ) -> list[tuple[int, float]]:
        """The older name of `classify_with_input_tensor`."""
        return self.classify_with_input_tensor(input_tensor, threshold, top_k)

    def _trained(self) -> Model:
        return self._model.with_classes(self._weights, self._lengths)

    def _check(self, photos: np.ndarray, class_id: int) -> None:
        known = len(self._weights)
        if class_id > known:
            raise RuntimeError("The class index of a new category is too large!")
        if class_id < known and class_id not in self._lengths:
            raise RuntimeError(
                "Cannot change the base model classes not trained with imprinting method!"
            )
        if len(photos) > _MOST_PHOTOS:
            raise RuntimeError("Too many training images, max # images per category is 200!")
        if not len(photos):
            raise RuntimeError("No images sent for training!")
        if not photos.shape[1]:
            raise RuntimeError("Image size is zero!")


def _read(path: str) -> Model:
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise RuntimeError(f"Failed to open file: {path}") from error
    try:
        return parse_model(content, path)
    except ModelError as error:
        raise RuntimeError("Failed to parse input model.") from error


def _engine(model: Model) -> BasicEnginePythonWrapper:
    """A model, ready on an Edge TPU; the file that an engine reads may go after that."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        path.write_bytes(write_model(model))
        return BasicEnginePythonWrapper.CreateFromFile(str(path))


def _rows(values: ArrayLike) -> np.ndarray:
    if isinstance(values, np.ndarray):
        array = values.astype(np.uint8, casting="safe", copy=False)
    else:
        array = np.array(values, np.uint8)
    if array.ndim != 2:
        raise TypeError(f"Array must have 2 dimensions.  Given array has {array.ndim} dimensions")
    return array


def _checked(model: Model) -> CoralHead:
    """Where the last layers are. Raises RuntimeError, in the words of the original."""
    graph = model.main
    complaint = _complaint(graph)
    head = coral_head(graph)
    if complaint is None and head is not None:
        return head
    raise RuntimeError(complaint or f"{_ARCHITECTURE} The last operators must follow each other.")


def _complaint(graph: Subgraph) -> str | None:
    if not graph.outputs:
        return "Number of graph output_tensor < 1!"
    scores = graph.tensors[graph.outputs[0]].shape
    if len(scores) != 2 or scores[0] != 1:
        return "Logit output tensor should be [1, x]"
    kinds = [op.type for op in graph.operators]
    if "L2_NORMALIZATION" not in kinds:
        return f"{_ARCHITECTURE} Input model must have an L2Norm layer."
    layers = ("L2_NORMALIZATION", *TAIL)
    if len(kinds) < len(layers):
        return f"{_ARCHITECTURE} Too few operators."
    if tuple(kinds[-len(layers) :]) != layers:
        return "The last 5 operators should be L2Norm, Conv2d, Mul, Reshape and Softmax"
    embedding = graph.output_of(graph.operators[-len(layers)])
    if embedding is None or len(embedding.shape) != 4 or embedding.shape[:3] != (1, 1, 1):
        return "Embedding extractor's output tensor should be [1, 1, 1, x]"
    return None
