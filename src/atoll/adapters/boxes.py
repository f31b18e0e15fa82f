"""Boxes as arrays: their forms, their overlap, and which of many are kept."""

from __future__ import annotations

import numpy as np


def from_centers(boxes: np.ndarray) -> np.ndarray:
    """(..., 4) as x, y of the centre, width, height -> left, top, right, bottom."""
    half = boxes[..., 2:] / 2
    return np.concatenate([boxes[..., :2] - half, boxes[..., :2] + half], axis=-1)


def from_yx(boxes: np.ndarray) -> np.ndarray:
    """(..., 4) as top, left, bottom, right -> left, top, right, bottom."""
    return boxes[..., [1, 0, 3, 2]]


def overlaps(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Intersection over union of one box with many.

    Args:
        box: (4,) as left, top, right, bottom.
        boxes: (n, 4).

    Returns:
        (n,), 0 to 1; 0 for boxes without area.
    """
    corner = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    common = np.prod(np.maximum(corner, 0), axis=1)
    area = np.prod(np.maximum(box[2:] - box[:2], 0))
    areas = np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1)
    union = area + areas - common
    shares: np.ndarray = np.divide(common, union, out=np.zeros_like(union), where=union > 0)
    return shares


def nms(
    boxes: np.ndarray,
    scores: np.ndarray,
    classes: np.ndarray | None = None,
    *,
    overlap: float = 0.5,
    most: int | None = None,
) -> np.ndarray:
    """Non-maximum suppression: of boxes that overlap, the one with the highest score is kept.

    Args:
        boxes: (n, 4) as left, top, right, bottom.
        scores: (n,).
        classes: (n,): only boxes of one class suppress each other; None for one class.
        overlap: The intersection over union above which a box is suppressed.
        most: How many are kept; None for all.

    Returns:
        The indices of those kept, best first; equal scores in the order given.
    """
    rest = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    while rest.size and (most is None or len(kept) < most):
        best, rest = rest[0], rest[1:]
        kept.append(int(best))
        stays = overlaps(boxes[best], boxes[rest]) <= overlap
        if classes is not None:
            stays |= classes[rest] != classes[best]
        rest = rest[stays]
    return np.array(kept, np.int64)
