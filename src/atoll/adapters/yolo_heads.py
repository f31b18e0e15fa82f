"""YOLO whose boxes are not computed inside the model: what its heads give, map by map.

Sources: the detection heads of ultralytics/yolov5 (models/yolo.py), ultralytics/ultralytics
(nn/modules/head.py, utils/tal.py) and of YOLOv3 (arXiv 1804.02767, 2.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from atoll.adapters.boxes import from_centers
from atoll.adapters.found import Boxes, pick, probabilities, sigmoid, softmax
from atoll.adapters.table import Adapter, Raw, Wanted
from atoll.adapters.yolo import STRIDES, cells_of, grid_of, strides_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from atoll.adapters.facts import Facts
    from atoll.adapters.table import Decode

# The numbers of a distance's distribution (DFL), from 0 to 15 cells.
_BINS = 16
_SPREAD = 4 * _BINS
_ANCHORS = 3
_STRIDES = (8, 16, 32)
# Three anchors a map, width and height in pixels of an input of any size, as trained on COCO.
_V5_SIZES = (
    (10, 13),
    (16, 30),
    (33, 23),
    (30, 61),
    (62, 45),
    (59, 119),
    (116, 90),
    (156, 198),
    (373, 326),
)
_V7_SIZES = (
    (12, 16),
    (19, 36),
    (40, 28),
    (36, 75),
    (76, 55),
    (72, 146),
    (142, 110),
    (192, 243),
    (459, 401),
)
# What classes are there where nothing says it: COCO's.
_USUAL_CLASSES = 80


@dataclass(frozen=True)
class Maps:
    """Outputs that are maps: [1, h, w, depth], or with the anchors as a dimension of their own.

    Attributes:
        places: The output of each stride, in order.
        strides: Their strides, the smallest first.
        depth: Numbers a cell.
    """

    places: tuple[int, ...]
    strides: tuple[int, ...]
    depth: int


def _maps(facts: Facts, chosen: Sequence[int]) -> Maps | None:
    """Sorts outputs by stride, where they are maps of one depth, one a stride."""
    by_stride: dict[int, int] = {}
    depths = set()
    for place in chosen:
        output = facts.outputs[place]
        stride = next(
            (s for s in (4, 8, 16, 32, 64) if _is_map(output.shape, facts, s)),
            None,
        )
        if stride is None or stride in by_stride:
            return None
        by_stride[stride] = place
        depths.add(output.size // cells_of(facts, stride))
    strides = tuple(sorted(by_stride))
    if strides not in STRIDES or len(depths) != 1:
        return None
    return Maps(tuple(by_stride[s] for s in strides), strides, depths.pop())


def _is_map(shape: tuple[int, ...], facts: Facts, stride: int) -> bool:
    rows, columns = -(-facts.height // stride), -(-facts.width // stride)
    plain = len(shape) == 4 and shape[:3] == (1, rows, columns)
    # [1, anchors, h, w, n] and [1, h, w, anchors, n]
    first = len(shape) == 5 and shape[:4] == (1, _ANCHORS, rows, columns)
    last = len(shape) == 5 and shape[:4] == (1, rows, columns, _ANCHORS)
    return plain or first or last


def _with_anchors(
    facts: Facts,
    decode: Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray],
    usual: tuple[tuple[int, int], ...] = _V5_SIZES,
) -> Decode[Boxes] | None:
    """Three maps of three anchors with x, y, width, height, objectness and classes each."""
    maps = _maps(facts, range(len(facts.outputs)))
    if maps is None or maps.depth % _ANCHORS or maps.strides != _STRIDES:
        return None
    sides = np.array(usual if facts.anchors is None else facts.anchors, np.float64)
    if sides.shape != (_ANCHORS * len(_STRIDES), 2):
        return None
    numbers = maps.depth // _ANCHORS
    if numbers < 6 or not _plausible(facts, numbers - 5, maps.depth - _SPREAD):
        return None
    cells, sizes = grid_of(facts, maps.strides)
    cells, sizes = (np.repeat(values, _ANCHORS, axis=0) for values in (cells, sizes))
    anchors = np.concatenate(
        [
            np.tile(sides[i * _ANCHORS : (i + 1) * _ANCHORS], (cells_of(facts, stride), 1))
            for i, stride in enumerate(maps.strides)
        ]
    )
    whole = np.array([facts.width, facts.height] * 2)

    def run(raw: Raw, wanted: Wanted) -> Boxes:
        values = np.concatenate([_rows(raw[place], numbers) for place in maps.places])
        values = values.astype(np.float32, copy=False)
        objectness = sigmoid(values[:, 4])
        sure = np.flatnonzero(objectness >= wanted.threshold)
        scores = sigmoid(values[sure, 5:]) * objectness[sure, None]
        boxes = decode(values[sure, :4], cells[sure], sizes[sure], anchors[sure])
        return pick(from_centers(boxes) / whole, scores, wanted)

    return run


def _rows(values: np.ndarray, numbers: int) -> np.ndarray:
    """A map as rows of so many numbers, cell by cell and in each anchor by anchor."""
    if values.ndim == 5 and values.shape[1] == _ANCHORS and values.shape[4] == numbers:
        values = values.transpose(0, 2, 3, 1, 4)
    return values.reshape(-1, numbers)


def _plausible(facts: Facts, classes: int, others: int) -> bool:
    """Whether maps hold so many classes and not, read the other way, another number of them.

    Args:
        facts: The model.
        classes: How many there are by this reading.
        others: By the other; below 1 where it cannot be read so.
    """
    if classes < 1:
        return False
    if facts.asked or others < 1:
        return True
    usual = len(facts.labels) or _USUAL_CLASSES
    return classes == usual and others != usual


def _v5_boxes(
    raw: np.ndarray, cells: np.ndarray, sizes: np.ndarray, anchors: np.ndarray
) -> np.ndarray:
    spread = sigmoid(raw)
    centers = (spread[:, :2] * 2 - 0.5 + cells) * sizes
    return np.concatenate([centers, (spread[:, 2:] * 2) ** 2 * anchors], axis=1)


def _v3_boxes(
    raw: np.ndarray, cells: np.ndarray, sizes: np.ndarray, anchors: np.ndarray
) -> np.ndarray:
    centers = (sigmoid(raw[:, :2]) + cells) * sizes
    return np.concatenate([centers, np.exp(np.minimum(raw[:, 2:], 20)) * anchors], axis=1)


def _v5_heads(facts: Facts) -> Decode[Boxes] | None:
    """Version 5, and 7-tiny."""
    return _with_anchors(facts, _v5_boxes)


def _v7_heads(facts: Facts) -> Decode[Boxes] | None:
    """Version 7, which looks like version 5 from outside."""
    return _with_anchors(facts, _v5_boxes, _V7_SIZES) if facts.asked else None


def _v3_heads(facts: Facts) -> Decode[Boxes] | None:
    """Version 3, which looks like version 5 from outside."""
    return _with_anchors(facts, _v3_boxes) if facts.asked else None


def _v8_heads(facts: Facts) -> Decode[Boxes] | None:
    """Maps of 64 numbers for four distances and a score a class, together or apart."""
    everything = range(len(facts.outputs))
    together = _maps(facts, everything)
    if together is not None:
        classes = together.depth - _SPREAD
        others = together.depth // _ANCHORS - 5 if together.depth % _ANCHORS == 0 else 0
        if not _plausible(facts, classes, others):
            return None
        return _distances(
            facts,
            together.strides,
            lambda raw: _joined(raw, together)[:, :_SPREAD],
            lambda raw: _joined(raw, together)[:, _SPREAD:],
            known=False,
        )
    spread = [i for i in everything if facts.shapes[i][-1:] == (_SPREAD,)]
    scores = [i for i in everything if i not in spread]
    # With 64 classes the two look alike: the first of a stride are the distances.
    if not scores and len(spread) % 2 == 0:
        spread, scores = spread[: len(spread) // 2], spread[len(spread) // 2 :]
    boxes, rated = _maps(facts, spread), _maps(facts, scores)
    if boxes is None or rated is None or boxes.strides != rated.strides:
        return None
    return _distances(
        facts,
        boxes.strides,
        lambda raw: _joined(raw, boxes),
        lambda raw: _joined(raw, rated),
        known=facts.are_probabilities(rated.places[0]),
    )


def _v8_flat(facts: Facts) -> Decode[Boxes] | None:
    """The same as tables over all cells: [1, N, 64] and [1, N, C], or one [1, N, 64 + C]."""
    if any(len(shape) != 3 for shape in facts.shapes):
        return None
    if len(facts.outputs) == 1:
        rows, columns = facts.shapes[0][1:]
        strides = strides_of(facts, rows, 1)
        # 5 + C and 4 + C numbers look the same: only the labels, or the user, tell.
        if strides is None or not (facts.asked or len(facts.labels) == columns - _SPREAD):
            return None
        return _distances(
            facts,
            strides,
            lambda raw: raw[0][0, :, :_SPREAD],
            lambda raw: raw[0][0, :, _SPREAD:],
            known=False,
        )
    if len(facts.outputs) != 2:
        return None
    for boxes, scores in ((0, 1), (1, 0)):
        shape, other = facts.shapes[boxes], facts.shapes[scores]
        strides = strides_of(facts, shape[1], 1)
        # Four classes, or 64 and boxes of four numbers: only the labels, or the user, tell.
        clear = other[2] != 4 or facts.asked or len(facts.labels) == 4
        if shape[2] == _SPREAD and shape[:2] == other[:2] and strides is not None and clear:
            known = facts.are_probabilities(scores)
            return _distances(facts, strides, _first(boxes), _first(scores), known=known)
    return None


def _first(place: int) -> Callable[[Raw], np.ndarray]:
    """The only table of an output."""
    return lambda raw: raw[place][0]


def _joined(raw: Raw, maps: Maps) -> np.ndarray:
    return np.concatenate([raw[place].reshape(-1, maps.depth) for place in maps.places])


def _distances(
    facts: Facts,
    strides: tuple[int, ...],
    spread_of: Callable[[Raw], np.ndarray],
    scores_of: Callable[[Raw], np.ndarray],
    known: bool | None,
) -> Decode[Boxes]:
    """Boxes by how far left, top, right and bottom are from a cell, each a distribution."""
    cells, sizes = grid_of(facts, strides)
    whole = np.array([facts.width, facts.height] * 2)

    def run(raw: Raw, wanted: Wanted) -> Boxes:
        scores = probabilities(scores_of(raw).astype(np.float32, copy=False), known)
        sure = np.flatnonzero(scores.max(axis=1) >= wanted.threshold)
        distances = expected_distances(spread_of(raw)[sure])
        middle = cells[sure] + 0.5
        corners = np.concatenate([middle - distances[:, :2], middle + distances[:, 2:]], axis=1)
        return pick(corners * sizes[sure] / whole, scores[sure], wanted)

    return run


def expected_distances(spread: np.ndarray) -> np.ndarray:
    """The mean of each distance's distribution (DFL).

    Args:
        spread: (n, 64), the logits of 0 to 15 cells, left, top, right, bottom.

    Returns:
        (n, 4) in cells.
    """
    shares = softmax(spread.reshape(len(spread), 4, _BINS).astype(np.float64))
    means: np.ndarray = shares @ np.arange(_BINS)
    return means


def _row(
    name: str,
    what: str,
    recognise: Callable[[Facts], Decode[Boxes] | None],
    by_name: bool = False,
) -> Adapter[Boxes]:
    return Adapter(name, what, recognise, "letterbox", assumed=(0.0, 255.0), by_name=by_name)


YOLO_HEADS: tuple[Adapter[Boxes], ...] = (
    _row("yolov5-heads", "maps [1,h,w,3*(5+C)]", _v5_heads),
    _row("yolov8-heads", "maps [1,h,w,64+C], or [1,h,w,64] and [1,h,w,C]", _v8_heads),
    _row("yolov8-flat", "[1,N,64] and [1,N,C]", _v8_flat),
    _row("yolov7-heads", "maps [1,h,w,3*(5+C)]", _v7_heads, by_name=True),
    _row("yolov3-heads", "maps [1,h,w,3*(5+C)]", _v3_heads, by_name=True),
)
