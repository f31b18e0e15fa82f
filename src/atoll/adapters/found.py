"""What an adapter decodes: arrays, everything from 0 to 1 over the model's input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from atoll.adapters.boxes import nms

if TYPE_CHECKING:
    from atoll.adapters.table import Wanted


@dataclass(frozen=True, eq=False)
class Boxes:
    """Objects that a detector found, best first.

    Attributes:
        boxes: float (n, 4) as left, top, right, bottom.
        scores: float (n,).
        classes: int (n,).
    """

    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray


@dataclass(frozen=True, eq=False)
class People:
    """Poses, best first.

    Attributes:
        points: float (n, 17, 2) as x, y.
        part_scores: float (n, 17), 0 to 1.
        scores: float (n,), 0 to 1.
    """

    points: np.ndarray
    part_scores: np.ndarray
    scores: np.ndarray

    def chosen(self, wanted: Wanted) -> People:
        """Those that are sure enough, the best first, no more than are wanted."""
        order = np.argsort(-self.scores, kind="stable")
        order = order[self.scores[order] >= wanted.threshold][: wanted.most]
        return People(self.points[order], self.part_scores[order], self.scores[order])


def pick(boxes: np.ndarray, scores: np.ndarray, wanted: Wanted) -> Boxes:
    """Of many boxes with a score a class, those that stand for an object.

    Args:
        boxes: (n, 4) as left, top, right, bottom.
        scores: (n, classes).
        wanted: The threshold, the overlap that is allowed, how many.

    Returns:
        Each box with its best class, those suppressed that overlap a better one of their class.
    """
    classes = scores.argmax(axis=1)
    best = np.take_along_axis(scores, classes[:, None], axis=1)[:, 0]
    sure = np.flatnonzero(best >= wanted.threshold)
    boxes, best, classes = boxes[sure], best[sure], classes[sure]
    kept = nms(boxes, best, classes, overlap=wanted.overlap, most=wanted.most)
    return Boxes(boxes[kept], best[kept], classes[kept])


def sigmoid(values: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)), without overflow."""
    smoothed: np.ndarray = 0.5 * (np.tanh(0.5 * values) + 1.0)
    return smoothed


def softmax(values: np.ndarray, axis: int = -1) -> np.ndarray:
    """Probabilities along an axis, without overflow."""
    powers = np.exp(values - values.max(axis=axis, keepdims=True))
    shares: np.ndarray = powers / powers.sum(axis=axis, keepdims=True)
    return shares


def probabilities(values: np.ndarray, known: bool | None) -> np.ndarray:
    """Scores from 0 to 1, of scores or of their logits.

    Args:
        values: Scores.
        known: Whether they are probabilities as they are; None has the values tell: one that no
            probability can be makes all of them logits.
    """
    if known is None:
        known = not values.size or bool(values.min() >= -1e-3 and values.max() <= 1.001)
    return values if known else sigmoid(values)
