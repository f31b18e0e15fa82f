"""A step of gradient descent on a last layer, as Google's two libraries take it.

Source: google-coral/libcoral, coral/learn/backprop; google-coral/edgetpu, edgetpu/learn/backprop.
"""

from __future__ import annotations

import numpy as np


def cross_entropy(scores: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """The mean cross-entropy of a softmax, and its gradient.

    Args:
        scores: Before the softmax, (n, classes).
        labels: The class of each, (n,).

    Returns:
        The loss in nats, and its gradient by each score, (n, classes).
    """
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    chances = powers / powers.sum(axis=1, keepdims=True)
    rows = np.arange(len(scores))
    loss = -np.log(chances[rows, labels]).mean()
    gradient = chances.copy()
    gradient[rows, labels] -= 1
    return float(loss), gradient / len(scores)
