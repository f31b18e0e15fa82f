"""YOLO whose boxes are computed inside the model: versions 5 to 12, and their kin."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from atoll.adapters.boxes import from_centers
from atoll.adapters.found import Boxes, pick, probabilities
from atoll.adapters.table import Adapter, Raw, Wanted

if TYPE_CHECKING:
    from atoll.adapters.facts import Facts
    from atoll.adapters.table import Decode

Recognise = Callable[["Facts"], "Decode[Boxes] | None"]

# The strides of the feature maps that are in use: usual, with a fourth map, tiny.
STRIDES = ((8, 16, 32), (8, 16, 32, 64), (16, 32), (4, 8, 16, 32))
# A coordinate above this is told in pixels, not from 0 to 1.
_FAR = 2.0
# More boxes than this are not what is left after suppression.
_MOST_FINAL = 1000


def strides_of(facts: Facts, count: int, anchors: int) -> tuple[int, ...] | None:
    """The strides of the maps that have so many cells together; None where none have.

    Args:
        facts: The model.
        count: Boxes in all.
        anchors: Boxes a cell.
    """
    for strides in STRIDES:
        if anchors * sum(cells_of(facts, stride) for stride in strides) == count:
            return strides
    return None


def cells_of(facts: Facts, stride: int) -> int:
    """How many cells the map of a stride has."""
    return -(-facts.width // stride) * -(-facts.height // stride)


def _table(facts: Facts) -> tuple[int, int] | None:
    """The two dimensions of a model's one output, where it has two beside ones."""
    if len(facts.outputs) != 1:
        return None
    shape = facts.shapes[0]
    if len(shape) not in (3, 4) or any(size != 1 for size in shape[:-2]):
        return None
    return shape[-2], shape[-1]


def _with_objectness(facts: Facts) -> Decode[Boxes] | None:
    """[1, N, 5 + C]: x, y, width, height, objectness, classes, three anchors a cell."""
    table = _table(facts)
    if table is None or table[1] < 6:
        return None
    rows, columns = table
    # One anchor a cell has version 6; only the labels tell it from a class more.
    single = strides_of(facts, rows, 1) is not None
    if strides_of(facts, rows, 3) is None and not (
        single and (facts.asked or len(facts.labels) == columns - 5)
    ):
        return None

    def decode(raw: Raw, wanted: Wanted) -> Boxes:
        values = raw[0].reshape(rows, columns)
        sure = values[:, 4] >= wanted.threshold
        values = values[sure]
        scores = values[:, 5:] * values[:, 4:5]
        far = bool(raw[0][..., :4].max(initial=0) > _FAR)
        return pick(_centered(values[:, :4], far, facts), scores, wanted)

    return decode


def _without_objectness(facts: Facts) -> Decode[Boxes] | None:
    """[1, 4 + C, N] or [1, N, 4 + C]: x, y, width, height, classes, one box a cell."""
    table = _table(facts)
    if table is None:
        return None
    turned = strides_of(facts, table[1], 1) is not None and table[0] >= 5
    rows, columns = reversed(table) if turned else table
    if columns < 5 or strides_of(facts, rows, 1) is None:
        return None

    def decode(raw: Raw, wanted: Wanted) -> Boxes:
        values = raw[0].reshape(table)
        values = values.T if turned else values
        far = bool(values[:, :4].max(initial=0) > _FAR)
        sure = np.flatnonzero(values[:, 4:].max(axis=1) >= wanted.threshold)
        return pick(_centered(values[sure, :4], far, facts), values[sure, 4:], wanted)

    return decode


