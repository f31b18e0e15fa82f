"""The best of a row of scores, as the old engines rank them."""

from __future__ import annotations

import numpy as np


def best_scores(scores: np.ndarray, threshold: float, top_k: int) -> list[tuple[int, float]]:
    """The highest scores and where they are, the highest first.

    Args:
        scores: A row.
        threshold: Scores must be above it.
        top_k: How many at most, 1 or more.
    """
    count = min(top_k, len(scores))
    found = [(i, scores[i]) for i in np.argpartition(scores, -count)[-count:]]
    return sorted((each for each in found if each[1] > threshold), key=lambda each: -each[1])
