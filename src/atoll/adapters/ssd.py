"""SSD and EfficientDet: with the operator that picks the boxes inside the model, and without."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from atoll.adapters.anchors import LAYOUTS, Layout
from atoll.adapters.boxes import from_centers, from_yx
from atoll.adapters.found import Boxes, pick, probabilities
from atoll.adapters.table import Adapter, Raw, Wanted

if TYPE_CHECKING:
    from atoll.adapters.facts import Facts
    from atoll.adapters.table import Decode

POST_PROCESS = "TFLite_Detection_PostProcess"

# Where boxes, classes, scores and count are among the outputs, by where the count is. TensorFlow 1
# writes them in the operator's order; the converter of TensorFlow 2 has sorted them otherwise.
_ORDERS = {3: (0, 1, 2, 3), 2: (1, 3, 0, 2), 0: (3, 2, 1, 0)}
# The signature that TensorFlow 2 gives them: count, scores, classes, boxes.
_SIGNATURE = ("output_3", "output_2", "output_1", "output_0")

# exp() of a raw size beyond this is no box on any photo.
_LARGEST_SIZE = 20.0


def _post_processed(facts: Facts) -> Decode[Boxes] | None:
    """Four outputs: boxes, classes, scores and their count."""
    order = _order(facts)
    if order is None:
        return None
    boxes, classes, scores, count = order
    return lambda raw, wanted: post_processed(
        raw[boxes], raw[classes], raw[scores], raw[count], wanted
    )


def _order(facts: Facts) -> tuple[int, ...] | None:
    """The places of boxes, classes, scores and count."""
    places = facts.places_of(POST_PROCESS)
    if places is not None and len(places) == 4:
        return tuple(places)
    if len(facts.outputs) != 4:
        return None
    # A model whose graph does not show the operator: by its signature, else by its shapes.
    orders: list[tuple[int, ...]] = list(_ORDERS.values())
    if all(name in facts.signature for name in _SIGNATURE):
        orders.insert(0, tuple(facts.signature[name] for name in _SIGNATURE))
    for order in orders:
        boxes, classes, scores, count = (facts.outputs[place] for place in order)
        if (
            count.size == 1
            and boxes.shape[-1:] == (4,)
            and boxes.size == 4 * scores.size
            and classes.shape == scores.shape
            and len(boxes.shape) == len(scores.shape) + 1
        ):
            return order
    return None


def post_processed(
    boxes: np.ndarray, classes: np.ndarray, scores: np.ndarray, count: np.ndarray, wanted: Wanted
) -> Boxes:
    """What the operator TFLite_Detection_PostProcess gives.

    Args:
        boxes: (1, n, 4) as top, left, bottom, right, 0 to 1.
        classes: (1, n), the background not counted.
        scores: (1, n), in any order.
        count: How many of the n stand for an object.
        wanted: The threshold, and how many; overlapping boxes are gone already.
    """
    boxes, scores = boxes.reshape(-1, 4), scores.reshape(-1)
    told = np.nan_to_num(count.reshape(-1)[:1])
    many = int(np.clip(told[0] if told.size else 0, 0, scores.size))
    kept = np.flatnonzero(scores[:many] >= wanted.threshold)
    kept = kept[np.argsort(-scores[kept], kind="stable")][: wanted.most]
    return Boxes(from_yx(boxes[kept]), scores[kept], classes.reshape(-1)[kept].astype(np.int64))


def _raw(facts: Facts) -> Decode[Boxes] | None:
    """Two outputs: encoded boxes and a score a class, for anchors that are known or given."""
    places = _box_and_score_places(facts)
    if places is None:
        return None
    boxes, scores = places
    count = facts.outputs[boxes].size // 4
    layout = _layout(facts, count, facts.outputs[scores].size // count)
    if layout is None:
        return None
    anchors = layout.anchors(facts.width, facts.height)
    known = facts.are_probabilities(scores)

    def decode(raw: Raw, wanted: Wanted) -> Boxes:
        rated = probabilities(raw[scores].reshape(count, -1), known)
        # Most anchors have nothing: their boxes need not be computed.
        rated = rated[:, 1:] if layout.background else rated
        sure = np.flatnonzero(rated.max(axis=1) >= wanted.threshold)
        found = anchored(raw[boxes].reshape(count, 4)[sure], anchors[sure], layout.factors)
        return pick(found, rated[sure], wanted)

    return decode


def _box_and_score_places(facts: Facts) -> tuple[int, int] | None:
    """The places of [1, N, 4] and [1, N, C]."""
    if len(facts.outputs) != 2:
        return None
    one, two = facts.outputs
    # Both may look like boxes, where there are four classes: then the name decides.
    orders = [(0, 1), (1, 0)]
    if "box" in two.name.lower() and "box" not in one.name.lower():
        orders.reverse()
    for boxes, scores in orders:
        shape, other = facts.shapes[boxes], facts.shapes[scores]
        if len(shape) < 3 or len(other) < 3 or shape[-1] != 4 or other[-1] < 1:
            continue
        if facts.outputs[boxes].size == 4 * (facts.outputs[scores].size // other[-1]):
            return boxes, scores
    return None


def _layout(facts: Facts, count: int, columns: int) -> Layout | None:
    """The anchors of which there are as many as boxes."""
    given = facts.anchors
    rows = [
        row
        for row in LAYOUTS
        if columns > row.background
        and (given is not None or len(row.anchors(facts.width, facts.height)) == count)
    ]
    if not rows or (given is not None and given.shape != (count, 4)):
        return None
    return rows[0] if given is None else replace(rows[0], anchors=lambda _width, _height: given)


def anchored(
    encoded: np.ndarray, anchors: np.ndarray, factors: tuple[float, float, float, float]
) -> np.ndarray:
    """Boxes that are told relative to anchors.

    Args:
        encoded: (n, 4) as y, x, height, width: y = encoded / factor * anchor height + anchor y,
            height = exp(encoded / factor) * anchor height. Source: the box coder of Faster R-CNN
            (arXiv 1506.01497, 3.1.2).
        anchors: (n, 4) as y, x of the centre, height, width.
        factors: What each of the four is divided by.

    Returns:
        (n, 4) as left, top, right, bottom.
    """
    moved = encoded / np.array(factors)
    centers = moved[:, :2] * anchors[:, 2:] + anchors[:, :2]
    sizes = np.exp(np.minimum(moved[:, 2:], _LARGEST_SIZE)) * anchors[:, 2:]
    return from_centers(np.concatenate([centers[:, ::-1], sizes[:, ::-1]], axis=1))


SSD: tuple[Adapter[Boxes], ...] = (
    Adapter("ssd", "boxes [1,N,4], classes [1,N], scores [1,N], count [1]", _post_processed),
    Adapter("ssd-raw", "boxes [1,N,4], scores [1,N,C] over known or given anchors", _raw),
)
