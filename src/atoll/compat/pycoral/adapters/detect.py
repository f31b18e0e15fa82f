"""The module `pycoral.adapters.detect`: boxes, and the objects that a model finds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from atoll.compat.pycoral.adapters import common

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np


class BBox(NamedTuple):
    """A box from (xmin, ymin), its top left, to (xmax, ymax)."""

    xmin: float
    ymin: float
    xmax: float
    ymax: float

    @property
    def width(self) -> float:
        """Its width; negative where it is turned over."""
        return self.xmax - self.xmin

    @property
    def height(self) -> float:
        """Its height; negative where it is turned over."""
        return self.ymax - self.ymin

    @property
    def area(self) -> float:
        """Its area."""
        return self.width * self.height

    @property
    def valid(self) -> bool:
        """Whether neither its width nor its height is negative."""
        return self.width >= 0 and self.height >= 0

    def scale(self, sx: float, sy: float) -> BBox:
        """The box with x and y multiplied."""
        return BBox(sx * self.xmin, sy * self.ymin, sx * self.xmax, sy * self.ymax)

    def translate(self, dx: float, dy: float) -> BBox:
        """The box moved."""
        return BBox(dx + self.xmin, dy + self.ymin, dx + self.xmax, dy + self.ymax)

    def map(self, f: Callable[[float], float]) -> BBox:
        """The box with a function of each of its four numbers."""
        return BBox(*(f(number) for number in self))

    @staticmethod
    def intersect(a: BBox, b: BBox) -> BBox:
        """What two boxes share: not valid where that is nothing."""
        corner = (max(a.xmin, b.xmin), max(a.ymin, b.ymin))
        return BBox(*corner, min(a.xmax, b.xmax), min(a.ymax, b.ymax))

    @staticmethod
    def union(a: BBox, b: BBox) -> BBox:
        """The smallest box around two boxes."""
        corner = (min(a.xmin, b.xmin), min(a.ymin, b.ymin))
        return BBox(*corner, max(a.xmax, b.xmax), max(a.ymax, b.ymax))

    @staticmethod
    def iou(a: BBox, b: BBox) -> float:
        """The area that two boxes share, in parts of the area that they cover together."""
        shared = BBox.intersect(a, b)
        if not shared.valid:
            return 0.0
        return shared.area / (a.area + b.area - shared.area)


class Object(NamedTuple):
    """An object that was found.

    Attributes:
        id: Its class's number.
        score: How sure the model is.
        bbox: Where it is, in pixels of the photo.
    """

    id: int
    score: float
    bbox: BBox


def get_objects(
    interpreter: Any,
    score_threshold: float = -float("inf"),
    image_scale: tuple[float, float] = (1.0, 1.0),
) -> list[Object]:
    """The objects that an SSD model with post-processing finds.

    Args:
        interpreter: The interpreter, after a call.
        score_threshold: The lowest score that counts.
        image_scale: What `common.set_resized_input` gave: the factors by which the photo was
            scaled to the input.

    Returns:
        The objects, in the model's order.

    Raises:
        ValueError: The model has more than one signature.
    """
    boxes, class_ids, scores = _outputs(interpreter)
    width, height = common.input_size(interpreter)
    sx, sy = width / image_scale[0], height / image_scale[1]

    def found(i: int) -> Object:
        ymin, xmin, ymax, xmax = boxes[i]
        bbox = BBox(xmin, ymin, xmax, ymax).scale(sx, sy).map(int)
        return Object(int(class_ids[i]), float(scores[i]), bbox)

    return [found(i) for i in range(len(scores)) if scores[i] >= score_threshold]


def _outputs(interpreter: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes, classes and scores: by the names in a signature, else by which output is the count."""
    signatures = interpreter._get_full_signature_list()
    if len(signatures) > 1:
        raise ValueError("Only support model with one signature.")
    for signature in signatures.values():
        names = signature["outputs"]
        views = (interpreter.tensor(names[f"output_{place}"])() for place in (3, 2, 1))
        boxes, class_ids, scores = (view[0] for view in views)
        return boxes, class_ids, scores
    count_is_last = common.output_tensor(interpreter, 3).size == 1
    order = (0, 1, 2) if count_is_last else (1, 3, 0)
    boxes, class_ids, scores = (common.output_tensor(interpreter, i)[0] for i in order)
    return boxes, class_ids, scores
