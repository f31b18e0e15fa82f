"""What goes from step to step: images, and what was found on them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import singledispatch
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from atoll.adapters.results import Box, Class, Mask, Object, Pose

if TYPE_CHECKING:
    from PIL import Image

# What a step finds: what its adapter tells, or a raw model's outputs by name.
Result: TypeAlias = Class | Object | Pose | Mask | dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class View:
    """An image, and where it lies on the photo: photo = origin + view * scale, in pixels.

    Attributes:
        image: The image, in RGB.
        photo: The photo that it is a part of.
        origin: Where its upper left corner lies on the photo, (x, y).
        scale: Photo pixels a pixel of it, (x, y).
        owner: What was found and is shown on it; None for the photo.
    """

    image: Image.Image
    photo: Image.Image
    origin: tuple[float, float] = (0.0, 0.0)
    scale: tuple[float, float] = (1.0, 1.0)
    owner: Sighting | None = None

    @property
    def box(self) -> Box:
        """Where it lies on the photo."""
        return self.on_photo(Box(0, 0, self.image.width, self.image.height))

    def on_photo(self, box: Box) -> Box:
        """A box on it as one on the photo."""
        (left, top), (right, bottom) = (
            self.point(box.left, box.top),
            self.point(box.right, box.bottom),
        )
        return Box(left, top, right, bottom)

    def point(self, x: float, y: float) -> tuple[float, float]:
        """A point on it as one on the photo."""
        return self.origin[0] + x * self.scale[0], self.origin[1] + y * self.scale[1]


@dataclass(frozen=True, eq=False)
class Sighting:
    """Something that was found.

    Attributes:
        step: The name of the step that found it.
        result: What it is, in the photo's pixels.
        view: The image that it was found on.
    """

    step: str
    result: Result
    view: View

    @property
    def owner(self) -> Sighting | None:
        """What it was found within; None for the photo."""
        return self.view.owner

    @property
    def label(self) -> str:
        """Its class's name; empty for what has none."""
        if isinstance(self.result, Pose):
            return "person"
        return self.result.label if isinstance(self.result, Class | Object) else ""

    @property
    def score(self) -> float:
        """How sure its model is; 1 for what has no score."""
        return self.result.score if isinstance(self.result, Class | Object | Pose) else 1.0

    @property
    def box(self) -> Box:
        """Where it is on the photo; for what has no place of its own, where it was looked for."""
        if isinstance(self.result, Object):
            return self.result.box
        around = self.result.box() if isinstance(self.result, Pose) else None
        return self.view.box if around is None else around


def sightings(step: str, view: View, seen: Any) -> list[Sighting]:
    """What an adapter told of an image, each thing by itself, in the photo's pixels."""
    things = seen if isinstance(seen, list) else [seen]
    return [Sighting(step, _moved(thing, view), view) for thing in things]


@singledispatch
def _moved(result: Any, view: View) -> Any:
    """A result in the photo's pixels. A class or a mask is of the image as a whole."""
    return result


@_moved.register
def _(result: Object, view: View) -> Object:
    return replace(result, box=view.on_photo(result.box))


@_moved.register
def _(result: Pose, view: View) -> Pose:
    moved = []
    for point in result.keypoints:
        x, y = view.point(point.x, point.y)
        moved.append(replace(point, x=x, y=y))
    return replace(result, keypoints=tuple(moved))
