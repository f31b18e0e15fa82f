"""Detection: boxes with a class and a score."""

from __future__ import annotations

from typing import TYPE_CHECKING

from atoll.adapters.found import Boxes
from atoll.adapters.results import Box, Object, label_of
from atoll.adapters.ssd import SSD
from atoll.adapters.table import Adapter, Wanted
from atoll.adapters.vision import Vision
from atoll.adapters.yolo import YOLO
from atoll.adapters.yolo_heads import YOLO_HEADS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atoll.adapters.placement import Placement

DETECTORS: tuple[Adapter[Boxes], ...] = (*SSD, *YOLO_HEADS, *YOLO)

# What stands in the first line of TensorFlow's labels files.
_NO_OBJECT = (["???"], ["background"])


class Detector(Vision[Boxes, list[Object]]):
    """A detector, ready to look at photos.

    Example:
        >>> with Detector(Path("ssd.tflite"), labels=Path("coco_labels.txt")) as detector:
        ...     for thing in detector.see(Path("street.jpg"), Wanted(threshold=0.4)):
        ...         print(thing.label, thing.score, thing.box)
    """

    task = "detect"
    usual = Wanted(threshold=0.5)

    @classmethod
    def adapters(cls) -> Sequence[Adapter[Boxes]]:
        """The forms of output that are known."""
        return DETECTORS

    @classmethod
    def _labels_for(cls, known: list[str]) -> list[str]:
        """Detectors do not count the background, which some labels files name first."""
        return known[1:] if known[:1] in _NO_OBJECT else known

    def _told(self, found: Boxes, placement: Placement, wanted: Wanted) -> list[Object]:
        return objects(found, placement, self.labels)


def objects(found: Boxes, placement: Placement, labels: Sequence[str]) -> list[Object]:
    """Boxes over a model's input as objects on the photo.

    Args:
        found: What a detector's adapter decoded.
        placement: Where the photo lies in the input.
        labels: The name of class i at place i.

    Returns:
        Best first, as they come; what lies beyond the photo's edges is cut off, and a box that
        has nothing on the photo left out.
    """
    told = []
    corners = placement.to_photo(found.boxes)
    for edges, score, index in zip(corners, found.scores, found.classes, strict=True):
        box = Box(*(float(edge) for edge in edges)).clipped(*placement.photo)
        if box.area > 0:
            told.append(Object(label_of(labels, int(index)), float(score), box, int(index)))
    return told
