"""What a classifier's scores come to: accuracy, a class's precision and recall, and how sure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from atoll.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

_TOP = 5
_Z95 = 1.959963984540054  # the normal distribution's 97.5 % quantile


def classification(
    scores: np.ndarray, labels: np.ndarray, classes: Sequence[str]
) -> dict[str, Any]:
    """Measures a classifier on labelled photos.

    Of equal scores the one of the lower class number goes first, so that the same scores give
    the same figures everywhere.

    Args:
        scores: float (n, classes): the higher, the likelier.
        labels: int (n,): the true class's number.
        classes: The classes' names, in the order of the scores.

    Returns:
        Plain data: top1 (None without photos), top5 (None where five or fewer classes make it
        trivial), images, per_class (label, images, precision, recall, f1; None where it is a
        division by zero) and confusion (rows are true classes, columns predicted ones).

    Raises:
        ModelError: A score is not a number, or the scores do not fit the labels or the classes.
    """
    _check(scores, labels)
    count, known = len(labels), len(classes)
    if scores.shape[1] != known or (count and not 0 <= labels.min() <= labels.max() < known):
        raise ModelError(
            "the model's scores",
            "there must be one score for each class of the data set",
            received=f"{scores.shape[1]} scores for {known} classes",
            fix="Choose a model that was trained on these classes",
        )
    predicted = scores.argmax(axis=1)
    confusion = np.bincount(labels.astype(np.int64) * known + predicted, minlength=known * known)
    confusion = confusion.reshape(known, known)
    return {
        "top1": _share(int((predicted == labels).sum()), count),
        "top5": _share(int((_rank(scores, labels) < _TOP).sum()), count) if known > _TOP else None,
        "images": count,
        "per_class": _per_class(confusion, classes),
        "confusion": confusion.tolist(),
    }


def wilson(correct: int, n: int) -> tuple[float, float]:
    """The 95 % interval of a share: where the accuracy on endlessly many such photos may lie.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
    Journal of the American Statistical Association 22 (1927). It stays within 0 and 1, and holds
    for few photos and for shares near 1, where the usual p ± 1.96 s does not.

    Args:
        correct: How many were right.
        n: How many there were.

    Returns:
        The lower and upper end, from 0 to 1; (0, 1) where there were none.
    """
    if not n:
        return 0.0, 1.0
    share, z2 = correct / n, _Z95 * _Z95
    middle = share + z2 / (2 * n)
    reach = _Z95 * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    low, high = ((middle + sign * reach) / (1 + z2 / n) for sign in (-1, 1))
    # At the ends the formula gives 0 and 1 themselves, but for rounding.
    return (0.0 if correct == 0 else low), (1.0 if correct == n else high)


def disagreement(
    first_scores: np.ndarray, second_scores: np.ndarray, labels: np.ndarray
) -> dict[str, Any]:
    """What a change to a model cost, from both models' scores of the same photos.

    Args:
        first_scores: float (n, classes): before the change.
        second_scores: float (n, classes): after it.
        labels: int (n,): the true class's number.

    Returns:
        Plain data: top1_change (second minus first), same_prediction (the share of photos that
        both give the same class), only_first_right and only_second_right (photos), mcnemar_p
        (see `mcnemar`). The two shares are None without photos.

    Raises:
        ModelError: A score is not a number, or the scores do not fit the labels or each other.
    """
    _check(first_scores, labels)
    _check(second_scores, labels)
    if first_scores.shape != second_scores.shape:
        raise ModelError(
            "the models' scores",
            "both models must have the same classes",
            received=f"{first_scores.shape[1]} and {second_scores.shape[1]} scores a photo",
            fix="Choose two models of the same data set",
        )
    first, second = first_scores.argmax(axis=1), second_scores.argmax(axis=1)
    only_first = int(((first == labels) & (second != labels)).sum())
    only_second = int(((first != labels) & (second == labels)).sum())
    return {
        "top1_change": _share(only_second - only_first, len(labels)),
        "same_prediction": _share(int((first == second).sum()), len(labels)),
        "only_first_right": only_first,
        "only_second_right": only_second,
        "mcnemar_p": mcnemar(only_first, only_second),
    }


def mcnemar(only_first: int, only_second: int) -> float:
    """How likely chance alone sets two equally good models this far apart: McNemar's exact test.

    Photos that both models have right, or both wrong, say nothing about which is better. Were
    they equally good, each of the others would be a coin's toss.

    Args:
        only_first: Photos that only the first model has right.
        only_second: Photos that only the second has right.

    Returns:
        The two-sided p-value, from 0 to 1.
    """
    tosses = only_first + only_second
    ways = tail = 1  # of the outcomes with no head, and with at most so many
    for heads in range(1, min(only_first, only_second) + 1):
        ways = ways * (tosses - heads + 1) // heads
        tail += ways
    return min(1.0, 2 * tail / (1 << tosses))


def _check(scores: np.ndarray, labels: np.ndarray) -> None:
    if scores.ndim != 2 or labels.ndim != 1 or len(scores) != len(labels):
        raise ModelError(
            "the model's scores",
            "there must be one row of scores for each photo",
            received=f"scores {list(scores.shape)}, labels {list(labels.shape)}",
            fix="Choose a classification model",
        )
    broken = int(np.isnan(scores).any(axis=1).sum())
    if broken:
        raise ModelError(
            "the model's scores",
            "every score must be a number",
            received=f"NaN for {broken} of {len(scores)} photos",
            fix="Train again with a lower --learning-rate, or choose another model",
        )


def _rank(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """How many classes go before the true one, int (n,)."""
    own = np.take_along_axis(scores, labels[:, None], axis=1)
    tied_before = (scores == own) & (np.arange(scores.shape[1]) < labels[:, None])
    return np.asarray(((scores > own) | tied_before).sum(axis=1))


def _per_class(confusion: np.ndarray, classes: Sequence[str]) -> list[dict[str, Any]]:
    right = confusion.diagonal().tolist()
    present, predicted = confusion.sum(axis=1).tolist(), confusion.sum(axis=0).tolist()
    return [
        {
            "label": label,
            "images": there,
            "precision": _share(hits, named),
            "recall": _share(hits, there),
            "f1": _share(2 * hits, there + named),
        }
        for label, hits, there, named in zip(classes, right, present, predicted, strict=True)
    ]


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
