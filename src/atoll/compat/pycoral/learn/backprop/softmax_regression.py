"""The module `pycoral.learn.backprop.softmax_regression`: a last layer, trained on embeddings."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from atoll.compat.origins import saw
from atoll.errors import ModelError
from atoll.learn.coral_append import append_softmax_layer
from atoll.learn.coral_sgd import cross_entropy
from atoll.tflite.reader import read_model
from atoll.tflite.writer import write_model

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike


class SoftmaxRegression:
    """A dense layer and a softmax, trained by stochastic gradient descent.

    Random numbers are NumPy's: after `numpy.random.seed` the same data give the same layer.

    Args:
        feature_dim: How many numbers an embedding has.
        num_classes: How many classes there are.
        weight_scale: How large the first weights are (standard deviation).
        reg: Half of this times the sum over the weights' products is added to the loss that is
            printed. As in the original, the weights are not trained by it.

    Raises:
        TypeError: A number is missing.
    """

    def __init__(
        self,
        feature_dim: int | None = None,
        num_classes: int | None = None,
        weight_scale: float = 0.01,
        reg: float = 0.0,
    ) -> None:
        if feature_dim is None or num_classes is None:
            raise TypeError("SoftmaxRegression needs feature_dim and num_classes")
        size = int(feature_dim), int(num_classes)
        self._weights = (weight_scale * np.random.randn(*size)).astype(np.float32)
        self._biases = np.zeros(size[1], np.float32)
        self._reg = reg
        self._low, self._high = np.inf, -np.inf

    def serialize_model(self, in_model_path: str) -> bytes:
        """An embedding extractor with this layer behind it, as a .tflite file.

        Weights and biases become 8-bit numbers.

        Args:
            in_model_path: The extractor, compiled or not.

        Raises:
            ValueError: There is no such file.
            RuntimeError: Its output is no embedding of this size.
        """
        try:
            model = read_model(in_model_path)
        except ModelError as error:
            raise ValueError(f"Failed to open file: {in_model_path}") from error
        saw(in_model_path)
        _log(f"Logit min: {self._low:g}, max: {self._high:g}")
        made = append_softmax_layer(model, self._weights.T, self._biases, self._low, self._high)
        return write_model(made)

    def get_accuracy(self, mat_x: ArrayLike, labels: ArrayLike) -> float:
        """The share of embeddings whose class is found.

        Args:
            mat_x: float32 (n, size).
            labels: The class of each.

        Raises:
            RuntimeError: They are of another type or form.
        """
        embeddings, classes = _matrix(mat_x), np.asarray(labels)
        if len(classes) != len(embeddings):
            raise RuntimeError("There must be as many labels as embeddings!")
        found = self._scores(embeddings).argmax(axis=1)
        return float((found == classes).mean())

    def train_with_sgd(
        self,
        data: Mapping[str, Any],
        num_iter: int,
        learning_rate: float,
        batch_size: int = 100,
        print_every: int = 100,
    ) -> None:
        """Trains the layer.

        Args:
            data: 'data_train' and 'data_val', float32 (n, size), with 'labels_train' and
                'labels_val'.
            num_iter: How many batches.
            learning_rate: The steps' size.
            batch_size: Embeddings a batch, drawn with replacement.
            print_every: Loss and accuracies are told on standard error every so many batches; 0 is
                never.

        Raises:
            RuntimeError: The data are of another type or form.
        """
        train, val = _matrix(data["data_train"]), _matrix(data["data_val"])
        labels, val_labels = np.asarray(data["labels_train"]), np.asarray(data["labels_val"])
        for step in range(num_iter):
            batch = np.random.randint(0, len(train), batch_size)
            scores = self._scores(train[batch])
            self._low, self._high = min(self._low, scores.min()), max(self._high, scores.max())
            loss, gradient = cross_entropy(scores, labels[batch])
            loss += 0.5 * self._reg * float((self._weights.T @ self._weights).sum())
            self._weights -= learning_rate * (train[batch].T @ gradient)
            self._biases -= learning_rate * gradient.sum(axis=0)
            if print_every > 0 and step % print_every == 0:
                _log(f"Loss: {loss:g}")
                _log(f"Train Acc: {self.get_accuracy(train, labels):g}")
                _log(f"Valid Acc: {self.get_accuracy(val, val_labels):g}")

    def _scores(self, embeddings: np.ndarray) -> np.ndarray:
        return np.asarray(embeddings @ self._weights + self._biases)


def _matrix(values: ArrayLike) -> np.ndarray:
    array = np.asarray(values)
    if array.dtype != np.float32:
        raise RuntimeError("Incompatible format: expected a float array!")
    if array.ndim != 2:
        raise RuntimeError("Incompatible buffer dimension!")
    return array


def _log(text: str) -> None:
    sys.stderr.write(f"{text}\n")