def _split(facts: Facts) -> Decode[Boxes] | None:
    """Boxes [1, N, 4] as x, y, width, height, and scores [1, N, C]."""
    if len(facts.outputs) != 2:
        return None
    for boxes, scores in ((0, 1), (1, 0)):
        shape, other = facts.shapes[boxes], facts.shapes[scores]
        if len(shape) != 3 or len(other) != 3 or shape[2] != 4 or shape[:2] != other[:2]:
            continue
        if any(strides_of(facts, shape[1], anchors) for anchors in (1, 3)):
            known = facts.are_probabilities(scores)
            return lambda raw, wanted: pick(
                _centered(raw[boxes][0], bool(raw[boxes].max(initial=0) > _FAR), facts),
                probabilities(raw[scores][0], known),
                wanted,
            )
    return None


def _final(facts: Facts) -> Decode[Boxes] | None:
    """[1, N, 6]: left, top, right, bottom, score, class; what overlaps is suppressed already."""
    table = _table(facts)
    if table is None or table[1] != 6 or table[0] > _MOST_FINAL:
        return None

    def decode(raw: Raw, wanted: Wanted) -> Boxes:
        values = raw[0].reshape(-1, 6)
        far = bool(values[:, :4].max(initial=0) > _FAR)
        values = values[values[:, 4] >= wanted.threshold]
        values = values[np.argsort(-values[:, 4], kind="stable")[: wanted.most]]
        size = np.array([facts.width, facts.height] * 2) if far else 1.0
        return Boxes(values[:, :4] / size, values[:, 4], values[:, 5].astype(np.int64))

    return decode


def _gridded(facts: Facts) -> Decode[Boxes] | None:
    """YOLOX: [1, N, 5 + C] like version 5, but in cells: it does not show from outside."""
    table = _table(facts)
    if not facts.asked or table is None or table[1] < 6:
        return None
    strides = strides_of(facts, table[0], 1)
    if strides is None:
        return None
    cells, sizes = grid_of(facts, strides)

    def decode(raw: Raw, wanted: Wanted) -> Boxes:
        values = raw[0].reshape(table)
        scores = values[:, 5:] * values[:, 4:5]
        sure = np.flatnonzero(scores.max(axis=1) >= wanted.threshold)
        moved = (values[sure, :2] + cells[sure]) * sizes[sure]
        grown = np.exp(np.minimum(values[sure, 2:4], 20.0)) * sizes[sure]
        found = _centered(np.concatenate([moved, grown], axis=1), True, facts)
        return pick(found, scores[sure], wanted)

    return decode


def grid_of(facts: Facts, strides: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Every cell of the maps of these strides, row by row.

    Returns:
        (n, 2) the cell's x and y, counted from 0; and (n, 1) its stride.
    """
    cells, sizes = [], []
    for stride in strides:
        rows, columns = -(-facts.height // stride), -(-facts.width // stride)
        ys, xs = np.divmod(np.arange(rows * columns), columns)
        cells.append(np.stack([xs, ys], axis=1))
        sizes.append(np.full((rows * columns, 1), stride))
    return np.concatenate(cells).astype(np.float64), np.concatenate(sizes).astype(np.float64)


def _centered(boxes: np.ndarray, far: bool, facts: Facts) -> np.ndarray:
    """x, y of the centre, width, height, in pixels where `far`, as corners from 0 to 1."""
    corners = from_centers(boxes.astype(np.float64))
    return corners / np.array([facts.width, facts.height] * 2) if far else corners


def _row(name: str, what: str, recognise: Recognise) -> Adapter[Boxes]:
    return Adapter(name, what, recognise, resize="letterbox", assumed=(0.0, 255.0))


YOLO: tuple[Adapter[Boxes], ...] = (
    _row("yolov5", "[1,N,5+C], three boxes a cell", _with_objectness),
    _row("yolov8", "[1,4+C,N] or [1,N,4+C], one box a cell", _without_objectness),
    _row("yolo-split", "boxes [1,N,4], scores [1,N,C]", _split),
    _row("yolo-final", f"[1,N,6], N up to {_MOST_FINAL}", _final),
    # Its float models take pixels as they are.
    Adapter("yolox", "[1,N,5+C], one box a cell", _gridded, "letterbox", (0.0, 1.0), by_name=True),
)
