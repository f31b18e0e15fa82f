"""What a model saw, typed: the same few shapes whatever the model was.

Coordinates are pixels of the photo that was given, from its upper left corner; they may lie a
little outside of it, where a model says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Class:
    """A class and how sure the model is of it.

    Attributes:
        label: Its name.
        score: Usually 0 to 1; what the model gives where it gives no probabilities.
        index: Its number.
    """

    label: str
    score: float
    index: int


@dataclass(frozen=True)
class Box:
    """A rectangle.

    Attributes:
        left: Its left edge.
        top: Its upper edge.
        right: Its right edge, not below `left` for a box that has an area.
        bottom: Its lower edge.
    """

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        """From left to right, never below 0."""
        return max(0.0, self.right - self.left)

    @property
    def height(self) -> float:
        """From top to bottom, never below 0."""
        return max(0.0, self.bottom - self.top)

    @property
    def area(self) -> float:
        """Width times height."""
        return self.width * self.height

    def intersection(self, other: Box) -> Box:
        """What two boxes have in common; its area is 0 where that is nothing."""
        return Box(
            max(self.left, other.left),
            max(self.top, other.top),
            min(self.right, other.right),
            min(self.bottom, other.bottom),
        )

    def overlap(self, other: Box) -> float:
        """Intersection over union: 0 for nothing in common, 1 for the same box."""
        common = self.intersection(other).area
        union = self.area + other.area - common
        return common / union if union > 0 else 0.0

    def clipped(self, width: float, height: float) -> Box:
        """The part of it that lies on a photo of this size."""
        left, right = (min(max(x, 0.0), float(width)) for x in (self.left, self.right))
        top, bottom = (min(max(y, 0.0), float(height)) for y in (self.top, self.bottom))
        return Box(left, top, right, bottom)


@dataclass(frozen=True)
class Object:
    """Something that was found, and where.

    Attributes:
        label: The class's name.
        score: How sure the model is, 0 to 1.
        box: Where it is.
        index: The class's number.
    """

    label: str
    score: float
    box: Box
    index: int


@dataclass(frozen=True)
class Keypoint:
    """A point of a body.

    Attributes:
        name: Such as "left elbow": the person's own left.
        x: From the photo's left edge.
        y: From its upper edge.
        score: How sure the model is, 0 to 1.
    """

    name: str
    x: float
    y: float
    score: float


@dataclass(frozen=True)
class Pose:
    """A person, as points.

    Attributes:
        keypoints: Always all of them, in the order of `atoll.adapters.skeleton.KEYPOINTS`; how
            sure the model is of each is its score.
        score: How sure the model is of the person, 0 to 1.
    """

    keypoints: tuple[Keypoint, ...]
    score: float

    def box(self, threshold: float = 0.0) -> Box | None:
        """The rectangle around the points that are this sure; None where there are none."""
        seen = [point for point in self.keypoints if point.score >= threshold]
        if not seen:
            return None
        xs, ys = [point.x for point in seen], [point.y for point in seen]
        return Box(min(xs), min(ys), max(xs), max(ys))


@dataclass(frozen=True, eq=False)
class Mask:
    """Which class each pixel belongs to.

    Attributes:
        classes: The class's number a pixel, (height, width) of the photo.
        labels: The name of class i at place i; it may be shorter than the classes are many.
        background: The number of the class that stands for nothing; None where there is none.
    """

    classes: np.ndarray
    labels: tuple[str, ...] = ()
    background: int | None = 0

    def shares(self) -> list[Class]:
        """How much of the photo each class covers, the largest first, the background left out.

        Returns:
            One entry a class that is there; its score is its share of the pixels, 0 to 1.
        """
        numbers, counts = np.unique(self.classes, return_counts=True)
        order = np.argsort(-counts, kind="stable")
        return [
            Class(label_of(self.labels, int(numbers[i])), float(counts[i] / self.classes.size),
                  int(numbers[i]))
            for i in order
            if int(numbers[i]) != self.background
        ]  # fmt: skip

    def where(self, index: int) -> np.ndarray:
        """Which pixels belong to a class: bool, (height, width)."""
        found: np.ndarray = self.classes == index
        return found


def label_of(labels: Sequence[str], index: int) -> str:
    """A class's name; one without a label is named by its number."""
    known = labels[index] if 0 <= index < len(labels) else ""
    return known or f"class {index}"


# What covers less of a photo than this is a stray pixel.
_SMALLEST_SHARE = 0.005
# How sure a classifier must be, where it tells every class that there is.
_SURE = 0.5


def labels_in(seen: Sequence[Class | Object | Pose] | Mask, sure: float = _SURE) -> set[str]:
    """The names of what a model saw, as far as it is sure of it.

    Args:
        seen: What it saw. A pose is a "person"; of a mask, what covers half a percent counts.
        sure: The score from which a class counts, where a classifier tells all of them.
    """
    if isinstance(seen, Mask):
        return {part.label for part in seen.shares() if part.score >= _SMALLEST_SHARE}
    return {
        "person" if isinstance(thing, Pose) else thing.label
        for thing in seen
        if not isinstance(thing, Class) or thing.score >= sure
    }


@singledispatch
def to_json(result: Any) -> Any:
    """A result as plain data, rounded to what it means."""
    raise TypeError(f"no result: {type(result).__name__}")


@to_json.register
def _(result: list) -> list[Any]:  # type: ignore[type-arg]
    return [to_json(item) for item in result]


@to_json.register
def _(result: Class) -> dict[str, Any]:
    return {"label": result.label, "score": round(result.score, 4), "index": result.index}


@to_json.register
def _(result: Box) -> list[float]:
    return [round(edge, 1) for edge in (result.left, result.top, result.right, result.bottom)]


@to_json.register
def _(result: Object) -> dict[str, Any]:
    return {
        "label": result.label,
        "score": round(result.score, 4),
        "box": to_json(result.box),
        "index": result.index,
    }


@to_json.register
def _(result: Keypoint) -> dict[str, Any]:
    return {
        "name": result.name,
        "x": round(result.x, 1),
        "y": round(result.y, 1),
        "score": round(result.score, 4),
    }


@to_json.register
def _(result: Pose) -> dict[str, Any]:
    return {"score": round(result.score, 4), "keypoints": to_json(list(result.keypoints))}


@to_json.register
def _(result: Mask) -> list[dict[str, Any]]:
    return [
        {"label": part.label, "share": round(part.score, 4), "index": part.index}
        for part in result.shares()
    ]
