"""The module `edgetpu.learn.backprop.ops`: a dense layer and a loss, forwards and backwards."""

from __future__ import annotations

import numpy as np

from atoll.learn.coral_sgd import cross_entropy

Cached = tuple[np.ndarray, np.ndarray]


def fc_forward(
    mat_x: np.ndarray, mat_w: np.ndarray, vec_b: np.ndarray
) -> tuple[np.ndarray, Cached]:
    """A dense layer: mat_x @ mat_w + vec_b.

    Args:
        mat_x: (n, size).
        mat_w: (size, classes).
        vec_b: (classes,).

    Returns:
        What it gives, (n, classes), and what `fc_backward` wants.
    """
    return mat_x.dot(mat_w) + vec_b, (mat_x, mat_w)


def fc_backward(dout: np.ndarray, cached: Cached) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The gradients of a dense layer.

    Args:
        dout: The gradient by what it gave, (n, classes).
        cached: What `fc_forward` gave beside.

    Returns:
        The gradients by mat_x, mat_w and vec_b.
    """
    mat_x, mat_w = cached
    return dout.dot(mat_w.T), mat_x.T.dot(dout), dout.sum(axis=0)


def softmax_cross_entropy_loss(logits: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """The mean cross-entropy of a softmax.

    Args:
        logits: (n, classes). They stay as they are.
        labels: The class of each, (n,).

    Returns:
        The loss, and its gradient by the logits.
    """
    return cross_entropy(logits, labels)
