"""The module `edgetpu.learn.backprop.softmax_regression`: a last layer, trained on embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from atoll.compat.edgetpu.learn.backprop import ops
from atoll.compat.edgetpu.learn.utils import AppendFullyConnectedAndSoftmaxLayerToModel

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SoftmaxRegression"]


class SoftmaxRegression:
    """A dense layer and a softmax, trained by stochastic gradient descent.

    Random numbers are NumPy's: after `numpy.random.seed` the same data give the same layer.

    Args:
        feature_dim: How many numbers an embedding has.
        num_classes: How many classes there are.
        weight_scale: How large the first weights are (standard deviation).
        reg: Half of this times the sum of the squared weights is added to the loss.

    Attributes:
        params: The layer: 'mat_w' (size, classes) and 'vec_b' (classes,), float32.
        min_score: The smallest score, before the softmax, that was met in training.
        max_score: The largest.
    """

    def __init__(
        self,
        feature_dim: int | None = None,
        num_classes: int | None = None,
        weight_scale: float = 0.01,
        reg: float = 0.0,
    ) -> None:
        self.reg = reg
        self.feature_dim = feature_dim
        self.num_classes = num_classes
        self.label_map: dict[int, str] | None = None
        self.params: dict[str, np.ndarray] = {}
        if feature_dim and num_classes:
            first = np.random.randn(feature_dim, num_classes)
            self.params["mat_w"] = (weight_scale * first).astype(np.float32)
            self.params["vec_b"] = np.zeros(num_classes, np.float32)
        self.min_score = float(np.finfo(np.float32).max)
        self.max_score = float(np.finfo(np.float32).min)

    def run_inference(self, mat_x: np.ndarray) -> np.ndarray:
        """The classes of embeddings.

        Args:
            mat_x: (n, size), or one, (size,).

        Returns:
            Their numbers; of one embedding, its number.
        """
        scores, _ = ops.fc_forward(mat_x, self.params["mat_w"], self.params["vec_b"])
        return np.asarray(np.argmax(scores, axis=-1))[()]

    def save_as_tflite_model(self, in_model_path: str, out_model_path: str) -> None:
        """Writes an embedding extractor with this layer behind it; weights become 8-bit numbers.

        Args:
            in_model_path: The extractor, compiled or not.
            out_model_path: Where the new model goes.

        Raises:
            RuntimeError: A file cannot be read or written, or does not fit.
        """
        met = self.min_score <= self.max_score
        AppendFullyConnectedAndSoftmaxLayerToModel(
            in_model_path,
            out_model_path,
            self.params["mat_w"].T.flatten(),
            self.params["vec_b"].flatten(),
            self.min_score if met else -np.inf,
            self.max_score if met else np.inf,
        )

    def get_accuracy(self, mat_x: np.ndarray, labels: np.ndarray) -> float:
        """The share of embeddings whose class is found.

        Args:
            mat_x: (n, size).
            labels: The class of each.
        """
        return float(np.mean(self.run_inference(mat_x) == labels))

    def train_with_sgd(
        self,
        data: Mapping[str, np.ndarray],
        num_iter: int,
        learning_rate: float,
        batch_size: int = 100,
        print_every: int = 100,
    ) -> None:
        """Trains the layer.

        Args:
            data: 'data_train' and 'data_val', (n, size), with 'labels_train' and 'labels_val'.
            num_iter: How many batches.
            learning_rate: The steps' size.
            batch_size: Embeddings a batch, drawn with replacement.
            print_every: Loss and accuracies are printed every so many batches; 0 is never.
        """
        train, labels = data["data_train"], data["labels_train"]
        for step in range(num_iter):
            batch = np.random.choice(len(train), batch_size)
            loss, gradients = self._get_loss(train[batch], labels[batch])
            for name, gradient in gradients.items():
                self.params[name] -= (learning_rate * gradient).astype(np.float32)
            if print_every > 0 and step % print_every == 0:
                shares = (
                    100 * self.get_accuracy(train, labels),
                    100 * self.get_accuracy(data["data_val"], data["labels_val"]),
                )
                print(f"Loss {loss:.2f}, train acc {shares[0]:.2f}%, val acc {shares[1]:.2f}%")

    def _get_loss(
        self, mat_x: np.ndarray, labels: np.ndarray
    ) -> tuple[float, dict[str, np.ndarray]]:
        """The loss of embeddings, and its gradients by the parameters."""
        weights = self.params["mat_w"]
        scores, cached = ops.fc_forward(mat_x, weights, self.params["vec_b"])
        self.min_score = min(self.min_score, float(scores.min()))
        self.max_score = max(self.max_score, float(scores.max()))
        loss, dscores = ops.softmax_cross_entropy_loss(scores, labels)
        _, dweights, dbiases = ops.fc_backward(dscores, cached)
        penalty = 0.5 * self.reg * float((weights * weights).sum())
        return loss + penalty, {"mat_w": dweights + self.reg * weights, "vec_b": dbiases}
