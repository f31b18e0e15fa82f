"""Softmax regression: a last layer trained on embeddings, by stochastic gradient descent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from atoll.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

_MOMENTUM = 0.9


@dataclass(frozen=True)
class RegressionSettings:
    """How the layer is trained.

    The embeddings are shifted and scaled before, so that they are 0 on average and 1 long (root
    mean square); rates and penalties mean the same for every model.

    Attributes:
        epochs: How often each embedding is seen.
        learning_rate: The first step's; it falls to 0 along half a cosine.
        batch_size: Embeddings a step.
        penalty: Half of this times the sum of the squared weights is added to the loss.
        seed: Of the order in which embeddings are seen.
    """

    epochs: int = 200
    learning_rate: float = 1.0
    batch_size: int = 32
    penalty: float = 1e-3
    seed: int = 0

    def check(self) -> None:
        """Raises UsageError where a setting has no meaning."""
        rules = (
            ("--epochs", self.epochs, self.epochs >= 1, "it must be 1 or more", 200),
            ("--batch-size", self.batch_size, self.batch_size >= 1, "it must be 1 or more", 32),
            ("--learning-rate", self.learning_rate, 0 < self.learning_rate < 1e3,
             "it must be above 0", 1),
            ("--penalty", self.penalty, 0 <= self.penalty < 1e3, "it must be 0 or more", 0.001),
            ("--seed", self.seed, self.seed >= 0, "it must be 0 or more", 0),
        )  # fmt: skip
        for name, value, holds, rule, usual in rules:
            if not holds:
                raise UsageError(name, rule, received=value, fix=f"The usual is {usual}")


@dataclass(frozen=True)
class Regression:
    """A trained layer: scores = embedding @ weights.T + biases.

    Attributes:
        weights: float64 (classes, size), for embeddings as they are.
        biases: float64 (classes,).
        loss: The mean cross-entropy on what it was trained on, nats, without the penalty.
        top1: The share of that which it recognises.
    """

    weights: np.ndarray
    biases: np.ndarray
    loss: float
    top1: float

    def scores(self, embeddings: np.ndarray) -> np.ndarray:
        """Scores before the softmax, (n, classes)."""
        return np.asarray(embeddings @ self.weights.T + self.biases)


def fit(
    embeddings: np.ndarray,
    labels: np.ndarray,
    classes: int,
    settings: RegressionSettings | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Regression:
    """Trains a layer; the same embeddings and settings give the same layer.

    Minimised is the mean cross-entropy plus the penalty, with Nesterov's momentum. The problem is
    convex: it starts from 0 and has one best solution.

    Args:
        embeddings: Real numbers, (n, size).
        labels: The class of each, int64 (n,).
        classes: How many classes there are.
        settings: How it is trained.
        progress: Called with the epochs done and in all.

    Returns:
        The layer.

    Raises:
        UsageError: A setting has no meaning.
    """
    settings = settings or RegressionSettings()
    settings.check()
    mean, scale = embeddings.mean(0), _spread(embeddings)
    points = _augmented((embeddings - mean) / scale)
    rng = np.random.default_rng(settings.seed)
    weights = np.zeros((points.shape[1], classes))
    speed = np.zeros_like(weights)
    for epoch in range(1, settings.epochs + 1):
        _epoch(points, labels, weights, speed, settings, epoch, rng)
        if progress is not None:
            progress(epoch, settings.epochs)
    scores = points @ weights
    # For embeddings as they are: shift and scale become part of the layer.
    rows = weights[:-1].T / scale
    return Regression(
        weights=rows,
        biases=weights[-1] - rows @ mean,
        loss=_loss(scores, labels),
        top1=float((scores.argmax(1) == labels).mean()),
    )


def _epoch(
    points: np.ndarray,
    labels: np.ndarray,
    weights: np.ndarray,
    speed: np.ndarray,
    settings: RegressionSettings,
    epoch: int,
    rng: np.random.Generator,
) -> None:
    """Sees every embedding once; changes weights and speed."""
    order = rng.permutation(len(points))
    starts = range(0, len(order), settings.batch_size)
    steps = settings.epochs * len(starts)
    penalty = np.full((len(weights), 1), settings.penalty)
    penalty[-1] = 0.0  # biases are free
    for number, start in enumerate(starts):
        batch = order[start : start + settings.batch_size]
        done = ((epoch - 1) * len(starts) + number) / steps
        rate = settings.learning_rate * 0.5 * (1 + np.cos(np.pi * done))
        ahead = weights + _MOMENTUM * speed
        chances = _softmax(points[batch] @ ahead)
        chances[np.arange(len(batch)), labels[batch]] -= 1
        speed *= _MOMENTUM
        speed -= rate * (points[batch].T @ chances / len(batch) + penalty * ahead)
        weights += speed


def _spread(embeddings: np.ndarray) -> float:
    """The root mean square of the embeddings' distance from their mean; 1 where it is 0."""
    spread = float(np.sqrt(embeddings.var(0).sum()))
    return spread if spread > 0 else 1.0


def _augmented(points: np.ndarray) -> np.ndarray:
    """With a 1 behind each, whose weights are the biases."""
    return np.hstack([points, np.ones((len(points), 1))])


def _softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max(1, keepdims=True))
    return np.asarray(powers / powers.sum(1, keepdims=True))


def _loss(scores: np.ndarray, labels: np.ndarray) -> float:
    """The mean cross-entropy."""
    shifted = scores - scores.max(1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return float(-logs[np.arange(len(labels)), labels].mean())
