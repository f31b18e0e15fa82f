"""The module `pycoral.adapters.classify`: scores and classes."""

from __future__ import annotations

from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np

_INFINITY = float("inf")


class Class(NamedTuple):
    """A class and its score.

    Attributes:
        id: The class's number.
        score: Its score.
    """

    id: int
    score: float


def num_classes(interpreter: Any) -> int:
    """How many numbers the first output has."""
    count: int = np.prod(interpreter.get_output_details()[0]["shape"])
    return count


def get_scores(interpreter: Any) -> np.ndarray:
    """The first output in one row, as real numbers.

    Returns:
        Of an integer output, scale * (stored - zero point) in float64; any other as it is. A copy.
    """
    details = interpreter.get_output_details()[0]
    stored: np.ndarray = interpreter.tensor(details["index"])().flatten()
    if not np.issubdtype(details["dtype"], np.integer):
        return stored
    scale, zero_point = details["quantization"]
    scores: np.ndarray = scale * (stored.astype(np.int64) - zero_point)
    return scores


def get_classes_from_scores(
    scores: np.ndarray, top_k: float = _INFINITY, score_threshold: float = -_INFINITY
) -> list[Class]:
    """The classes with the highest scores.

    Args:
        scores: One number a class.
        top_k: How many classes to name at most; of equal scores at the edge, any.
        score_threshold: The lowest score that counts.

    Returns:
        The classes, the highest score first.
    """
    count = int(min(top_k, len(scores)))
    best = np.argpartition(scores, -count)[-count:]
    classes = [Class(i, scores[i]) for i in best if scores[i] >= score_threshold]
    return sorted(classes, key=attrgetter("score"), reverse=True)


def get_classes(
    interpreter: Any, top_k: float = _INFINITY, score_threshold: float = -_INFINITY
) -> list[Class]:
    """The classes that a model finds: `get_classes_from_scores` of its `get_scores`."""
    return get_classes_from_scores(get_scores(interpreter), top_k, score_threshold)
